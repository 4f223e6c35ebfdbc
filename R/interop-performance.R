# performance::check_convergence() reads derivatives from the fit, and solves equations that are singular where the criterion is flat.
# lme4's newer versions keep none of a singular fit: here they are computed.

hook_into_performance <- function() register_when_loaded("performance", "check_convergence", "lmerMod", convergence_for_performance)

convergence_for_performance <- function(x, tolerance = 0.001, ...) {
  record <- if (is_fastlmer(x)) engine_of(x)
  if (is.null(record)) return(NextMethod())
  here <- held_derivatives(x) %||% derivatives_of_fit(record)
  gradient <- newton_step(here$gradient, here$hessian)
  structure(gradient < tolerance, gradient = gradient)
}

# The derivatives that the fit holds, of the theta that it has.
held_derivatives <- function(fit) {
  derivs <- fit@optinfo$derivs
  if (is.null(derivs) || !identical(as.numeric(fit@optinfo$val), fit@theta)) return(NULL)
  list(gradient = derivs$gradient, hessian = derivs$Hessian)
}
