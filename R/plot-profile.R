#' Pictures of likelihood profiles
#'
#' `autoplot()` of a profile, of [profile()][profile.lmerMod] here or of lme4's, draws what its four kinds of picture show: how the
#' likelihood falls away from the estimates, and where the confidence intervals end.
#'
#' @section What is drawn:
#' * *zeta*: the signed root of the deviance's rise against each parameter, with the intervals' ends. Where the profile is a straight line
#'   the likelihood is like a normal one and intervals are symmetric; where it bends they aren't. With `absolute = TRUE` |zeta|: intervals
#'   are bars across the curve, and lie at the height of their level.
#' * *density*: the density of the distribution whose quantiles are the ends of the profile's intervals, with areas of these levels. At a
#'   boundary a part of it is cut off.
#' * *pairs*: for two parameters at a time, contours of the region in which both lie with that confidence (by the chi-squared distribution
#'   with two degrees of freedom) and the two traces: where one is at its best, given the other. Contours go through four points of the
#'   profiles and are interpolated between these (Bates and Watts 1988, section 6.1.2). On the diagonal are the densities. The regions end
#'   where a parameter has its boundary.
#' * *intervals*: the intervals of all levels, a row for each parameter. The default for more than 20 parameters.
#'
#' @param object,model,x a profile.
#' @param type `"zeta"`, `"density"`, `"pairs"` or `"intervals"`.
#' @param which which parameters: numbers, names as in the profile, `"theta_"` (variances) or `"beta_"` (fixed effects).
#' @param level confidence levels.
#' @param absolute `TRUE` for |zeta|.
#' @param data not used.
#' @param ... for `plot()`: arguments of `autoplot()`; else not used.
#' @return `autoplot()` and `plot()`: a ggplot. `fortify()`: its data frame, which has a column `parameter` and
#'   * for `"zeta"` and `"density"` the points of the curves, `value` and `zeta` or `density`;
#'   * for `"pairs"` the contours: `parameter` and `value` (across), `other` and `other_value` (upwards), `level`;
#'   * for `"intervals"` `level`, `estimate`, `conf.low`, `conf.high`, as [lme4::confint.thpr()] has them.
#' @references Bates, D. M. and Watts, D. G. (1988) *Nonlinear Regression Analysis and Its Applications*. Wiley.
#' @seealso [profile.lmerMod()], [confint.lmerMod()]; `lattice::xyplot()` and its kin draw profiles with lme4's methods
#' @examples
#' if (requireNamespace("ggplot2")) {
#'   profiles <- profile(lmer(Reaction ~ Days + (Days | Subject), sleepstudy))
#'   plot(profiles)
#'   plot(profiles, "density", which = "theta_")
#'   plot(profiles, "pairs", which = c("(Intercept)", "Days", ".sigma"))
#'   head(ggplot2::fortify(profiles, type = "intervals"))
#' }
#' @method autoplot thpr
#' @rawNamespace S3method(ggplot2::autoplot,thpr)
autoplot.thpr <- function(object, type = NULL, which = NULL, level = c(0.5, 0.8, 0.9, 0.95, 0.99), absolute = FALSE, ...) {
  needs_ggplot2("a profile")
  shown <- profile_choice(object, which)
  type <- one_choice(type %||% if (length(shown) > 20L) "intervals" else "zeta", names(profile_pictures()), "type")
  level <- checked_levels(level)
  data <- fortify.thpr(object, type = type, which = shown, level = level)
  profile_pictures()[[type]](object, data, shown, level, isTRUE(absolute))
}

#' @rdname autoplot.thpr
#' @method fortify thpr
#' @rawNamespace S3method(ggplot2::fortify,thpr)
fortify.thpr <- function(model, data, type = "zeta", which = NULL, level = c(0.5, 0.8, 0.9, 0.95, 0.99), ...) {
  shown <- profile_choice(model, which)
  level <- checked_levels(level)
  switch(one_choice(type, names(profile_pictures()), "type"),
    zeta = profile_curves(model, shown, level)[c("parameter", "value", "zeta")],
    density = profile_curves(model, shown, level)[c("parameter", "value", "density")],
    pairs = profile_contours(model, shown, level), intervals = profile_ends(model, shown, level)
  )
}

#' @rdname autoplot.thpr
#' @export
plot.thpr <- function(x, ...) autoplot.thpr(x, ...)

profile_pictures <- function() list(zeta = zeta_picture, density = density_picture, pairs = pairs_picture, intervals = intervals_picture)

# Names of the profile's parameters that are asked for.
profile_choice <- function(profile, which) {
  names <- names(attr(profile, "forward"))
  variance <- grepl("^([.]l?sig|sd_|cor_|var_|cov_|sigma$)", names)
  if (identical(which, "theta_")) which <- names[variance]
  if (identical(which, "beta_")) which <- names[!variance]
  names[chosen_numbers(which, names, "which")]
}

checked_levels <- function(level) {
  if (!is.numeric(level) || !length(level) || anyNA(level) || any(level <= 0 | level >= 1)) {
    fail("argument", "'level' must be numbers between 0 and 1")
  }
  if (length(unique(level)) > 7L) fail("argument", "'level' must be seven levels at most")
  sort(unique(level))
}

# What a parameter is called: in words, where the profile knows them.
profile_words <- function(profile, names) {
  labels <- attr(profile, "labels")
  known <- names %in% names(labels)
  names[known] <- labels[names[known]]
  parameter_words(names)
}

profile_factor <- function(profile, names, shown) factor(profile_words(profile, names), profile_words(profile, shown))

# The points that were computed for a parameter.
profile_rows <- function(profile, name) {
  rows <- as.data.frame(unclass(profile)[names(profile)], optional = TRUE)[profile$.par == name & !is.na(profile$.zeta), ]
  rows[order(rows[[name]]), ]
}

# A parameter's curve up to a little beyond the highest level: `value`, `zeta`, `density`.
profile_curves <- function(profile, shown, level, points = 200L) {
  highest <- 1.05 * stats::qnorm((1 + max(level)) / 2)
  curves <- lapply(shown, function(name) {
    rows <- profile_rows(profile, name)
    spline <- attr(profile, "forward")[[name]]
    if (!inherits(spline, "spline") || is_flat(rows$.zeta)) {
      return(data.frame(name = name, value = rows[[name]], zeta = rows$.zeta, density = NA_real_))
    }
    ends <- c(profile_value(profile, name, -highest), profile_value(profile, name, highest))
    ends <- ifelse(is.na(ends), range(rows[[name]]), ends)
    value <- sort(unique(c(seq(ends[[1L]], ends[[2L]], length.out = points), rows[[name]][rows$.zeta == 0])))
    zeta <- stats::predict(spline, value)$y
    slope <- stats::predict(spline, value, deriv = 1L)$y
    data.frame(name = name, value = value, zeta = zeta, density = stats::dnorm(zeta) * pmax(slope, 0))
  })
  curves <- do.call(rbind, curves)
  data.frame(parameter = profile_factor(profile, curves$name, shown), curves[-1L])
}

# All values are equally likely: a correlation of effects that don't vary.
is_flat <- function(zeta) all(abs(zeta) < 1e-3)

# Where a parameter's zeta has these values; NA beyond its profile.
profile_value <- function(profile, name, zeta) {
  backward <- attr(profile, "backward")[[name]]
  if (inherits(backward, "spline")) {
    value <- stats::predict(backward, zeta)$y
    ends <- range(profile$.zeta[profile$.par == name], na.rm = TRUE)
    value[zeta < ends[[1L]] - 1e-6 | zeta > ends[[2L]] + 1e-6] <- NA
    return(value)
  }
  rows <- profile_rows(profile, name)
  if (anyDuplicated(rows$.zeta) || is.unsorted(rows$.zeta)) return(rep(NA_real_, length(zeta)))
  stats::approx(rows$.zeta, rows[[name]], zeta)$y
}

# Intervals of all levels; at a boundary they end there.
profile_ends <- function(profile, shown, level) {
  names <- names(attr(profile, "forward"))
  tables <- lapply(level, function(level) suppressWarnings(stats::confint(profile, level = level)))
  estimate <- vapply(shown, function(name) {
    rows <- profile_rows(profile, name)
    rows[[name]][which.min(abs(rows$.zeta))]
  }, 0)
  data.frame(
    parameter = profile_factor(profile, rep(shown, length(level)), shown), level = rep(level, each = length(shown)),
    estimate = rep(unname(estimate), length(level)), conf.low = unlist(lapply(tables, function(t) t[match(shown, rownames(t)), 1L])),
    conf.high = unlist(lapply(tables, function(t) t[match(shown, rownames(t)), 2L])), row.names = NULL
  )
}

level_words <- function(level) paste(format(100 * level, digits = 4L, trim = TRUE), "%")

level_factor <- function(level) factor(level_words(level), unique(level_words(sort(level))))

# Darker where one is surer that the parameter lies there.
level_scale <- function(aesthetic = c("fill", "colour"), level) {
  scale <- if (match.arg(aesthetic) == "fill") ggplot2::scale_fill_manual else ggplot2::scale_colour_manual
  shades <- c("#08306B", "#08519C", "#2171B5", "#4292C6", "#6BAED6", "#9ECAE1", "#C6DBEF")
  chosen <- shades[round(seq(1, 7, length.out = max(length(level), 2L)))][seq_along(level)]
  scale(values = stats::setNames(chosen, level_words(level)), name = "confidence", drop = FALSE)
}

zeta_picture <- function(profile, data, shown, level, absolute) {
  .data <- ggplot2::.data
  aes <- ggplot2::aes
  height <- stats::qnorm((1 + level) / 2)
  ends <- profile_ends(profile, shown, level)
  ends$zeta <- height[match(ends$level, level)]
  estimates <- ends[ends$level == level[[1L]], ]
  bars <- if (absolute) {
    data$zeta <- abs(data$zeta)
    ggplot2::geom_segment(
      aes(.data$conf.low, .data$zeta, xend = .data$conf.high, yend = .data$zeta), ends, colour = picture_colours[["blue"]], na.rm = TRUE
    )
  } else {
    reached <- rbind(
      data.frame(parameter = ends$parameter, value = ends$conf.low, zeta = -ends$zeta),
      data.frame(parameter = ends$parameter, value = ends$conf.high, zeta = ends$zeta)
    )
    names <- shown[as.integer(reached$parameter)]
    reached <- reached[!is.na(unlist(Map(function(name, zeta) profile_value(profile, name, zeta), names, reached$zeta))), ]
    ggplot2::geom_segment(
      aes(.data$value, .data$zeta, xend = .data$value, yend = 0), reached, colour = picture_colours[["blue"]], na.rm = TRUE
    )
  }
  named <- readable_marks(height, level, length(shown), absolute)
  words <- level_words(level[named])
  side <- ggplot2::sec_axis(
    ~., breaks = if (absolute) height[named] else c(-height[named], height[named]), labels = if (absolute) words else c(words, words),
    name = "confidence"
  )
  ggplot2::ggplot(data, aes(.data$value, .data$zeta)) + bars + ggplot2::geom_line(linewidth = 0.8) +
    ggplot2::geom_point(aes(.data$estimate, 0), estimates) +
    ggplot2::facet_wrap(ggplot2::vars(.data$parameter), scales = "free_x", labeller = facet_words(facet_width(length(shown)))) +
    sparse_axis(length(shown)) + ggplot2::scale_y_continuous(n.breaks = if (length(shown) > 9L) 3 else 5, sec.axis = side) +
    ggplot2::labs(
      x = "value of the parameter", y = if (absolute) "|zeta|" else "zeta: signed root of the deviance's rise",
      title = "Likelihood profiles",
      subtitle = paste0("point: estimate; ", if (absolute) "bars: intervals" else "vertical lines: ends of the intervals"),
      caption = flat_caption(profile, shown)
    )
}

# Which levels can have their names beside the axis without touching each other, in facets on half a page; that of 95 % first.
readable_marks <- function(height, level, facets, absolute) {
  rows <- ggplot2::wrap_dims(facets)[[1L]]
  range <- 1.1 * max(height) * if (absolute) 1 else 2
  gap <- range * 13 / max(400 / rows - 40, 40)
  kept <- integer()
  for (i in order(abs(level - 0.95), -level)) {
    if (all(abs(height[i] - height[kept]) >= gap) && (absolute || 2 * height[i] >= gap)) kept <- c(kept, i)
  }
  kept
}

flat_caption <- function(profile, shown) {
  flat <- shown[vapply(shown, function(name) is_flat(profile_rows(profile, name)$.zeta), NA)]
  bent <- shown[!vapply(attr(profile, "forward")[shown], inherits, NA, "spline")]
  texts <- c(
    if (length(flat)) paste("undetermined, all values are as likely:", paste(profile_words(profile, flat), collapse = ", ")),
    if (length(bent)) paste("not monotone, points are joined:", paste(profile_words(profile, bent), collapse = ", "))
  )
  if (length(texts)) paste(texts, collapse = "\n")
}

# The curves with areas, one within the other, for each level.
profile_areas <- function(profile, shown, level) {
  curves <- profile_curves(profile, shown, level)
  ends <- profile_ends(profile, shown, level)
  areas <- lapply(rev(seq_len(nrow(ends))), function(i) {
    curve <- curves[curves$parameter == ends$parameter[[i]] & !is.na(curves$density), ]
    low <- ends$conf.low[[i]]
    high <- ends$conf.high[[i]]
    if (!nrow(curve) || is.na(low) || is.na(high)) return(NULL)
    value <- sort(c(low, high, curve$value[curve$value > low & curve$value < high]))
    density <- stats::approx(curve$value, curve$density, value, rule = 2)$y
    data.frame(parameter = ends$parameter[[i]], level = ends$level[[i]], value = value, density = density)
  })
  areas <- do.call(rbind, areas)
  areas$confidence <- level_factor(areas$level)
  areas[order(-areas$level), ]
}

density_picture <- function(profile, data, shown, level, ...) {
  .data <- ggplot2::.data
  aes <- ggplot2::aes
  ggplot2::ggplot(data, aes(.data$value, .data$density)) + area_layers(profile_areas(profile, shown, level)) +
    ggplot2::geom_line(linewidth = 0.8, na.rm = TRUE) + level_scale("fill", level) +
    ggplot2::facet_wrap(ggplot2::vars(.data$parameter), scales = "free", labeller = facet_words(facet_width(length(shown), 60L))) +
    sparse_axis(length(shown)) + (if (length(shown) > 9L) ggplot2::scale_y_continuous(breaks = NULL)) + ggplot2::labs(
      x = "value of the parameter", y = "density", title = "Densities by likelihood profiles", caption = flat_caption(profile, shown)
    )
}

# The largest area first, that the smaller ones lie on it.
area_layers <- function(areas, mapping = NULL) {
  .data <- ggplot2::.data
  mapping <- mapping %||% ggplot2::aes(.data$value, ymin = 0, ymax = .data$density, fill = .data$confidence)
  lapply(split(areas, -areas$level), function(area) {
    ggplot2::geom_ribbon(mapping, area, inherit.aes = FALSE)
  })
}

intervals_picture <- function(profile, data, shown, level, ...) {
  .data <- ggplot2::.data
  aes <- ggplot2::aes
  many <- length(shown) > readable_names
  estimates <- data[data$level == level[[1L]], ]
  ordered <- if (many) levels(data$parameter)[order(estimates$estimate)] else rev(levels(data$parameter))
  data <- data[order(-data$level), ]
  data$confidence <- level_factor(data$level)
  data$parameter <- factor(data$parameter, ordered)
  estimates$parameter <- factor(estimates$parameter, ordered)
  width <- if (many) 0.4 else if (length(shown) > 30L) 1.2 else 3
  data$kind <- parameter_kind(data$parameter)
  estimates$kind <- parameter_kind(estimates$parameter)
  ggplot2::ggplot(data, aes(.data$estimate, .data$parameter)) +
    ggplot2::geom_linerange(
      aes(xmin = .data$conf.low, xmax = .data$conf.high, colour = .data$confidence), linewidth = width, na.rm = TRUE
    ) +
    ggplot2::geom_point(data = estimates, size = if (many) 0.2 else 1) + level_scale("colour", level) + levels_axis() +
    (if (length(unique(data$kind)) > 1L) ggplot2::facet_wrap(ggplot2::vars(.data$kind), scales = "free", ncol = 1L)) + ggplot2::labs(
      x = "value of the parameter", y = if (many) paste0(counted(length(shown), "parameter"), ", ordered by estimate"),
      title = "Intervals by likelihood profiles", subtitle = "points: estimates", caption = flat_caption(profile, shown)
    )
}

# Kinds of parameters, which have other units.
parameter_kind <- function(words) {
  words <- as.character(words)
  kinds <- c("standard deviations", "correlations", "variances and covariances", "fixed effects")
  kind <- ifelse(grepl("^(SD of|residual SD|[.]l?sig)", words), 1L, ifelse(grepl("^cor. of", words), 2L, 4L))
  kind[grepl("^(variance of|cov. of|residual variance|[.]sigsq)", words)] <- 3L
  factor(kinds[kind], kinds)
}
