# Predictions for new data from a fit by the engine where all that enters is plain: sums of numeric variables, and grouping factors
# of which every level was there in the fit. Anything else, and every error, is lme4's; only the argument `offset` of the fit, which
# lme4 forgets here (and in simulate(newdata = )), is evaluated in the new data as predict.lm() does it.
#' @importFrom stats predict
#' @export
#' @noRd
predict.lmerMod <- function(object, newdata = NULL, newparams = NULL, re.form = NULL, ...) {
  if (is.null(newdata)) {
    refuse_without_rows(object, "predict() without 'newdata'")
    return(NextMethod())
  }
  plain <- is.data.frame(newdata) && is.null(newparams) && !...length() && (is.null(re.form) || keeps_none(re.form))
  prediction <- if (plain && is_fastlmer(object)) plain_prediction(object, newdata, is.null(re.form))
  if (is.null(prediction)) {
    own <- is.null(re.form) && is_exactly_lmer(object) && has_inner_bar(attr(object@frame, "formula")[[3L]])
    # of X lme4 wants to know which columns were dropped
    prediction <- without_columns(object, if (own) predict_by_lme4(object, newdata, newparams, ...) else NextMethod())
  }
  if (!is_exactly_lmer(object) || isTRUE(list(...)$random.only)) return(prediction)
  with_offset_argument(prediction, object, newdata)
}

# With the random effects by name, for lme4 takes every bar in a formula for theirs.
predict_by_lme4 <- function(object, newdata, newparams, ...) {
  effects <- stats::formula(object, random.only = TRUE)[-2L]
  for (bar in split_formula(attr(object@frame, "formula"))$bars) refuse_inner_bars(call("~", bar[[2L]]), "predict(newdata = )")
  lme4_predict(object, newdata, newparams, re.form = effects, ...)
}

# Adds what the fit's argument `offset` is for the new data.
with_offset_argument <- function(prediction, object, newdata) {
  if (!"(offset)" %in% names(object@frame)) return(prediction)
  offset <- new_offset(object, newdata)
  add <- function(values) {
    kept <- if (length(values) != length(offset)) match(names(values), row.names(newdata)) else seq_along(offset)
    values + offset[kept]
  }
  if (!is.list(prediction)) return(add(prediction))
  prediction$fit <- add(prediction$fit)
  prediction
}

new_offset <- function(object, newdata) {
  expression <- attr(object@frame, "offset") %||% object@call$offset
  refuse <- function(why) {
    stop(
      "the fit's argument 'offset' (", paste(deparse(expression), collapse = " "), ") can't be evaluated in 'newdata': ", why,
      "; add its variables to 'newdata', or fit with offset() in the formula", call. = FALSE
    )
  }
  offset <- tryCatch(
    eval(expression, newdata, environment(attr(object@frame, "formula"))), error = function(e) refuse(conditionMessage(e))
  )
  if (!is.numeric(offset) && !is.logical(offset)) refuse("it isn't numeric")
  if (length(offset) != nrow(newdata)) refuse(sprintf("it has %d values for %d rows", length(offset), nrow(newdata)))
  as.numeric(offset)
}

plain_prediction <- function(object, newdata, with_effects) {
  n <- .row_names_info(newdata, 2L)
  formula <- split_formula(attr(object@frame, "formula"))
  if (is.null(formula) || !is.null(attr(attr(object@frame, "terms"), "offset")) || n == 0L) return(NULL)
  prediction <- fixed_prediction(object, formula$fixed[[3L]], newdata, n)
  if (is.null(prediction)) return(NULL)
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

# X beta for new data.
fixed_prediction <- function(object, expression, newdata, n) {
  if (!length(object@beta)) return(numeric(n))
  x <- new_columns(expression, object@frame, newdata, n)
  if (identical(colnames(x), fixed_names(object))) drop(x %*% object@beta)
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
