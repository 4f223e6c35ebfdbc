# Tests of terms with lmerTest's degrees of freedom, where they are asked for; else lme4's table. They print what lmerTest prints, and do
# without it for Satterthwaite's method.

#' @importFrom stats anova
#' @export
#' @noRd
anova.lmerMod <- function(object, ..., type = c("III", "II", "I", "3", "2", "1"), ddf = c("Satterthwaite", "Kenward-Roger", "lme4")) {
  if (missing(type) && missing(ddf) || !is_tested_here(object)) return(NextMethod())
  ddf <- match.arg(ddf)
  # lmerTest's contrasts are loops over X'X in R: not for a thousand columns, nor where there are no rows
  ours <- ddf == "Satterthwaite" && (is_streamed(object) || !is.null(engine_mark(object)$absorbed))
  if (has_lmer_test() && !ours) return(stats::anova(as_lmer_test(object), ..., type = type, ddf = ddf))
  if (ddf == "lme4" || ...length()) return(stats::anova(object, ...))
  type <- type_number(type)
  parts <- own_parts(object, ddf, "anova")
  table <- term_tests(object, parts, term_contrasts(object, type))
  attr(table, "heading") <- paste("Type", utils::as.roman(type), "Analysis of Variance Table with Satterthwaite's method")
  table
}

type_number <- function(type = c("III", "II", "I", "3", "2", "1")) {
  type <- as.character(type[[1L]])
  type <- match.arg(type)
  if (grepl("I", type, fixed = TRUE)) as.character(nchar(type)) else type
}

# What tests without lmerTest are made of.
own_parts <- function(object, ddf, what) {
  parts <- if (ddf == "Satterthwaite") satterthwaite_parts(object)
  if (is.null(parts)) require_lmer_test(sprintf("%s(ddf = \"%s\")", what, ddf))
  parts
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
  parts <- own_parts(object, ddf, "drop1")
  facts <- column_facts(object)
  contrasts <- lapply(columns_of_terms(facts, stats::terms(object)), taken_rows, named_identity(facts$names))
  table <- term_tests(object, parts, contrasts[checked_scope(object, if (!missing(scope)) scope)])
  attr(table, "heading") <- c("Single term deletions using Satterthwaite's method:", "\nModel:", deparse1(stats::formula(object)))
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
