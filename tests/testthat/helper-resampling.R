# Models with missing rows, weights, offsets, rank deficiency, contrasts, subsets and several terms.
resampling_fits <- function(lmer = fastlmer::lmer) {
  data <- sleep_data()
  suppressMessages(list(
    slopes = lmer(Reaction ~ Days + (Days | Subject), data),
    ml = lmer(Reaction ~ Days + (Days | Subject), data, REML = FALSE),
    missing = lmer(Reaction ~ with_na + (1 | Subject), data),
    excluded = lmer(Reaction ~ with_na + (1 | Subject), data, na.action = na.exclude),
    weights = lmer(Reaction ~ Days + (Days | Subject), data, weights = w),
    offset = lmer(Reaction ~ Days + offset(100 * o) + (Days | Subject), data),
    offset_argument = lmer(Reaction ~ Days + (1 | Subject), data, offset = 100 * o),
    deficient = lmer(Reaction ~ Days + I(2 * Days) + (1 | Subject), data),
    contrasts = lmer(Reaction ~ three + (1 | Subject), data, contrasts = list(three = "contr.sum")),
    subset = lmer(Reaction ~ Days + (Days | Subject), data, subset = Days > 1),
    two_terms = lmer(Reaction ~ Days + (1 | Subject) + (0 + Days | Subject), data),
    crossed = lmer(diameter ~ 1 + (1 | plate) + (1 | sample), lme4::Penicillin)
  ))
}

# lme4's own fit of another response on the same model frame: the better of two runs of an optimiser that stops late.
exact_fit <- function(fit, y) {
  identity <- as.numeric(fit@lower == 0)
  fits <- lapply(list(identity, 0.3 * identity), function(start) fit_from(fit, y, start))
  fits[[which.min(vapply(fits, function(fit) fit@devcomp$cmp[[if (isREML(fit)) "REML" else "dev"]], 0))]]
}

fit_from <- function(fit, y, start) {
  frame <- fit@frame
  column <- attr(attr(frame, "terms"), "response")
  terms <- lme4::getME(fit, c("Zt", "Lambdat", "Lind", "flist", "cnms", "Gp", "lower"))
  terms$theta <- start
  frame[[column]] <- y
  devfun <- lme4::mkLmerDevfun(frame, fit@pp$X, terms, REML = lme4::isREML(fit))
  opt <- suppressWarnings(
    lme4::optimizeLmer(devfun, optimizer = "bobyqa", control = list(rhoend = 1e-9, maxfun = 1e5), calc.derivs = FALSE, start = start)
  )
  lme4::mkMerMod(environment(devfun), opt, terms, fr = frame)
}

# Standard errors beside those of the same bootstrap written out in plain R, on data frames and with lmer() for every replicate. With 1000
# replicates each, two standard errors of the same quantity differ by about 3 %.
resampling_bench <- function() {
  data <- lme4::sleepstudy
  formula <- Reaction ~ Days + (1 | Subject)
  fit <- lmer(formula, data)
  statistic <- function(f) c(fixef(f), sd = as.data.frame(VarCorr(f))$sdcor)
  list(
    data = data, formula = formula, fit = fit,
    plain = function(new_data, n = 1000) {
      set.seed(99)
      t <- replicate(n, suppressMessages(statistic(lmer(formula, new_data()))))
      apply(t, 1, sd)
    },
    with_reaction = function(y) {
      data$Reaction <- y
      data
    },
    bootstrap_errors = function(...) apply(boot_resample(fit, statistic, 1000, ..., seed = 5)$t, 2, sd)
  )
}
