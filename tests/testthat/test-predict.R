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
    expect_false(is.null(own_prediction(fit, new, NULL, FALSE, FALSE, na.pass)))
    expect_same_predictions(fit, new)
    expect_same_predictions(fit, new[2L, ])
    rownames(new) <- NULL
    expect_same_predictions(fit, new)
  }
  skip_if_not_installed("tibble")
  expect_same_predictions(fit, tibble::as_tibble(new))
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

test_that("the fit's argument `offset` is evaluated in new data, as an offset() of the formula is", {
  data <- sleep_data()
  new <- data[c(7, 5, 120, 33), ]
  new$Days[2] <- NA
  models <- list(
    list(Reaction ~ Days + (1 | Subject), Reaction ~ Days + offset(2 * o + 1) + (1 | Subject)),
    list(Reaction ~ three + (Days | Subject), Reaction ~ three + offset(2 * o + 1) + (Days | Subject)),
    list(Reaction ~ 0 + (1 | Subject), Reaction ~ 0 + offset(2 * o + 1) + (1 | Subject))
  )
  for (model in models) {
    argument <- lmer(model[[1L]], data, offset = 2 * o + 1)
    term <- lmer(model[[2L]], data)
    expect_true(any(predict(term, new) - (2 * new$o + 1) != predict(term, new), na.rm = TRUE))
    for (re.form in list(NULL, NA)) {
      expect_equal(predict(argument, new, re.form = re.form), predict(term, new, re.form = re.form), tolerance = 1e-8)
    }
    expect_equal(predict(argument, new, random.only = TRUE), predict(term, new, random.only = TRUE), tolerance = 1e-6)
    expect_equal(predict(argument, data), predict(argument), tolerance = 1e-12)
    expect_equal(
      unlist(simulate(argument, 2, seed = 1, newdata = new[-2, ])),
      unlist(simulate(term, 2, seed = 1, newdata = new[-2, ])), tolerance = 1e-8
    )
    drawn <- function(fit) bootMer(fit, function(f) predict(f, newdata = new[-2, ], re.form = NA), nsim = 3, seed = 1)$t
    expect_equal(drawn(argument), drawn(term), tolerance = 1e-6)
  }
  fit <- lmer(models[[1L]][[1L]], data, offset = 2 * o + 1)
  expect_equal(predict(fit, new, na.action = na.omit), predict(fit, new)[-2L], tolerance = 1e-12)
})

test_that("an offset that can't be evaluated for new data is an error that says what to do", {
  data <- sleep_data()
  outside <- data$o
  fit <- lmer(Reaction ~ Days + (1 | Subject), data, offset = o)
  expect_error(
    predict(fit, data.frame(Days = 1, Subject = "308")),
    "'offset' (o) can't be evaluated in 'newdata': object 'o' not found", fixed = TRUE
  )
  fit <- lmer(Reaction ~ Days + (1 | Subject), data, offset = outside)
  expect_error(predict(fit, data[1:3, ]), "it has 180 values for 3 rows; add its variables to 'newdata'", fixed = TRUE)
  expect_error(simulate(fit, newdata = data[1:3, ]), "can't be evaluated in 'newdata'", fixed = TRUE)
  expect_equal(predict(fit, data), predict(fit), tolerance = 1e-12)
  fit <- lme4::lmer(Reaction ~ Days + (1 | Subject), data, offset = o)
  expect_equal(predict(fit, data), predict(fit), tolerance = 1e-12)
})

test_that("a model without fixed effects predicts as lme4's", {
  fit <- suppressMessages(lmer(Reaction ~ 0 + (1 | Subject), sleepstudy))
  expect_same_predictions(fit, sleepstudy[c(2, 50), ])
  fit <- suppressMessages(lmer(Reaction ~ 0 + (0 + Days | Subject), sleep_data()))
  expect_same_predictions(fit, sleep_data()[c(2, 50), ])
})
