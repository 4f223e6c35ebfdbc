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

# Some versions of lmerTest can't take a fit of lme4 2.x, lme4's own or ours.
skip_if_no_lmerTest <- function() {
  skip_if_not_installed("lmerTest")
  fit <- lme4::lmer(Yield ~ 1 + (1 | Batch), lme4::Dyestuff)
  taken <- tryCatch(methods::is(lmerTest::as_lmerModLmerTest(fit), "lmerModLmerTest"), error = function(e) FALSE)
  skip_if_not(taken, "this lmerTest doesn't take fits of this lme4")
}

# A package that is older than lme4 2.x may stop at lme4's own fits (whose deviance function has another argument, for one).
skip_if_behind_lme4 <- function(conditions) {
  stopped <- grep("^error: ", conditions, value = TRUE)
  skip_if(has_reCovs() && length(stopped), paste("the package stops at this lme4's own fit too:", stopped[1L]))
}

# The heading of anova()'s column has a number in it in lme4 2.x, where slides have a word.
in_older_words <- function(text) gsub("-2*log(L)", "deviance", text, fixed = TRUE)
