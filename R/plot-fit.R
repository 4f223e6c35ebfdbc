#' Pictures of a fitted model
#'
#' `autoplot()` draws a linear mixed model with ggplot2: how its estimates of each level are drawn together, the levels' effects with
#' intervals, and whether the residuals are as they should be. `fortify()` with a `type` returns the data that are drawn, for those who draw
#' their own; without one it is lme4's, and so is `plot()`. The result is a ggplot: add a theme, scales and labels to it.
#'
#' @section Types:
#' \describe{
#' \item{`"shrinkage"`}{For each level of a grouping factor an arrow from what its own rows alone say (no pooling) to what the mixed model
#'   says (partial pooling, `coef()`), and the average level (complete pooling, `fixef()`). With two effects a level their plane is drawn,
#'   with contours of the fitted bivariate normal distribution, inside of which 50, 80 and 95 percent of all levels are expected; with one
#'   effect the levels are sorted, and bands stand for the contours; with three or four there is a panel for each pair.}
#' }
#' @section No pooling:
#' A level's own estimates are least squares, with the prior weights, of its own rows, of all effects that vary between the levels of
#' `group`. Everything else is held where the fit has it: other fixed effects, the offset, and the effects of other grouping factors at
#' their conditional modes. Where nothing else is in the model these are the estimates of `lme4::lmList()`. A level whose rows don't
#' determine its effects (too few of them, or a predictor that doesn't vary there) has none.
#'
#' Where the columns of the random effects aren't columns of the fixed effects, as in `y ~ condition + (0 + condition | subject)`, the
#' average is what the fixed effects say of them, here the conditions' means; `coef()` adds what merely has the same name.
#'
#' @param object,model a fitted linear mixed model of `lmer()`, of lme4 or lmerTest.
#' @param type what to draw, see section Types.
#' @param group name of a grouping factor. By default the one with most effects a level, of several the one with most levels.
#' @param effects names of the effects to draw, as in `ranef()`; by default all, of more than four the first four.
#' @param data,... for [lme4::fortify.merMod()].
#' @return `autoplot()` returns a ggplot; its `$data` is what `fortify()` returns, a data frame with
#'   \describe{
#'   \item{`"shrinkage"`}{a row per level and effect: `group`, `level`, `effect`, `rows` (of the level), `no_pooling` (`NA` where the
#'     level's own rows don't determine it), `partial_pooling` and `complete_pooling`; the effects' covariance matrix between levels is in
#'     the attribute `covariance`.}
#'   }
#' @section Errors:
#' Of class `fastlmer_argument_error` for an argument that has no meaning for the fit, with what is possible;
#' `fastlmer_unsupported_error` for fits of data in chunks, where the picture needs rows, and for covariance structures that only newer
#' versions of lme4 have, where it needs a level's own estimates; `fastlmer_package_error` without ggplot2.
#' @references
#' Gelman and Hill (2007) Data Analysis Using Regression and Multilevel/Hierarchical Models. Cambridge University Press, chapter 12.
#'
#' Bates (2010) lme4: Mixed-effects modeling with R. Chapter 4, for shrinkage plots.
#' @seealso [lme4::plot.merMod()] and [lme4::dotplot.ranef.mer()] for lattice's pictures, [convergence()]
#' @examples
#' fit <- lmer(Reaction ~ Days + (Days | Subject), sleepstudy)
#' if (requireNamespace("ggplot2")) {
#'   ggplot2::autoplot(fit)
#'   head(ggplot2::fortify(fit, type = "shrinkage"))
#' }
#' @name autoplot.lmerMod
NULL

#' @rdname autoplot.lmerMod
#' @exportS3Method ggplot2::autoplot
autoplot.lmerMod <- function(object, type = "shrinkage", group = NULL, effects = NULL, ...) {
  needs_ggplot2("a fit")
  picture_of_fit("draw", object, type, list(group = group, effects = effects), ...)
}

#' @rdname autoplot.lmerMod
#' @exportS3Method ggplot2::fortify
fortify.lmerMod <- function(model, data, type = NULL, group = NULL, effects = NULL, ...) {
  # lme4 has the method, but doesn't tell R of it
  if (is.null(type)) return(if (missing(data)) lme4::fortify.merMod(model, ...) else lme4::fortify.merMod(model, data, ...))
  picture_of_fit("data", model, type, list(group = group, effects = effects), ...)
}

# Calls the picture's function with those of the arguments that were given.
picture_of_fit <- function(what, object, type, arguments, ...) {
  pictures <- fit_pictures()
  use <- pictures[[one_choice(type, names(pictures), "type")]][[what]]
  given <- c(Filter(Negate(is.null), arguments), list(...))
  unknown <- setdiff(names(given), names(formals(use)))
  if (length(unknown) || !all(nzchar(names(given)))) {
    name <- if (length(unknown)) paste0("'", unknown[1L], "'") else "a value without name"
    known <- paste0("'", names(formals(use))[-1L], "'", collapse = ", ")
    fail("argument", sprintf("%s isn't an argument of type = \"%s\", which takes %s", name, type, known))
  }
  do.call(use, c(list(object), given))
}

# Per type the function that computes its data and the one that draws them; both take what the picture's arguments are.
fit_pictures <- function() {
  list(
    shrinkage = list(data = shrinkage_data, draw = draw_shrinkage)
  )
}

# The grouping factor to draw: by default the one with most effects, of several the one with most levels, which is lme4's first.
checked_group <- function(object, group) {
  known <- names(object@flist)
  if (is.null(group)) {
    effects <- vapply(seq_along(known), function(i) sum(lengths(object@cnms)[attr(object@flist, "assign") == i]), 0)
    return(known[which.max(effects)])
  }
  one_choice(group, known, "group")
}

checked_effects <- function(effects, known, at_most = 4L) {
  if (is.null(effects)) return(utils::head(known, at_most))
  if (!is.character(effects) || !length(effects) || anyDuplicated(effects) || !all(effects %in% known)) {
    fail("argument", "'effects' must be among the effects that vary between levels: ", paste(sQuote(known, FALSE), collapse = ", "))
  }
  effects
}
