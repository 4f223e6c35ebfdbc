# Packages that make tables of a fit: broom.mixed, insight, parameters, performance.
slopes <- fit_pair(Reaction ~ Days + (Days | Subject), sleepstudy)
crossed <- fit_pair(diameter ~ 1 + (1 | plate) + (1 | sample), Penicillin, REML = FALSE)
weighted <- fit_pair(Reaction ~ Days + offset(o) + (1 | Subject), sleep_data(), weights = w)
new_data <- sleepstudy[c(1, 50, 100), ]

tidiers <- list(
  "tidy fixed with intervals" = function(fit) broom.mixed::tidy(fit, effects = "fixed", conf.int = TRUE),
  "tidy ran_pars" = function(fit) broom.mixed::tidy(fit, effects = "ran_pars"),
  "tidy ran_pars as variances" = function(fit) broom.mixed::tidy(fit, effects = "ran_pars", scales = "vcov"),
  "tidy ran_vals with intervals" = function(fit) broom.mixed::tidy(fit, effects = "ran_vals", conf.int = TRUE),
  "tidy ran_coefs" = function(fit) broom.mixed::tidy(fit, effects = "ran_coefs"),
  "tidy" = function(fit) broom.mixed::tidy(fit, conf.int = TRUE),
  "augment" = function(fit) broom.mixed::augment(fit),
  "glance" = function(fit) broom.mixed::glance(fit)
)
for (pair in list(slopes, crossed, weighted)) test_answers("broom.mixed", pair, tidiers)
test_answers("broom.mixed", slopes, list(
  "augment with new data" = function(fit) broom.mixed::augment(fit, newdata = new_data)
))
# The profile fits again at every step.
test_answers("broom.mixed", slopes, list(
  "tidy with profile intervals" = function(fit) broom.mixed::tidy(fit, conf.int = TRUE, conf.method = "profile")
), tolerance = 1e-3)

found <- c(
  "find_formula", "find_predictors", "find_random", "find_response", "find_statistic", "find_parameters", "find_terms",
  "find_random_slopes", "find_algorithm", "find_variables", "find_interactions", "model_info", "model_name", "is_mixed_model",
  "n_obs", "n_parameters", "clean_names", "get_data", "get_parameters", "get_statistic", "get_varcov", "get_sigma", "get_df",
  "get_response", "get_random", "get_modelmatrix", "get_residuals", "get_deviance", "get_loglikelihood", "get_weights",
  "get_variance"
)
insights <- lapply(stats::setNames(found, found), function(name) {
  force(name)
  function(fit) list(getExportedValue("insight", name)(fit))
})
test_answers("insight", slopes, insights)
test_answers("insight", crossed, insights)
test_answers("insight", slopes, list(
  "get_parameters of the random effects" = function(fit) insight::get_parameters(fit, effects = "random"),
  "get_predicted with intervals" = function(fit) insight::get_predicted(fit, ci = 0.95),
  "get_datagrid" = function(fit) c(insight::get_datagrid(fit, at = "Days")),
  "link_inverse" = function(fit) insight::link_inverse(fit)(1.5),
  "null_model" = function(fit) lme4::fixef(insight::null_model(fit))
))

test_answers("parameters", slopes, list(
  "model_parameters" = function(fit) parameters::model_parameters(fit),
  "model_parameters, Satterthwaite" = function(fit) {
    parameters::model_parameters(fit, effects = "fixed", ci_method = "satterthwaite")
  },
  "model_parameters, Kenward-Roger" = function(fit) {
    parameters::model_parameters(fit, effects = "fixed", ci_method = "kenward")
  },
  "model_parameters by group" = function(fit) parameters::model_parameters(fit, effects = "random", group_level = TRUE),
  "standard_error" = function(fit) parameters::standard_error(fit),
  "p_value" = function(fit) parameters::p_value(fit),
  "standardize_parameters" = function(fit) parameters::standardize_parameters(fit)
), tolerance = 1e-4)

performances <- list(
  "r2" = function(fit) performance::r2(fit),
  "icc" = function(fit) performance::icc(fit),
  "model_performance" = function(fit) performance::model_performance(fit),
  "check_convergence" = function(fit) c(performance::check_convergence(fit)),
  "check_singularity" = function(fit) performance::check_singularity(fit),
  "check_outliers" = function(fit) performance::check_outliers(fit),
  "check_heteroscedasticity" = function(fit) as.numeric(performance::check_heteroscedasticity(fit)),
  "check_normality" = function(fit) as.numeric(performance::check_normality(fit)),
  "compare_performance" = function(fit) performance::compare_performance(fit, fit)
)
test_answers("performance", slopes, performances)
test_answers("performance", weighted, performances)

test_that("performance finds our fit converged, to its gradient", {
  skip_if_not_installed("performance")
  ours <- performance::check_convergence(slopes$ours)
  expect_true(ours)
  expect_lt(attr(ours, "gradient"), 1e-6)
  expect_false(performance::check_singularity(slopes$ours))
  singular <- suppressMessages(fastlmer::lmer(Yield ~ 1 + (1 | Batch), Dyestuff2))
  expect_true(performance::check_singularity(singular))
})

test_that("performance judges hard fits by the exact derivatives", {
  skip_if_not_installed("performance")
  # lme4 differentiates numerically: of the first it says falsely that it is nearly unidentifiable, for the units of `temp`, and
  # of the second performance says falsely that it didn't converge, for a gradient that is lme4's rounding.
  for (formula in list(angle ~ recipe + (temp | recipe:replicate), angle ~ temp + (temp | recipe) + (1 | replicate))) {
    pair <- suppressMessages(suppressWarnings(fit_pair(formula, cake)))
    # lme4 2.x has no derivatives of a singular fit unless they are asked for
    ours <- suppressMessages(fastlmer::lmer(formula, cake, control = lmerControl(calc.derivs = TRUE)))
    expect_true(performance::check_convergence(ours))
    expect_same_answer(pair, function(fit) c(performance::check_singularity(fit)))
    expect_same_answer(pair, function(fit) insight::get_variance_residual(fit))
  }
})
