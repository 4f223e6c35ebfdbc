# The residual bootstrap of Carpenter, Goldstein and Rasbash (2003): a function that draws so many responses, without the offset.
residual_draws <- function(plan) {
  record <- plan$record
  fixed <- fixed_part(record)
  root <- root_weights(record)
  effects <- Map(reflated, term_effects(record, plan$x@u), term_covariances(record))
  residuals <- root * as.numeric(plan$x@resp$y - plan$x@resp$mu)
  residuals <- residuals - mean(residuals)
  residuals <- residuals * record$sigma / sqrt(mean(residuals^2))
  n <- length(fixed)
  function(count) {
    columns_of(count, n, function() {
      # All terms of a factor move together.
      levels <- lapply(record$nlev, function(number) sample.int(number, replace = TRUE))
      drawn <- Map(function(effects, factor) effects[levels[[factor]], , drop = FALSE], effects, record$asgn)
      fixed + random_part(record, drawn) + residuals[sample.int(n, replace = TRUE)] / root
    })
  }
}
