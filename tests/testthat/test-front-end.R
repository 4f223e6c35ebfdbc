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
