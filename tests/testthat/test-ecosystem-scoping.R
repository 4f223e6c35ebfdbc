# Fits that are far from where they were made: in a function with data of its own, saved and read again, in a list of fits.
questions <- list(
  "broom.mixed" = function(fit) broom.mixed::tidy(fit, conf.int = TRUE),
  "ggeffects" = function(fit) as.data.frame(ggeffects::ggpredict(fit, c("temp", "recipe"))),
  "emmeans" = function(fit) as.data.frame(emmeans::emmeans(fit, ~ recipe)),
  "performance" = function(fit) performance::model_performance(fit),
  "parameters" = function(fit) parameters::model_parameters(fit, effects = "fixed", ci_method = "satterthwaite"),
  "insight" = function(fit) insight::get_data(fit),
  "sjPlot" = function(fit) sjPlot::tab_model(fit)$page.complete,
  "car" = function(fit) car::Anova(fit, test.statistic = "F"),
  "effects" = function(fit) lapply(effects::allEffects(fit), as.data.frame),
  "pbkrtest" = function(fit) as.matrix(pbkrtest::vcovAdj(fit)),
  "lmerTest" = function(fit) anova(lmerTest::as_lmerModLmerTest(fit)),
  "lme4" = function(fit) lme4::fixef(update(fit, . ~ . - recipe:temp)),
  "stats" = function(fit) drop1(fit)
)
ask_all <- function(pair, questions) {
  force(pair)
  for (package in names(questions)) test_answers(package, pair, list("far from home" = questions[[package]]), tolerance = 1e-4)
}

# effects looks for the data in the global environment, whoever fitted.
questions_anywhere <- questions[names(questions) != "effects"]

made_in_function <- function(own_data, own_weights) {
  formula <- angle ~ recipe * temp + (1 | recipe:replicate)
  fit_pair(formula, own_data, weights = own_weights)
}
ask_all(made_in_function(cake[cake$temperature != "175", ], rep(c(1, 2, 4), length.out = 225)), questions_anywhere)

ask_all(local({
  own_data <- cake
  own_data$angle <- own_data$angle + 10
  fit_pair(angle ~ recipe * temp + (1 | replicate) + (1 | temperature), own_data)
}), questions_anywhere)

saved <- lapply(fit_pair(angle ~ recipe * temp + (1 | recipe:replicate), cake), function(fit) unserialize(serialize(fit, NULL)))
ask_all(saved, questions)

test_that("a fit in a list, by group, is asked like any other", {
  skip_if_not_installed("broom.mixed")
  by_recipe <- split(cake, cake$recipe)
  fit_each <- function(lmer) lapply(by_recipe, function(d) lmer(angle ~ temp + (1 | replicate), data = d))
  tidied <- function(fits) do.call(rbind, lapply(fits, broom.mixed::tidy, effects = "fixed"))
  expect_equal(tidied(fit_each(fastlmer::lmer)), tidied(fit_each(lme4::lmer)), tolerance = 1e-4)
})
