#' Pictures of power
#'
#' `autoplot()` of the result of [simulate_power()]: the power of each design, with the error of the simulation. A line goes along the
#' numbers of levels, or along the values of the first effect where the design isn't changed; there is a line for each value of the next
#' effect, and panels for those of the others.
#'
#' The dashed line is the power that is usually wanted, `target`. Where the tested effects are zero in a design, so that a rejection is an
#' error, the test's level is a dotted line: what should lie on it is the size of the test, not its power.
#'
#' @param object,model,x a result of [simulate_power()].
#' @param along what goes along the axis: the grouping factor or one of the effects.
#' @param target the power to mark, or `NULL`.
#' @param data not used.
#' @param ... for `plot()`: arguments of `autoplot()`; else not used.
#' @return `autoplot()` and `plot()`: a ggplot. `fortify()`: its data frame, the table with a row per design.
#' @examples
#' if (requireNamespace("ggplot2")) {
#'   fit <- lmer(Reaction ~ Days + (Days | Subject), sleepstudy)
#'   power <- simulate_power(
#'     fit, "Days", along = "Subject", sizes = c(6, 9, 12, 18), effects = list(Days = c(0, 3, 6)),
#'     nsim = 100, method = "z", seed = 1
#'   )
#'   plot(power)
#'   plot(power, along = "Days")
#' }
#' @method autoplot power_table
#' @rawNamespace S3method(ggplot2::autoplot,power_table)
autoplot.power_table <- function(object, along = NULL, target = 0.8, ...) {
  needs_ggplot2("a power table")
  if (!is.null(target)) check_share(target, "target")
  data <- fortify.power_table(object)
  varied <- c(attr(object, "along"), attr(object, "effects"))
  several <- varied[vapply(varied, function(name) length(unique(data[[name]])) > 1L, NA)]
  along <- if (is.null(along)) c(several, varied, NA)[[1L]] else one_choice(along, varied, "along")
  others <- setdiff(several, along)
  lines <- if (length(others)) others[[1L]]
  picture <- power_marks(object, data, target) + power_points(data, along, lines) + panels_of_effects(others[-1L])
  picture + power_axis(object, data, along) +
    ggplot2::scale_y_continuous(limits = c(0, 1), breaks = seq(0, 1, 0.2), labels = function(x) paste(round(100 * x), "%")) +
    ggplot2::labs(
      y = "power: share of rejections", title = power_title(object), subtitle = power_subtitle(object, data, target),
      caption = power_caption(data), colour = value_title(object, lines), shape = value_title(object, lines)
    )
}

#' @rdname autoplot.power_table
#' @method fortify power_table
#' @rawNamespace S3method(ggplot2::fortify,power_table)
fortify.power_table <- function(model, data, ...) as.data.frame(model)

#' @rdname autoplot.power_table
#' @export
plot.power_table <- function(x, ...) autoplot.power_table(x, ...)

# What power is compared with.
power_marks <- function(table, data, target) {
  .data <- ggplot2::.data
  picture <- ggplot2::ggplot(data, ggplot2::aes(y = .data$power))
  if (!is.null(target)) picture <- picture + ggplot2::geom_hline(yintercept = target, linetype = "dashed", colour = "grey40")
  if (has_null_effect(table)) {
    picture <- picture + ggplot2::geom_hline(yintercept = attr(table, "alpha"), linetype = "dotted", colour = "grey20", linewidth = 0.8)
  }
  picture
}

# Is what is tested zero in a design?
has_null_effect <- function(table) {
  tested <- attr(table, "coefficients")
  length(tested) > 0L && all(tested %in% attr(table, "effects")) && any(rowSums(abs(as.data.frame(table)[tested])) == 0)
}

# A point with its interval for each design; those of one size stand beside each other.
power_points <- function(data, along, lines) {
  .data <- ggplot2::.data
  aes <- ggplot2::aes
  data$x <- if (is.na(along)) factor("this design") else data[[along]]
  if (is.null(lines)) {
    connected <- if (length(unique(data$x)) > 1L) ggplot2::geom_line(aes(.data$x), data, colour = picture_colours[["blue"]])
    return(list(
      connected,
      ggplot2::geom_pointrange(aes(.data$x, ymin = .data$conf.low, ymax = .data$conf.high), data, colour = picture_colours[["blue"]])
    ))
  }
  data$line <- factor(data[[lines]])
  count <- nlevels(data$line)
  beside <- ggplot2::position_dodge(0.012 * min(count, 5L) * diff(range(data$x)))
  colours <- if (count <= 5L) {
    ggplot2::scale_colour_manual(values = unname(picture_colours[c("blue", "orange", "green", "purple", "yellow")]))
  } else {
    ggplot2::scale_colour_viridis_d(end = 0.9)
  }
  list(
    if (length(unique(data$x)) > 1L) {
      ggplot2::geom_line(aes(.data$x, colour = .data$line, group = .data$line), data, position = beside)
    },
    ggplot2::geom_pointrange(
      aes(.data$x, ymin = .data$conf.low, ymax = .data$conf.high, colour = .data$line, shape = if (count <= 5L) .data$line,
        group = .data$line), data, position = beside, size = 0.4
    ),
    colours
  )
}

panels_of_effects <- function(effects) {
  if (!length(effects)) return(NULL)
  ggplot2::facet_wrap(ggplot2::vars(!!!lapply(effects, as.name)), labeller = ggplot2::label_both)
}

power_axis <- function(table, data, along) {
  if (is.na(along)) return(ggplot2::labs(x = NULL))
  values <- sort(unique(data[[along]]))
  breaks <- if (length(values) <= 12L) values else ggplot2::waiver()
  title <- if (along %in% attr(table, "effects")) value_title(table, along) else paste("number of levels of", along)
  list(ggplot2::scale_x_continuous(breaks = breaks, guide = ggplot2::guide_axis(check.overlap = TRUE)), ggplot2::labs(x = title))
}

value_title <- function(table, name) {
  if (!is.null(name)) paste(if (name %in% attr(table, "effects")) "true" else "levels of", name)
}

power_title <- function(table) {
  tests <- c(t = "t or F test", z = "Wald test", lrt = "likelihood ratio test")
  tested <- attr(table, "tested")
  of <- if (length(tested)) paste(" of", paste(tested, collapse = ", "))
  paste0("Power of the ", tests[[attr(table, "method")]], of)
}

power_subtitle <- function(table, data, target) {
  alpha <- paste(format(100 * attr(table, "alpha"), digits = 3L), "%")
  conf <- attr(table, "conf.level")
  paste(c(
    paste0("test at level ", alpha, "; bars: ", if (!is.null(conf)) paste(percent_of(conf, 3L), ""), "intervals of the simulation"),
    paste(c(
      if (!is.null(target)) paste0("dashed: power of ", format(100 * target, digits = 3L), " %"),
      if (has_null_effect(table)) "dotted: the level, where an effect of zero should lie"
    ), collapse = "; ")
  ), collapse = "\n")
}

power_caption <- function(data) {
  most <- function(share) if (all(share == share[[1L]])) percent_of(share[[1L]]) else paste("up to", percent_of(max(share)))
  paste(c(
    paste(counted(max(data$nsim), "draw"), if (nrow(data) > 1L) "for each design" else "of this design"),
    if (any(data$singular > 0)) paste("singular fits:", most(data$singular)), if (any(data$failed > 0)) paste("failed:", most(data$failed))
  ), collapse = "; ")
}
