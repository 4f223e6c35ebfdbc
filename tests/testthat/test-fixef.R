test_that("fixed effects have lme4's names, also where columns were dropped or absorbed", {
  d <- transform(sleepstudy, twice = 2 * Days, f = factor(rep(1:120, length.out = 180)))
  for (formula in list(Reaction ~ Days + (Days | Subject), Reaction ~ Days + twice + (1 | Subject), Reaction ~ f + (1 | Subject))) {
    ours <- suppressMessages(lmer(formula, d))
    theirs <- suppressMessages(suppressWarnings(lme4::lmer(formula, d)))
    expect_equal(fixef(ours), fixef(theirs), tolerance = 1e-5)
    expect_identical(names(fixef(ours, add.dropped = TRUE)), names(fixef(theirs, add.dropped = TRUE)))
  }
})
