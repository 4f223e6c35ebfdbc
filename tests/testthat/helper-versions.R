# What differs between the versions of lme4 that fastlmer works with. The installed one is asked what it has; its number is never looked at.

lme4_function <- function(name) get(name, envir = asNamespace("lme4"), mode = "function")

lme4_takes <- function(name, argument) argument %in% names(formals(lme4_function(name)))

# confint()'s argument for short names of variance parameters, `.sig01` and so on.
short_names <- function(value) {
  stats::setNames(list(value), if (lme4_takes("confint.merMod", "signames")) "signames" else "oldNames")
}

# Are there covariances other than unstructured ones?
has_reCovs <- function() exists("getReCovs", envir = asNamespace("lme4"), mode = "function")

# Parameters that simulate() is to use instead of the fit's.
covariance_parameters <- function(values) stats::setNames(list(values), if (has_reCovs()) "par" else "theta")
