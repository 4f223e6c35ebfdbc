# Package parameters (and sjPlot by way of it) makes lmerTest's class of any fit for Satterthwaite's degrees of freedom; ours have them.

hook_into_parameters <- function() {
  register_when_loaded("parameters", "dof_satterthwaite", "lmerModLmerTest", satterthwaite_of_parameters)
  register_when_loaded("parameters", "degrees_of_freedom", "lmerMod", df_of_parameters)
  register_when_loaded("parameters", "standard_error", "lmerMod", errors_of_parameters)
  register_when_loaded("parameters", "p_value", "lmerMod", p_values_of_parameters)
  register_when_loaded("bayestestR", "ci", "lmerMod", intervals_of_parameters)
  register_when_loaded("insight", ".degrees_of_freedom_kr", "lmerMod", kenward_of_insight)
  register_when_loaded("insight", "get_df", "lmerMod", df_of_insight, replace = TRUE)
}

satterthwaite_of_parameters <- function(model, ...) {
  parts <- if (is_fastlmer(model)) satterthwaite_parts(model)
  if (is.null(parts)) NextMethod() else satterthwaite_df(parts)
}

# By Kenward and Roger's method parameters forms n x n matrices of its own. All that a table of its takes of them are degrees of freedom,
# with the standard errors as an attribute.
df_of_parameters <- function(model, method = "analytical", ...) {
  (if (is_fastlmer(model)) coefficient_df(model, method)) %||% NextMethod()
}

# Degrees of freedom of the coefficients by either method; NULL for another, or where the engine has none.
coefficient_df <- function(fit, method) {
  if (is_kenward(method)) {
    table <- kenward_table(fit)
    return(if (!is.null(table)) kenward_df(fit, table))
  }
  parts <- if (is_satterthwaite(method)) satterthwaite_parts(fit)
  if (!is.null(parts)) satterthwaite_df(parts)
}

intervals_of_parameters <- function(x, ci = 0.95, method = "wald", ...) {
  df <- if (is_fastlmer(x) && is_satterthwaite(method)) coefficient_df(x, method)
  if (is.null(df)) return(NextMethod())
  estimate <- fixef(x)
  error <- sqrt(diag(as.matrix(vcov(x))))
  do.call(rbind, lapply(ci, function(level) {
    half <- stats::qt((1 + level) / 2, df) * error
    data.frame(Parameter = names(estimate), CI = level, CI_low = estimate - half, CI_high = estimate + half, row.names = NULL)
  }))
}

# What newer versions of parameters ask for, and marginaleffects (by way of contrasts for each row of `data`).
df_of_insight <- function(x, type = "residual", ...) {
  arguments <- list(...)
  df <- if (is_fastlmer(x)) {
    if (isTRUE(arguments$df_per_obs)) df_of_rows(x, type, arguments$data) else coefficient_df(x, type)
  }
  df %||% their_method("insight", "get_df", inherited = "default")(x, type = type, ...)
}

df_of_rows <- function(fit, type, data) {
  if (!is.data.frame(data) || !(is_kenward(type) || is_satterthwaite(type))) return(NULL)
  rows <- unname(insight::get_modelmatrix(fit, data = data))
  if (ncol(rows) != length(fixef(fit))) return(NULL)
  if (is_satterthwaite(type)) {
    parts <- satterthwaite_parts(fit)
    return(if (!is.null(parts)) satterthwaite_df_of_rows(rows, parts))
  }
  parts <- kenward_roger(fit)
  if (!is.null(parts)) vapply(seq_len(nrow(rows)), function(i) hypothesis_test(parts, rows[i, , drop = FALSE])$df, 0)
}

kenward_of_insight <- function(x, ...) {
  table <- if (is_fastlmer(x)) kenward_table(x)
  if (is.null(table)) NextMethod() else kenward_df(x, table)
}

kenward_df <- function(fit, table) {
  structure(stats::setNames(table$df, rownames(table)), vcov = adjusted_covariance(fit), se = table$std.error)
}

errors_of_parameters <- function(model, effects = "fixed", method = NULL, vcov = NULL, ...) {
  table <- if (is_kenward(method) && identical(effects, "fixed") && is.null(vcov) && is_fastlmer(model)) kenward_table(model)
  if (is.null(table)) return(NextMethod())
  data.frame(Parameter = rownames(table), SE = table$std.error)
}

p_values_of_parameters <- function(model, dof = NULL, method = NULL, vcov = NULL, ...) {
  table <- if (is_kenward(method) && is.null(dof) && is.null(vcov) && is_fastlmer(model)) kenward_table(model)
  if (is.null(table)) return(NextMethod())
  data.frame(Parameter = rownames(table), p = table$p.value)
}

is_kenward <- function(method) is.character(method) && length(method) == 1L && tolower(method) %in% c("kenward", "kr", "kenward-roger")

is_satterthwaite <- function(method) is.character(method) && length(method) == 1L && tolower(method) == "satterthwaite"

# A row for each fixed effect; NULL where the engine has no answer.
kenward_table <- function(fit) tryCatch(test_kr(fit), fastlmer_error = function(e) NULL)
