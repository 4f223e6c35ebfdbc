skip_if_not(has_structures(), "lme4 without us() and diag()")

structured <- function() {
  sleep <- sleep_data()
  set.seed(2)
  sleep$z <- rnorm(nrow(sleep))
  sleep$Reaction <- sleep$Reaction + 30 * rnorm(18)[sleep$Subject] * sleep$z + 20 * rnorm(6)[sleep$half]
  sleep
}

formulas <- list(
  Reaction ~ Days + us(Days | Subject), Reaction ~ Days + diag(Days | Subject), Reaction ~ Days + diag(Days | Subject, hom = FALSE),
  Reaction ~ Days + diag(0 + z | Subject), Reaction ~ Days + (1 | half) + diag(1 + Days + z | Subject),
  Reaction ~ Days + diag(three | Subject), Reaction ~ Days + diag(Days | Subject) + (0 + z | Subject) + diag(1 | half)
)

test_that("us() and diag() terms are the engine's, and the object is lme4's", {
  data <- structured()
  for (formula in formulas) expect_same_fit(both(formula, data), tolerance = 1e-6)
})

test_that("what lme4 reads of the object is the same", {
  data <- structured()
  for (formula in formulas[c(1, 2, 5)]) {
    fits <- both(formula, data)
    ours <- fits$ours$value
    for (name in c("par", "theta", "lower", "Zt", "Lambdat", "Lambda", "Lind", "Gp", "Tlist", "cnms", "flist", "b", "u")) {
      expect_equal(getME(ours, name), getME(fits$there, name), tolerance = 1e-6, label = name)
    }
    expect_equal(attributes(VarCorr(ours)), attributes(VarCorr(fits$there)), tolerance = 1e-6)
    expect_equal(lapply(VarCorr(ours), attributes), lapply(VarCorr(fits$there), attributes), tolerance = 1e-6)
    expect_equal(summary(ours)$varcor, summary(fits$there)$varcor, tolerance = 1e-6)
    expect_identical(capture.output(print(VarCorr(ours), digits = 3)), capture.output(print(VarCorr(fits$there), digits = 3)))
    expect_identical(isSingular(ours), isSingular(fits$there))
  }
})

test_that("draws, refits and bootstraps are those of the model", {
  data <- structured()
  formula <- Reaction ~ Days + (1 | half) + diag(1 + Days + z | Subject)
  fit <- lmer(formula, data)
  there <- both(formula, data)$there
  own <- utils::getS3method("simulate", "merMod", envir = asNamespace("lme4"))
  expect_equal(simulate(fit, nsim = 2, seed = 3), own(there, nsim = 2, seed = 3), tolerance = 1e-6)
  expect_equal(simulate(fit, nsim = 2, seed = 3, re.form = NULL), own(there, nsim = 2, seed = 3, re.form = NULL), tolerance = 1e-6)
  data$Reaction <- simulate(fit, seed = 4)[[1L]]
  again <- lmer(formula, data)
  for (refitted in list(refit(fit, data$Reaction), refit(there, data$Reaction))) {
    expect_true(is_fastlmer(refitted))
    expect_equal(refitted@theta, again@theta, tolerance = 1e-5)
    expect_equal(ranef(refitted), ranef(again), tolerance = 1e-5)
    expect_equal(attr(refitted, "reCovs"), attr(again, "reCovs"), tolerance = 1e-5)
  }
  statistic <- function(f) c(fixef(f), getME(f, "theta"), ranef(f)$Subject[[2L]][3L])
  boot <- bootMer(fit, statistic, nsim = 3, seed = 5)
  set.seed(5)
  responses <- simulate(fit, nsim = 3)
  for (i in 1:3) expect_equal(boot$t[i, ], statistic(refit(fit, responses[[i]])), tolerance = 1e-5)
  for (type in c("residual", "case", "wild")) {
    expect_true(all(is.finite(boot_resample(fit, fixef, nsim = 2, type = type, seed = 1)$t)))
  }
})

test_that("`||` is a diag() term where the option says so", {
  data <- structured()
  withr::local_options(lme4.doublevert.default = "diag_special")
  for (formula in list(Reaction ~ Days + (Days || Subject), Reaction ~ Days + (three || Subject) + (z || half))) {
    fits <- both(formula, data)
    expect_same_fit(fits, tolerance = 1e-6)
    expect_s4_class(attr(fits$ours$value, "reCovs")[[1L]], "Covariance.diag")
  }
})

test_that("an absorbed factor goes with diag()", {
  set.seed(12)
  d <- data.frame(f = factor(sample(120, 2400, TRUE)), g = factor(sample(30, 2400, TRUE)), t = rnorm(2400))
  d$y <- rnorm(120)[d$f] + rnorm(30)[d$g] + rnorm(30)[d$g] * d$t + rnorm(2400)
  fit <- lmer(y ~ f + t + diag(t | g), d)
  expect_s3_class(engine_mark(fit)$absorbed, "absorbed_columns")
  same <- lmer(y ~ f + t + (t || g), d)
  expect_equal(fixef(fit), fixef(same), tolerance = 1e-8)
  expect_equal(vcov(fit), vcov(same), tolerance = 1e-8)
  expect_equal(as.matrix(ranef(fit)$g), as.matrix(ranef(same)$g), tolerance = 1e-8)
})

test_that("data in chunks take us(), diag() and `||` as a diag() term", {
  data <- structured()
  chunks <- function(i) if (i <= 3) data[60 * (i - 1) + 1:60, ]
  withr::local_options(lme4.doublevert.default = "diag_special")
  for (formula in list(
    Reaction ~ Days + us(Days | Subject), Reaction ~ Days + (1 | half) + diag(Days + z | Subject), Reaction ~ Days + diag(three | Subject),
    Reaction ~ Days + (Days || Subject)
  )) {
    fit <- lmer(formula, chunks)
    whole <- lmer(formula, data)
    for (slot in c("theta", "beta", "u", "cnms", "Gp", "lower", "flist")) {
      values <- lapply(list(fit, whole), methods::slot, slot)
      if (slot == "flist") values <- lapply(values, lapply, levels)
      expect_equal(values[[1L]], values[[2L]], tolerance = 1e-6, label = slot)
    }
    expect_equal(attr(fit, "reCovs"), attr(whole, "reCovs"), tolerance = 1e-6)
    expect_equal(ranef(fit), ranef(whole), tolerance = 1e-6)
    expect_equal(refitML(fit)@theta, refitML(whole)@theta, tolerance = 1e-6)
  }
  products <- cross_products(Reaction ~ Days + diag(Days | Subject), data)
  expect_error(lmer(Reaction ~ Days + (Days | Subject), products), "don't have the term (Days | Subject)", fixed = TRUE)
})

test_that("a saved fit opens, and is refitted as the fit itself", {
  data <- structured()
  fit <- lmer(Reaction ~ Days + diag(Days | Subject), data)
  file <- withr::local_tempfile()
  saveRDS(fit, file)
  read <- readRDS(file)
  expect_equal(getME(read, "Lambdat"), getME(fit, "Lambdat"))
  y <- simulate(fit, seed = 1)[[1L]]
  expect_identical(refit(read, y)@theta, refit(fit, y)@theta)
})

test_that("cs() and ar1() terms are lme4's, fitted once, and nothing takes them for unstructured ones", {
  data <- structured()
  for (formula in list(
    Reaction ~ Days + cs(Days | Subject), Reaction ~ Days + ar1(0 + three | Subject),
    Reaction ~ Days + diag(0 + three | Subject, hom = TRUE)
  )) {
    made <- new.env()
    made$count <- 0
    counting <- bquote(assign("count", get("count", .(made)) + 1, .(made)))
    suppressMessages(trace("lFormula", counting, where = asNamespace("lme4"), print = FALSE))
    fit <- tryCatch(suppressMessages(lmer(formula, data)), finally = suppressMessages(untrace("lFormula", where = asNamespace("lme4"))))
    expect_identical(made$count, 1)
    expect_false(is_fastlmer(fit))
    expect_null(engine_of(fit))
    theirs <- suppressMessages(lme4::lmer(formula, data))
    expect_equal(fit@theta, theirs@theta)
    expect_equal(attr(fit, "reCovs"), attr(theirs, "reCovs"))
    again <- suppressMessages(refit(fit, data$Reaction))
    expect_false(is_fastlmer(again))
    expect_equal(getME(again, "par"), getME(theirs, "par"), tolerance = 1e-3)
    expect_identical(class(attr(again, "reCovs")[[1L]]), class(attr(theirs, "reCovs")[[1L]]))
    boot <- suppressMessages(bootMer(fit, function(f) getME(f, "par"), nsim = 2, seed = 1))
    expect_identical(ncol(boot$t), length(getME(theirs, "par")))
    expect_false(is_fastlmer(suppressMessages(refitML(fit))))
  }
})
