# lme4's own method, past those of the class "lmerMod".
refit_by_lme4 <- function(...) lme4_internal("refit.merMod")(...)

test_that("the dimensions that are on record are those of the installed lme4", {
  for (reml in c(TRUE, FALSE)) {
    ours <- fastlmer::lmer(Yield ~ 1 + (1 | Batch), lme4::Dyestuff, REML = reml)@devcomp$dims
    expect_identical(ours, lme4::lmer(Yield ~ 1 + (1 | Batch), lme4::Dyestuff, REML = reml)@devcomp$dims)
  }
  # of a version to come
  known <- lme4_classes()
  withr::defer(assign("classes", known, envir = cache))
  assign("classes", utils::modifyList(known, list(dims = c(known$dims[1:6], more = NA, known$dims[-(1:6)]))), envir = cache)
  dims <- fastlmer::lmer(Yield ~ 1 + (1 | Batch), lme4::Dyestuff, REML = FALSE)@devcomp$dims
  expect_identical(dims, c(ours[1:6], more = NA, ours[-(1:6)]))
})

test_that("convergence warnings and errors show lme4's own calls", {
  conditions <- function(expr) {
    found <- list()
    tryCatch(
      withCallingHandlers(suppressMessages(expr), warning = function(w) {
        found[[length(found) + 1L]] <<- w
        invokeRestart("muffleWarning")
      }),
      error = function(e) found[[length(found) + 1L]] <<- e
    )
    lapply(found, conditionCall)
  }
  same_calls <- function(ours, lme4s, count) {
    ours <- conditions(ours)
    expect_length(ours, count)
    expect_identical(unique(ours), unique(conditions(lme4s)))
  }
  strict <- list(
    # any gradient is too large for these tolerances
    gradient = lmerControl(check.conv.grad = .makeCC("warning", tol = 0, relTol = NULL), check.conv.hess = "ignore"),
    hessian = lmerControl(check.conv.hess = .makeCC("warning", tol = 1e8), check.conv.grad = "ignore"),
    stop = lmerControl(check.conv.hess = .makeCC("stop", tol = 1e8), check.conv.grad = "ignore")
  )
  for (control in strict) {
    same_calls(
      lmer(Reaction ~ Days + (Days | Subject), sleepstudy, control = control),
      lme4::lmer(Reaction ~ Days + (Days | Subject), sleepstudy, control = control), 1L
    )
    fit <- lmer(Reaction ~ Days + (Days | Subject), sleepstudy)
    lme4s <- lme4::lmer(Reaction ~ Days + (Days | Subject), sleepstudy)
    same_calls(refit(fit, sleepstudy$Reaction + 1, control = control), refit_by_lme4(lme4s, sleepstudy$Reaction + 1, control = control), 1L)
  }
  singular <- lmerControl(check.conv.singular = .makeCC("warning", tol = 1e-4))
  same_calls(
    lmer(Yield ~ 1 + (1 | Batch), Dyestuff2, control = singular),
    lme4::lmer(Yield ~ 1 + (1 | Batch), Dyestuff2, control = singular), 1L
  )
  # as it is printed
  shown <- conditions(lmer(Reaction ~ Days + (Days | Subject), sleepstudy, control = strict$hessian))[[1L]]
  expect_match(deparse1(shown), 'checkConv(attr(opt, "derivs"), opt$par, ctrl = control$checkConv, lbound = ', fixed = TRUE)
  # errors of lme4's checks of the fixed effects
  unknown <- lmerControl()
  unknown$checkControl$check.scaleX <- "no such check"
  same_calls(
    lmer(Reaction ~ Days + (Days | Subject), sleepstudy, control = unknown),
    lme4::lmer(Reaction ~ Days + (Days | Subject), sleepstudy, control = unknown), 1L
  )
})
