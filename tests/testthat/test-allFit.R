# the optimizers that need no further packages
table <- cbind(optimizer = c("bobyqa", "Nelder_Mead", "nloptwrap"), method = c("", "", "NLOPT_LN_BOBYQA"))

test_that("the arguments are lme4's, and it isn't generic there", {
  own <- formals(lme4::allFit)
  expect_true(all(names(own) %in% names(formals(allFit))))
  expect_identical(formals(allFit)[setdiff(names(own), "parallel")], own[setdiff(names(own), "parallel")])
  expect_false(utils::isS3stdGeneric(lme4::allFit))
})

test_that("the fits are lme4's, on the engine's criterion", {
  fit <- lmer(Reaction ~ Days + (Days | Subject), sleepstudy)
  ours <- allFit(fit, table, verbose = FALSE)
  theirs <- lme4::allFit(lme4::lmer(Reaction ~ Days + (Days | Subject), sleepstudy), table, verbose = FALSE)
  expect_s3_class(ours, "allFit")
  expect_identical(names(ours), names(theirs))
  expect_true(all(vapply(ours, is_fastlmer, NA)))
  expect_identical(vapply(ours, function(f) f@optinfo$optimizer, ""), vapply(theirs, function(f) f@optinfo$optimizer, ""))
  expect_equal(summary(ours)$llik, summary(theirs)$llik, tolerance = 1e-6)
  expect_equal(summary(ours)$fixef, summary(theirs)$fixef, tolerance = 1e-4)
  expect_equal(summary(ours)$sdcor, summary(theirs)$sdcor, tolerance = 1e-2)
  expect_identical(attr(ours, "fit"), fit)
  expect_output(print(ours), "optimizers (3)", fixed = TRUE)
  expect_identical(allFit(fit, show.meth.tab = TRUE), lme4::allFit(fit, show.meth.tab = TRUE))
})

test_that("data that only a function has are found", {
  local_data <- function() {
    d <- sleepstudy[1:150, ]
    allFit(lmer(Reaction ~ Days + (Days | Subject), d), table, verbose = FALSE, catch.errs = FALSE)
  }
  expect_identical(vapply(local_data(), nobs, 0L, USE.NAMES = FALSE), rep(150L, 3L))
  formula <- Reaction ~ Days + (Days | Subject)
  environment(formula) <- globalenv()
  formula_from_elsewhere <- function(formula) {
    only_here <- sleepstudy[1:150, ]
    fit <- lmer(formula, only_here)
    allFit(fit, table, verbose = FALSE, catch.errs = FALSE)
  }
  expect_identical(vapply(formula_from_elsewhere(formula), nobs, 0L, USE.NAMES = FALSE), rep(150L, 3L))
})

test_that("fits by others go to lme4", {
  fit <- lme4::lmer(Reaction ~ Days + (1 | Subject), sleepstudy)
  expect_false(any(vapply(allFit(fit, table[c(1L, 3L), ], verbose = FALSE), is_fastlmer, NA)))
  glmer <- glmer(cbind(incidence, size - incidence) ~ period + (1 | herd), cbpp, binomial)
  expect_s4_class(allFit(glmer, table[c(1L, 2L), ], verbose = FALSE)[[1L]], "glmerMod")
})
