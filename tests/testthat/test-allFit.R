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

# Versions of lme4 differ in where they start.
from_default_start <- function(allFit, fit, ...) {
  start <- if (lme4_takes("allFit", "start_from_mle")) list(start_from_mle = FALSE)
  do.call(allFit, c(list(fit, ..., verbose = FALSE), start))
}

test_that("all optimizers that are installed run, with lme4's settings, warnings and times", {
  fit <- lmer(Reaction ~ Days + (Days | Subject), sleepstudy, REML = FALSE)
  ours <- suppressWarnings(suppressMessages(from_default_start(allFit, fit)))
  theirs <- lme4::lmer(Reaction ~ Days + (Days | Subject), sleepstudy, REML = FALSE)
  theirs <- suppressWarnings(suppressMessages(from_default_start(lme4::allFit, theirs)))
  expect_identical(names(ours), names(theirs))
  expect_identical(lapply(ours, attr, "optCtrl"), lapply(theirs, attr, "optCtrl"))
  expect_identical(lapply(ours, function(f) class(attr(f, "time"))), lapply(theirs, function(f) class(attr(f, "time"))))
  expect_identical(names(summary(ours)), names(summary(theirs)))
  expect_identical(dimnames(summary(ours)$theta), dimnames(summary(theirs)$theta))
  expect_equal(summary(ours)$llik, summary(theirs)$llik, tolerance = 1e-6)
  expect_equal(summary(ours)$feval, summary(theirs)$feval, tolerance = 0.2)
  expect_identical(
    lapply(ours, function(f) names(f@optinfo$control)), lapply(theirs, function(f) names(f@optinfo$control))
  )
  expect_identical(lapply(ours, function(f) names(f@optinfo)), lapply(theirs, function(f) names(f@optinfo)))
  expect_identical(names(attributes(ours)), names(attributes(theirs)))
  expect_output(print(summary(ours)$which.OK), "TRUE")
  expect_output(suppressWarnings(allFit(fit, table)), "bobyqa : [OK]", fixed = TRUE)
  expect_identical(fixef(ours[[1L]])[["Days"]], summary(ours)$fixef[1L, "Days"])
})

# The engine's derivatives at a fit's theta.
derivatives_of <- function(fit) solve_response(engine_of(fit), list(fixed = TRUE))

test_that("derivatives of its fits are exact, and lme4's checks are made of them", {
  fit <- lmer(Reaction ~ Days + (Days | Subject), sleepstudy)
  for (one in allFit(fit, table, verbose = FALSE)) {
    exact <- derivatives_of(one)
    expect_equal(one@optinfo$derivs$gradient, exact$gradient, tolerance = 1e-3, ignore_attr = TRUE)
    expect_equal(one@optinfo$derivs$Hessian, exact$hessian, tolerance = 1e-3, ignore_attr = TRUE)
  }
  stopped <- suppressWarnings(from_default_start(allFit, fit, table[c(1L, 3L), ], maxfun = 12))
  expect_match(unlist(stopped[["bobyqa"]]@optinfo$warnings), "maxfun < 10", all = FALSE)
  expect_match(unlist(stopped[["bobyqa"]]@optinfo$conv$lme4$messages), "failed to converge", all = FALSE)
})

test_that("its fits can be updated, and models of every kind are taken", {
  data <- sleep_data()
  plain <- allFit(lmer(Reaction ~ Days + (Days | Subject), data), table[1:2, ], verbose = FALSE)
  expect_equal(fixef(update(plain[["bobyqa"]], REML = FALSE)), fixef(plain[["bobyqa"]]), tolerance = 1e-3)
  expect_identical(update(plain[["Nelder_Mead"]], . ~ . + w)@optinfo$optimizer, "Nelder_Mead")
  fits <- suppressMessages(list(
    lmer(Reaction ~ Days + (Days || Subject), data, weights = w, offset = o), lmer(Reaction ~ with_na + (1 | Subject) + (1 | three), data),
    lmer(Reaction ~ Days + (1 | Subject), in_chunks(data, 37)),
    lmer(Reaction ~ Days + I(2 * Days) + (1 | Subject), data, control = lmerControl(optCtrl = list(maxfun = 50, rhobeg = 0.1)))
  ))
  for (fit in fits) {
    for (one in suppressMessages(suppressWarnings(allFit(fit, table, verbose = FALSE)))) {
      expect_s4_class(one, "lmerMod")
      expect_equal(as.numeric(logLik(one)), as.numeric(logLik(fit)), tolerance = 1e-5)
      expect_equal(nobs(one), nobs(fit))
    }
  }
  expect_identical(attr(suppressWarnings(allFit(fits[[4L]], table, verbose = FALSE))[["bobyqa"]], "optCtrl")$rhobeg, 0.1)
})

test_that("an optimizer that fails is caught, or not", {
  fit <- lmer(Reaction ~ Days + (1 | Subject), sleepstudy)
  bad <- cbind(optimizer = c("no_such", "bobyqa"), method = c("", ""))
  fits <- allFit(fit, bad, verbose = FALSE)
  expect_s3_class(fits[["no_such"]], "error")
  expect_identical(summary(fits)$which.OK, c(no_such = FALSE, bobyqa = TRUE))
  expect_output(print(fits), "1 optimizer(s) failed", fixed = TRUE)
  expect_error(allFit(fit, bad, verbose = FALSE, catch.errs = FALSE), "no_such")
  expect_error(allFit(fit, "bobyqa"), "dm")
})
