as_lme4_has_it <- function(formula, data) expect_identical(split_formula(formula)$formula, lFormula(formula, data)$formula)

test_that("`||` is expanded as lme4 expands it", {
  sleep <- sleep_data()
  for (formula in list(
    Reaction ~ Days + (Days || Subject), Reaction ~ Days + (0 + Days || Subject), Reaction ~ (three || Subject) + Days,
    Reaction ~ Days + (Days * w || Subject), Reaction ~ (Days || half) + (w || Subject), Reaction ~ Days + (Days || half:three),
    Reaction ~ Days + (Days || half / three), Reaction ~ Days + (I(Days^2) || Subject), Reaction ~ (Days > 4 || Subject),
    Reaction ~ (Days - 1 || Subject) + three
  )) {
    as_lme4_has_it(formula, sleep)
  }
  # lme4 stops where there is nothing to separate
  expect_error(lFormula(Reaction ~ Days + (1 || Subject), sleep))
  fits <- both(Reaction ~ Days + (1 || Subject), sleep)
  expect_identical(fits$ours$conditions, fits$theirs$conditions)
})

test_that("terms with `||` are the engine's, on the fast way", {
  sleep <- sleep_data()
  for (formula in list(
    Reaction ~ Days + (Days || Subject), Reaction ~ Days + (Days + w || Subject), Reaction ~ Days + (three || Subject),
    Reaction ~ Days + (Days || text) + (1 | half)
  )) {
    expect_false(is.null(fast_parts(formula, sleep, list(call = quote(lmer(data = sleep)), caller = globalenv()), lmerControl(), NULL)))
    expect_same_fit(both(formula, sleep, REML = FALSE), tolerance = 1e-6)
  }
})

test_that("an absorbed factor goes with `||`", {
  set.seed(11)
  d <- data.frame(f = factor(sample(120, 2400, TRUE)), g = factor(sample(30, 2400, TRUE)), t = rnorm(2400))
  d$y <- rnorm(120)[d$f] + rnorm(30)[d$g] + rnorm(30)[d$g] * d$t + rnorm(2400)
  fit <- lmer(y ~ f + t + (t || g), d)
  expect_s3_class(engine_mark(fit)$absorbed, "absorbed_columns")
  reference <- lme4::lmer(y ~ f + t + (t || g), d)
  expect_equal(fixef(fit), fixef(reference), tolerance = 1e-5)
  expect_equal(VarCorr(fit), VarCorr(reference), tolerance = 1e-3)
  expect_equal(vcov(fit), vcov(reference), tolerance = 1e-4)
})

test_that("bars of R's own below a function aren't taken apart", {
  expect_identical(without_double_bars(quote(I(a || b) + (x || g))), quote(I(a || b) + ((1 | g) + (0 + x | g))))
})

test_that("which structures are lme4's is seen from the formula", {
  skip_if_not(has_structures())
  expect_true(has_other_structure(y ~ x + cs(0 + f | g)))
  expect_true(has_other_structure(y ~ x + (1 | h) + ar1(0 + f | g, hom = FALSE)))
  expect_true(has_other_structure(y ~ diag(0 + f | g, hom = TRUE)))
  for (formula in list(
    y ~ x + (1 | g), y ~ cs + (1 | g), y ~ cs(x) + (1 | g), y ~ us(x | g), y ~ diag(x | g), y ~ diag(x | g, hom = FALSE)
  )) {
    expect_false(has_other_structure(formula))
  }
})

bars <- data.frame(
  a = seq(0, 10, length.out = 120), b = rep(c(1, 3, 5), 40), p = rep(c(TRUE, FALSE, FALSE), 40), q = rep(c(FALSE, TRUE), 60),
  g = gl(12, 10), h = factor(rep(1:6, 20))
)
bars$y <- sin(seq_len(120)) + bars$a / 5 + as.integer(bars$g) %% 4

test_that("a bar below a function is R's own", {
  bars$either <- bars$a > 7 | bars$b < 2
  bars$both <- as.numeric(bars$p | bars$q)
  twins <- list(
    list(y ~ I(a > 7 | b < 2) + (1 | g), y ~ either + (1 | g)),
    list(y ~ a + ifelse(p | q, 1, 0) + (1 | g), y ~ a + both + (1 | g)),
    list(y ~ (a + I(a > 7 || b[1] < 2)) * b + (1 | g), y ~ a * b + (1 | g)),
    list(y ~ I(p | q) * a + (1 | g) + (1 | h), y ~ I(as.logical(both)) * a + (1 | g) + (1 | h)),
    list(y ~ a + (1 | g / h) + ifelse(p | q, 1, 0), y ~ a + (1 | g / h) + both),
    list(y ~ a + (I(a > 7 | b < 2) | g), y ~ a + (either | g)),
    list(y ~ a + offset(as.numeric(p | q)) + (1 | g), y ~ a + offset(both) + (1 | g))
  )
  twins <- twins[-3L] # `||` of whole columns is an error in newer versions of R
  for (twin in twins) {
    pair <- lapply(twin, function(formula) suppressMessages(lmer(formula, bars)))
    expect_true(is_fastlmer(pair[[1L]]))
    expect_equal(unname(fixef(pair[[1L]])), unname(fixef(pair[[2L]])), tolerance = 1e-8)
    expect_equal(logLik(pair[[1L]]), logLik(pair[[2L]]), tolerance = 1e-10)
    expect_equal(unname(lengths(ranef(pair[[1L]]))), unname(lengths(ranef(pair[[2L]]))))
  }
})

test_that("a fit with such a bar goes through lme4's functions", {
  fit <- lmer(y ~ I(a > 7 | b < 2) + b + (1 | g), bars)
  twin <- lmer(y ~ either + b + (1 | g), transform(bars, either = a > 7 | b < 2))
  expect_identical(formula(fit, fixed.only = TRUE), y ~ I(a > 7 | b < 2) + b, ignore_formula_env = TRUE)
  expect_identical(formula(fit, random.only = TRUE), y ~ (1 | g), ignore_formula_env = TRUE)
  expect_identical(formula(fit), y ~ I(a > 7 | b < 2) + b + (1 | g), ignore_formula_env = TRUE)
  expect_identical(attr(terms(fit), "term.labels"), c("I(a > 7 | b < 2)", "b"))
  new <- transform(bars[c(3, 50, 99), ], either = a > 7 | b < 2)
  expect_equal(predict(fit, new), predict(twin, new), tolerance = 1e-8)
  expect_equal(predict(fit, new, re.form = NA), predict(twin, new, re.form = NA), tolerance = 1e-8)
  expect_equal(unlist(anova(fit)), unlist(anova(twin)), tolerance = 1e-8)
  expect_equal(drop1(fit)$AIC, drop1(twin)$AIC, tolerance = 1e-8)
})

test_that("where lme4 would misread such a bar it is an error that says so", {
  fit <- lmer(y ~ I(p | q) + (1 | g), bars)
  expect_error(
    simulate(fit, newdata = bars),
    "takes the bar in .I\\(p | q\\). for a random-effects term: compute that variable in the data"
  )
  slopes <- lmer(y ~ a + (I(p | q) | g), bars, control = lmerControl(optimizer = NULL))
  expect_equal(predict(slopes, bars), fitted(slopes), tolerance = 1e-10) # lme4 isn't asked
  expect_equal(unname(predict(slopes, bars[5:9, ])), unname(fitted(slopes)[5:9]), tolerance = 1e-10)
  expect_error(lmer(y ~ I(p | q) + (1 | g), bars, devFunOnly = TRUE), "compute that variable")
})
