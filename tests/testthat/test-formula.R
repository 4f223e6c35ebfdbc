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
  expect_identical(both(Reaction ~ Days + (1 || Subject), sleep)$ours$conditions, both(Reaction ~ Days + (1 || Subject), sleep)$theirs$conditions)
})

test_that("terms with `||` are the engine's, on the fast way", {
  sleep <- sleep_data()
  for (formula in list(
    Reaction ~ Days + (Days || Subject), Reaction ~ Days + (Days + w || Subject), Reaction ~ Days + (three || Subject),
    Reaction ~ Days + (Days || text) + (1 | half)
  )) {
    expect_false(is.null(fast_parts(formula, sleep, quote(lmer(data = sleep)), globalenv(), lmerControl(), NULL)))
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
  for (formula in list(y ~ x + (1 | g), y ~ cs + (1 | g), y ~ cs(x) + (1 | g), y ~ us(x | g), y ~ diag(x | g), y ~ diag(x | g, hom = FALSE))) {
    expect_false(has_other_structure(formula))
  }
})
