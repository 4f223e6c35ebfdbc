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
