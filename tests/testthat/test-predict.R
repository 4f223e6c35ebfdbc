# The method of lme4 itself on the same fit.
by_lme4 <- function(fit, ...) getFromNamespace("predict.merMod", "lme4")(fit, ...)

expect_same_predictions <- function(fit, newdata) {
  for (re.form in list(NULL, NA, ~0)) {
    ours <- predict(fit, newdata, re.form = re.form)
    theirs <- by_lme4(fit, newdata, re.form = re.form)
    expect_equal(ours, theirs, tolerance = 1e-12)
    expect_identical(attributes(ours), attributes(theirs))
  }
}

test_that("predictions for new data are lme4's, names and all", {
  data <- sleep_data()
  data$other <- factor(rep(letters[1:6], 30))
  new <- data.frame(Days = c(3, 2.5), w = c(1, 0), Subject = factor(c("372", "308")), text = c("308", "309"), number = c(372L, 308L),
    other = c("b", "a"), row.names = c("one", "two"))
  formulas <- list(
    Reaction ~ Days + (Days | Subject), Reaction ~ 1 + (1 | Subject), Reaction ~ Days + w + (1 | Subject) + (0 + Days | Subject),
    Reaction ~ 0 + Days + (1 | other) + (Days | text), Reaction ~ Days + (Days | number)
  )
  for (formula in formulas) {
    fit <- suppressWarnings(suppressMessages(lmer(formula, data)))
    expect_false(is.null(plain_prediction(fit, new, TRUE)))
    expect_same_predictions(fit, new)
    expect_same_predictions(fit, new[2L, ])
    rownames(new) <- NULL
    expect_same_predictions(fit, new)
  }
  skip_if_not_installed("tibble")
  expect_same_predictions(fit, tibble::as_tibble(new))
})

test_that("what isn't plain is lme4's to predict", {
  data <- sleep_data()
  new <- data.frame(Days = c(3, NA), three = c("0", "2"), Subject = c("308", "309"), o = 1:2)
  fit <- lmer(Reaction ~ Days + (Days | Subject), data)
  expect_same_predictions(fit, new)
  expect_null(plain_prediction(fit, new, TRUE))
  for (formula in list(Reaction ~ three + (1 | Subject), Reaction ~ log(Days + 1) + (1 | Subject), Reaction ~ offset(o) + (1 | Subject))) {
    expect_same_predictions(lmer(formula, data), new[1L, ])
    expect_null(plain_prediction(lmer(formula, data), new[1L, ], TRUE))
  }
  expect_same_predictions(lmer(Reaction ~ Days + (1 | Subject), data, offset = o), new[1L, ])
  twice <- suppressWarnings(suppressMessages(lmer(Reaction ~ Days + (1 | Subject) + (Days | Subject), data)))
  expect_null(plain_prediction(twice, new[1L, ], TRUE))
})

test_that("errors and other arguments are lme4's", {
  fit <- lmer(Reaction ~ Days + (Days | Subject), lme4::sleepstudy)
  new <- data.frame(Days = 1:2, Subject = c("308", "new"))
  expect_error(predict(fit, new), "new levels detected in newdata: new")
  expect_equal(predict(fit, new, allow.new.levels = TRUE), by_lme4(fit, new, allow.new.levels = TRUE))
  expect_error(predict(fit, new["Days"]), "Subject")
  expect_error(predict(fit, new["Subject"]), "Days")
  expect_equal(predict(fit, new[1L, ], random.only = TRUE), by_lme4(fit, new[1L, ], random.only = TRUE))
  expect_equal(predict(fit, new[1L, ], re.form = ~ (1 | Subject)), by_lme4(fit, new[1L, ], re.form = ~ (1 | Subject)))
  expect_equal(predict(fit), by_lme4(fit))
  expect_equal(predict(fit, re.form = NA), by_lme4(fit, re.form = NA))
  expect_equal(predict(fit, new[1L, ], type = "response"), by_lme4(fit, new[1L, ], type = "response"))
})
