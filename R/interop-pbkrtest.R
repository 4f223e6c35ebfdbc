# pbkrtest's functions for fits that the engine can take: see infer-kenward-roger.R. What isn't for the engine goes to pbkrtest's own.

hook_into_pbkrtest <- function() {
  methods <- list(
    vcovAdj = pb_vcovAdj, KRmodcomp = pb_KRmodcomp, SATmodcomp = pb_SATmodcomp, get_Lb_ddf = pb_get_Lb_ddf, get_ddf_Lb = pb_get_ddf_Lb
  )
  for (generic in names(methods)) register_when_loaded("pbkrtest", generic, "lmerMod", methods[[generic]], replace = TRUE)
}

own_pbkrtest <- function(generic, ...) their_method("pbkrtest", generic)(...)

pb_vcovAdj <- function(object, details = 0) {
  adjusted_covariance(object) %||% own_pbkrtest("vcovAdj", object, details)
}

pb_get_Lb_ddf <- function(object, L) {
  if (!is.matrix(L)) L <- matrix(L, nrow = 1L)
  degrees_of_freedom(object, L) %||% own_pbkrtest("get_Lb_ddf", object, L)
}

pb_get_ddf_Lb <- function(object, Lcoef) {
  degrees_of_freedom(object, matrix(Lcoef, nrow = 1L)) %||% own_pbkrtest("get_ddf_Lb", object, Lcoef)
}

# Of one hypothesis; NULL for what isn't one about this fit.
degrees_of_freedom <- function(fit, L) {
  parts <- if (is.numeric(L) && all(is.finite(L))) kenward_roger(fit)
  if (!is.null(parts) && ncol(L) == length(parts$beta)) hypothesis_test(parts, L)$df
}

pb_KRmodcomp <- function(largeModel, smallModel, betaH = 0, details = 0) {
  began <- proc.time()
  pair <- model_pair(largeModel, smallModel)
  parts <- if (!is.null(pair) && is.numeric(betaH)) kenward_roger(pair$large)
  if (is.null(parts)) return(own_pbkrtest("KRmodcomp", largeModel, smallModel, betaH, details))
  L <- pair$L
  test <- hypothesis_test(parts, L, drop(L %*% rep_len(betaH, length(parts$beta))))
  stats <- kr_statistics(test)
  table <- data.frame(
    stat = c(stats$Fstat, stats$FstatU), ndf = as.integer(stats$ndf), ddf = stats$ddf, F.scaling = c(stats$F.scaling, NA),
    p.value = c(stats$p.value, stats$p.valueU), row.names = c("Ftest", "FtestU")
  )
  small <- if (methods::is(pair$small, "merMod")) plain_formula(pair$small) else list(L = L, betaH = betaH)
  structure(list(
    test = table, type = "F", aux = stats$aux, stats = stats, formula.large = plain_formula(pair$large), formula.small = small,
    ctime = (proc.time() - began)[3L], L = L
  ), class = "KRmodcomp")
}

kr_statistics <- function(test) {
  tail <- function(f) stats::pf(f, test$rank, test$df, lower.tail = FALSE)
  scaled <- test$f * test$scale
  aux <- stats::setNames(c(test$moments, test$scale), c("A1", "A2", "V0", "V1", "V2", "rho", "F.scaling"))
  list(
    ndf = test$rank, ddf = test$df, Fstat = scaled, p.value = tail(scaled), F.scaling = test$scale, FstatU = test$f,
    p.valueU = tail(test$f), aux = aux
  )
}

pb_SATmodcomp <- function(largeModel, smallModel, details = 0, eps = sqrt(.Machine$double.eps)) {
  pair <- model_pair(largeModel, smallModel)
  large <- if (!is.null(pair)) reml_fit(pair$large)
  parts <- if (!is.null(large)) satterthwaite_parts(large)
  if (is.null(parts)) return(own_pbkrtest("SATmodcomp", largeModel, smallModel, details, eps))
  began <- proc.time()
  test <- satterthwaite_test(pair$L, lme4::fixef(large), parts)
  structure(list(
    test = test, sigma = stats::sigma(large), formula.large = stats::formula(large), formula.small = pair$L,
    ctime = (proc.time() - began)[3L], L = pair$L
  ), class = "SATmodcomp")
}

# Of a fit by maximum likelihood that by REML.
reml_fit <- function(fit) if (lme4::isREML(fit)) fit else tryCatch(stats::update(fit, REML = TRUE), error = function(e) NULL)

# The F test of the rows of L, of full rank, by Satterthwaite's method.
satterthwaite_test <- function(L, beta, parts) {
  estimates <- drop(L %*% beta)
  statistic <- sum(estimates * solve(L %*% parts$vcov_beta %*% t(L), estimates)) / nrow(L)
  df <- satterthwaite_df_of(L, parts)
  data.frame(statistic = statistic, ndf = nrow(L), ddf = df, p.value = stats::pf(statistic, nrow(L), df, lower.tail = FALSE))
}

plain_formula <- function(fit) {
  formula <- stats::formula(fit)
  attributes(formula) <- NULL
  formula
}

# The larger model and the restrictions L that make it the smaller one, which may be a formula for update(), a fit, or the restrictions
# themselves; NULL where pbkrtest has to look at them, for what it says of models that aren't nested, among others.
model_pair <- function(large, small) {
  if (!is_exactly_lmer(large) || is.null(engine_of(large))) return(NULL)
  if (is.numeric(small)) {
    L <- if (is.matrix(small)) small else matrix(small, nrow = 1L)
    p <- length(large@beta)
    return(if (ncol(L) == p && nrow(L) > 0L && all(is.finite(L)) && any(L != 0)) list(large = large, small = small, L = full_rank(L)))
  }
  if (inherits(small, "formula")) small <- stats::update(large, small)
  if (!is_exactly_lmer(small)) return(NULL)
  if (length(small@beta) > length(large@beta)) {
    swapped <- large
    large <- small
    small <- swapped
    if (is.null(engine_of(large))) return(NULL)
  }
  if (length(small@beta) == length(large@beta) || stats::nobs(large) != stats::nobs(small)) return(NULL)
  L <- tryCatch(pbkrtest::model2restriction_matrix(large, small), error = function(e) NULL)
  if (!is.null(L)) list(large = large, small = small, L = if (is.matrix(L)) L else as.matrix(L))
}

# pbkrtest's answer has hypotheses of full rank.
full_rank <- function(L) {
  found <- qr(t(L))
  if (found$rank == nrow(L)) L else t(qr.Q(found)[, seq_len(found$rank), drop = FALSE])
}
