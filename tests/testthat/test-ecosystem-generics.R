# The generics of stats, lme4, MASS, nlme and boot, on a fit with correlated slopes by REML and by ML, one with weights and an
# offset, one with several factors, and a singular one.
reml <- fit_pair(Reaction ~ Days + (Days | Subject), sleepstudy)
ml <- fit_pair(Reaction ~ Days + (Days | Subject), sleepstudy, REML = FALSE)
weighted <- fit_pair(Reaction ~ Days + three + (Days | Subject), sleep_data(), weights = w, offset = o, na.action = na.exclude)
nested <- fit_pair(strength ~ 1 + (1 | batch / cask), Pastes)
singular <- suppressMessages(fit_pair(Yield ~ 1 + (1 | Batch), Dyestuff2))
all_pairs <- list(reml, ml, weighted, nested, singular)

components <- function() {
  setdiff(eval(formals(utils::getS3method("getME", "merMod", envir = asNamespace("lme4")))$name), "devfun")
}

of_any_fit <- list(
  "AIC" = AIC, "BIC" = BIC, "logLik" = logLik, "logLik by ML" = function(fit) logLik(fit, REML = FALSE),
  "logLik by REML" = function(fit) logLik(fit, REML = TRUE), "nobs" = nobs, "extractAIC" = extractAIC,
  "deviance" = function(fit) deviance(fit, REML = FALSE), "REMLcrit" = function(fit) list(lme4::REMLcrit(fit)),
  "fixef" = lme4::fixef, "coef" = coef, "sigma" = sigma, "vcov" = vcov, "VarCorr" = lme4::VarCorr,
  "VarCorr as data frame" = function(fit) as.data.frame(lme4::VarCorr(fit), order = "lower.tri"),
  "VarCorr printed" = function(fit) capture.output(print(lme4::VarCorr(fit), digits = 3, comp = c("Variance", "Std.Dev."))),
  "ranef" = lme4::ranef, "ranef as data frame" = function(fit) as.data.frame(lme4::ranef(fit)),
  "ranef dropped" = function(fit) lme4::ranef(fit, condVar = FALSE, drop = TRUE),
  "confint, Wald" = function(fit) confint(fit, method = "Wald"),
  "confint, Wald, new names" = function(fit) confint(fit, method = "Wald", parm = "beta_", level = 0.9, oldNames = FALSE),
  "fitted" = fitted, "predict" = predict, "predict, fixed" = function(fit) predict(fit, re.form = NA),
  "predict, random" = function(fit) predict(fit, random.only = TRUE),
  "simulate" = function(fit) simulate(fit, nsim = 3, seed = 1),
  "simulate on the stream" = function(fit) withr::with_seed(2, list(simulate(fit), stats::runif(1))),
  "simulate given the effects" = function(fit) simulate(fit, nsim = 2, seed = 1, use.u = TRUE),
  "simulate given a formula" = function(fit) simulate(fit, nsim = 2, seed = 1, re.form = NULL),
  "residuals" = residuals, "residuals, response" = function(fit) residuals(fit, "response"),
  "residuals, scaled Pearson" = function(fit) residuals(fit, "pearson", scaled = TRUE),
  "residuals, deviance" = function(fit) residuals(fit, "deviance"),
  "residuals, working" = function(fit) residuals(fit, "working"),
  "weights" = weights, "prior weights" = function(fit) weights(fit, type = "prior"),
  "hatvalues" = hatvalues, "cooks.distance" = cooks.distance, "rstudent" = rstudent, "df.residual" = df.residual,
  "formula" = formula, "formula, fixed" = function(fit) formula(fit, fixed.only = TRUE),
  "formula, random" = function(fit) formula(fit, random.only = TRUE), "terms" = terms,
  "terms, random" = function(fit) terms(fit, random.only = TRUE), "model.frame" = model.frame,
  "model.frame, fixed" = function(fit) model.frame(fit, fixed.only = TRUE), "model.matrix" = model.matrix,
  "model.matrix, random" = function(fit) model.matrix(fit, type = "random"),
  "model.matrix, raw" = function(fit) model.matrix(fit, type = "randomListRaw"),
  "family" = family, "anova" = anova, "rePCA" = function(fit) lapply(lme4::rePCA(fit), unclass),
  "isSingular" = lme4::isSingular, "ngrps" = lme4::ngrps,
  "kind" = function(fit) list(lme4::isREML(fit), lme4::isLMM(fit), lme4::isGLMM(fit), lme4::isNLMM(fit)),
  "getME" = function(fit) lapply(components(), function(name) lme4::getME(fit, name)),
  "summary" = function(fit) coef(summary(fit)),
  "summary printed" = function(fit) capture.output(print(summary(fit), digits = 3, correlation = TRUE)),
  "fit printed" = function(fit) capture.output(print(fit, digits = 3)),
  "deviance function" = function(fit) as.function(fit)(lme4::getME(fit, "theta") / 2 + 0.1)
)
for (pair in all_pairs) test_answers("lme4", pair, of_any_fit)

new_data <- sleepstudy[c(1, 50, 100), ]
unknown <- transform(new_data, Subject = "new")
test_answers("lme4", reml, list(
  "predict on new data" = function(fit) predict(fit, new_data),
  "predict without effects" = function(fit) predict(fit, unknown, re.form = ~0),
  "predict with one of the effects" = function(fit) predict(fit, new_data, re.form = ~ (1 | Subject)),
  "predict a new level" = function(fit) predict(fit, unknown, allow.new.levels = TRUE),
  "simulate new data" = function(fit) simulate(fit, seed = 1, newdata = new_data, re.form = NA),
  "simulate a new level" = function(fit) simulate(fit, seed = 1, newdata = unknown, allow.new.levels = TRUE),
  "isSingular at another tolerance" = function(fit) lme4::isSingular(fit, tol = 0.5),
  "nlme's generics" = function(fit) list(nlme::fixef(fit), nlme::ranef(fit), nlme::VarCorr(fit)),
  "fortify" = function(fit) lme4::fortify.merMod(fit),
  "correlations" = function(fit) stats::cov2cor(as.matrix(vcov(fit)))
))

# Each of these fits again, lme4's with its default optimiser.
test_answers("lme4", reml, list(
  "drop1" = drop1, "drop1, Chisq" = function(fit) drop1(fit, test = "Chisq"),
  "update" = function(fit) lme4::fixef(update(fit, . ~ . + I(Days^2))),
  "update to ML" = function(fit) logLik(update(fit, REML = FALSE)),
  "anova of nested models" = function(fit) structure(anova(update(fit, . ~ . - Days), fit), heading = NULL),
  "anova without refitting" = function(fit) {
    structure(anova(update(fit, . ~ . - (Days | Subject) + (1 | Subject)), fit, refit = FALSE), heading = NULL)
  },
  "refit" = function(fit) lme4::fixef(lme4::refit(fit, log(sleepstudy$Reaction))),
  "refitML" = function(fit) logLik(lme4::refitML(fit)),
  "confint, profile" = function(fit) confint(fit),
  "confint, one parameter" = function(fit) confint(fit, parm = "Days", level = 0.8),
  "profile" = function(fit) as.data.frame(profile(fit, "theta_"))[c(".zeta", ".par")],
  "influence" = function(fit) unclass(influence(fit, "Subject"))[c("fixed.effects[-Subject]", "vcov[-Subject]")],
  "Cook's distance by group" = function(fit) cooks.distance(influence(fit, "Subject")),
  "dfbeta by group" = function(fit) stats::dfbeta(influence(fit, "Subject")),
  "dropterm" = function(fit) MASS::dropterm(update(fit, REML = FALSE), test = "Chisq"),
  "allFit" = function(fit) {
    suppressMessages(summary(lme4::allFit(fit, meth.tab = data.frame(optimizer = "bobyqa", method = ""), verbose = FALSE))$fixef)
  }
), tolerance = 1e-3)

test_that("influence() on several workers is that on one", {
  skip_on_cran()
  one <- influence(reml$ours, "Subject")
  if (lme4_takes("influence.merMod", "parallel")) {
    expect_equal(influence(reml$ours, "Subject", parallel = "multicore", ncpus = 2L), one)
    workers <- influence(reml$ours, "Subject", parallel = "snow", ncpus = 2L)
  } else {
    workers <- influence(reml$ours, "Subject", ncores = 2L)
  }
  # by lme4's optimiser where only lme4 is attached
  expect_equal(stats::cooks.distance(workers), stats::cooks.distance(one), tolerance = 1e-3)
})

test_that("anova() of nested models says in lme4's words that it fits by ML", {
  smaller <- update(reml$ours, . ~ . - Days)
  expect_message(anova(smaller, reml$ours), "^refitting model\\(s\\) with ML \\(instead of REML\\)\n$")
})

# By ML: lme4's refit() of a fit by REML optimises another criterion in version 1.1-31 (see the page of differences).
bootstraps <- list(
  "bootMer" = function(fit) withr::with_seed(1, boot_parts(fit, lme4::fixef, nsim = 20)),
  "bootMer, a seed of its own" = function(fit) boot_parts(fit, sigma, nsim = 5, seed = 3),
  "bootMer given the effects" = function(fit) withr::with_seed(1, boot_parts(fit, sigma, nsim = 5, use.u = TRUE)),
  "bootMer, semiparametric" = function(fit) {
    withr::with_seed(1, boot_parts(fit, lme4::fixef, nsim = 5, use.u = TRUE, type = "semiparametric"))
  },
  "confint, bootstrap" = function(fit) withr::with_seed(1, suppressWarnings(confint(fit, method = "boot", nsim = 20)))
)

# Each package's own bootMer() on its own fit; what it returns, without its call and the fit.
boot_fit <- function(fit, ...) {
  if (is_fastlmer(fit)) fastlmer::bootMer(fit, ...) else lme4::bootMer(fit, ...)
}
boot_parts <- function(...) {
  boot <- boot_fit(...)
  list(t0 = boot$t0, t = boot$t, R = boot$R, class = class(boot), names = names(boot))
}
test_answers("lme4", ml, bootstraps, tolerance = 1e-4)

test_answers("boot", ml, list(
  "boot.ci" = function(fit) {
    replicates <- withr::with_seed(1, boot_fit(fit, lme4::fixef, nsim = 99))
    boot::boot.ci(replicates, index = 2, type = c("norm", "basic", "perc"))[c("t0", "normal", "basic", "percent")]
  }
), tolerance = 1e-4)
