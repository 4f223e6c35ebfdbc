fit <- lmer(Reaction ~ Days + (Days | Subject), lme4::sleepstudy)

test_that("the vocabulary knows what it should, and only under the right meaning", {
  record <- engine_of(fit)
  known <- function(FUN) !is.null(vectorised_statistic(FUN, fit, record, FUN(fit)))
  expect_true(known(fixef))
  expect_true(known(function(f) fixef(f)["Days"] / sigma(f)))
  expect_true(known(function(f) predict(f, lme4::sleepstudy[1:3, ], re.form = ~0)))
  expect_true(known(function(f) predict(f, lme4::sleepstudy[1:3, ], re.form = ~ (1 | Subject))))
  expect_true(known(function(f) {
    v <- as.data.frame(VarCorr(f))
    c(fixef(f)[["Days"]], v$sdcor[1] / sigma(f))
  }))
  expect_false(known(function(f) mean(residuals(f))))
  expect_false(known(function(f) {
    fixef <- function(f) 3
    fixef(f)
  }))
  fixef <- function(f) lme4::fixef(f)^2
  expect_true(known(function(f) lme4::fixef(f)))
  expect_false(known(function(f) fixef(f)))
})
