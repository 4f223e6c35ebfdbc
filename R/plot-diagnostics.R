# Are the residuals and the levels' effects as the model says they are? See autoplot.lmerMod(). All panels are parts of one data frame:
#   panel               residuals, scale, normal, groups
#   name                what stands above it
#   shape               "point", or "bin" of a number of rows, "level" of a grouping factor
#   x, y                a point's or a bin's middle; of a level its number and median
#   xmin, xmax          a bin's sides
#   ymin, ymax          a bin's sides; of a normal plot's point the band; of a level the extremes
#   lower, upper        a level's quartiles
#   rows                how many rows it stands for
#   level               its name

# Of more rows than this bins are drawn, and of a normal plot as many of its points.
most_points <- 5000L
most_quantiles <- 1000L

diagnostics_data <- function(object, group = NULL) {
  diagnostic_panels(object, c("residuals", "scale", "normal", "groups"), group)
}

diagnostics_picture <- function(object, group = NULL) draw_panels(object, diagnostics_data(object, group), "Diagnostics of the fit")

residuals_data <- function(object) diagnostic_panels(object, "residuals")
residuals_picture <- function(object) {
  draw_panels(object, residuals_data(object), "Residuals by fitted value") + fitted_axes(object, residual_name(object))
}

scale_data <- function(object) diagnostic_panels(object, "scale")
scale_picture <- function(object) {
  draw_panels(object, scale_data(object), "Spread by fitted value") + fitted_axes(object, "Root of the absolute standardised residual")
}

normal_data <- function(object) diagnostic_panels(object, "normal")
normal_picture <- function(object) {
  draw_panels(object, normal_data(object), "Normal plots") +
    ggplot2::labs(x = "Quantile of the normal distribution", y = "Quantile of the fit")
}

groups_data <- function(object, group = NULL) diagnostic_panels(object, "groups", group)

diagnostic_panels <- function(object, panels, group = NULL) {
  needs_rows(object)
  group <- checked_group(object, group)
  fit <- residuals_of_rows(object, group)
  parts <- list(
    residuals = function() rows_or_bins("residuals", "Residuals by fitted value", fit$fitted, fit$residual),
    scale = function() rows_or_bins("scale", "Spread by fitted value", fit$fitted, sqrt(abs(fit$standardised))),
    normal = function() normal_panels(object, fit),
    groups = function() level_rows(fit, group)
  )
  data <- do.call(rbind, lapply(unname(parts[panels]), function(part) part()))
  data$panel <- factor(data$panel, panels)
  data$name <- factor(data$name, unique(data$name))
  data
}

# Residuals are those in units of the response, times the root of the prior weights where there are any.
residuals_of_rows <- function(object, group) {
  residual <- as.vector(stats::residuals(object, type = "pearson"))
  fitted <- as.vector(stats::fitted(object))
  used <- !is.na(fitted)
  residual <- residual[used]
  sigma <- stats::sigma(object)
  list(
    fitted = fitted[used], residual = residual, standardised = if (isTRUE(sigma > 0)) residual / sigma else residual,
    level = object@flist[[group]]
  )
}

residual_name <- function(object) {
  weighted <- any(object@resp$weights != 1)
  name_with_unit(if (weighted) "Weighted residual" else "Residual", structure(0, units = attr(object@frame[[1L]], "units", exact = TRUE)))
}

panel_rows <- function(panel, name, shape, x, y, xmin = NA_real_, xmax = NA_real_, ymin = NA_real_, ymax = NA_real_, lower = NA_real_,
                       upper = NA_real_, rows = 1L, level = NA_character_) {
  data.frame(panel, name, shape, x, y, xmin, xmax, ymin, ymax, lower, upper, rows, level)
}

rows_or_bins <- function(panel, name, x, y, bins = c(60L, 40L)) {
  if (length(x) <= most_points) return(panel_rows(panel, name, "point", x, y))
  across <- bins_of(x, bins[1L])
  up <- bins_of(y, bins[2L])
  count <- tabulate(across$bin + bins[1L] * (up$bin - 1L), prod(bins))
  full <- which(count > 0L)
  i <- (full - 1L) %% bins[1L] + 1L
  j <- (full - 1L) %/% bins[1L] + 1L
  panel_rows(
    panel, name, "bin", (across$sides[i] + across$sides[i + 1L]) / 2, (up$sides[j] + up$sides[j + 1L]) / 2, across$sides[i],
    across$sides[i + 1L], up$sides[j], up$sides[j + 1L], rows = count[full]
  )
}

bins_of <- function(values, number) {
  sides <- seq(min(values), max(values), length.out = number + 1L)
  if (sides[1L] == sides[number + 1L]) sides <- sides[1L] + (seq_along(sides) - 1) * max(abs(sides[1L]), 1) * 1e-6
  list(bin = findInterval(values, sides, rightmost.closed = TRUE, all.inside = TRUE), sides = sides)
}

# Of the residuals, and of the conditional modes of each effect.
normal_panels <- function(object, fit, most = 4L) {
  modes <- lme4::ranef(object, condVar = FALSE)
  effects <- unlist(lapply(names(modes), function(group) {
    lapply(colnames(modes[[group]]), function(effect) {
      name <- effect_name(effect, object)
      list(
        name = paste0("Normal plot: ", group, ", ", name), values = modes[[group]][[effect]], levels = rownames(modes[[group]])
      )
    })
  }), recursive = FALSE)
  rest <- lapply(utils::head(effects, most), function(effect) quantile_rows(effect$name, effect$values, effect$levels))
  do.call(rbind, c(list(quantile_rows("Normal plot: residuals", fit$standardised)), rest))
}

# Points of a normal plot, of many those in the tails and others evenly between them; with the band in which 95 % of such a point's values
# would be, if it were normal with the quartiles that there are (Thode 2002, Testing for Normality, section 2.2.1).
quantile_rows <- function(name, values, levels = NULL, tail = 100L) {
  n <- length(values)
  order <- order(values)
  at <- seq_len(n)
  if (n > most_quantiles) {
    middle <- stats::pnorm(seq(-1, 1, length.out = most_quantiles - 2L * tail) * stats::qnorm(1 - tail / n)) * n
    at <- sort(unique(c(at[seq_len(tail)], n + 1L - seq_len(tail), round(middle))))
  }
  line <- quartile_line(values)
  place <- function(share) line[["intercept"]] + line[["slope"]] * stats::qnorm(share)
  panel_rows(
    "normal", name, "point", stats::qnorm(stats::ppoints(n)[at]), values[order[at]],
    ymin = place(stats::qbeta(0.025, at, n + 1 - at)), ymax = place(stats::qbeta(0.975, at, n + 1 - at)),
    level = if (is.null(levels)) NA_character_ else levels[order[at]]
  )
}

quartile_line <- function(values) {
  quartiles <- stats::quantile(values, c(0.25, 0.75), names = FALSE)
  slope <- diff(quartiles) / diff(stats::qnorm(c(0.25, 0.75)))
  list(slope = slope, intercept = mean(quartiles))
}

# Median, quartiles and extremes of each level's residuals, sorted by the median.
level_rows <- function(fit, group) {
  codes <- as.integer(fit$level)
  order <- order(codes, fit$residual)
  sorted <- fit$residual[order]
  rows <- tabulate(codes, nlevels(fit$level))
  first <- cumsum(rows) - rows
  # R's default quantiles, for all levels at once
  at <- function(share) {
    place <- (rows - 1) * share
    low <- first + floor(place) + 1
    high <- first + ceiling(place) + 1
    sorted[low] + (place - floor(place)) * (sorted[high] - sorted[low])
  }
  middle <- at(0.5)
  number <- order(order(middle))
  panel_rows(
    "groups", paste("Residuals by", group), "level", number, middle, ymin = at(0), ymax = at(1), lower = at(0.25), upper = at(0.75),
    rows = rows, level = levels(fit$level)
  )
}
