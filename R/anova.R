# Tests of terms with lmerTest's degrees of freedom, where they are asked for; else lme4's table. The functions print what lmerTest prints.

#' @importFrom stats anova
#' @export
#' @noRd
anova.lmerMod <- function(object, ..., type = c("III", "II", "I", "3", "2", "1"), ddf = c("Satterthwaite", "Kenward-Roger", "lme4")) {
  if (missing(type) && missing(ddf) || !is_tested_here(object)) return(NextMethod())
  require_lmer_test("anova(type = , ddf = )")
  stats::anova(as_lmer_test(object), ..., type = type, ddf = match.arg(ddf))
}

#' @importFrom stats drop1
#' @export
#' @noRd
drop1.lmerMod <- function(object, scope, ..., ddf = c("Satterthwaite", "Kenward-Roger", "lme4")) {
  if (missing(ddf) || !is_tested_here(object)) return(NextMethod())
  ddf <- match.arg(ddf)
  if (ddf == "lme4") return(if (missing(scope)) stats::drop1(object, ...) else stats::drop1(object, scope, ...))
  require_lmer_test("drop1(ddf = )")
  object <- as_lmer_test(object)
  if (missing(scope)) stats::drop1(object, ddf = ddf, ...) else stats::drop1(object, scope, ddf = ddf, ...)
}

# Fits of lmerTest's class have its methods.
is_tested_here <- function(object) identical(as.character(class(object)), "lmerMod") && !is.null(engine_of(object))
