criterion <- function(fit) if (isREML(fit)) REMLcrit(fit) else deviance(fit)

test_that("a refit is the exact fit of its response, for every kind of model", {
  fits <- resampling_fits()
  for (name in names(fits)) {
    fit <- fits[[name]]
    y <- simulate(fit, seed = 1)
    ours <- suppressMessages(refit(fit, y))
    values <- na.omit(y[[1]])
    exact <- exact_fit(fit, values[seq_along(values)])
    expect_true(is_fastlmer(ours), label = name)
    expect_equal(fixef(ours), fixef(exact), tolerance = 1e-5, label = name)
    expect_equal(as.data.frame(VarCorr(ours))$vcov, as.data.frame(VarCorr(exact))$vcov, tolerance = 1e-4, label = name)
    expect_lt(criterion(ours) - criterion(exact), 1e-6)
    expect_equal(ours@call, fit@call)
    expect_equal(unname(model.response(model.frame(ours))), values[seq_along(values)], ignore_attr = TRUE)
  }
})

test_that("a refit is the object that lmer() makes", {
  data <- sleep_data()
  fit <- lmer(Reaction ~ Days + (Days | Subject), data, weights = w)
  data$Reaction <- simulate(fit, seed = 2)[[1]]
  ours <- refit(fit, data$Reaction)
  anew <- lmer(Reaction ~ Days + (Days | Subject), data, weights = w)
  for (slot in setdiff(methods::slotNames("lmerMod"), c("pp", "resp", "optinfo"))) {
    expect_equal(methods::slot(ours, slot), methods::slot(anew, slot), tolerance = 1e-6, label = slot)
  }
  for (accessor in list(fixef, ranef, vcov, VarCorr, fitted, residuals, logLik, model.frame, weights)) {
    expect_equal(accessor(ours), accessor(anew), tolerance = 1e-6)
  }
  expect_equal(getME(ours, "Zt"), getME(anew, "Zt"))
})

test_that("fits that lme4 or lmerTest made are refitted too", {
  theirs <- resampling_fits(lme4::lmer)
  ours <- resampling_fits()
  for (name in names(ours)) {
    y <- simulate(ours[[name]], seed = 3)
    expect_equal(suppressMessages(fixef(refit(theirs[[name]], y))), suppressMessages(fixef(refit(ours[[name]], y))),
      tolerance = 1e-6, label = name)
  }
  skip_if_no_lmerTest()
  tested <- lmerTest::lmer(Reaction ~ Days + (Days | Subject), lme4::sleepstudy)
  expect_true(is_fastlmer(refit(tested, lme4::sleepstudy$Reaction + 1)))
})

test_that("missing rows: a response of the data's length or of the fit's", {
  fits <- resampling_fits()
  fit <- fits$missing
  y <- lme4::sleepstudy$Reaction^1.1
  expect_equal(fixef(refit(fit, y)), fixef(refit(fit, y[-c(3, 50)])))
  expect_equal(fixef(refit(fit, y)), fixef(lmer(y ~ with_na + (1 | Subject), sleep_data())), tolerance = 1e-6, ignore_attr = TRUE)
  expect_error(refit(fit, y[1:10]), "the new response has 9 values, the model 178 observations")
})

test_that("arguments and conditions are lme4's", {
  fit <- lmer(Reaction ~ Days + (Days | Subject), lme4::sleepstudy)
  expect_equal(fixef(refit(fit)), fixef(fit), tolerance = 1e-8)
  new_name <- lme4::sleepstudy$Reaction * 2
  renamed <- refit(fit, new_name, rename.response = TRUE)
  expect_equal(formula(renamed), new_name ~ Days + (Days | Subject), ignore_attr = TRUE)
  expect_identical(names(model.frame(renamed))[1], "new_name")
  expect_warning(refit(fit, new_name, something = 1), "additional arguments to refit.merMod ignored")
  singular <- lme4::sleepstudy$Days + sin(1:180)
  expect_message(refit(lmer(Reaction ~ Days + (1 | Subject), lme4::sleepstudy), singular), "boundary \\(singular\\) fit")
  expect_error(refit(fit, replace(new_name, 3, NA)), "NA/NaN/Inf")
  binary <- glmer(cbind(incidence, size - incidence) ~ period + (1 | herd), data = lme4::cbpp, family = binomial)
  expect_s4_class(refit(binary, simulate(binary, seed = 1)[[1]]), "glmerMod")
})

test_that("refitML() and update()", {
  fit <- lmer(Reaction ~ Days + (Days | Subject), lme4::sleepstudy)
  ml <- refitML(fit)
  expect_true(is_fastlmer(ml))
  expect_false(isREML(ml))
  expect_equal(deviance(ml), deviance(lmer(Reaction ~ Days + (Days | Subject), lme4::sleepstudy, REML = FALSE)))
  expect_identical(ml@call$REML, FALSE)
  expect_warning(
    updated <- update(refit(fit, lme4::sleepstudy$Reaction + 1), REML = FALSE), class = "fastlmer_refitted_update"
  )
  expect_equal(fixef(updated), fixef(ml))
})

test_that("what the engine can't fit gets lme4's answer", {
  fit <- lmer(Reaction ~ Days + (Days | Subject), lme4::sleepstudy)
  exact <- suppressWarnings(suppressMessages(refit(fit, rep(1, 180))))
  expect_equal(fixef(exact), c("(Intercept)" = 1, Days = 0))
  data <- lme4::sleepstudy
  data$Subject[1:3] <- NA
  missing <- lmer(Reaction ~ Days + (1 | Subject), data, na.action = na.pass)
  expect_null(engine_of(missing))
  theirs <- get("refit.merMod", envir = asNamespace("lme4"))
  expect_equal(fixef(refit(missing, data$Reaction + 1)), fixef(theirs(missing, data$Reaction + 1)))
})

test_that("a fit that was saved and read, or sent to a worker, is refitted to the same bits", {
  quietly <- function(expr) suppressWarnings(suppressMessages(expr))
  env <- comparison_data()
  models <- comparison_models()[c(
    "sleepstudy: Days | S", "sleepstudy: weights", "sleepstudy: offset argument", "sleepstudy: NA rows", "sleepstudy: aliased column",
    "sleepstudy: time stamps", "sleepstudy: polynomials", "Pastes: batch/cask", "cake: slope", "100 fixed effects",
    "four correlated effects", "InstEval, a tenth: service | d"
  )]
  cluster <- parallel::makePSOCKcluster(1)
  on.exit(parallel::stopCluster(cluster))
  numbers <- function(fit) list(fit@theta, fit@beta, fit@u, fit@devcomp$cmp, as.matrix(vcov(fit)), fit@optinfo$derivs)
  for (model in models) for (reml in c(TRUE, FALSE)) {
    model$REML <- reml
    fit <- quietly(eval(model, env))
    y <- simulate(fit, seed = 1)[[1L]]
    saved <- withr::local_tempfile()
    saveRDS(fit, saved)
    expected <- numbers(quietly(refit(fit, y)))
    label <- deparse1(model)
    expect_identical(numbers(quietly(refit(readRDS(saved), y))), expected, label = label)
    # also once C++ has seen the fit, and where it was fitted on another number of threads
    invisible(list(getME(fit, "Zt"), getME(fit, "L")))
    withr::with_options(list(fastlmer.threads = 1L), {
      expect_identical(numbers(quietly(refit(unserialize(serialize(fit, NULL)), y))), expected, label = label)
    })
    away <- parallel::clusterCall(cluster, function(fit, y, paths) {
      .libPaths(paths)
      numbers <- suppressWarnings(suppressMessages(fastlmer:::refit.lmerMod(fit, y)))
      list(numbers@theta, numbers@beta, numbers@u, numbers@devcomp$cmp, as.matrix(lme4::vcov.merMod(numbers)), numbers@optinfo$derivs)
    }, fit, y, .libPaths())[[1L]]
    expect_identical(away, expected, label = label)
  }
})
