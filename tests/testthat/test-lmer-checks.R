sleep <- sleep_data()
sleep <- within(sleep, {
  missing <- NA_real_
  one <- factor("a")
  row <- factor(seq_along(Days))
  word <- as.character(Reaction)
  infinite <- replace(Days, 3, Inf)
  y_infinite <- replace(Reaction, 3, Inf)
})

expect_same_conditions <- function(fits) expect_identical(fits$ours$conditions, fits$theirs$conditions)

expect_same_error <- function(fits) {
  expect_same_conditions(fits)
  expect_match(fits$ours$conditions[length(fits$ours$conditions)], "^error: ")
}

test_that("bad input is refused in lme4's words", {
  expect_same_error(both(Reaction ~ Days + (1 | Subject), sleep[0L, ]))
  expect_same_error(both(missing ~ Days + (1 | Subject), sleep))
  expect_same_error(both(Reaction ~ Days + (1 | one), sleep))
  expect_same_error(both(Reaction ~ Days + (1 | row), sleep))
  expect_same_error(both(Reaction ~ Days + (Days | Subject:three:late), sleep))
  expect_same_error(both(word ~ Days + (1 | Subject), sleep))
  expect_same_error(both(three ~ Days + (1 | Subject), sleep))
  expect_same_error(both(y_infinite ~ Days + (1 | Subject), sleep))
  expect_same_error(both(Reaction ~ infinite + (1 | Subject), sleep))
  expect_same_error(both(Reaction ~ with_na + (1 | Subject), sleep, na.action = na.pass))
  expect_same_error(both(Reaction ~ Days + (with_na | Subject), sleep, na.action = na.pass))
  expect_same_error(both(Reaction ~ with_na + (1 | Subject), sleep, na.action = na.fail))
  expect_same_error(both(Reaction ~ Days + (1 | Subject), sleep, weights = -w))
  expect_same_error(both(Reaction ~ Days + (1 | Subject), sleep, weights = 1:3))
  expect_same_error(both(Reaction ~ Days + (1 | Subject), sleep, offset = 1:3))
  expect_same_error(both(Reaction ~ Days, sleep))
  expect_same_error(both(Reaction ~ Days + nothing + (1 | Subject), sleep))
  expect_same_error(both(Reaction ~ Days + (1 | Subject), no_such_data))
  expect_same_error(both(Reaction ~ Days + (1 | Subject), sleep[, 1:1000]))
  expect_same_error(both(Reaction ~ Days + (1 | Subject), subset(no_such_data, Days > 1)))
  expect_same_error(both(~ Days + (1 | Subject), sleep))
  # lme4 2.x takes this one
  expect_same_conditions(both(Reaction ~ Days + (1 | Subject * three), sleep))
  expect_same_error(both(Reaction ~ Days + (1 | Subject), "sleep"))
  expect_same_error(both(Reaction ~ Days + (1 | Subject), sleep, control = "bobyqa"))
})

test_that("the lecture's unidentifiable model is refused as on the slide", {
  d <- data.frame(y = as.numeric(1:40), x = rep(0:1, 20), g = factor(rep(1:20, each = 2)))
  expect_error(
    lmer(y ~ x + (x | g), d),
    "number of observations (=40) <= number of random effects (=40) for term (x | g)",
    fixed = TRUE
  )
})

test_that("what lme4 answers with nonsense is an error that says why", {
  expect_error(lmer(Reaction ~ Days + (infinite | Subject), sleep), "NA/NaN/Inf in 'Z'")
  expect_error(lmer(Reaction ~ Days + (1 | Subject), sleep, weights = replace(w, 1, 0)), "zero weights")
  expect_error(lmer(Reaction ~ Days + (1 | Subject), sleep, weights = replace(w, 1, Inf)), "NA/NaN/Inf in 'weights'")
  expect_error(lmer(Reaction ~ Days + (Days | Subject), sleep, start = c(1, NA, 1)), "'start' must be finite")
})

test_that("a response of several columns is sent to refit()", {
  text <- "can't handle matrix-valued responses: consider using refit()"
  expect_error(lmer(cbind(Reaction, Days) ~ Days + (1 | Subject), sleep), text, fixed = TRUE)
  expect_same_fit(both(cbind(Reaction) ~ Days + (1 | Subject), sleep))
})

test_that("64-bit integers are refused as numbers and taken as groups", {
  skip_if_not_installed("bit64")
  sleep$wide <- bit64::as.integer64(sleep$number)
  expect_error(
    suppressWarnings(lmer(Reaction ~ wide + (1 | Subject), sleep)),
    "64-bit integers can't enter a model matrix: use as.numeric() on",
    fixed = TRUE
  )
  expect_error(lmer(Reaction ~ Days + (wide | Subject), sleep), "64-bit integers")
  expect_same_fit(both(Reaction ~ Days + (1 | wide), sleep))
})

test_that("lmerControl()'s checks are honoured, each at its level", {
  quiet <- both(Reaction ~ Days + (1 | row), sleep, control = lmerControl(check.nobs.vs.nlev = "ignore", check.nobs.vs.nRE = "warning"))
  expect_identical(quiet$ours$conditions[1L], quiet$theirs$conditions[1L])
  expect_match(quiet$ours$conditions[1L], "^warning: number of observations \\(=180\\) <= number of random effects")
  few <- both(Reaction ~ Days + (1 | three), sleep, control = lmerControl(check.nlev.gtreq.5 = "warning"))
  expect_match(few$ours$conditions[1L], "grouping factors with < 5 sampled levels")
  expect_same_error(both(Reaction ~ Days + (1 | row), sleep,
    control = lmerControl(check.nobs.vs.nlev = "ignore", check.nobs.vs.nRE = "ignore", check.nobs.vs.rankZ = "stop")))
  expect_same_error(both(Reaction ~ Days + (1 | Subject), sleep, control = lmerControl(check.nobs.vs.nlev = "loud")))
  expect_same_error(both(Yield ~ 1 + (1 | Batch), lme4::Dyestuff2,
    control = lmerControl(check.conv.singular = .makeCC("stop", 1e-4))))
})

test_that("aliased columns are dropped with lme4's message", {
  for (kind in c("message+drop.cols", "silent.drop.cols", "warn+drop.cols")) {
    fits <- both(Reaction ~ Days + I(2 * Days) + (1 | Subject), sleep, control = lmerControl(check.rankX = kind))
    expect_same_fit(fits)
    expect_named(fixef(fits$ours$value, add.dropped = TRUE), c("(Intercept)", "Days", "I(2 * Days)"))
  }
  expect_same_error(both(Reaction ~ Days + I(2 * Days) + (1 | Subject), sleep, control = lmerControl(check.rankX = "stop.deficient")))
})

test_that("predictors on very different scales fit without a warning, and to the same model", {
  plain <- lmer(Reaction ~ Days + (Days | Subject), sleep)
  for (factor in c(1e-6, 1e6)) {
    sleep$unit <- sleep$Days * factor
    theirs <- with_conditions(lme4::lmer(Reaction ~ unit + (1 | Subject), sleep))
    expect_match(theirs$conditions[1L], "Some predictor variables are on very different scales")
    expect_silent(fit <- lmer(Reaction ~ unit + (unit | Subject), sleep))
    expect_equal(logLik(fit) + 2 * log(factor) / 2, logLik(plain), tolerance = 1e-9, ignore_attr = TRUE)
    expect_equal(fixef(fit)[["unit"]] * factor, fixef(plain)[["Days"]], tolerance = 1e-7)
    expect_equal(as.data.frame(VarCorr(fit))$sdcor[2L] * factor, as.data.frame(VarCorr(plain))$sdcor[2L], tolerance = 1e-5)
  }
})

test_that("the check of the predictors' scales is lme4's where it is asked for", {
  expect_same_error(both(Reaction ~ I(Days * 1e6) + (1 | Subject), sleep, control = lmerControl(check.scaleX = "stop")))
  # so far from zero that lme4's own digits are few
  expect_same_fit(both(Reaction ~ I(Days + 1e5) + (1 | Subject), sleep), tolerance = 1e-5)
})

test_that("a percent sign in a name or a level is only a sign", {
  sleep$`a%s` <- sleep$Days
  sleep$`g%n` <- factor(paste0(sleep$Subject, "%d%n"))
  expect_same_fit(both(Reaction ~ `a%s` + (`a%s` | `g%n`), sleep))
  expect_same_error(both(Reaction ~ `a%s` + (1 | `no%n`), sleep))
})
