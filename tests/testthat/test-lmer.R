sleep <- sleep_data()

test_that("random intercepts and slopes are lme4's", {
  expect_same_fit(both(Reaction ~ Days + (Days | Subject), sleep))
  expect_same_fit(both(Reaction ~ Days + (Days | Subject), sleep, REML = FALSE))
  expect_same_fit(both(Reaction ~ 1 + (1 | Subject), sleep))
  expect_same_fit(both(Reaction ~ Days + (0 + Days | Subject), sleep))
  expect_same_fit(both(Reaction ~ Days + (1 | Subject) + (0 + Days | Subject), sleep))
  expect_same_fit(both(Reaction ~ Days + (Days || Subject), sleep))
})

test_that("crossed and nested factors are lme4's", {
  expect_same_fit(both(diameter ~ 1 + (1 | plate) + (1 | sample), lme4::Penicillin))
  expect_same_fit(both(strength ~ 1 + (1 | batch / cask), lme4::Pastes))
  expect_same_fit(both(strength ~ 1 + (1 | batch) + (1 | batch:cask), lme4::Pastes))
  expect_same_fit(both(strength ~ 1 + (1 | sample) + (1 | batch), lme4::Pastes))
  expect_same_fit(both(angle ~ recipe * temperature + (1 | recipe:replicate), lme4::cake))
})

test_that("expressions, factors and contrasts in the formula are lme4's", {
  expect_same_fit(both(log(Reaction) ~ poly(Days, 2) + (1 | Subject), sleep))
  expect_same_fit(both(Reaction ~ I(Days^2) + Days + (I(Days / 10) | Subject), sleep))
  expect_same_fit(both(Reaction ~ factor(Days) + (1 | Subject), sleep))
  expect_same_fit(both(Reaction ~ three + (1 | Subject), sleep, contrasts = list(three = "contr.sum")))
  expect_same_fit(both(Reaction ~ 0 + late + (1 | Subject), sleep))
  expect_same_fit(both(scale(Reaction) ~ Days + (1 | Subject), sleep))
})

test_that("a model needs no fixed effects; REML is ML then", {
  fits <- both(Reaction ~ 0 + (1 | Subject), sleep)
  ours <- fits$ours$value
  expect_equal(ours@theta, fits$theirs$value@theta, tolerance = 1e-4)
  expect_equal(ours@devcomp$cmp[["dev"]], fits$there@devcomp$cmp[["dev"]])
  expect_false(isREML(ours))
  expect_length(fixef(ours), 0L)
})

test_that("weights, offset, subset and missing values are lme4's", {
  expect_same_fit(both(Reaction ~ Days + (Days | Subject), sleep, weights = w))
  expect_same_fit(both(Reaction ~ Days + (Days | Subject), sleep, offset = o))
  expect_same_fit(both(Reaction ~ Days + offset(o) + (Days | Subject), sleep))
  expect_same_fit(both(Reaction ~ Days + (1 | Subject), sleep, subset = Days > 1))
  expect_same_fit(both(Reaction ~ with_na + (1 | Subject), sleep))
  expect_same_fit(both(Reaction ~ with_na + (1 | Subject), sleep, na.action = na.exclude))
})

test_that("a grouping variable may be text, a number, or a factor with unused levels", {
  expect_same_fit(both(Reaction ~ Days + (1 | text), sleep))
  expect_same_fit(both(Reaction ~ Days + (1 | number), sleep))
  expect_same_fit(both(Reaction ~ Days + (1 | unused), sleep))
  expect_same_fit(both(Reaction ~ Days + (1 | Subject:three) + (1 | Subject), sleep))
})

test_that("a singular fit says so in lme4's words", {
  fits <- both(Yield ~ 1 + (1 | Batch), lme4::Dyestuff2)
  expect_same_fit(fits)
  expect_match(fits$ours$conditions, "boundary (singular) fit: see help('isSingular')", fixed = TRUE)
})

test_that("print() and summary() show what lme4's show", {
  fits <- both(Reaction ~ Days + (Days | Subject), sleep)
  there <- fits$there
  there@call <- fits$ours$value@call
  there@optinfo <- fits$ours$value@optinfo
  expect_identical(capture.output(print(summary(fits$ours$value))), capture.output(print(summary(there))))
  expect_identical(capture.output(print(fits$ours$value)), capture.output(print(there)))
})

test_that("the call is the user's", {
  fit <- lmer(Reaction ~ Days + (1 | Subject), data = sleep)
  expect_identical(deparse(fit@call), "lmer(formula = Reaction ~ Days + (1 | Subject), data = sleep)")
  expect_s3_class(fit@call$formula, "formula")
})

test_that("devFunOnly gives lme4's deviance function", {
  devfun <- lmer(Reaction ~ Days + (Days | Subject), sleep, devFunOnly = TRUE)
  fit <- lmer(Reaction ~ Days + (Days | Subject), sleep)
  expect_equal(devfun(fit@theta), lme4::REMLcrit(fit), tolerance = 1e-10)
})

test_that("what lme4 alone can do goes to lme4 with the user's call", {
  # columns that lme4 rescales; observations of no group
  calls <- list(
    quote(lmer(Reaction ~ I(Days * 1e6) + (1 | Subject), sleep, control = lmerControl(check.scaleX = "silent.rescale"))),
    quote(lmer(Reaction ~ Days + (1 | group), transform(sleep, group = replace(Subject, 1:3, NA)), na.action = na.pass))
  )
  for (call in calls) {
    fit <- suppressWarnings(eval(call))
    expect_s4_class(fit, "lmerMod")
    expect_false(is_fastlmer(fit))
    expect_identical(fit@call[[1L]], quote(lmer))
  }
})

test_that("data and the arguments for its rows are evaluated once, whatever way the fit takes", {
  count <- new.env()
  counted <- function(value) {
    assign("times", count$times + 1L, envir = count)
    value
  }
  shuffled <- function(columns = names(sleepstudy)) counted(sleepstudy[sample(180), columns])
  once <- function(expr) {
    assign("times", 0L, envir = count)
    fit <- suppressWarnings(suppressMessages(expr))
    expect_identical(count$times, 1L)
    fit
  }
  exact <- function() counted(transform(sleepstudy, y = 2 * Days + 1)[sample(180), ])
  fits <- list(
    once(lmer(Reaction ~ Days + (1 | Subject), shuffled())),
    once(lmer(Reaction ~ . + (1 | Subject), shuffled(c("Reaction", "Days", "Subject")))),
    once(lmer(Reaction ~ cbind(Days, Days^2) + (Days | Subject), shuffled())),
    once(lmer(Reaction ~ Days + (1 | Subject), sleepstudy, subset = counted(sample(180, 150)))),
    once(lmer(Reaction ~ . + (1 | Subject), sleepstudy, weights = counted(runif(180) + 1), offset = Days * 2)),
    once(lmer(Reaction ~ Days + (1 | Subject), transform(sleepstudy, Days = replace(Days, 3, NA)), offset = counted(rnorm(180)))),
    once(lmer(y ~ Days + (1 | Subject), exact()))
  )
  for (fit in fits) expect_equal(as.numeric(predict(fit)), as.numeric(fitted(fit)))
  expect_identical(fits[[2L]]@call$data, quote(shuffled(c("Reaction", "Days", "Subject"))))
  expect_identical(fits[[5L]]@call$weights, quote(counted(runif(180) + 1)))
  expect_identical(attr(fits[[5L]]@frame, "offset"), quote(Days * 2))
  expect_identical(as.list(fits[[7L]]@call)[c(1L, 3L)], list(quote(lmer), data = quote(exact())), ignore_attr = TRUE)
  deviance <- once(lmer(Reaction ~ Days + (1 | Subject), shuffled(), devFunOnly = TRUE))
  expect_true(is.finite(deviance(1)))
})
