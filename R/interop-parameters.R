# Package parameters (and sjPlot by way of it) makes lmerTest's class of any fit for Satterthwaite's degrees of freedom; a fit that is one
# has them.

hook_into_parameters <- function() {
  register_when_loaded("parameters", "dof_satterthwaite", "lmerModLmerTest", satterthwaite_of_parameters)
  register_when_loaded("parameters", "degrees_of_freedom", "lmerMod", kenward_of_parameters)
  register_when_loaded("parameters", "standard_error", "lmerMod", errors_of_parameters)
  register_when_loaded("parameters", "p_value", "lmerMod", p_values_of_parameters)
  register_when_loaded("insight", ".degrees_of_freedom_kr", "lmerMod", kenward_of_insight)
}

satterthwaite_of_parameters <- function(model, ...) {
  parts <- if (is_fastlmer(model)) satterthwaite_parts(model)
  if (is.null(parts)) NextMethod() else satterthwaite_df(parts)
}

# By Kenward and Roger's method parameters forms n x n matrices of its own. All that a table of its takes of them are degrees of freedom,
# with the standard errors as an attribute.
kenward_of_parameters <- function(model, method = "analytical", ...) {
  table <- if (is_kenward(method) && is_fastlmer(model)) kenward_table(model)
  if (is.null(table)) return(NextMethod())
  kenward_df(model, table)
}

# Newer versions of parameters ask insight.
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

# A row for each fixed effect; NULL where the engine has no answer.
kenward_table <- function(fit) tryCatch(test_kr(fit), fastlmer_error = function(e) NULL)
