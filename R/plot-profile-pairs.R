# Pairs of a profile's parameters: regions in which both lie (see autoplot.thpr).

# The contours of two parameters at a time, one of which is `parameter` (across), the other `other` (upwards).
profile_contours <- function(profile, shown, level) {
  traces <- profile_traces(profile, shown)
  angle <- seq(0, 2 * pi, length.out = 101L)
  pairs <- subset_pairs(traces$names)
  contours <- lapply(seq_len(nrow(pairs)), function(i) {
    one <- pairs$one[[i]]
    two <- pairs$two[[i]]
    do.call(rbind, lapply(level, function(level) {
      zeta <- contour_of_pair(traces, one, two, sqrt(stats::qchisq(level, 2)), angle)
      data.frame(
        name = one, value = bounded_value(profile, traces, one, zeta$one), other_name = two,
        other_value = bounded_value(profile, traces, two, zeta$two), level = level
      )
    }))
  })
  contours <- do.call(rbind, contours)
  data.frame(
    parameter = profile_factor(profile, contours$name, shown), value = contours$value,
    other = profile_factor(profile, contours$other_name, shown), other_value = contours$other_value, level = contours$level
  )
}

subset_pairs <- function(names) {
  pairs <- expand.grid(one = names, two = names, stringsAsFactors = FALSE)
  pairs[match(pairs$one, names) < match(pairs$two, names), ]
}

# Where the others are at their best as one parameter changes, in zeta: `at(one, two, zeta)` is zeta of `two` where `one`'s is `zeta`.
profile_traces <- function(profile, shown) {
  rows <- stats::setNames(lapply(shown, profile_rows, profile = profile), shown)
  splines <- attr(profile, "forward")[shown]
  usable <- shown[vapply(splines, inherits, NA, "spline") & !vapply(rows, function(rows) is_flat(rows$.zeta), NA)]
  if (length(usable) < 2L) fail("argument", "there are no two parameters whose profiles rise: 'which' must have two at least for pairs")
  if (length(usable) > 12L) {
    fail("argument", "a picture of ", length(usable), " parameters' pairs can't be read: choose 12 or less by 'which'")
  }
  at <- function(one, two, zeta) {
    own <- rows[[one]]
    other <- stats::predict(splines[[two]], own[[two]])$y
    straight(own$.zeta, other)(zeta)
  }
  list(names = usable, rows = rows, splines = splines, at = at, ends = lapply(rows, function(rows) range(rows$.zeta)))
}

# A natural spline goes on straight beyond its ends.
straight <- function(x, y) stats::splinefun(x, y, method = "natural")

# The contour at `height` of two parameters' zetas. On it each is height * cos(its angle); how far the two angles are apart is known where
# one of them is extreme, by its trace, and interpolated in their mean (Bates and Watts 1988, section 6.1.2).
contour_of_pair <- function(traces, one, two, height, angle) {
  inverse <- function(zeta) acos(pmin(pmax(zeta / height, -1), 1))
  upper_one <- inverse(traces$at(one, two, height))
  upper_two <- inverse(traces$at(two, one, height))
  lower_one <- inverse(traces$at(one, two, -height))
  lower_two <- inverse(traces$at(two, one, -height))
  apart <- c(upper_one, upper_two, pi - lower_one, pi - lower_two, upper_one)
  mean <- c(-upper_one / 2, upper_two / 2, (pi + lower_one) / 2, pi + (pi - lower_two) / 2, 2 * pi - upper_one / 2)
  half <- stats::splinefun(mean, apart, method = "periodic", ties = base::mean)(mean[[1L]] + angle) / 2
  list(one = height * cos(mean[[1L]] + angle + half), two = height * cos(mean[[1L]] + angle - half))
}

# Values of zetas, which stop at a parameter's boundary.
bounded_value <- function(profile, traces, name, zeta) {
  ends <- traces$ends[[name]]
  stats::predict(attr(profile, "backward")[[name]], pmin(pmax(zeta, ends[[1L]]), ends[[2L]]))$y
}

# The traces as lines, in both directions.
trace_lines <- function(profile, traces, highest) {
  pairs <- expand.grid(one = traces$names, two = traces$names, stringsAsFactors = FALSE)
  pairs <- pairs[pairs$one != pairs$two, ]
  lines <- lapply(seq_len(nrow(pairs)), function(i) {
    one <- pairs$one[[i]]
    two <- pairs$two[[i]]
    ends <- traces$ends[[one]]
    zeta <- seq(max(-highest, ends[[1L]]), min(highest, ends[[2L]]), length.out = 41L)
    value <- bounded_value(profile, traces, one, zeta)
    data.frame(name = one, value = value, other_name = two, other_value = bounded_value(profile, traces, two, traces$at(one, two, zeta)))
  })
  do.call(rbind, lines)
}

pairs_picture <- function(profile, data, shown, level, ...) {
  traces <- profile_traces(profile, shown)
  highest <- sqrt(stats::qchisq(max(level), 2))
  words <- function(names) profile_factor(profile, names, traces$names)
  axes <- levels(words(traces$names))
  lines <- trace_lines(profile, traces, highest)
  # each trace in both of its panels
  lines <- data.frame(
    across = words(c(lines$name, lines$other_name)), x = c(lines$value, lines$other_value), up = words(c(lines$other_name, lines$name)),
    y = c(lines$other_value, lines$value), trace = rep(paste(lines$name, lines$other_name), 2L),
    given = rep(c("the one across", "the one upwards"), each = nrow(lines))
  )
  mirrored <- data.frame(
    across = factor(c(as.character(data$parameter), as.character(data$other)), axes), x = c(data$value, data$other_value),
    up = factor(c(as.character(data$other), as.character(data$parameter)), axes),
    y = c(data$other_value, data$value), level = rep(data$level, 2L)
  )
  mirrored$confidence <- level_factor(mirrored$level)
  .data <- ggplot2::.data
  aes <- ggplot2::aes
  ggplot2::ggplot(data, aes(.data$value, .data$other_value)) +
    lapply(split(mirrored, -mirrored$level), function(region) {
      ggplot2::geom_polygon(aes(.data$x, .data$y, fill = .data$confidence), region, inherit.aes = FALSE)
    }) +
    ggplot2::geom_path(aes(.data$x, .data$y, group = .data$trace, linetype = .data$given), lines, inherit.aes = FALSE, linewidth = 0.4) +
    diagonal_layers(profile, traces, mirrored, level) + level_scale("fill", level) +
    ggplot2::scale_linetype_manual(values = c("the one across" = "solid", "the one upwards" = "22"), guide = "none") +
    ggplot2::facet_grid(
      ggplot2::vars(.data$up), ggplot2::vars(.data$across), scales = "free", labeller = numbered_axes(axes)
    ) +
    ggplot2::scale_x_continuous(n.breaks = 3, guide = ggplot2::guide_axis(check.overlap = TRUE)) +
    ggplot2::scale_y_continuous(n.breaks = 3) + ggplot2::labs(
      x = NULL, y = NULL, title = "Pairs of parameters by likelihood profiles",
      subtitle = paste0(
        "regions in which both lie; on the diagonal densities\n",
        "lines: best values, given the one across (solid) or the one upwards (dashed)"
      ),
      caption = flat_caption(profile, shown)
    )
}

# Densities on the diagonal, made as high as their panels.
diagonal_layers <- function(profile, traces, regions, level) {
  areas <- profile_areas(profile, traces$names, level)
  areas$up <- areas$across <- factor(areas$parameter, levels(regions$across))
  for (name in levels(regions$up)) {
    own <- areas$across == name
    range <- range(regions$y[regions$up == name])
    areas$low[own] <- range[[1L]]
    areas$high[own] <- range[[1L]] + 0.95 * diff(range) * areas$density[own] / max(areas$density[own])
  }
  .data <- ggplot2::.data
  area_layers(areas, ggplot2::aes(.data$value, ymin = .data$low, ymax = .data$high, fill = .data$confidence))
}

# The columns of panels have names and numbers, the rows, in the same order, numbers only.
numbered_axes <- function(axes) {
  factors <- unique(sub("^.* by ", "", grep(" by [^ ]+$", axes, value = TRUE)))
  short <- if (length(factors) == 1L) sub(paste0(" by ", factors), "", axes, fixed = TRUE) else axes
  width <- max(75L %/% length(axes), 10L)
  words <- vapply(short, in_lines, "", width = width, USE.NAMES = FALSE)
  ggplot2::labeller(
    .rows = function(names) as.character(match(names, axes)),
    .cols = function(names) paste0(match(names, axes), "\n", words[match(names, axes)])
  )
}
