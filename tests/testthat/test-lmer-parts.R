test_that("without data the variables come from where the formula was written", {
  local_fit <- function() {
    y <- lme4::sleepstudy$Reaction
    x <- lme4::sleepstudy$Days
    g <- lme4::sleepstudy$Subject
    list(lmer(y ~ x + (x | g)), lme4::lmer(y ~ x + (x | g)))
  }
  fits <- local_fit()
  expect_true(is_fastlmer(fits[[1L]]))
  expect_equal(unname(fixef(fits[[1L]])), unname(fixef(fits[[2L]])), tolerance = 1e-5)
})

test_that("formula and data may be arguments of a function, the weights too", {
  fit_by <- function(formula, d, weights) lmer(formula, data = d, weights = weights)
  w <- sleep_data()$w
  fit <- fit_by(Reaction ~ Days + (1 | Subject), lme4::sleepstudy, w)
  expect_true(is_fastlmer(fit))
  expect_equal(unname(weights(fit)), w)
  expect_identical(attr(terms(fit), ".Environment"), environment())
})

test_that("arguments don't leave variables in the formula's environment", {
  env <- new.env()
  formula <- Reaction ~ Days + (1 | Subject)
  environment(formula) <- env
  data <- sleep_data()
  lmer(formula, data, weights = w, offset = o)
  expect_length(ls(env), 0L)
})

test_that("data may be a list or a tibble; text is a formula too", {
  expected <- fixef(lmer(Reaction ~ Days + (1 | Subject), lme4::sleepstudy))
  expect_identical(fixef(lmer(Reaction ~ Days + (1 | Subject), as.list(lme4::sleepstudy))), expected)
  expect_identical(fixef(lmer("Reaction ~ Days + (1 | Subject)", lme4::sleepstudy)), expected)
  skip_if_not_installed("tibble")
  expect_identical(fixef(lmer(Reaction ~ Days + (1 | Subject), tibble::as_tibble(lme4::sleepstudy))), expected)
})

test_that("fits map over nested tibbles", {
  skip_if_not_installed("tidyr")
  skip_if_not_installed("purrr")
  nested <- tidyr::nest(sleep_data(), data = -late)
  fits <- purrr::map(nested$data, ~ lmer(Reaction ~ Days + (1 | Subject), data = .x))
  expect_equal(fixef(fits[[2L]]), fixef(lme4::lmer(Reaction ~ Days + (1 | Subject), nested$data[[2L]])), tolerance = 1e-5)
})

test_that("update() and a stored call fit again where the formula was written", {
  fit_in <- function() {
    d <- lme4::sleepstudy
    lmer(Reaction ~ Days + (1 | Subject), d)
  }
  fit <- fit_in()
  again <- update(fit, . ~ . - Days)
  expect_true(is_fastlmer(again))
  expect_named(fixef(again), "(Intercept)")
  expect_identical(fixef(eval(getCall(fit), environment(formula(fit)))), fixef(fit))
})

test_that("the way over lme4's lFormula() makes the same model", {
  fast <- suppressMessages(lmer(Reaction ~ Days + (Days | Subject) + (1 | half), sleep_data()))
  # "warning" where the fast way sees more than it may decide
  slow <- suppressMessages(lmer(Reaction ~ Days + (Days | Subject) + (1 | half), sleep_data(),
    control = lmerControl(check.nobs.vs.rankZ = "warning")))
  for (slot in setdiff(methods::slotNames("lmerMod"), c("pp", "resp", "call"))) {
    expect_equal(methods::slot(fast, slot), methods::slot(slow, slot), label = slot)
  }
})

test_that("an expression as grouping factor is lme4's to accept or refuse", {
  sleep <- sleep_data()
  fits <- both(Reaction ~ Days + (1 | factor(number)), sleep)
  expect_identical(fits$ours$conditions, fits$theirs$conditions)
  expect_match(fits$ours$conditions, "couldn't evaluate grouping factor")
})

test_that("the shortcut for sums of numbers makes model.matrix()'s own matrix", {
  frame <- model.frame(Reaction ~ Days + w + o, sleep_data())
  for (formula in list(Reaction ~ 1, Reaction ~ Days, Reaction ~ 0 + Days + w, Reaction ~ w + Days + 1 + w)) {
    expect_identical(plain_matrix(formula, frame, NULL), model.matrix(formula, frame))
  }
  expect_null(plain_matrix(Reaction ~ Days:w, frame, NULL))
  expect_null(plain_matrix(Reaction ~ Days - 1, frame, NULL))
  expect_null(plain_matrix(Reaction ~ Days + Reaction, frame, NULL))
})

test_that("columns of the data make model.frame()'s own frame", {
  named <- lme4::sleepstudy
  rownames(named) <- paste0("row", seq_len(nrow(named)))
  formula <- Reaction ~ Days + (Days + Subject)
  call <- quote(lmer(Reaction ~ Days + (Days | Subject), data = sleep))
  for (data in list(lme4::sleepstudy, named, lme4::sleepstudy[c(31:180, 1:30), ], sleep_data())) {
    frame <- plain_frame(formula, data, call)
    expected <- model.frame(formula, data, drop.unused.levels = TRUE)
    expect_identical(frame, expected)
    expect_identical(.row_names_info(frame, 0L), .row_names_info(expected, 0L))
    ours <- fastlmer::lmer(Reaction ~ Days + (Days | Subject), data)
    expect_identical(model.frame(ours), model.frame(lme4::lmer(Reaction ~ Days + (Days | Subject), data)))
  }
})

test_that("what model.frame() would change is left to it", {
  data <- sleep_data()
  call <- quote(lmer(formula, data = data))
  expect_null(plain_frame(Reaction ~ with_na + (1 + Subject), data, call))
  expect_null(plain_frame(Reaction ~ Days + (1 + unused), data, call))
  expect_null(plain_frame(Reaction ~ Days + (1 + text), data, call))
  expect_null(plain_frame(log(Reaction) ~ Days + (1 + Subject), data, call))
  expect_null(plain_frame(Reaction ~ Days + (1 + Subject), data, quote(lmer(formula, data = data, subset = Days > 1))))
  expect_null(plain_frame(Reaction ~ elsewhere + (1 + Subject), data, call))
  data$matrix <- cbind(data$Days, data$w)
  expect_null(plain_frame(Reaction ~ matrix + (1 + Subject), data, call))
  withr::local_options(na.action = "na.exclude")
  expect_null(plain_frame(Reaction ~ Days + (1 + Subject), data, call))
})

test_that("names of rows and notes on variables are those of lme4's frame", {
  d <- withr::with_seed(1, data.frame(g = gl(6, 5), x = rnorm(30), y = rnorm(30)))
  values <- as.matrix(d[c("y", "x")])
  rownames(values) <- rep(c("a", "b", "c"), 10)
  twice <- d
  attr(twice, "row.names") <- rep(c("a", "b", "c"), 10)
  whole <- d
  attr(whole, "row.names") <- rep(1:15, 2)
  noted <- d
  attr(noted$x, "label") <- "a note"
  noted$y <- setNames(noted$y, rep(c("a", "b"), 15))
  series <- d
  series$y <- ts(d$y, start = 1990, frequency = 4)
  series$x <- ts(d$x)
  several <- d
  several$x <- ts(cbind(a = d$x, b = d$x^2))
  missing <- twice
  missing$x[3] <- NA
  data <- list(
    matrix = data.frame(values, g = d$g, check.rows = FALSE), twice = twice, whole = whole, rbind = rbind(d[1:20, ], d[1:20, ]),
    rows = d[c(1:30, 1:10), ], list = list(y = setNames(d$y, rep(c("a", "b"), 15)), x = d$x, g = d$g),
    named = `rownames<-`(d, paste0("q", 30:1)), turned = d[30:1, ], noted = noted, series = series, several = several, missing = missing
  )
  for (name in names(data)) for (formula in list(y ~ x + (1 | g), y ~ x + I(g == "1") + (1 | g), y ~ 1 + (x | g))) {
    if (name == "several" && grepl("(x | g)", deparse1(formula), fixed = TRUE)) next
    quietly <- function(expr) suppressWarnings(suppressMessages(expr))
    ours <- quietly(lmer(formula, data[[name]]))
    lme4s <- quietly(lme4::lmer(formula, data[[name]]))
    label <- paste(name, deparse1(formula))
    expect_true(is_fastlmer(ours), label = label)
    expect_identical(lapply(ours@frame, attributes), lapply(lme4s@frame, attributes), label = label)
    expect_identical(rownames(ours@frame), rownames(lme4s@frame), label = label)
    expect_identical(attr(ours@frame, "row.names"), attr(lme4s@frame, "row.names"), label = label)
    expect_identical(attr(terms(ours), "dataClasses"), attr(terms(lme4s), "dataClasses"), label = label)
    for (what in list(fitted, residuals, predict, weights, function(fit) simulate(fit, seed = 1)[[1L]])) {
      expect_identical(names(what(ours)), names(what(lme4s)), label = label)
    }
    expect_identical(lapply(dimnames(getME(ours, "X")), as.character), lapply(dimnames(getME(lme4s, "X")), as.character), label = label)
    expect_identical(colnames(getME(ours, "Zt")), colnames(getME(lme4s, "Zt")), label = label)
    expect_identical(attributes(getME(ours, "y")), attributes(getME(lme4s, "y")), label = label)
  }
})
