quiet_intervals <- function(fit, ...) confint(fit, quiet = TRUE, ...)

lme4_profile <- function(fit, ...) suppressWarnings(lme4_function("profile.merMod")(fit, ...))

# Zeta of a profile at values of its parameter.
zeta_at <- function(profile, name, values) stats::predict(attr(profile, "forward")[[name]], values)$y

# Fifteen models: one and several factors, nested, crossed, weights, offsets, independent effects, no intercept, missing values, singular
# ones.
profile_models <- function() {
  list(
    "one intercept" = quote(lmer(Reaction ~ Days + (1 | Subject), sleep)),
    "correlated slope" = quote(lmer(Reaction ~ Days + (Days | Subject), sleep)),
    "slope alone, no intercept" = quote(lmer(Reaction ~ 0 + Days + (0 + Days | Subject), sleep)),
    "independent effects" = quote(lmer(Reaction ~ Days + (Days || Subject), sleep, REML = FALSE)),
    "weights" = quote(lmer(Reaction ~ Days + (Days | Subject), sleep, weights = w)),
    "offset" = quote(lmer(Reaction ~ Days + (1 | Subject), sleep, offset = o)),
    "missing values" = quote(lmer(Reaction ~ with_na + (with_na | Subject), sleep)),
    "far from zero" = quote(lmer(Reaction ~ year + (year | Subject), sleep)),
    "intercept only" = quote(lmer(Yield ~ 1 + (1 | Batch), lme4::Dyestuff)),
    "singular intercept" = quote(lmer(Yield ~ 1 + (1 | Batch), lme4::Dyestuff2)),
    "crossed" = quote(lmer(diameter ~ 1 + (1 | plate) + (1 | sample), lme4::Penicillin)),
    "nested" = quote(lmer(strength ~ 1 + (1 | batch / cask), lme4::Pastes)),
    "three effects" = quote(lmer(y ~ a + (a + b | g), four_small)),
    "singular slope" = quote(lmer(y ~ A + (A | subject) + (1 | item), few)),
    "aliased column" = quote(lmer(Reaction ~ Days + I(2 * Days) + (1 | Subject) + (0 + Days | Subject), sleep))
  )
}

profile_data <- function() {
  sleep <- sleep_data()
  sleep$year <- 10 + sleep$Days
  four_small <- withr::with_seed(2, four_effects())[1:300, ]
  four_small$g <- factor(as.integer(four_small$g) %% 25)
  few <- withr::with_seed(5, {
    few <- expand.grid(subject = gl(12, 1), item = gl(8, 1))
    few$A <- ifelse((as.integer(few$subject) + as.integer(few$item)) %% 2 == 0, 0.5, -0.5)
    few$y <- few$A * 0.3 + stats::rnorm(12)[few$subject] + 0.5 * stats::rnorm(8)[few$item] + stats::rnorm(96)
    few
  })
  list2env(list(sleep = sleep, four_small = four_small, few = few), parent = globalenv())
}

test_that("intervals end where brute force has the likelihood that they should", {
  data <- profile_data()
  for (name in names(profile_models())) {
    model <- profile_models()[[name]]
    fit <- suppressMessages(suppressWarnings(eval(model, data)))
    expect_true(is_fastlmer(fit), label = name)
    expect_warning(intervals <- quiet_intervals(fit), NA)
    expect_false(anyNA(intervals), label = name)
    suppressMessages(suppressWarnings(expect_brute_force(fit, intervals)))
  }
})

test_that("the profile is lme4's where lme4 is right", {
  fit <- lmer(Reaction ~ Days + (Days | Subject), lme4::sleepstudy)
  ours <- profile(fit)
  theirs <- lme4_profile(fit)
  for (name in levels(theirs$.par)) {
    rows <- as.data.frame(theirs)[theirs$.par == name & abs(theirs$.zeta) < 3, ]
    expect_equal(zeta_at(ours, name, rows[[name]]), rows$.zeta, tolerance = 2e-3, label = name)
  }
})

test_that("variances and covariances have profiles", {
  fit <- lmer(Reaction ~ Days + (Days | Subject), lme4::sleepstudy)
  bounds <- function(which) attributes(profile(fit, which, prof.scale = "varcov"))[c("lower", "upper")]
  expect_identical(bounds("theta_"), attributes(lme4_profile(fit, "theta_", prof.scale = "varcov"))[c("lower", "upper")])
  sds <- quiet_intervals(fit, parm = c(".sig01", ".sigma"))
  expect_equal(quiet_intervals(fit, parm = c(".sig01", ".sigma"), prof.scale = "varcov"), sds^2, tolerance = 1e-6)
  expect_equal(as.data.frame(profile(fit, "beta_", prof.scale = "varcov"))$.sigma, as.data.frame(profile(fit, "beta_"))$.sigma^2)
  # the covariance of the first two effects by brute force
  likelihood <- likelihood_of(fit)
  base <- least_deviance(likelihood)
  deviance <- deviance_functions(likelihood)$of
  covariance <- quiet_intervals(fit, parm = if (lme4_takes("confint.merMod", "signames")) 3L else 2L, prof.scale = "varcov")
  for (value in covariance) {
    held <- function(x) deviance(c(x[1L], value / (x[3L]^2 * x[1L]), x[2L]), x[3L])
    found <- least(held, list(c(0.9, 0.2, 25), c(1.2, 0.3, 26), c(0.5, 0.3, 27)), c(0.01, 0, 1))
    expect_lt(abs(sqrt(found - base) - stats::qnorm(0.975)), 2e-3)
  }
})

test_that("the object is lme4's", {
  fit <- lmer(Reaction ~ Days + (Days | Subject), lme4::sleepstudy)
  for (which in list(NULL, 1L, 4:5, "beta_")) {
    ours <- profile(fit, which = which)
    theirs <- lme4_profile(fit, which = which)
    expect_identical(class(ours), class(theirs))
    expect_identical(names(ours), names(theirs))
    expect_identical(levels(ours$.par), levels(theirs$.par))
    expect_identical(unique(ours$.par), unique(theirs$.par))
    expect_identical(lapply(ours, typeof), lapply(theirs, typeof))
    for (part in c("forward", "backward")) {
      expect_identical(lapply(attr(ours, part), class), lapply(attr(theirs, part), class))
      text <- function(profile) lapply(attr(profile, part), function(spline) deparse(attr(spline, "formula")))
      expect_identical(text(ours), text(theirs))
    }
    expect_identical(attributes(ours)[c("lower", "upper")], attributes(theirs)[c("lower", "upper")])
  }
  expect_equal(coef(summary(refitML(fit)))[, "Estimate"], unlist(as.data.frame(ours)[ours$.zeta == 0, 6:7][1L, ]), tolerance = 1e-5,
               ignore_attr = TRUE)
})

test_that("its plots and transformations run, singular fits' too", {
  data <- profile_data()
  boundary <- suppressMessages(eval(profile_models()[["singular slope"]], data))
  fits <- list(lmer(Reaction ~ Days + (Days | Subject), lme4::sleepstudy), boundary)
  withr::local_pdf(NULL)
  for (fit in fits) {
    profiles <- profile(fit)
    singular <- isSingular(fit)
    expect_no_warning(print(lattice::xyplot(profiles)))
    expect_no_warning(print(lattice::xyplot(profiles, absVal = TRUE, conf = c(50, 90) / 100)))
    # lme4's densityplot() stops on an estimate that is its upper bound, a correlation of one
    if (!singular) {
      expect_no_warning(print(lattice::densityplot(profiles)))
      expect_no_warning(print(lattice::splom(profiles)))
    }
    frame <- as.data.frame(profiles)
    expect_identical(levels(frame$.par), unique(as.character(profiles$.par)))
    expect_identical(frame$.focal[frame$.par == "(Intercept)"], profiles[["(Intercept)"]][profiles$.par == "(Intercept)"])
    for (name in levels(profiles$.par)) expect_true(all(diff(profiles$.zeta[profiles$.par == name]) > 0), label = name)
  }
})

test_that("a profile without correlations can be one of variances or logarithms", {
  profiles <- profile(lmer(diameter ~ 1 + (1 | plate) + (1 | sample), lme4::Penicillin))
  expect_no_warning(squares <- lme4::varianceProf(profiles))
  expect_equal(confint(squares)[1:3, ], confint(profiles)[1:3, ]^2, tolerance = 1e-3, ignore_attr = TRUE)
  expect_no_warning(logs <- lme4::logProf(profiles))
  expect_equal(exp(confint(logs)[1:2, ]), confint(profiles)[1:2, ], tolerance = 1e-3, ignore_attr = TRUE)
})

test_that("parameters are chosen and named as lme4 does it", {
  fit <- lmer(Reaction ~ Days + (Days | Subject) + (1 | half), sleep_data())
  lme4_confint <- function(...) suppressWarnings(suppressMessages(lme4_function("confint.merMod")(...)))
  for (parm in list("theta_", "beta_", 2L, c(1L, 7L), c(".sig02", "Days"), ".sigma")) {
    expect_identical(dimnames(quiet_intervals(fit, parm = parm)), dimnames(lme4_confint(fit, parm = parm, method = "Wald")))
  }
  long <- do.call(quiet_intervals, c(list(fit), short_names(FALSE)))
  expect_identical(dimnames(long), dimnames(do.call(lme4_confint, c(list(fit, method = "Wald"), short_names(FALSE)))))
  expect_equal(unname(long), unname(quiet_intervals(fit)))
  expect_identical(names(profile(fit, 1L, signames = FALSE)), c(".zeta", rownames(long), ".par"))
  expect_warning(none <- quiet_intervals(fit, parm = "nothere"), "Nothing selected by 'which=\"nothere\"'", fixed = TRUE)
  expect_identical(dim(none), c(0L, 2L))
  expect_warning(none <- profile(fit, which = "nothere"), "Nothing selected by 'which=\"nothere\"'", fixed = TRUE)
  expect_identical(nrow(none), 0L)
  expect_identical(nrow(profile(fit, which = 20)), 0L)
  expect_message(confint(fit, parm = 1), "^Computing profile confidence intervals \\.\\.\\.\n$")
})

test_that("wrong arguments are errors that name them", {
  fit <- lmer(Reaction ~ Days + (1 | Subject), lme4::sleepstudy)
  expect_error(profile(fit, startmethod = "other"), "invalid nextstart method")
  expect_error(profile(fit, devtol = -1), "devtol >= 0 is not TRUE")
  expect_error(profile(fit, prof.scale = "log"), "should be one of")
  expect_error(profile(fit, alphamax = 2), "'alphamax'", class = "fastlmer_argument_error")
  expect_error(profile(fit, maxpts = 1), "'maxpts'", class = "fastlmer_argument_error")
  expect_error(profile(fit, delta = 0), "'delta'", class = "fastlmer_argument_error")
  expect_error(profile(fit, maxmult = NA), "'maxmult'", class = "fastlmer_argument_error")
  expect_error(profile(fit, zetas = "a"), "'zetas'", class = "fastlmer_argument_error")
  expect_error(profile(fit, threads = 0), "'threads'", class = "fastlmer_argument_error")
})

test_that("levels, zetas, steps and cutoffs are what was asked for", {
  fit <- lmer(Reaction ~ Days + (Days | Subject), lme4::sleepstudy)
  for (level in c(0.5, 0.9, 0.9999)) {
    ends <- stats::qnorm(c(1 - level, 1 + level) / 2)
    expect_equal(unname(quiet_intervals(fit, level = level)), unname(quiet_intervals(fit, zeta = ends)))
  }
  wide <- quiet_intervals(fit, level = 0.9999)
  expect_identical(colnames(wide), c("0.005 %", "99.995 %"))
  suppressMessages(expect_brute_force(fit, wide, zeta = stats::qnorm(0.99995)))
  coarse <- profile(fit, "beta_", delta = 1, alphamax = 0.05)
  fine <- profile(fit, "beta_", delta = 0.1, alphamax = 0.05)
  expect_gt(nrow(fine), 5 * nrow(coarse) / 2)
  cutoff <- sqrt(stats::qchisq(0.95, 6))
  expect_true(all(tapply(abs(fine$.zeta), fine$.par, max)[c("Days", "(Intercept)")] > cutoff) && max(abs(fine$.zeta)) < cutoff + 0.1)
  expect_lte(max(abs(diff(fine$.zeta[fine$.par == "Days"]))), 0.14)
  expect_output(profile(fit, 1L, verbose = 1), "var-cov parameter 1:")
})

# The rows of standard deviations, correlation, sigma and fixed effects of one slope, in the order of lme4 1.1.
profile_rank <- function(intervals) if (lme4_takes("confint.merMod", "signames")) c(1L, 3L, 2L, 4:6) else seq_len(nrow(intervals))

test_that("the unit of a predictor is only that of the interval", {
  sleep <- lme4::sleepstudy
  reference <- quiet_intervals(lmer(Reaction ~ Days + (Days | Subject), sleep))
  for (unit in c(1e-9, 1e-6, 1e6, 1e9)) {
    sleep$scaled <- sleep$Days * unit
    fit <- suppressWarnings(suppressMessages(lmer(Reaction ~ scaled + (scaled | Subject), sleep)))
    intervals <- quiet_intervals(fit)
    expect_equal(unname(intervals * c(1, 1, unit, 1, 1, unit)[profile_rank(intervals)]), unname(reference), tolerance = 1e-4)
  }
})

test_that("weights that are all the same change sigma alone", {
  sleep <- lme4::sleepstudy
  one <- quiet_intervals(lmer(Reaction ~ Days + (1 | Subject), sleep))
  two <- quiet_intervals(lmer(Reaction ~ Days + (1 | Subject), sleep, weights = rep(2, 180)))
  expect_equal(two, one * c(1, sqrt(2), 1, 1), tolerance = 1e-6)
})

test_that("the number of threads doesn't change a bit", {
  data <- profile_data()
  for (name in c("correlated slope", "singular slope", "nested")) {
    fit <- suppressMessages(eval(profile_models()[[name]], data))
    one <- profile(fit, threads = 1)
    expect_identical(profile(fit, threads = 2), one)
    expect_identical(profile(fit, threads = 3), one)
    expect_identical(profile(fit, parallel = "multicore", ncpus = 2), one)
  }
})

test_that("fits that the engine didn't make, and other kinds of them", {
  theirs <- lme4::lmer(Reaction ~ Days + (1 | Subject), lme4::sleepstudy)
  expect_equal(quiet_intervals(theirs), quiet_intervals(lmer(Reaction ~ Days + (1 | Subject), lme4::sleepstudy)), tolerance = 1e-6)
  glm <- lme4::glmer(cbind(incidence, size - incidence) ~ 1 + (1 | herd), lme4::cbpp, family = stats::binomial)
  expect_identical(suppressMessages(confint(glm, parm = 1)), suppressMessages(lme4_function("confint.merMod")(glm, parm = 1)))
  file <- withr::local_tempfile()
  fit <- lmer(Reaction ~ Days + (1 | Subject), lme4::sleepstudy)
  saveRDS(fit, file)
  expect_identical(profile(readRDS(file)), profile(fit))
})

test_that("an absorbed factor's coefficients have profiles", {
  hundred <- withr::with_seed(1, hundred_effects())
  fit <- lmer(y ~ f + (1 | g), hundred)
  expect_true(is_absorbed(engine_of(fit)$x))
  intervals <- quiet_intervals(fit, parm = c("theta_", "f2", "(Intercept)"))
  suppressMessages(expect_brute_force(fit, intervals))
})
