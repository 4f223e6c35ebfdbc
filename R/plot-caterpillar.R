# The levels' effects with intervals, sorted: see autoplot.lmerMod().

caterpillar_data <- function(object, group = NULL, effects = NULL, conf.level = 0.95) {
  check_share(conf.level, "conf.level")
  groups <- if (is.null(group)) names(object@flist) else checked_group(object, group)
  modes <- lme4::ranef(object, condVar = TRUE)[groups]
  known <- unique(unlist(lapply(modes, colnames)))
  effects <- checked_effects(effects, known, length(known))
  reach <- stats::qnorm((1 + conf.level) / 2)
  rows <- Map(function(modes, group) {
    shown <- which(colnames(modes) %in% effects)
    errors <- sqrt(mode_variances(modes))[, shown, drop = FALSE]
    data.frame(
      group = group, level = rep(rownames(modes), length(shown)), effect = rep(colnames(modes)[shown], each = nrow(modes)),
      estimate = unlist(modes[shown], use.names = FALSE), std.error = as.vector(errors)
    )
  }, modes, groups)
  data <- do.call(rbind, c(rows, make.row.names = FALSE))
  data$group <- factor(data$group, groups)
  data$effect <- factor(data$effect, effects)
  data$conf.low <- data$estimate - reach * data$std.error
  data$conf.high <- data$estimate + reach * data$std.error
  data
}

# The conditional variances, levels x effects: ranef() has arrays of them, for a factor of several terms one each.
mode_variances <- function(modes) {
  pieces <- attr(modes, "postVar")
  if (!is.list(pieces)) pieces <- list(pieces)
  do.call(cbind, lapply(pieces, function(piece) {
    k <- dim(piece)[[1L]]
    matrix(vapply(seq_len(k), function(j) piece[j, j, ], numeric(dim(piece)[[3L]])), ncol = k)
  }))
}

caterpillar_picture <- function(object, group = NULL, effects = NULL, conf.level = 0.95) {
  data <- caterpillar_data(object, group, effects, conf.level)
  groups <- unique(as.character(data$group))
  data$.panel <- effect_panels(data, object, several = length(groups) > 1L)
  # each panel has an order of its own: an axis of numbers, with the levels' names
  place <- order(data$.panel, data$estimate)
  data$.row[place] <- seq_along(place)
  data$.row <- factor(data$.row, seq_along(place))
  names <- data$level[place]
  count <- max(table(data$.panel))
  aes <- ggplot2::aes
  .data <- ggplot2::.data
  blue <- picture_colours[["blue"]]
  panels <- nlevels(data$.panel)
  columns <- if (panels <= 3L) panels else ceiling(sqrt(panels))
  # names share the height
  at_most <- readable_names %/% ceiling(panels / columns)
  ggplot2::ggplot(data, aes(.data$estimate, .data$.row)) +
    ggplot2::geom_segment(
      aes(x = .data$conf.low, xend = .data$conf.high, yend = .data$.row), colour = blue, linewidth = if (count <= 200L) 0.5 else 0.2,
      alpha = if (count <= 200L) 0.6 else 0.3
    ) +
    ggplot2::geom_vline(xintercept = 0, linetype = "dashed") +
    ggplot2::geom_point(colour = "black", size = 0.75 * point_size(count), shape = 16L) +
    (if (count > at_most) ends_of_caterpillars(data, at_most)) +
    (if (panels > 1L) ggplot2::facet_wrap(~.panel, scales = "free", ncol = columns)) +
    levels_axis("y", labels = function(rows) names[as.integer(rows)], at_most = at_most) +
    ggplot2::labs(
      x = if (panels > 1L) "Deviation from the average" else paste0(levels(data$.panel), ", deviation from the average"),
      y = if (length(groups) == 1L) groups, title = paste("Effects of the levels of", paste(groups, collapse = " and ")),
      subtitle = sprintf("Conditional modes with %s intervals, sorted", percent_of(conf.level, 3L))
    )
}

# A panel for each effect of each grouping factor, in their order.
effect_panels <- function(data, object, several) {
  name <- vapply(levels(data$effect), effect_name, "", object)[as.character(data$effect)]
  label <- if (several) paste0(data$group, ": ", name) else name
  factor(label, unique(label))
}

# The names of the lowest and the highest, where there is no room for all: beside the intervals of those next to them.
ends_of_caterpillars <- function(data, at_most) {
  ends <- do.call(rbind, lapply(split(data, data$.panel), function(panel) {
    if (nrow(panel) <= at_most) return(NULL)
    panel <- panel[order(panel$estimate), ]
    near <- seq_len(ceiling(0.04 * nrow(panel)))
    far <- nrow(panel) + 1L - near
    rbind(
      cbind(panel[1L, ], .end = max(panel$conf.high[near]), .hjust = -0.1, .vjust = -0.2),
      cbind(panel[nrow(panel), ], .end = min(panel$conf.low[far]), .hjust = 1.1, .vjust = 1.2)
    )
  }))
  aes <- ggplot2::aes
  .data <- ggplot2::.data
  label_layer(ends, aes(.data$.end, .data$.row, label = .data$level, hjust = .data$.hjust, vjust = .data$.vjust), size = 3)
}
