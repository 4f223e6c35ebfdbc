# Predictions for new data from a fit by the engine where all that enters is plain: sums of numeric variables, and grouping factors
# of which every level was there in the fit. Anything else, and every error, is lme4's.
#' @importFrom stats predict
#' @export
#' @noRd
predict.lmerMod <- function(object, newdata = NULL, newparams = NULL, re.form = NULL, ...) {
  if (is.null(newdata)) refuse_without_rows(object, "predict() without 'newdata'")
  plain <- is.data.frame(newdata) && is.null(newparams) && !...length() && (is.null(re.form) || keeps_none(re.form))
  prediction <- if (plain && is_fastlmer(object)) plain_prediction(object, newdata, is.null(re.form))
  if (!is.null(prediction)) return(prediction)
  # of X lme4 wants to know which columns were dropped
  if (is.null(newdata)) NextMethod() else without_columns(object, NextMethod())
}

plain_prediction <- function(object, newdata, with_effects) {
  n <- .row_names_info(newdata, 2L)
  formula <- split_formula(attr(object@frame, "formula"))
  offset <- !is.null(attr(attr(object@frame, "terms"), "offset")) || "(offset)" %in% names(object@frame)
  if (is.null(formula) || offset || n == 0L) return(NULL)
  x <- new_columns(formula$fixed[[3L]], object@frame, newdata, n)
  if (!identical(colnames(x), fixed_names(object))) return(NULL)
  prediction <- drop(x %*% object@beta)
  names(prediction) <- as.character(attr(newdata, "row.names"))
  if (!with_effects) return(prediction)
  modes <- ranef(object, condVar = FALSE)
  for (bar in formula$bars) {
    effects <- predicted_effects(bar, modes, object@frame, newdata, n)
    if (is.null(effects)) return(NULL)
    prediction <- prediction + effects
  }
  prediction
}

# The columns that a sum of numeric variables makes of new data; NULL where it is no such sum or a value is missing.
new_columns <- function(expression, frame, newdata, n) {
  names <- if (identical(expression, 1)) "(Intercept)" else numeric_columns(expression, frame)
  for (name in names[names != "(Intercept)"]) {
    value <- .subset2(newdata, name)
    if (!is_plain_number(value) || length(value) != n || anyNA(value)) return(NULL)
  }
  if (!is.null(names)) side_by_side(names, newdata)
}

# Z b of one term for new data.
predicted_effects <- function(bar, modes, frame, newdata, n) {
  if (!is.name(bar[[3L]])) return(NULL)
  name <- as.character(bar[[3L]])
  rows <- match_levels(.subset2(newdata, name), .subset2(frame, name), rownames(modes[[name]]))
  z <- new_columns(bar[[2L]], frame, newdata, n)
  if (is.null(z) || length(rows) != n || anyNA(rows) || !all(colnames(z) %in% names(modes[[name]]))) return(NULL)
  # A column that several terms of the factor have is for lme4 to add up.
  if (sum(names(modes[[name]]) %in% colnames(z)) != ncol(z)) return(NULL)
  effects <- numeric(n)
  for (column in colnames(z)) effects <- effects + modes[[name]][[column]][rows] * z[, column]
  effects
}

# Which of the fit's levels each new value is; NULL where the variable has another type than in the fit.
match_levels <- function(new, old, levels) {
  texts <- (is.factor(new) || is.character(new)) && (is.factor(old) || is.character(old))
  if (texts || (is.integer(new) && is.integer(old) && !is.object(new))) match(as.character(new), levels)
}
