# Tests of terms with lmerTest's degrees of freedom, where they are asked for; else lme4's table. They print what lmerTest prints, also
# where it isn't installed.

#' @importFrom stats anova
#' @export
#' @noRd
anova.lmerMod <- function(object, ..., type = c("III", "II", "I", "3", "2", "1"), ddf = c("Satterthwaite", "Kenward-Roger", "lme4")) {
  if (missing(type) && missing(ddf) || !is_tested_here(object)) return(NextMethod())
  ddf <- match.arg(ddf)
  # lmerTest's contrasts are loops over X'X in R: not for a thousand columns, nor where there are no rows
  ours <- is_streamed(object) || !is.null(engine_mark(object)$absorbed)
  if (has_lmer_test() && !ours) return(stats::anova(as_lmer_test(object), ..., type = type, ddf = ddf))
  if (ddf == "lme4" || ...length()) return(stats::anova(object, ...))
  type <- type_number(type)
  tests <- own_tests(object, ddf, "anova")
  table <- term_tests(object, tests, term_contrasts(object, type))
  attr(table, "heading") <- paste("Type", utils::as.roman(type), "Analysis of Variance Table with", tests$name, "method")
  table
}

type_number <- function(type = c("III", "II", "I", "3", "2", "1")) {
  type <- as.character(type[[1L]])
  type <- match.arg(type)
  if (grepl("I", type, fixed = TRUE)) as.character(nchar(type)) else type
}

# How to test without lmerTest: a list of the method's `name`, `coefficients()`, a list of standard errors and degrees of freedom, and
# `hypothesis(contrast)`, a list of the statistic F, its degrees of freedom and what it is multiplied by.
own_tests <- function(object, ddf, what) {
  tests <- if (ddf == "Kenward-Roger") kenward_roger_tests(object) else satterthwaite_tests(object)
  if (is.null(tests)) require_lmer_test(sprintf("%s(ddf = \"%s\") of this fit", what, ddf))
  tests
}

satterthwaite_tests <- function(object) {
  parts <- satterthwaite_parts(object)
  if (is.null(parts)) return(NULL)
  hypothesis <- function(contrast) {
    contrast <- independent_rows(contrast, parts$vcov_beta)
    c(satterthwaite_f(contrast, object@beta, parts), list(rank = nrow(contrast), scale = 1))
  }
  coefficients <- function() list(error = sqrt(diag(parts$vcov_beta)), df = satterthwaite_df(parts))
  list(name = "Satterthwaite's", coefficients = coefficients, hypothesis = hypothesis)
}

kenward_roger_tests <- function(object) {
  if (!lme4::isREML(object)) fail("argument", "Kenward-Roger's method is only available for REML model fits")
  parts <- kenward_roger(object)
  if (is.null(parts)) return(NULL)
  coefficients <- function() {
    table <- test_kr(object)
    list(error = table$std.error, df = table$df)
  }
  list(name = "Kenward-Roger's", coefficients = coefficients, hypothesis = function(contrast) hypothesis_test(parts, contrast))
}

#' @importFrom stats drop1
#' @export
#' @noRd
drop1.lmerMod <- function(object, scope, ..., ddf = c("Satterthwaite", "Kenward-Roger", "lme4")) {
  if (missing(ddf) || !is_tested_here(object)) return(NextMethod())
  ddf <- match.arg(ddf)
  if (ddf == "lme4") return(if (missing(scope)) stats::drop1(object, ...) else stats::drop1(object, scope, ...))
  if (has_lmer_test()) {
    object <- as_lmer_test(object)
    return(if (missing(scope)) stats::drop1(object, ddf = ddf, ...) else stats::drop1(object, scope, ddf = ddf, ...))
  }
  # where columns were dropped a term is more than its coefficients
  if (!is.null(attr(stats::model.matrix(object), "col.dropped"))) require_lmer_test("drop1(ddf = ) of a model with dropped columns")
  tests <- own_tests(object, ddf, "drop1")
  facts <- column_facts(object)
  contrasts <- lapply(columns_of_terms(facts, stats::terms(object)), taken_rows, named_identity(facts$names))
  table <- term_tests(object, tests, contrasts[checked_scope(object, if (!missing(scope)) scope)])
  attr(table, "heading") <- c(paste("Single term deletions using", tests$name, "method:"), "\nModel:", deparse1(stats::formula(object)))
  attr(table, "ddf") <- ddf
  table
}

checked_scope <- function(object, scope) {
  marginal <- stats::drop.scope(stats::terms(object))
  if (is.null(scope)) return(marginal)
  if (!is.character(scope) || !length(scope)) fail("argument", "'scope' should be a character vector naming terms to be dropped")
  if (!all(scope %in% marginal)) fail("argument", "Only marginal terms can be dropped from the model")
  scope
}

# Fits of lmerTest's class have its methods.
is_tested_here <- function(object) identical(as.character(class(object)), "lmerMod") && !is.null(engine_of(object))
