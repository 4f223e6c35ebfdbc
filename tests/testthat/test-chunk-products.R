sleep <- sleep_data()
formula <- Reaction ~ Days + three + (Days | Subject)
parts <- split(sleep, rep(1:4, length.out = 180))

test_that("cross-products of parts add up, in any order and tree", {
  whole <- lmer(formula, sleep)
  sums <- lapply(unname(parts), function(part) cross_products(formula, part))
  for (total in list(do.call(c, sums), do.call(c, rev(sums)), c(c(sums[[4]], sums[[1]]), c(sums[[3]], sums[[2]])))) {
    fit <- lmer(formula, total)
    expect_equal(fixef(fit), fixef(whole), tolerance = 1e-6)
    expect_equal(VarCorr(fit), VarCorr(whole), tolerance = 1e-4)
    expect_equal(c(nobs(fit), REMLcrit(fit)), c(180, REMLcrit(whole)))
  }
})

test_that("the same parts give the same bits, and a round trip through a file changes none", {
  total <- function() do.call(c, lapply(unname(parts), function(part) cross_products(formula, part)))
  one <- total()
  expect_identical(one$saved, total()$saved)
  file <- withr::local_tempfile()
  saveRDS(one, file)
  expect_identical(lmer(formula, readRDS(file))@theta, lmer(formula, one)@theta)
  expect_identical(unserialize(serialize(one, NULL))$saved, one$saved)
})

test_that("cross-products formed in a function don't carry its rows along", {
  form <- function() {
    rows <- stats::runif(1e5)
    cross_products(Reaction ~ Days + (1 | Subject), sleep)
  }
  expect_lt(length(serialize(form(), NULL)), 1e5)
})

test_that("workers can form the parts", {
  skip_on_cran()
  cluster <- parallel::makePSOCKcluster(1L)
  withr::defer(parallel::stopCluster(cluster))
  libraries <- .libPaths()
  sums <- parallel::parLapply(cluster, parts, function(part, formula, libraries) {
    .libPaths(libraries)
    fastlmer::cross_products(formula, part)
  }, formula = formula, libraries = libraries)
  expect_identical(
    do.call(c, unname(sums))$saved, do.call(c, lapply(unname(parts), function(part) cross_products(formula, part)))$saved
  )
})

test_that("smaller models need no other pass", {
  sums <- cross_products(Reaction ~ three * Days + late + (Days | Subject) + (1 | half), sleep)
  smaller <- list(
    Reaction ~ Days + (Days | Subject), Reaction ~ three + (1 | half), Reaction ~ three * Days + (1 | half) + (Days | Subject),
    Reaction ~ 0 + three + late + (Days | Subject)
  )
  for (formula in smaller) {
    expect_equal(fixef(suppressMessages(lmer(formula, sums))), fixef(suppressMessages(lmer(formula, sleep))), tolerance = 1e-5)
  }
  fit <- lmer(Reaction ~ Days + (Days | Subject), sums)
  expect_equal(predict(fit, sleep), predict(lmer(Reaction ~ Days + (Days | Subject), sleep), sleep), tolerance = 1e-6)
  expect_error(lmer(Reaction ~ number + (Days | Subject), sums), "don't have the term number")
  expect_error(lmer(Reaction ~ Days + (1 | Subject), sums), "don't have the term (1 | Subject)", fixed = TRUE)
  expect_error(lmer(late ~ Days + (Days | Subject), sums), "another response")
  expect_error(lmer(Reaction ~ offset(o) + (Days | Subject), sums), "another offset")
  expect_error(lmer(Reaction ~ Days + (Days | Subject), sums, weights = w), "'weights' belongs to the rows")
})

test_that("weights, subset and offset are those of the rows", {
  sums <- lapply(unname(parts), function(part) {
    cross_products(Reaction ~ Days + (1 | Subject), part, subset = Days > 0, weights = w, offset = o)
  })
  fit <- lmer(Reaction ~ Days + (1 | Subject), do.call(c, sums))
  memory <- lmer(Reaction ~ Days + (1 | Subject), sleep, subset = Days > 0, weights = w, offset = o)
  expect_equal(c(fixef(fit), logLik(fit)), c(fixef(memory), logLik(memory)), tolerance = 1e-6)
  other <- cross_products(Reaction ~ Days + (1 | Subject), sleep, subset = Days > 0, offset = o)
  expect_error(c(sums[[1]], other), "different models")
  expect_error(c(sums[[1]], 1), "only cross-products")
})

test_that("levels make text a factor", {
  text <- transform(sleep, three = c("x", "y", "z")[three])
  formula <- Reaction ~ three + (three | Subject)
  memory <- lmer(formula, transform(text, three = factor(three, c("z", "x", "y"))))
  fit <- lmer(formula, cross_products(formula, in_chunks(text, 7), levels = list(three = c("z", "x", "y"))))
  expect_equal(fixef(fit), fixef(memory), tolerance = 1e-5)
  expect_identical(fit@cnms, memory@cnms)
  expect_error(cross_products(formula, text, levels = list(three = c("x", "y"))), "not among its 'levels': z")
  expect_error(cross_products(formula, text, levels = c("x", "y")), "'levels' must be a named list")
  four <- cross_products(formula, text, levels = list(three = c("z", "x", "y", "none")))
  expect_equal(fixef(lmer(formula, four)), fixef(memory), tolerance = 1e-5)
})

test_that("parts may know different levels, and none at all", {
  text <- transform(sleep, three = as.character(three))
  formula <- Reaction ~ three * Days + (1 | Subject)
  sums <- lapply(split(text, text$three), function(part) cross_products(formula, part))
  empty <- cross_products(formula, text[0, ])
  fit <- lmer(formula, do.call(c, unname(c(sums, list(empty)))))
  expect_equal(fixef(fit), fixef(lmer(formula, text)), tolerance = 1e-5)
  expect_error(lmer(formula, empty), "0 (non-NA) cases", fixed = TRUE)
})

test_that("what is left out is counted", {
  sums <- cross_products(Reaction ~ with_na + (1 | Subject), in_chunks(sleep, 10))
  expect_snapshot(print(sums))
  expect_snapshot(print(cross_products(Reaction ~ Days + (1 | Subject), sleep[0, ])))
  expect_error(cross_products(Reaction ~ with_na + (1 | Subject), sleep, na.action = na.fail), "missing values in object")
})

test_that("damaged cross-products are refused", {
  sums <- cross_products(formula, sleep)
  damage <- function(name, value) {
    sums$saved[[name]] <- value
    lmer(formula, sums)
  }
  expect_error(damage("version", 2), "another version of fastlmer")
  expect_error(damage("vv", 1), "damaged")
  expect_error(damage("pairs", list(1)), "damaged")
  expect_error(damage("coefficients", 1:3), "'coefficients' must be a numeric vector")
})
