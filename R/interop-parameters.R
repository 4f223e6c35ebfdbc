# Package parameters (and sjPlot by way of it) makes lmerTest's class of any fit for Satterthwaite's degrees of freedom; a fit that is one
# has them.

hook_into_parameters <- function() {
  register_when_loaded("parameters", "dof_satterthwaite", "lmerModLmerTest", satterthwaite_of_parameters)
}

satterthwaite_of_parameters <- function(model, ...) {
  parts <- if (is_fastlmer(model)) satterthwaite_parts(model)
  if (is.null(parts)) NextMethod() else satterthwaite_df(parts)
}
