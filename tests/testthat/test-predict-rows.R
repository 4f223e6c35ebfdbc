# lme4's method on the same fit, and ours alone: NULL where it leaves the answer to lme4.
by_lme4 <- function(fit, newdata, ...) getFromNamespace("predict.merMod", "lme4")(fit, newdata, ...)

ours <- function(fit, newdata, re.form = NULL, random.only = FALSE, allow.new.levels = FALSE, na.action = na.pass) {
  own_prediction(fit, newdata, re.form, random.only, allow.new.levels, na.action)
}

expect_lme4s <- function(fit, newdata, ...) {
  own <- ours(fit, newdata, ...)
  theirs <- by_lme4(fit, newdata, ...)
  expect_equal(own, theirs, tolerance = 1e-11)
  expect_identical(attributes(own), attributes(theirs))
}

quietly <- function(expr) suppressMessages(suppressWarnings(expr))

more_sleep_data <- function() {
  data <- sleep_data()
  data$half <- as.character(data$Days %% 2)
  data$late <- data$Days > 4
  data$grade <- ordered(data$Days %/% 4)
  data$step <- factor(data$Days %/% 4, labels = c("a", "b", "c"))
  data$number <- as.numeric(as.character(data$Subject))
  data
}

test_that("factors, interactions, bases with their knots, and terms of every kind are as lme4 has them", {
  data <- more_sleep_data()
  formulas <- list(
    Reaction ~ three * step + (1 | Subject), Reaction ~ poly(Days, 2) + (Days | Subject),
    Reaction ~ splines::ns(Days, 3) + (poly(Days, 2) | Subject), Reaction ~ half + (half | Subject), Reaction ~ late * w + (late | Subject),
    Reaction ~ grade + (1 | Subject / three), Reaction ~ log(Days + 1) + I(Days^2) + scale(w) + (1 | Subject:half),
    Reaction ~ Days + (step || Subject), Reaction ~ Days + (Days + w || Subject), Reaction ~ offset(2 * o) + three + (1 | Subject),
    Reaction ~ 0 + step + (0 + step | Subject), Reaction ~ 0 + (1 | Subject), Reaction ~ Days * w + (Days | number),
    Reaction ~ Days + I(2 * Days) + (1 | Subject), Reaction ~ step:w + (1 | Subject) + (1 | half:three)
  )
  for (formula in formulas) {
    fit <- quietly(lmer(formula, data))
    for (rows in list(c(3, 50, 171), 7L)) {
      new <- data[rows, ]
      expect_lme4s(fit, new)
      expect_lme4s(fit, new, re.form = NA)
      expect_lme4s(fit, new, re.form = ~0)
      expect_lme4s(fit, new, random.only = TRUE)
      rownames(new) <- NULL
      expect_lme4s(fit, new)
    }
    expect_equal(unname(ours(fit, data)), unname(fitted(fit)), tolerance = 1e-11)
  }
  contrasts(data$step) <- "contr.sum"
  fit <- lmer(Reaction ~ step + grade + (1 | Subject), data, contrasts = list(grade = "contr.helmert"))
  expect_lme4s(fit, data[c(1, 60), ])
  contrasts(data$step) <- NULL
  expect_lme4s(fit, data[c(1, 60), ])
})

test_that("one-sided formulas keep the effects they name", {
  data <- more_sleep_data()
  fit <- quietly(lmer(Reaction ~ Days + (Days + w | Subject) + (1 | three), data))
  for (re.form in list(~ (1 | Subject), ~ (0 + Days | Subject), ~ (w | Subject), ~ (1 | three), ~ (Days + w | Subject) + (1 | three))) {
    expect_lme4s(fit, data[c(8, 90, 91), ], re.form = re.form)
    expect_lme4s(fit, data[c(8, 90, 91), ], re.form = re.form, random.only = TRUE)
  }
  # variables that the formula doesn't name needn't be there
  expect_equal(ours(fit, data[5:6, c("Days", "Subject")], ~ (1 | Subject)), ours(fit, data[5:6, ], ~ (1 | Subject)))
  expect_null(ours(fit, data[5:6, ], ~ (1 | half)))
  expect_null(ours(fit, data[5:6, ], ~ (o | Subject)))
  expect_error(predict(fit, data[5:6, ], re.form = ~ (1 | half)), "grouping factor half")
  expect_error(predict(fit, data[5:6, ], re.form = ~ (o | Subject)), "not present in original model|mismatch")
  both <- quietly(lmer(Reaction ~ Days + (Days || Subject), data))
  expect_lme4s(both, data[5:6, ], re.form = ~ (Days || Subject))
  # as lme4 does, unless it fills in a factor that it doesn't need with missing values
  factors <- quietly(lmer(Reaction ~ Days + (half | Subject), data))
  expect_equal(
    unname(ours(factors, data[5:6, ], ~ (1 | Subject))),
    fixef(factors)[[1]] + fixef(factors)[[2]] * data$Days[5:6] + ranef(factors)$Subject[["(Intercept)"]][[1]], tolerance = 1e-12
  )
})

test_that("levels that the fit hasn't seen and missing values are lme4's", {
  data <- more_sleep_data()
  fit <- lmer(Reaction ~ Days * step + (Days | Subject), data)
  new <- data[c(1, 20, 40, 60, 70), ]
  new$Subject <- as.character(new$Subject)
  new$Days[2] <- NA
  new$Subject[3:4] <- c("new", NA)
  for (action in list(na.pass, na.omit, na.exclude)) expect_lme4s(fit, new, allow.new.levels = TRUE, na.action = action)
  expect_lme4s(fit, new[-2, ], allow.new.levels = TRUE, na.action = na.fail)
  expect_lme4s(fit, new, allow.new.levels = TRUE, random.only = TRUE)
  expect_error(predict(fit, new, allow.new.levels = TRUE, na.action = na.fail), "missing values in object")
  expect_error(predict(fit, new[-4, ]), "new levels detected in newdata: new")
  expect_error(predict(fit, new[4, ]), "NAs are not allowed in prediction data for grouping variables unless allow.new.levels is TRUE")
  expect_error(predict(fit, transform(new, step = "z"), allow.new.levels = TRUE), "non-conformable")
  nested <- quietly(lmer(Reaction ~ 1 + (1 | Subject / three), data))
  expect_lme4s(nested, transform(data[1:3, ], Subject = c("308", "x", NA)), allow.new.levels = TRUE)
})

test_that("effects of the same name in two terms of a factor are those of their own term", {
  data <- more_sleep_data()
  # lme4 takes the first of them for both
  fit <- quietly(lmer(Reaction ~ step + (w | Subject) + (Days | Subject), data))
  expect_equal(unname(predict(fit, data)), unname(fitted(fit)), tolerance = 1e-11)
})

test_that("an absorbed factor is predicted without its columns", {
  data <- withr::with_seed(1, data.frame(f = factor(sample(150, 2000, TRUE)), g = factor(sample(40, 2000, TRUE)), x = rnorm(2000),
    k = factor(sample(3, 2000, TRUE))))
  data$y <- withr::with_seed(2, rnorm(2000) + rnorm(40)[data$g] + rnorm(150)[data$f])
  for (formula in list(y ~ x * k + f + (x | g), y ~ f + (1 | g), y ~ 0 + f + x + (1 | g))) {
    fit <- quietly(lmer(formula, data))
    expect_false(is.null(engine_mark(fit)$absorbed))
    own <- ours(fit, data[1:20, ])
    expect_equal(unname(ours(fit, data)), unname(fitted(fit)), tolerance = 1e-11)
    expect_false(isTRUE(engine_mark(fit)$formed))
    expect_equal(own, by_lme4(fit, data[1:20, ]), tolerance = 1e-11)
  }
  expect_error(predict(fit, transform(data[1, ], f = "no such")), "non-conformable|new level")
})

test_that("the recipe follows the frame, and is no part of what changes with parameters", {
  data <- more_sleep_data()
  fit <- lmer(Reaction ~ Days + (Days | Subject), data)
  first <- ours(fit, data[1:2, ])
  again <- unserialize(serialize(fit, NULL))
  expect_equal(ours(again, data[1:2, ]), first)
  other <- refit(fit, data$Reaction[180:1])
  expect_lme4s(other, data[1:2, ])
  fit@beta <- fit@beta + 1
  expect_lme4s(fit, data[1:2, ])
})

test_that("what comes in other types than the fit had is lme4's to judge", {
  data <- more_sleep_data()
  fit <- lmer(Reaction ~ Days + step + (Days | Subject), data)
  new <- data[1:2, ]
  expect_null(ours(fit, transform(new, Days = factor(Days))))
  expect_null(ours(fit, transform(new, step = 1)))
  expect_null(ours(fit, as.list(new)))
  expect_null(ours(fit, new[0L, ]))
  expect_null(ours(fit, new, re.form = "x"))
})
