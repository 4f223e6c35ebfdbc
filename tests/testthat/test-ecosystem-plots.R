# What pictures of a fit show: ggeffects, sjPlot, afex and lme4's own.
grDevices::pdf(NULL)
withr::defer(grDevices::dev.off(), teardown_env())

slopes <- fit_pair(Reaction ~ Days + (Days | Subject), sleepstudy)
factors <- fit_pair(angle ~ recipe * temp + (1 | recipe:replicate), cake)

test_answers("ggeffects", slopes, list(
  "ggpredict of fixed effects" = function(fit) ggeffects::ggpredict(fit, "Days", type = "fixed"),
  "ggpredict type fixed" = function(fit) ggeffects::ggpredict(fit, "Days [0, 5, 9]", type = "fixed"),
  "ggpredict as data frame" = function(fit) as.data.frame(ggeffects::ggpredict(fit, "Days")),
  "ggpredict with random effects" = function(fit) as.data.frame(ggeffects::ggpredict(fit, "Days [0, 9]", type = "random")),
  "ggpredict for given subjects" = function(fit) {
    as.data.frame(ggeffects::ggpredict(fit, c("Days", "Subject [308, 309, 335]"), type = "random"))
  },
  "ggpredict by simulation" = function(fit) {
    withr::with_seed(1, as.data.frame(ggeffects::ggpredict(fit, "Days [0, 9]", type = "sim", nsim = 20)))
  },
  "ggemmeans" = function(fit) as.data.frame(ggeffects::ggemmeans(fit, "Days [0, 9]")),
  "plot" = function(fit) drawn(plot(ggeffects::ggpredict(fit, "Days")))
))
test_answers("ggeffects", factors, list(
  "ggpredict of an interaction" = function(fit) as.data.frame(ggeffects::ggpredict(fit, c("temp", "recipe"))),
  "plot of an interaction" = function(fit) drawn(plot(ggeffects::ggpredict(fit, c("temp", "recipe"))))
))

tables <- list(
  "tab_model" = function(fit) sjPlot::tab_model(fit)$page.complete,
  "tab_model, Kenward-Roger" = function(fit) sjPlot::tab_model(fit, df.method = "kr")$page.complete,
  "tab_model of two fits" = function(fit) sjPlot::tab_model(fit, fit, show.se = TRUE, show.aic = TRUE)$page.complete,
  "plot_model" = function(fit) drawn(sjPlot::plot_model(fit))
)
test_answers("sjPlot", slopes, c(tables, list(
  "plot_model of predictions" = function(fit) drawn(sjPlot::plot_model(fit, type = "pred", terms = "Days"))
)))
test_answers("sjPlot", factors, c(tables, list(
  "plot_model of an interaction" = function(fit) drawn(sjPlot::plot_model(fit, type = "int"))
)))

# It fits again, to standardised data.
test_answers("sjPlot", factors, list(
  "plot_model, standardised" = function(fit) drawn(sjPlot::plot_model(fit, type = "std"))
), tolerance = 1e-3)

test_that("sjPlot draws random effects and diagnostics", {
  skip_if_not_installed("sjPlot")
  # sjPlot asks for it, whatever the model.
  skip_if_not_installed("glmmTMB")
  expect_same_answer(slopes, function(fit) drawn(sjPlot::plot_model(fit, type = "random")))
  expect_same_answer(slopes, function(fit) lapply(sjPlot::plot_model(fit, type = "diag"), class))
})

test_answers("afex", factors, list(
  "afex_plot's data" = function(fit) suppressWarnings(afex::afex_plot(fit, "recipe", id = "replicate", return = "data"))
))

# A trellis object's panels: what is drawn, without the call.
panels <- function(plot) plot$panel.args
test_answers("lme4", slopes, list(
  "plot of residuals" = function(fit) panels(plot(fit)),
  "plot by formula" = function(fit) panels(plot(fit, resid(., scaled = TRUE) ~ fitted(.) | Subject, abline = 0)),
  "plot of observations" = function(fit) panels(plot(fit, Reaction ~ fitted(.))),
  "qqmath of residuals" = function(fit) panels(lattice::qqmath(fit)),
  "dotplot of modes" = function(fit) lapply(lattice::dotplot(lme4::ranef(fit)), panels),
  "qqmath of modes" = function(fit) lapply(lattice::qqmath(lme4::ranef(fit)), panels),
  "plot of modes" = function(fit) panels(plot(lme4::ranef(fit))$Subject),
  "plot of coefficients" = function(fit) panels(plot(coef(fit))$Subject)
))
test_answers("lme4", slopes, list(
  "profile zeta plot" = function(fit) panels(lattice::xyplot(profile(fit, "beta_"))),
  "profile density plot" = function(fit) class(lattice::densityplot(profile(fit, "beta_")))
), tolerance = 1e-3)

test_that("lme4's plots draw without a complaint", {
  for (plot in list(plot(slopes$ours), lattice::dotplot(ranef(slopes$ours))$Subject, lattice::qqmath(slopes$ours))) {
    expect_silent(print(plot))
  }
})
