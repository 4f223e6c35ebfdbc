# The drawing of what plot-diagnostics.R computes.

draw_panels <- function(object, data, title) {
  several <- nlevels(data$name) > 1L
  columns <- if (nlevels(data$name) > 4L) 3L else 2L
  ggplot2::ggplot(data) +
    rows_layers(data[data$panel %in% c("residuals", "scale"), ], several) +
    normal_layers(data[data$panel == "normal", ]) +
    level_layers(data[data$panel == "groups", ]) +
    (if (several) ggplot2::facet_wrap(~name, scales = "free", ncol = columns, labeller = facet_words(26L))) +
    ggplot2::labs(x = NULL, y = NULL, title = title, caption = caption_of(diagnostic_notes(data, object)))
}

# Rows or bins of them, with a smooth line; zero is where residuals should be.
rows_layers <- function(data, several) {
  if (!nrow(data)) return(NULL)
  aes <- ggplot2::aes
  .data <- ggplot2::.data
  zero <- unique(data[data$panel == "residuals", "name", drop = FALSE])
  binned <- data$shape[[1L]] == "bin"
  list(
    if (binned) {
      ggplot2::geom_rect(
        aes(xmin = .data$xmin, xmax = .data$xmax, ymin = .data$ymin, ymax = .data$ymax, fill = .data$rows), data = data
      )
    } else {
      ggplot2::geom_point(
        aes(.data$x, .data$y), data = data, size = if (nrow(data) <= 1000L) 1.2 else 0.6, alpha = if (nrow(data) <= 1000L) 0.7 else 0.4
      )
    },
    if (binned) {
      ggplot2::scale_fill_gradient(
        "rows", low = "#D3E4F0", high = "#08306B", trans = "log10", labels = with_commas, guide = if (several) "none" else "colourbar"
      )
    },
    if (nrow(zero)) ggplot2::geom_hline(aes(yintercept = .data$zero), data = cbind(zero, zero = 0), linetype = "dashed"),
    ggplot2::geom_line(aes(.data$x, .data$y), data = smooth_lines(data), colour = picture_colours[["orange"]], linewidth = 0.8)
  )
}

# Local regression: of the rows, or of the bins' columns.
smooth_lines <- function(data) {
  do.call(rbind, lapply(split(data, droplevels(data$name)), function(panel) {
    if (panel$shape[[1L]] == "point") {
      line <- stats::lowess(panel$x, panel$y)
      line <- list(x = line$x, y = line$y)[c("x", "y")]
    } else {
      total <- rowsum(cbind(panel$rows, panel$rows * panel$y), panel$x)
      columns <- data.frame(x = as.numeric(rownames(total)), y = total[, 2L] / total[, 1L], rows = total[, 1L])
      columns <- columns[columns$rows >= 20, ]
      if (nrow(columns) < 10L) return(NULL)
      fit <- stats::loess(y ~ x, columns, weights = columns$rows, span = 0.5, degree = 1)
      line <- list(x = columns$x, y = unname(fit$fitted))
    }
    data.frame(name = panel$name[[1L]], x = line$x, y = line$y)
  }))
}

normal_layers <- function(data) {
  if (!nrow(data)) return(NULL)
  aes <- ggplot2::aes
  .data <- ggplot2::.data
  list(
    ggplot2::geom_ribbon(aes(.data$x, ymin = .data$ymin, ymax = .data$ymax), data = data, fill = picture_colours[["blue"]], alpha = 0.2),
    ggplot2::geom_line(aes(.data$x, (.data$ymin + .data$ymax) / 2), data = data, colour = picture_colours[["blue"]]),
    ggplot2::geom_point(aes(.data$x, .data$y), data = data, size = if (nrow(data) <= 1000L) 1.2 else 0.6)
  )
}

level_layers <- function(data) {
  if (!nrow(data)) return(NULL)
  aes <- ggplot2::aes
  .data <- ggplot2::.data
  count <- nrow(data)
  blue <- picture_colours[["blue"]]
  width <- if (count <= 40L) 2.5 else if (count <= 200L) 1 else 0.3
  line <- function(mapping, ...) ggplot2::geom_linerange(mapping, data = data, colour = blue, ...)
  list(
    ggplot2::geom_hline(aes(yintercept = .data$zero), data = cbind(unique(data["name"]), zero = 0), linetype = "dashed"),
    line(aes(.data$x, ymin = .data$ymin, ymax = .data$ymax), linewidth = width / 5, alpha = 0.6),
    line(aes(.data$x, ymin = .data$lower, ymax = .data$upper), linewidth = width),
    ggplot2::geom_point(aes(.data$x, .data$y), data = data, size = 0.75 * point_size(count))
  )
}

# Levels up the side, with their names.
groups_picture <- function(object, group = NULL) {
  group <- checked_group(object, group)
  data <- groups_data(object, group)
  named <- named_levels(data$level[order(data$x)])
  ggplot2::ggplot(data) + level_layers(data) + ggplot2::coord_flip() +
    ggplot2::scale_x_continuous(breaks = match(named, data$level[order(data$x)]), labels = named, minor_breaks = NULL) +
    ggplot2::labs(
      x = group, y = residual_name(object), title = paste("Residuals by", group),
      subtitle = "Median, quartiles and extremes of each level, sorted", caption = caption_of(diagnostic_notes(data, object))
    )
}

fitted_axes <- function(object, y) {
  units <- structure(0, units = attr(object@frame[[1L]], "units", exact = TRUE))
  ggplot2::labs(x = name_with_unit("Fitted value", units), y = y)
}

diagnostic_notes <- function(data, object) {
  shown <- function(panel, shape) any(data$panel == panel & data$shape == shape)
  n <- stats::nobs(object)
  normal <- data[data$panel == "normal", ]
  c(
    if (any(data$shape == "bin")) paste0(counted(n, "row"), " in bins: the darker, the more."),
    if (any(table(normal$name) < n) && n > most_quantiles && nrow(normal)) {
      "Normal plots: the tails, and some quantiles between."
    },
    if (nrow(normal)) "Bands: 95 % of points, if normal.",
    if (nlevels(data$panel) > 1L && shown("groups", "level")) "Levels: median, quartiles, extremes."
  )
}
