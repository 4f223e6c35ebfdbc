test_that("a batch has each response's fit", {
  fits <- resampling_fits()
  for (name in c("slopes", "weights", "offset", "missing", "excluded", "crossed")) {
    fit <- fits[[name]]
    y <- simulate(fit, 4, seed = 1)
    many <- refit(fit, y, threads = 2)
    expect_s3_class(many, "refit_many")
    expect_length(many, 4L)
    table <- as.data.frame(many)
    expect_identical(table$response, paste0("sim_", 1:4))
    for (i in 1:4) {
      one <- suppressMessages(refit(fit, y[i]))
      expect_equal(unlist(table[i, names(fixef(fit)), drop = FALSE]), fixef(one), tolerance = 1e-7, label = name)
      expect_equal(table$sigma[i], sigma(one), tolerance = 1e-7)
      expect_equal(as.numeric(many$theta[, i]), unname(getME(one, "theta")), tolerance = 1e-5)
      expect_identical(table$singular[i], isSingular(one))
    }
  }
})

test_that("a matrix, one fit of a batch, standard errors, and responses that can't be fitted", {
  fit <- lmer(Reaction ~ Days + (Days | Subject), lme4::sleepstudy)
  y <- as.matrix(simulate(fit, 3, seed = 1))
  colnames(y) <- c("a", "b", "c")
  y[1, "c"] <- NA
  many <- refit(fit, y)
  expect_equal(fixef(many[["b"]]), fixef(refit(fit, y[, "b"])))
  expect_equal(fixef(many[[1]]), fixef(many)[1, ], tolerance = 1e-8)
  expect_true(is.na(as.data.frame(many)$converged[3]))
  expect_error(many[[4]], "subscript out of bounds")
  skip_if_not_installed("generics")
  tidied <- generics::tidy(many)
  expect_equal(tidied$std.error[1:2], unname(sqrt(diag(as.matrix(vcov(many[[1]]))))), tolerance = 1e-6)
  expect_output(print(many), "3 fits of one model, by REML")
  expect_error(refit(fit, y[1:10, ]), "the new response has 10 values")
})

test_that("a batch is a vector of fits", {
  fit <- lmer(Reaction ~ Days + (Days | Subject), lme4::sleepstudy)
  y <- simulate(fit, 5, seed = 1)
  many <- refit(fit, y)
  whole <- as.data.frame(many)
  expect_identical(as.data.frame(many[2:3]), as.data.frame(refit(fit, y[2:3])))
  for (i in list(2:3, -1, c("sim_4", "sim_1"), c(TRUE, FALSE, TRUE, FALSE, TRUE), whole$REMLcrit > 1750, integer(), factor("sim_2"))) {
    rows <- if (is.character(i) || is.factor(i)) match(i, whole$response) else seq_len(5)[i]
    expect_s3_class(many[i], "refit_many")
    expect_equal(as.data.frame(many[i]), whole[rows, ], ignore_attr = "row.names")
  }
  expect_identical(many[], many)
  expect_identical(as.data.frame(utils::tail(many, 2)), as.data.frame(many[4:5]))
  expect_identical(names(rev(many)), rev(names(many)))
  expect_identical(as.data.frame(c(many[1:2], many[3:5])), whole)
  expect_identical(names(rep(many[1:2], 2)), c("sim_1", "sim_2", "sim_1", "sim_2"))
  expect_identical(vapply(many, sigma, 0), stats::setNames(vapply(1:5, function(i) sigma(many[[i]]), 0), names(many)))
  expect_equal(vapply(many, sigma, 0), whole$sigma, tolerance = 1e-6, ignore_attr = "names")
  expect_s4_class(as.list(many)[[5]], "lmerMod")
  expect_equal(fixef(many$sim_3), fixef(many[[3]]))
  names(many) <- letters[1:5]
  expect_identical(as.data.frame(many)$response, letters[1:5])
  expect_match(format(many)[["a"]], "<lmerMod REML ")
  expect_output(str(many), "5 fits of Reaction ~ Days")
})

test_that("what a batch can't be is refused", {
  fit <- lmer(Reaction ~ Days + (Days | Subject), lme4::sleepstudy)
  many <- refit(fit, simulate(fit, 3, seed = 1))
  for (i in list(4, "d", NA, c(1, 7))) expect_error(many[i], "subscript out of bounds", class = "fastlmer_argument_error")
  for (i in list(1:2, 4, integer(), "d")) expect_error(many[[i]], "subscript out of bounds")
  expect_error(many[[1]] <- fit, "can't be replaced")
  expect_error(many[1] <- list(fit), "can't be replaced")
  expect_error(many$sim_1 <- fit, "can't be replaced")
  expect_error(c(many, 1), "only batches")
  other <- lmer(Reaction ~ 1 + (Days | Subject), lme4::sleepstudy)
  expect_error(c(many, refit(other, simulate(other, 2, seed = 1))), "same fit")
  expect_error(names(many) <- "a", "as many")
})

test_that("intervals of a batch's coefficients are Wald's", {
  skip_if_not_installed("generics")
  fit <- lmer(Reaction ~ Days + (Days | Subject), lme4::sleepstudy)
  tidied <- generics::tidy(refit(fit, simulate(fit, 2, seed = 1)), conf.int = TRUE, conf.level = 0.9)
  expect_equal(tidied$conf.high - tidied$estimate, stats::qnorm(0.95) * tidied$std.error)
  expect_equal(tidied$estimate - tidied$conf.low, stats::qnorm(0.95) * tidied$std.error)
})

test_that("the unit of a predictor doesn't make fits singular, one by one or in a batch", {
  days <- transform(lme4::sleepstudy, Minutes = Days * 1440e3)
  fit <- lmer(Reaction ~ Days + (Days | Subject), days)
  other <- lmer(Reaction ~ Minutes + (Minutes | Subject), days)
  y <- simulate(fit, 40, seed = 3)
  expected <- as.data.frame(refit(fit, y))
  found <- as.data.frame(refit(other, y))
  expect_identical(found$singular, expected$singular)
  expect_lt(sum(found$singular), 20)
  expect_equal(found$sigma, expected$sigma, tolerance = 1e-6)
  told <- function(fit) attr(suppressMessages(bootMer(fit, sigma, nsim = 40, seed = 3)), "boot.all.msgs")
  expect_identical(told(other), told(fit))
})
