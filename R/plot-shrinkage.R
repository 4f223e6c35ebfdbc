# How the mixed model draws each level's estimates towards the average: see autoplot.lmerMod().

contour_shares <- c(0.95, 0.8, 0.5)

# The names that each kind of estimate has in a legend, with a colour and a shape of its own.
pooling_kinds <- c("no pooling", "partial pooling", "complete pooling")
pooling_colours <- stats::setNames(c(picture_colours[c("orange", "blue")], "black"), pooling_kinds)
pooling_shapes <- stats::setNames(c(1L, 16L, 18L), pooling_kinds)

shrinkage_data <- function(object, group = NULL, effects = NULL) {
  group <- checked_group(object, group)
  known <- unique(unlist(object@cnms[names(object@cnms) == group], use.names = FALSE))
  effects <- checked_effects(effects, known)
  estimates <- level_estimates(object, group)
  count <- length(estimates$levels)
  structure(data.frame(
    group = group, level = rep(factor(estimates$levels, estimates$levels), length(effects)),
    effect = factor(rep(effects, each = count), effects), rows = rep(estimates$rows, length(effects)),
    no_pooling = as.vector(estimates$no[, effects]), partial_pooling = as.vector(estimates$partial[, effects]),
    complete_pooling = rep(unname(estimates$complete[effects]), each = count)
  ), covariance = estimates$covariance[effects, effects, drop = FALSE])
}

shrinkage_picture <- function(object, group = NULL, effects = NULL) {
  data <- shrinkage_data(object, group, effects)
  if (nlevels(data$effect) == 1L) shrinkage_of_one(data, object) else shrinkage_of_pairs(data, object)
}

# What stands on an axis for an effect: in units of the response, for a slope by units of the predictor.
effect_name <- function(effect, object) {
  frame <- object@frame
  variable <- if (effect %in% names(frame)) frame[[effect]]
  response <- structure(0, units = attr(frame[[1L]], "units", exact = TRUE))
  if (effect == "(Intercept)") return(name_with_unit("Intercept", response))
  if (!is.numeric(variable)) return(name_with_unit(paste("Effect of", effect), response))
  if (is.null(attr(variable, "units", exact = TRUE)) || is.null(attr(response, "units"))) return(paste("Slope of", effect))
  name_with_unit(paste("Slope of", effect), response, variable)
}

shrinkage_title <- function(data) paste("Shrinkage of the effects of", data$group[[1L]])

shrinkage_subtitle <- "Arrows: from each level's own estimate to the model's"

# Larger for few levels than for many.
point_size <- function(count) if (count <= 40L) 2 else if (count <= 200L) 1.3 else if (count <= 1000L) 0.7 else 0.5
point_alpha <- function(count) if (count <= 200L) 1 else if (count <= 1000L) 0.7 else 0.45

# The border at which the arrows of levels begin whose own estimates are so far off that all others would be a dot: beyond three times the
# quartiles' distance.
far_out <- function(own, others) {
  quartiles <- stats::quantile(own, c(0.25, 0.75), na.rm = TRUE, names = FALSE)
  fences <- quartiles + c(-3, 3) * diff(quartiles)
  inside <- own[!is.na(own) & own >= fences[1L] & own <= fences[2L]]
  range(inside, others)
}

unknown_note <- function(data) {
  unknown <- length(unique(data$level[is.na(data$no_pooling)]))
  if (unknown) {
    effects <- if (nlevels(data$effect) > 1L) "effects" else "effect"
    paste0(counted(unknown, "level has no arrow: its", "levels have no arrow: their"), " own rows don't determine the ", effects, ".")
  }
}

far_note <- function(far) {
  if (far) paste0(counted(far, "arrow begins", "arrows begin"), " at the border: the level's own estimate is far outside.")
}

# ---- one effect ----

shrinkage_of_one <- function(data, object) {
  count <- nrow(data)
  data$level <- factor(data$level, data$level[order(data$partial_pooling)])
  centre <- data$complete_pooling[[1L]]
  bands <- normal_bands(centre, sqrt(attr(data, "covariance")[1L]))
  limits <- far_out(data$no_pooling, c(data$partial_pooling, bands$from, bands$to))
  own <- data[!is.na(data$no_pooling), ]
  far <- own$no_pooling < limits[1L] | own$no_pooling > limits[2L]
  own$.from <- pmin(pmax(own$no_pooling, limits[1L]), limits[2L])
  own$.long <- abs(own$.from - own$partial_pooling) > shortest_arrow * diff(limits)
  aes <- ggplot2::aes
  .data <- ggplot2::.data
  ggplot2::ggplot(data, aes(.data$partial_pooling, .data$level)) +
    ggplot2::geom_rect(
      aes(xmin = .data$from, xmax = .data$to, ymin = -Inf, ymax = Inf), data = bands, inherit.aes = FALSE,
      fill = picture_colours[["blue"]], alpha = 0.1
    ) +
    ggplot2::geom_vline(aes(xintercept = .data$complete_pooling, colour = "complete pooling"), data = data[1L, ], linetype = "dashed") +
    arrow_layers(own, aes(x = .data$.from, xend = .data$partial_pooling, yend = .data$level), count) +
    ggplot2::geom_point(
      aes(.data$no_pooling, colour = "no pooling"), data = own[!far, ], size = point_size(count), alpha = point_alpha(count),
      shape = pooling_shapes[["no pooling"]]
    ) +
    ggplot2::geom_point(
      aes(colour = "partial pooling"), size = point_size(count), alpha = point_alpha(count), shape = pooling_shapes[["partial pooling"]]
    ) +
    pooling_legend(c("blank", "blank", "dashed"), c(pooling_shapes[1:2], NA)) + levels_axis("y", limits = levels(data$level)) +
    ggplot2::labs(
      x = effect_name(levels(data$effect), object), y = data$group[[1L]], title = shrinkage_title(data), subtitle = shrinkage_subtitle,
      caption = caption_of("In the bands 50, 80 and 95 % of all levels are expected.", unknown_note(data), far_note(sum(far)))
    )
}

normal_bands <- function(centre, sd) {
  reach <- stats::qnorm((1 + contour_shares) / 2) * sd
  data.frame(share = contour_shares, from = centre - reach, to = centre + reach)
}

# Without a head where it would be longer than the arrow, or where there are too many.
arrow_layers <- function(arrows, mapping, count) {
  layer <- function(data, arrow) {
    ggplot2::geom_segment(
      mapping, data = data, colour = "grey45", alpha = point_alpha(count), linewidth = if (count <= 200L) 0.4 else 0.2, arrow = arrow
    )
  }
  if (count > 200L) return(list(layer(arrows, NULL)))
  head <- ggplot2::arrow(length = ggplot2::unit(if (count <= 40L) 0.2 else 0.12, "cm"))
  list(layer(arrows[!arrows$.long, ], NULL), layer(arrows[arrows$.long, ], head))
}

# As a share of what a panel shows.
shortest_arrow <- 0.025

pooling_legend <- function(lines, shapes = pooling_shapes) {
  keys <- list(size = c(2, 2, 3), alpha = 1, linetype = lines, shape = unname(shapes))
  ggplot2::scale_colour_manual(
    NULL, values = pooling_colours, breaks = pooling_kinds, guide = ggplot2::guide_legend(override.aes = keys)
  )
}

# ---- pairs of effects ----

shrinkage_of_pairs <- function(data, object) {
  effects <- levels(data$effect)
  pairs <- utils::combn(effects, 2L, simplify = FALSE)
  panels <- lapply(pairs, pair_panel, data, length(pairs) > 1L, object)
  part <- function(name) {
    rows <- do.call(rbind, lapply(panels, `[[`, name))
    rows$panel <- factor(rows$panel, unique(rows$panel))
    rows
  }
  levels <- part("levels")
  arrows <- part("arrows")
  count <- nlevels(data$level)
  aes <- ggplot2::aes
  .data <- ggplot2::.data
  blue <- picture_colours[["blue"]]
  ggplot2::ggplot(data) +
    ggplot2::geom_polygon(aes(.data$x, .data$y, group = .data$share), data = part("contours"), fill = blue, alpha = 0.07) +
    arrow_layers(arrows, aes(.data$from_x, .data$from_y, xend = .data$x, yend = .data$y), count) +
    ggplot2::geom_point(
      aes(.data$from_x, .data$from_y, colour = "no pooling"), data = arrows[!arrows$far, ], size = point_size(count),
      alpha = point_alpha(count), shape = pooling_shapes[["no pooling"]]
    ) +
    ggplot2::geom_point(
      aes(.data$x, .data$y, colour = "partial pooling"), data = levels, size = point_size(count), alpha = point_alpha(count),
      shape = pooling_shapes[["partial pooling"]]
    ) +
    ggplot2::geom_path(
      aes(.data$x, .data$y, group = .data$share), data = part("contours"), colour = blue, linewidth = if (count <= 200L) 0.25 else 0.6
    ) +
    ggplot2::geom_point(
      aes(.data$x, .data$y, colour = "complete pooling"), data = part("average"), size = 4, shape = pooling_shapes[["complete pooling"]]
    ) +
    (if (length(pairs) == 1L) contour_labels(part("labels"))) + names_of_levels(arrows, count, length(pairs)) + pooling_legend("blank") +
    (if (length(pairs) > 1L) ggplot2::facet_wrap(~panel, scales = "free", ncol = 2L)) +
    ggplot2::scale_y_continuous(expand = ggplot2::expansion(mult = c(0.05, 0.08))) +
    ggplot2::labs(
      x = if (length(pairs) == 1L) effect_name(effects[1L], object), y = if (length(pairs) == 1L) effect_name(effects[2L], object),
      title = shrinkage_title(data), subtitle = shrinkage_subtitle,
      caption = caption_of(
        sprintf("Inside the contours 50, 80 and 95 %% of all levels of %s are expected.", data$group[[1L]]), unknown_note(data),
        far_note(sum(arrows$far)), flat_note(attr(data, "covariance"))
      )
    )
}

# What one panel draws: levels, arrows, contours with their labels, and the average.
pair_panel <- function(pair, data, several, object) {
  panel <- if (several) sprintf("across: %s\nup: %s", effect_name(pair[1L], object), effect_name(pair[2L], object)) else ""
  one <- data[data$effect == pair[1L], ]
  two <- data[data$effect == pair[2L], ]
  centre <- c(one$complete_pooling[[1L]], two$complete_pooling[[1L]])
  contours <- normal_contours(centre, attr(data, "covariance")[pair, pair])
  levels <- data.frame(
    panel = panel, level = one$level, x = one$partial_pooling, y = two$partial_pooling, from_x = one$no_pooling, from_y = two$no_pooling
  )
  arrows <- levels[!is.na(levels$from_x) & !is.na(levels$from_y), ]
  across <- far_out(arrows$from_x, c(levels$x, contours$x))
  up <- far_out(arrows$from_y, c(levels$y, contours$y))
  arrows[c("from_x", "from_y", "far")] <- to_border(arrows, across, up)
  arrows$.long <- sqrt(((arrows$from_x - arrows$x) / diff(across))^2 + ((arrows$from_y - arrows$y) / diff(up))^2) > shortest_arrow
  top <- do.call(rbind, lapply(split(contours, contours$share), function(ring) ring[which.max(ring$y), ]))
  list(
    levels = levels, arrows = arrows, contours = cbind(panel = panel, contours),
    labels = cbind(panel = panel, top), average = data.frame(panel = panel, x = centre[1L], y = centre[2L])
  )
}

# Where the line from an arrow's head to its tail leaves a rectangle.
to_border <- function(arrows, x_limits, y_limits) {
  share <- function(from, to, limits) {
    beyond <- pmin(pmax(from, limits[1L]), limits[2L])
    ifelse(from == beyond, 1, (beyond - to) / (from - to))
  }
  kept <- pmin(share(arrows$from_x, arrows$x, x_limits), share(arrows$from_y, arrows$y, y_limits))
  data.frame(
    from_x = arrows$x + kept * (arrows$from_x - arrows$x), from_y = arrows$y + kept * (arrows$from_y - arrows$y), far = kept < 1
  )
}

# Ellipses that hold these shares of a bivariate normal distribution, which may have no width.
normal_contours <- function(centre, covariance, points = 121L) {
  parts <- eigen(covariance, symmetric = TRUE)
  root <- parts$vectors %*% diag(sqrt(pmax(parts$values, 0)), 2L)
  angle <- seq(0, 2 * pi, length.out = points)
  circle <- rbind(cos(angle), sin(angle))
  do.call(rbind, lapply(contour_shares, function(share) {
    ring <- centre + sqrt(stats::qchisq(share, 2)) * root %*% circle
    data.frame(share = share, x = ring[1L, ], y = ring[2L, ])
  }))
}

contour_labels <- function(labels) {
  aes <- ggplot2::aes
  .data <- ggplot2::.data
  label_layer(
    labels, aes(.data$x, .data$y, label = paste(100 * .data$share, "%")), colour = picture_colours[["blue"]], size = 2.8, vjust = -0.3
  )
}

# Beside each level's own estimate where there are few, and beside those that move most where there are more.
names_of_levels <- function(arrows, count, panels) {
  if (count > 200L || panels > 1L || !nrow(arrows)) return(NULL)
  spread <- function(values) max(diff(range(values)), .Machine$double.xmin)
  moved <- ((arrows$from_x - arrows$x) / spread(arrows$from_x))^2 + ((arrows$from_y - arrows$y) / spread(arrows$from_y))^2
  named <- arrows[utils::head(order(-moved), if (count <= 20L) count else 12L), ]
  aes <- ggplot2::aes
  .data <- ggplot2::.data
  label_layer(
    named, aes(.data$from_x, .data$from_y, label = .data$level, vjust = ifelse(.data$from_y >= .data$y, -0.7, 1.6)), size = 3
  )
}

flat_note <- function(covariance) {
  correlation <- stats::cov2cor(covariance + diag(1e-300, nrow(covariance)))
  if (any(diag(covariance) <= 0) || any(abs(correlation[lower.tri(correlation)]) > 1 - 1e-6)) {
    "The fit is singular: a distribution without width has lines for contours."
  }
}
