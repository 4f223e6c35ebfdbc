# Residuals of observations against their leverage (see autoplot.influence.merMod).

leverage_data <- function(influence, fit) {
  if (!methods::is(fit, "merMod")) fail("argument", "type = \"leverage\" needs 'fit', the fit whose influence it is")
  leverage <- stats::hatvalues(fit)
  residual <- stats::rstudent(fit)
  names <- names(leverage) %||% as.character(seq_along(leverage))
  if (is.null(influence$hat) && (deletion_word(influence) != "observation" || length(deletion_names(influence)) < sum(!is.na(leverage)))) {
    fail("argument", "leverages are those of observations: 'object' must be influence(fit), without 'groups', of this fit")
  }
  cook <- stats::cooks.distance(fit)
  data.frame(
    number = seq_along(leverage), deleted = names, value = as.numeric(residual), leverage = as.numeric(leverage), cook = as.numeric(cook),
    stands_out = (!is.na(residual) & abs(residual) > 3) | (!is.na(leverage) & leverage > 2 * mean(leverage, na.rm = TRUE))
  )
}

leverage_picture <- function(data, names) {
  shown <- data[!is.na(data$value) & !is.na(data$leverage), ]
  size <- nrow(shown)
  beyond <- sum(shown$stands_out)
  named <- shown[shown$stands_out, ]
  named <- utils::head(named[order(-named$cook), ], names)
  named$side <- ifelse(named$value < 0, 1.4, -0.4)
  twice <- 2 * mean(shown$leverage)
  .data <- ggplot2::.data
  aes <- ggplot2::aes
  dashed <- function(layer, ...) layer(..., linetype = "dashed", colour = "grey40")
  ggplot2::ggplot(data, aes(.data$leverage, .data$value)) + ggplot2::geom_hline(yintercept = 0, colour = "grey40") +
    ggplot2::geom_point(
      aes(colour = .data$stands_out, shape = .data$stands_out), shown, size = if (size <= 500L) 1.5 else 0.7,
      alpha = if (size > 5000L) 0.3 else 0.8
    ) +
    dashed(ggplot2::geom_hline, yintercept = c(-3, 3)) +
    (if (max(shown$leverage) > 0.7 * twice) dashed(ggplot2::geom_vline, xintercept = twice)) +
    label_layer(named, aes(label = .data$deleted, vjust = .data$side), size = 3, hjust = "inward") + beyond_scale() +
    ggplot2::scale_shape_manual(values = c("FALSE" = 16, "TRUE" = 17), guide = "none") +
    ggplot2::scale_y_continuous(expand = ggplot2::expansion(0.08)) + ggplot2::labs(
      x = "leverage", y = "residual, in its standard deviations", title = "Residuals and leverage",
      subtitle = paste0(
        "triangles: beyond 3 standard deviations or twice the mean leverage, ", format(twice, digits = 2L), "\n",
        if (beyond == 0) "none" else counted(beyond, "observation"), if (nrow(named) < beyond) "; named: the largest Cook's distances"
      ),
      caption = counted(size, "observation")
    )
}
