# performance::check_convergence() reads derivatives from the fit. lme4's newer versions keep none of a singular fit, and the derivatives of
# large crossed models in ours are the average information: here they are computed.

hook_into_performance <- function() register_when_loaded("performance", "check_convergence", "lmerMod", convergence_for_performance)

convergence_for_performance <- function(x, tolerance = 0.001, ...) {
  record <- if (is_fastlmer(x)) engine_of(x)
  if (is.null(record)) return(NextMethod())
  here <- derivatives_of_fit(record)
  gradient <- newton_step(here$gradient, here$hessian)
  structure(gradient < tolerance, gradient = gradient)
}
