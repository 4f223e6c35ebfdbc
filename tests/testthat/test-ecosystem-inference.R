# Tests and contrasts on a fit: emmeans, car, effects, pbkrtest, lmerTest, afex.
factors <- fit_pair(angle ~ recipe * temperature + (1 | recipe:replicate), cake)
slopes <- fit_pair(Reaction ~ Days + I(Days^2) + (Days | Subject), sleepstudy)
smaller <- function(fit) update(fit, . ~ . - recipe:temperature)

test_answers("emmeans", factors, list(
  "emmeans, Kenward-Roger" = function(fit) as.data.frame(emmeans::emmeans(fit, ~ recipe | temperature)),
  "contrasts, Satterthwaite" = function(fit) {
    as.data.frame(emmeans::emmeans(fit, pairwise ~ recipe | temperature, lmer.df = "satterthwaite")$contrasts)
  },
  "emmeans, asymptotic" = function(fit) as.data.frame(emmeans::emmeans(fit, ~ temperature, lmer.df = "asymptotic")),
  "polynomial contrasts" = function(fit) as.data.frame(emmeans::contrast(emmeans::emmeans(fit, ~ temperature), "poly")),
  "joint_tests, Kenward-Roger" = function(fit) as.data.frame(emmeans::joint_tests(fit)),
  "joint_tests, Satterthwaite" = function(fit) as.data.frame(emmeans::joint_tests(fit, lmer.df = "satterthwaite"))
))
test_answers("emmeans", slopes, list(
  "emtrends" = function(fit) as.data.frame(emmeans::emtrends(fit, ~ Days, "Days", at = list(Days = c(1, 8))))
))

test_answers("car", factors, list(
  "Anova, Chisq" = function(fit) car::Anova(fit),
  "Anova, F" = function(fit) car::Anova(fit, test.statistic = "F"),
  "Anova, type 3" = function(fit) car::Anova(fit, type = 3),
  "linearHypothesis" = function(fit) car::linearHypothesis(fit, "recipeB = recipeC"),
  "linearHypothesis, F" = function(fit) car::linearHypothesis(fit, "recipeB = 0", test = "F"),
  "vif" = function(fit) car::vif(fit),
  "deltaMethod" = function(fit) car::deltaMethod(fit, "recipeB / recipeC", parameterNames = names(lme4::fixef(fit))),
  "compareCoefs" = function(fit) car::compareCoefs(fit, fit, print = FALSE)
))
test_answers("car", slopes, list("Anova with an intercept" = function(fit) car::Anova(fit, type = "III", test.statistic = "F")))

test_answers("effects", factors, list(
  "Effect" = function(fit) as.data.frame(effects::Effect(c("recipe", "temperature"), fit)),
  "allEffects" = function(fit) lapply(effects::allEffects(fit), as.data.frame),
  "predictorEffect" = function(fit) as.data.frame(effects::predictorEffect("recipe", fit))
))
test_answers("effects", slopes, list("Effect of a covariate" = function(fit) as.data.frame(effects::Effect("Days", fit))))

test_answers("pbkrtest", factors, list(
  "KRmodcomp" = function(fit) pbkrtest::KRmodcomp(fit, smaller(fit))$test,
  "SATmodcomp" = function(fit) pbkrtest::SATmodcomp(fit, smaller(fit))$test,
  "vcovAdj" = function(fit) as.matrix(pbkrtest::vcovAdj(fit)),
  "get_Lb_ddf" = function(fit) pbkrtest::get_Lb_ddf(fit, c(0, 1, rep(0, 16))),
  "model2restriction_matrix" = function(fit) as.matrix(pbkrtest::model2restriction_matrix(fit, smaller(fit)))
))
test_answers("pbkrtest", factors, list(
  "PBmodcomp" = function(fit) withr::with_seed(1, pbkrtest::PBmodcomp(fit, smaller(fit), nsim = 10, cl = 1)$test)
), tolerance = 1e-3)

coerced <- function(fit) lmerTest::as_lmerModLmerTest(fit)
test_answers("lmerTest", factors, list(
  "class" = function(fit) class(coerced(fit)),
  "anova, Satterthwaite" = function(fit) anova(coerced(fit)),
  "anova, Kenward-Roger" = function(fit) anova(coerced(fit), ddf = "Kenward-Roger"),
  "anova, lme4" = function(fit) anova(coerced(fit), ddf = "lme4"),
  "anova, type 1" = function(fit) anova(coerced(fit), type = 1),
  "summary" = function(fit) coef(summary(coerced(fit))),
  "contest" = function(fit) lmerTest::contest(coerced(fit), diag(18)[2:3, ]),
  "ls_means" = function(fit) as.data.frame(lmerTest::ls_means(coerced(fit))),
  "drop1" = function(fit) drop1(coerced(fit))
))
test_answers("lmerTest", slopes, list(
  "anova of slopes" = function(fit) anova(coerced(fit)),
  "summary of slopes" = function(fit) coef(summary(coerced(fit)))
), tolerance = 1e-4)
# These fit smaller models.
test_answers("lmerTest", slopes, list(
  "ranova" = function(fit) lmerTest::ranova(coerced(fit)),
  "step" = function(fit) lmerTest::step(coerced(fit))$fixed
), tolerance = 1e-3)

test_that("afex fits with lmerTest's lmer(), to the same numbers as ours", {
  skip_if_not_installed("afex")
  skip_if_no_lmerTest()
  mixed <- suppressMessages(
    afex::mixed(angle ~ recipe * temperature + (1 | recipe:replicate), cake, method = "S", progress = FALSE)
  )
  expect_identical(class(mixed$full_model)[[1L]], "lmerModLmerTest")
  expect_false(is_fastlmer(mixed$full_model))
  ours <- fastlmer::lmer(
    angle ~ recipe * temperature + (1 | recipe:replicate), cake,
    contrasts = list(recipe = "contr.sum", temperature = "contr.sum")
  )
  table <- anova(lmerTest::as_lmerModLmerTest(ours))
  expect_equal(mixed$anova_table[["F"]], table[["F value"]], tolerance = 1e-5)
  expect_equal(mixed$anova_table[["Pr(>F)"]], table[["Pr(>F)"]], tolerance = 1e-5)
})
