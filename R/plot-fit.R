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
#' \item{`"pooling"`}{The data of some levels with three lines: by the level's own rows alone, over their range; by the mixed model; and of
#'   the average level. Of more than 20 levels twelve are drawn unless `levels` are given: evenly from the lowest to the highest by the
#'   model's first effect. Other predictors are at the level's mean or most frequent value, other grouping factors' effects at zero. Of a
#'   level with more than 200 rows so many are drawn, evenly by their order.}
#' \item{`"caterpillar"`}{The levels' effects, `ranef()`, each with an interval by its conditional variance, sorted: a panel for each
#'   effect of each grouping factor. Names are left out where there are more than 80, but for the lowest and the highest.}
#' \item{`"residuals"`, `"scale"`}{Residuals by fitted value, and the root of their absolute standardised values, with a local regression.}
#' \item{`"normal"`}{Normal plots of the standardised residuals and of the conditional modes of the first four effects. The line goes
#'   through the quartiles; in the bands are 95 percent of the points, each by itself, of a sample of independent normal values.}
#' \item{`"groups"`}{Residuals by level of `group`: median, quartiles and extremes, sorted by the median.}
#' \item{`"diagnostics"`}{The last four in one.}
#' }
#' Residuals are conditional, and with prior weights are times their roots. Of more than 5,000 rows the picture has bins instead of points,
#' of more than 1,000 values a normal plot has the tails and some of the quantiles between them: always the same ones.
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
#' @param group name of a grouping factor. By default the one with most effects a level, of several the one with most levels; for
#'   `"caterpillar"` all.
#' @param effects names of the effects to draw, as in `ranef()`; by default all, for `"shrinkage"` at most the first four.
#' @param levels names of the levels of `group` for `"pooling"`.
#' @param predictor name of the variable on the axis of `"pooling"`. By default the first number whose effect varies between the levels,
#'   else another number, else another variable; without predictors the rows are counted.
#' @param conf.level level of the intervals of `"caterpillar"`.
#' @param data,... for [lme4::fortify.merMod()].
#' @return `autoplot()` returns a ggplot; its `$data` is what `fortify()` returns, a data frame with
#'   \describe{
#'   \item{`"shrinkage"`}{a row per level and effect: `group`, `level`, `effect`, `rows` (of the level), `no_pooling` (`NA` where the
#'     level's own rows don't determine it), `partial_pooling` and `complete_pooling`; the effects' covariance matrix between levels is in
#'     the attribute `covariance`.}
#'   \item{`"pooling"`}{`level`; `kind`, one of `"data"` and the three lines; `x`, the predictor; `y`, the response, where there is an
#'     offset with the level's mean of it for its own. The names of factor and predictor are in the attributes `group` and `predictor`.}
#'   \item{`"caterpillar"`}{a row per level and effect: `group`, `level`, `effect`, `estimate`, `std.error`, `conf.low` and `conf.high`.}
#'   \item{the diagnostics}{a row per point, bin or level: `panel`, the type that it belongs to; `name`, what stands above it; `shape`,
#'     `"point"`, `"bin"` or `"level"`; `x` and `y`, of a bin its middle, of a level its number and median; `xmin`, `xmax`, `ymin` and
#'     `ymax`, a bin's sides, or the band of a normal plot, or a level's extremes; `lower` and `upper`, a level's quartiles; `rows`, how
#'     many rows it stands for; `level`, its name.}
#'   }
#' @section Errors:
#' Of class `fastlmer_argument_error` for an argument that has no meaning for the fit, with what is possible;
#' `fastlmer_unsupported_error` for fits of data in chunks, where the picture needs rows, and for covariance structures that only newer
#' versions of lme4 have, where it needs a level's own estimates; `fastlmer_package_error` without ggplot2.
#' @references
#' Gelman and Hill (2007) Data Analysis Using Regression and Multilevel/Hierarchical Models. Cambridge University Press, chapter 12.
#'
#' Bates (2010) lme4: Mixed-effects modeling with R. Chapter 4, for shrinkage plots.
#'
#' Pinheiro and Bates (2000) Mixed-Effects Models in S and S-PLUS. Springer, section 4.3, for the diagnostics.
#'
#' Cleveland (1979) Robust locally weighted regression and smoothing scatterplots. Journal of the American Statistical Association 74,
#' 829-836, \doi{10.1080/01621459.1979.10481038}.
#' @seealso [lme4::plot.merMod()] and [lme4::dotplot.ranef.mer()] for lattice's pictures, [convergence()]
#' @examples
#' fit <- lmer(Reaction ~ Days + (Days | Subject), sleepstudy)
#' if (requireNamespace("ggplot2")) {
#'   ggplot2::autoplot(fit)
#'   head(ggplot2::fortify(fit, type = "shrinkage"))
#'   ggplot2::autoplot(fit, "pooling")
#'   ggplot2::autoplot(fit, "caterpillar")
#'   ggplot2::autoplot(fit, "diagnostics")
#' }
#' @name autoplot.lmerMod
NULL

#' @rdname autoplot.lmerMod
#' @exportS3Method ggplot2::autoplot
autoplot.lmerMod <- function(object, type = "shrinkage", group = NULL, effects = NULL, levels = NULL, predictor = NULL,
                             conf.level = 0.95, ...) {
  needs_ggplot2("a fit")
  arguments <- list(group = group, effects = effects, levels = levels, predictor = predictor)
  if (!missing(conf.level)) arguments$conf.level <- conf.level
  picture_of_fit("draw", object, type, arguments, ...)
}

#' @rdname autoplot.lmerMod
#' @exportS3Method ggplot2::fortify
fortify.lmerMod <- function(model, data, type = NULL, group = NULL, effects = NULL, levels = NULL, predictor = NULL,
                             conf.level = 0.95, ...) {
  # lme4 has the method, but doesn't tell R of it
  if (is.null(type)) return(if (missing(data)) lme4::fortify.merMod(model, ...) else lme4::fortify.merMod(model, data, ...))
  arguments <- list(group = group, effects = effects, levels = levels, predictor = predictor)
  if (!missing(conf.level)) arguments$conf.level <- conf.level
  picture_of_fit("data", model, type, arguments, ...)
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
    shrinkage = list(data = shrinkage_data, draw = shrinkage_picture),
    pooling = list(data = pooling_data, draw = pooling_picture),
    caterpillar = list(data = caterpillar_data, draw = caterpillar_picture),
    diagnostics = list(data = diagnostics_data, draw = diagnostics_picture),
    residuals = list(data = residuals_data, draw = residuals_picture),
    scale = list(data = scale_data, draw = scale_picture),
    normal = list(data = normal_data, draw = normal_picture),
    groups = list(data = groups_data, draw = groups_picture)
  )
}

needs_rows <- function(object) {
  if (is_streamed(object)) {
    fail(
      "unsupported", "this picture needs the rows of the data, and a fit of data in chunks doesn't keep them: type = \"caterpillar\" ",
      "needs none"
    )
  }
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
