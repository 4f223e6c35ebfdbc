#' @exportS3Method ggplot2::autoplot
#' @noRd
autoplot.power_table <- function(object, ...) {
  needs_ggplot2("a power table")
  effects <- attr(object, "effects")
  along <- c(attr(object, "along"), effects)[1L]
  if (is.na(along)) fail("argument", "there is a single design: nothing to draw; give 'along' or 'effects'")
  lines <- setdiff(effects, along)
  data <- as.data.frame(object)
  data$.line <- if (length(lines)) interaction(data[lines], sep = ", ", lex.order = TRUE) else ""
  data$.x <- data[[along]]
  colour <- if (length(lines)) paste(lines, collapse = ", ")
  aes <- ggplot2::aes
  .data <- ggplot2::.data
  ggplot2::ggplot(data, aes(.data$.x, .data$power, colour = .data$.line, group = .data$.line)) +
    ggplot2::geom_hline(yintercept = 0.8, linetype = "dashed", colour = "grey60") +
    ggplot2::geom_line() +
    ggplot2::geom_pointrange(aes(ymin = .data$conf.low, ymax = .data$conf.high), size = 0.4) +
    ggplot2::scale_colour_viridis_d(end = 0.8, guide = if (length(lines)) "legend" else "none") +
    ggplot2::scale_y_continuous(limits = c(0, 1), breaks = seq(0, 1, 0.2)) +
    ggplot2::labs(x = if (along %in% effects) along else paste("levels of", along), y = "power", colour = colour)
}

#' @export
#' @noRd
plot.power_table <- function(x, ...) autoplot.power_table(x, ...)
