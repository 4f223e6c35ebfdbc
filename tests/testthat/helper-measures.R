# How far two fits of one model are apart, each quantity in its natural unit; and whether they are built alike.

# A model, its data, and the two fits: `ours` and `theirs`, each with the conditions signalled on the way.
compare_model <- function(model, reml, data) {
  call <- match.call(lme4::lmer, comparison_models()[[model]])
  call$REML <- reml
  ours <- fit_call(call, quote(fastlmer::lmer), data)
  theirs <- fit_call(call, quote(lme4::lmer), data, lme4_control(model, reml))
  list(model = model, reml = reml, call = call, data = data, ours = ours, theirs = theirs)
}

fit_call <- function(call, lmer, data, control = call$control) {
  call[[1L]] <- lmer
  call$control <- control
  with_conditions(eval(call, data))
}

# lme4 with its best optimiser, or at the optimum recorded in reference/insteval.csv.
lme4_control <- function(model, reml) {
  known <- insteval_optima()
  known <- known[known$model == model & known$reml == reml, ]
  scale <- if (is.null(comparison_models()[[model]]$control)) "warning" else "ignore"
  if (!nrow(known)) return(lme4::lmerControl(optimizer = best_of, check.scaleX = scale))
  theta <- as.numeric(strsplit(known$theta, " ", fixed = TRUE)[[1L]])
  lme4::lmerControl(optimizer = stay_at(theta), calc.derivs = FALSE)
}

insteval_optima <- function() {
  utils::read.csv(file.path("reference", "insteval.csv"), colClasses = c(theta = "character"))
}

criterion <- function(fit) fit@devcomp$cmp[[if (lme4::isREML(fit)) "REML" else "dev"]]

# Largest difference, in units of `unit`.
apart <- function(x, y, unit = 1) {
  x <- as.numeric(x)
  y <- as.numeric(y)
  if (length(x) != length(y) || !identical(is.na(x), is.na(y))) return(Inf)
  max(0, abs(x - y) / unit, na.rm = TRUE)
}

# Covariances in products of the standard deviations, of which none is less than that of the variance `least`.
apart_in_sd <- function(x, y, least = 0) {
  size <- sqrt(pmax(diag(x), diag(y), least))
  apart(x, y, as.numeric(outer(size, size)))
}

# fixef in standard errors; covariances in products of standard deviations; what has the response's unit in sigma.
distances <- function(ours, theirs) {
  units <- effect_units(theirs)
  c(
    fixef = apart(lme4::fixef(ours), lme4::fixef(theirs), sqrt(Matrix::diag(vcov(theirs)))),
    vcov = apart_in_sd(as.matrix(vcov(ours)), as.matrix(vcov(theirs))),
    varcorr = apart_in_sd(joint_covariance(ours), joint_covariance(theirs), (1e-3 * units)^2),
    sigma = apart(sigma(ours), sigma(theirs), sigma(theirs)),
    modes = mode_distance(ours, theirs, units),
    fitted = apart(fitted(ours), fitted(theirs), sigma(theirs)),
    residuals = apart(residuals(ours), residuals(theirs), sigma(theirs)),
    log_lik = apart(c(logLik(ours), AIC(ours), BIC(ours)), c(logLik(theirs), AIC(theirs), BIC(theirs)))
  )
}

joint_covariance <- function(fit) as.matrix(Matrix::bdiag(lapply(lme4::VarCorr(fit), unclass)))

# Per column of the random effects the size of an effect that moves the response by sigma: what a variance of zero is compared
# with.
effect_units <- function(fit) {
  vapply(lme4::getME(fit, "Ztlist"), function(zt) sigma(fit) / sqrt(sum(zt^2) / ncol(zt)), 0)
}

# Conditional modes in standard deviations of their column.
mode_distance <- function(ours, theirs, units) {
  sd <- sqrt(pmax(diag(joint_covariance(theirs)), (1e-3 * units)^2))
  of_factor <- attr(theirs@flist, "assign")[rep(seq_along(theirs@cnms), lengths(theirs@cnms))]
  ours <- lme4::ranef(ours, condVar = FALSE)
  theirs <- lme4::ranef(theirs, condVar = FALSE)
  max(vapply(seq_along(theirs), function(i) {
    apart(as.matrix(ours[[i]]), as.matrix(theirs[[i]]), rep(sd[of_factor == i], each = nrow(theirs[[i]])))
  }, 0))
}

# Conditional variances in units of the effects' variances.
variance_distance <- function(ours, theirs) {
  floor <- (1e-3 * effect_units(theirs))^2
  variance <- pmax(diag(joint_covariance(theirs)), floor)
  of_factor <- attr(theirs@flist, "assign")[rep(seq_along(theirs@cnms), lengths(theirs@cnms))]
  ours <- lme4::ranef(ours)
  theirs <- lme4::ranef(theirs)
  max(vapply(seq_along(theirs), function(i) {
    apart(unlist(attr(ours[[i]], "postVar")), unlist(attr(theirs[[i]], "postVar")), max(variance[of_factor == i]))
  }, 0))
}

# Predictions for the rows of the data, all levels known and every grouping factor's first level unknown; with and without
# random effects. What is signalled comes with the numbers.
predictions <- function(fit, known, unknown) {
  list(
    known = with_conditions(predict(fit, known)),
    fixed = with_conditions(predict(fit, known, re.form = NA)),
    unknown = with_conditions(predict(fit, unknown, allow.new.levels = TRUE)),
    refused = with_conditions(predict(fit, unknown))
  )
}

# Every k-th row of the data of a comparison.
new_rows <- function(comparison) {
  data <- eval(comparison$call$data, comparison$data)
  data[unique(round(seq(1, nrow(data), length.out = 40))), ]
}

# The same rows with a level that the fit has not seen in every grouping variable that has no fixed effect, in the rows of the
# first row's group.
with_new_levels <- function(rows, fit) {
  variables <- unique(unlist(lapply(names(fit@flist), function(name) all.vars(str2lang(name)))))
  variables <- setdiff(variables, all.vars(formula(fit, fixed.only = TRUE)))
  for (name in variables) {
    values <- as.character(rows[[name]])
    values[values == values[[1L]]] <- "999"
    rows[[name]] <- factor(values)
  }
  rows
}

prediction_distance <- function(ours, theirs, sigma) {
  max(unlist(Map(function(x, y) apart(x$value, y$value, sigma), ours, theirs)))
}

# What is left of an object when its numbers are taken out: classes, names, dimensions, attributes, and everything that isn't a
# double.
skeleton <- function(x) {
  if (is.environment(x) || is.function(x)) return(class(x))
  extra <- as.list(attributes(x))
  if (isS4(x)) return(lapply(extra, skeleton))
  if (is.double(x)) x <- rep(NA_real_, length(x))
  if (is.list(x)) x <- lapply(unclass(x), skeleton)
  list(as.vector(x), lapply(extra[sort(names(extra))], skeleton))
}

# Everything of which the structure has to be lme4's.
views <- function(fit, condVar = TRUE) {
  list(
    fixef = lme4::fixef(fit), fixef_dropped = lme4::fixef(fit, add.dropped = TRUE), vcov = vcov(fit),
    VarCorr = lme4::VarCorr(fit), variances = as.data.frame(lme4::VarCorr(fit)), sigma = sigma(fit),
    ranef = lme4::ranef(fit, condVar = condVar), coef = coef(fit), fitted = fitted(fit), residuals = residuals(fit),
    pearson = residuals(fit, type = "pearson", scaled = TRUE), weights = weights(fit), logLik = logLik(fit),
    AIC = AIC(fit), BIC = BIC(fit), df = df.residual(fit), nobs = nobs(fit), ngrps = lme4::ngrps(fit),
    summary = coef(summary(fit)), devcomp = fit@devcomp, theta = lme4::getME(fit, "theta"), lower = fit@lower, Gp = fit@Gp,
    cnms = fit@cnms, flist = fit@flist, extract = extractAIC(fit), singular = lme4::isSingular(fit)
  )
}

# What doesn't depend on the fit is the same to the last bit.
inputs <- function(fit) {
  list(
    model.frame(fit), model.matrix(fit), formula(fit), terms(fit), lme4::getME(fit, "y"), lme4::getME(fit, "offset"),
    lme4::getME(fit, "flist"), family(fit)
  )
}
