# lme4's optimum, as well as its optimisers can find it: the best of several, from more than one start, each to the last digit.
# Given to lmerControl(optimizer = ), so that everything before and after the optimisation is lme4's own.
best_of <- function(fn, par, lower, upper, control = list()) {
  starts <- list(par, ifelse(lower == 0, 0.1 * par, par))
  ends <- lapply(starts, function(start) local_optimum(fn, start, lower))
  best <- ends[[which.min(vapply(ends, function(end) end$value, 0))]]
  best <- polish(fn, best, lower)
  fn(best$par)
  list(par = best$par, fval = best$value, conv = 0, message = "best of several")
}

local_optimum <- function(fn, start, lower) {
  ends <- list(by_bobyqa(fn, start, lower), by_nlminb(fn, start, lower))
  ends[[which.min(vapply(ends, function(end) end$value, 0))]]
}

by_bobyqa <- function(fn, start, lower, radius = 0.2) {
  end <- minqa::bobyqa(start, fn, lower, rep(Inf, length(start)), control = list(rhobeg = radius, rhoend = 1e-9, maxfun = 1e4))
  list(par = end$par, value = end$fval)
}

by_nlminb <- function(fn, start, lower) {
  end <- stats::nlminb(start, fn, lower = lower, control = list(rel.tol = 1e-15, x.tol = 1e-10, eval.max = 1e4, iter.max = 1e3))
  list(par = end$par, value = end$objective)
}

# Once more from the optimum, by small steps in units of each parameter.
polish <- function(fn, best, lower) {
  unit <- pmax(abs(best$par), 1e-2 * max(abs(best$par)), 1e-6)
  for (radius in c(1e-2, 1e-4)) {
    end <- by_bobyqa(function(z) fn(z * unit), best$par / unit, lower / unit, radius)
    if (end$value < best$value) best <- list(par = end$par * unit, value = end$value)
  }
  best
}

# An "optimiser" that stands at a given theta.
stay_at <- function(theta) {
  force(theta)
  function(fn, par, lower, upper, control = list()) {
    list(par = theta, fval = fn(theta), conv = 0, message = "given")
  }
}
