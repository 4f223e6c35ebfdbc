fit <- lmer(Reaction ~ Days + (Days | Subject), lme4::sleepstudy)
# At the same theta. A new one for each test: lme4's devfun() writes into the fit that it came from.
by_lme4 <- function() {
  lme4::lmer(Reaction ~ Days + (Days | Subject), lme4::sleepstudy, start = fit@theta, control = lmerControl(optimizer = NULL))
}

several <- function(lmer, ...) {
  lmer(Reaction ~ Days + (Days | Subject) + (1 | half) + (0 + three | half), sleep_data(), weights = w, offset = o, ...)
}

test_that("the class is lme4's, exactly", {
  theirs <- by_lme4()
  expect_identical(class(fit), class(theirs))
  expect_identical(class(fit@pp), class(theirs@pp))
  expect_identical(class(fit@resp), class(theirs@resp))
  expect_true(methods::validObject(fit))
})

test_that("every component that getME() knows is lme4's", {
  components <- setdiff(eval(formals(utils::getS3method("getME", "merMod", envir = asNamespace("lme4")))$name), "devfun")
  theirs <- by_lme4()
  for (name in components) {
    expect_equal(getME(fit, name), getME(theirs, name), tolerance = 1e-7, label = name)
  }
})

test_that("pp and resp hold what lme4's hold, for several terms with weights and offset", {
  # At the same theta, so that all may agree to rounding.
  control <- lmerControl(optimizer = NULL)
  start <- c(0.9, 0.1, 0.2, 0.5, 1, 0.1, 0, 0.8, -0.1, 0.7)
  ours <- several(fastlmer::lmer, control = control, start = start)
  theirs <- several(lme4::lmer, control = control, start = start)
  for (name in names(theirs@pp$.refClassDef@fieldClasses)) {
    if (name != "Ptr") expect_equal(ours@pp$field(name), theirs@pp$field(name), tolerance = 1e-8, label = name)
  }
  for (name in names(theirs@resp$.refClassDef@fieldClasses)) {
    if (name != "Ptr") expect_equal(ours@resp$field(name), theirs@resp$field(name), tolerance = 1e-8, label = name)
  }
  expect_equal(ours@devcomp, theirs@devcomp, tolerance = 1e-8)
})

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

test_that("C++ takes over where lme4's own code works on the fit", {
  ours <- lmer(Reaction ~ Days + (Days | Subject), lme4::sleepstudy)
  theirs <- by_lme4()
  devfun <- getME(ours, "devfun")
  expect_equal(devfun(c(1, 0, 0.2)), getME(by_lme4(), "devfun")(c(1, 0, 0.2)), tolerance = 1e-10)
  expect_equal(ours@pp$theta, c(1, 0, 0.2))
  expect_equal(ours@theta, fit@theta)
  expect_equal(c(logLik(lme4::refitML(fit))), c(logLik(lme4::refitML(theirs))), tolerance = 1e-8)
  expect_equal(fixef(refit(fit, 2 * lme4::sleepstudy$Reaction)), 2 * fixef(theirs), tolerance = 1e-4)
  expect_equal(confint(fit, parm = "Days", quiet = TRUE), confint(lme4::lmer(Reaction ~ Days + (Days | Subject), lme4::sleepstudy),
    parm = "Days", quiet = TRUE
  ), tolerance = 1e-3)
})

test_that("no vector is shared between a slot and what C++ writes into", {
  ours <- lmer(Reaction ~ Days + (Days | Subject), lme4::sleepstudy)
  before <- list(ours@theta + 0, ours@beta + 0, ours@u + 0)
  getME(ours, "devfun")(c(2, 0, 2))
  expect_identical(list(ours@theta, ours@beta, ours@u), before)
})

test_that("a fit is saved whole, before and after its lazy parts were used", {
  file <- tempfile(fileext = ".rds")
  touched <- lmer(Reaction ~ Days + (Days | Subject), lme4::sleepstudy)
  getME(touched, "L")
  for (object in list(fit, touched)) {
    saveRDS(object, file)
    back <- readRDS(file)
    expect_true(is_fastlmer(back))
    expect_equal(vcov(back), vcov(fit))
    expect_equal(getME(back, "L"), getME(fit, "L"))
    expect_equal(ranef(back), ranef(fit))
    expect_equal(getME(back, "devfun")(c(1, 0, 0.2)), getME(by_lme4(), "devfun")(c(1, 0, 0.2)), tolerance = 1e-10)
  }
})

test_that("a saved fit opens where only lme4 is", {
  skip_on_cran()
  file <- tempfile(fileext = ".rds")
  # The tests' own environment descends from fastlmer's namespace, and a formula made here would take that into the file.
  saveRDS(evalq(fastlmer::lmer(Reaction ~ Days + (Days | Subject), lme4::sleepstudy), globalenv()), file)
  script <- sprintf(
    "library(lme4); fit <- readRDS('%s'); x <- list(ranef(fit), predict(fit), refit(fit, sleepstudy$Reaction)); %s; cat(REMLcrit(fit))",
    file, "stopifnot(!'fastlmer' %in% loadedNamespaces())"
  )
  output <- system2(file.path(R.home("bin"), "Rscript"), c("--vanilla", "-e", shQuote(script)), stdout = TRUE, stderr = FALSE)
  expect_equal(as.numeric(output), unname(lme4::REMLcrit(fit)), tolerance = 1e-6)
})

test_that("lmerTest takes the fit", {
  skip_if_no_lmerTest()
  coerced <- lmerTest::as_lmerModLmerTest(fit)
  expect_true(is_fastlmer(coerced))
  expect_equal(coef(summary(coerced)), coef(summary(lmerTest::as_lmerModLmerTest(by_lme4()))), tolerance = 1e-4)
})

test_that("a worker on another process takes a fit and makes one", {
  skip_on_cran()
  cluster <- parallel::makePSOCKcluster(1L)
  tryCatch(
    {
      parallel::clusterCall(cluster, function(paths) .libPaths(paths), .libPaths())
      parallel::clusterEvalQ(cluster, library(fastlmer))
      updated <- parallel::clusterCall(cluster, function(fit) fixef(update(fit)), fit)[[1L]]
      made <- parallel::clusterEvalQ(cluster, lmer(Reaction ~ Days + (Days | Subject), lme4::sleepstudy))[[1L]]
    },
    finally = parallel::stopCluster(cluster)
  )
  expect_equal(updated, fixef(fit), tolerance = 1e-4)
  expect_true(is_fastlmer(made))
  expect_equal(vcov(made), vcov(fit))
})

# lme4's own method, past those of the class "lmerMod".
refit_by_lme4 <- function(...) lme4_internal("refit.merMod")(...)

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
