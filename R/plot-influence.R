#' Pictures of influence
#'
#' `autoplot()` of what [influence()][influence.lmerMod] returns, here or in lme4, draws how far the estimates move when an observation or a
#' group is left out, with the names of those that stand out.
#'
#' @section What is drawn and who stands out:
#' * *cook*: Cook's distance of each deletion, by the fixed effects of its refit. Beyond 4 / n stands out, n being the number of deletions
#'   (Bollen and Jackman 1985).
#' * *dfbetas*: for each fixed effect its change in standard errors. Beyond 2 / sqrt(n) on either side stands out (Belsley, Kuh and Welsch
#'   1980).
#' * *variances*: the change of each standard deviation, in the response's units, and of each correlation. There is no rule: the five
#'   largest stand out.
#' * *leverage*: of observations, the residual divided by its standard deviation against the leverage; it needs `fit`. Beyond 3 standard
#'   deviations, or twice the mean leverage, stands out; named are those of the largest [cooks.distance()][influence.lmerMod] of the fit.
#'
#' Of those that stand out the largest `names` are named in each panel. Some 30 groups have their names at the axis, the most influential
#' at the top; of more, and of observations, deletions stand in the data's order, and of more than 5,000 neighbours share a line from the
#' least to the largest, and only those that are named are marked.
#'
#' @param object,model,x a result of [influence()][influence.lmerMod].
#' @param type `"cook"`, `"dfbetas"`, `"variances"` or `"leverage"`.
#' @param which for `"dfbetas"` and `"variances"`: which parameters, numbers or names.
#' @param names how many names there are at most in a panel.
#' @param fit for `"leverage"`: the fit whose influence it is.
#' @param data not used.
#' @param ... for `plot()`: arguments of `autoplot()`; else not used.
#' @return `autoplot()` and `plot()`: a ggplot. `fortify()`: its data frame, a row per deletion and parameter: `number`; `deleted`, its
#'   name; `parameter` (but for `"cook"` and `"leverage"`); `value`, for `"leverage"` the residual, with a column `leverage` and `cook`;
#'   `stands_out`.
#' @references Belsley, D. A., Kuh, E. and Welsch, R. E. (1980) *Regression Diagnostics*. Wiley. \doi{10.1002/0471725153}
#'
#'   Bollen, K. A. and Jackman, R. W. (1985) Regression diagnostics: an expository treatment of outliers and influential cases.
#'   *Sociological Methods and Research* 13, 510-542. \doi{10.1177/0049124185013004004}
#' @seealso [influence.lmerMod()] for the numbers
#' @examples
#' if (requireNamespace("ggplot2")) {
#'   fit <- lmer(Reaction ~ Days + (Days | Subject), sleepstudy)
#'   by_subject <- influence(fit, "Subject")
#'   plot(by_subject)
#'   plot(by_subject, "dfbetas")
#'   by_row <- influence(fit)
#'   plot(by_row)
#'   plot(by_row, "leverage", fit = fit)
#'   subset(ggplot2::fortify(by_row), stands_out)
#' }
#' @method autoplot influence.merMod
#' @rawNamespace S3method(ggplot2::autoplot,influence.merMod)
autoplot.influence.merMod <- function(object, type = "cook", which = NULL, names = 10L, fit = NULL, ...) {
  needs_ggplot2("influence")
  type <- one_choice(type, influence_types, "type")
  if (!is_finite_number(names) || names < 0) fail("argument", "'names' must be a number of names, 0 or more")
  data <- fortify.influence.merMod(object, type = type, which = which, fit = fit)
  if (type == "leverage") return(leverage_picture(data, names))
  limit <- influence_limit(object, type)
  named <- named_deletions(data, names)
  swapped <- has_named_axis(object, data)
  picture <- if (swapped) named_axis_picture(object, data, limit) else index_picture(data, named, limit)
  axis <- c(
    cook = "Cook's distance", dfbetas = "change, in standard errors (dfbetas)",
    variances = "change of the standard deviation or correlation"
  )[[type]]
  order <- if (!swapped) paste0(deletion_word(object), ", in the data's order")
  picture + ggplot2::labs(
    x = if (swapped) axis else order, y = if (swapped) NULL else axis, title = paste("Influence of each", deletion_word(object)),
    subtitle = influence_subtitle(data, limit, type, if (swapped) NULL else nrow(named)), caption = influence_caption(object)
  )
}

#' @rdname autoplot.influence.merMod
#' @method fortify influence.merMod
#' @rawNamespace S3method(ggplot2::fortify,influence.merMod)
fortify.influence.merMod <- function(model, data, type = "cook", which = NULL, fit = NULL, ...) {
  type <- one_choice(type, influence_types, "type")
  if (type == "leverage") return(leverage_data(model, fit))
  if (is.null(deletion_estimates(model))) {
    fail("argument", "this influence has leverages only (do.coef = FALSE): its picture is of type \"leverage\"")
  }
  values <- switch(type,
    cook = cbind(cook = stats::cooks.distance(model)), dfbetas = dfbetas_of(model), variances = variance_changes(model)
  )
  if (type != "cook") values <- values[, chosen_numbers(which, colnames(values), "which"), drop = FALSE]
  size <- nrow(values)
  table <- data.frame(number = rep.int(seq_len(size), ncol(values)), deleted = rep.int(deletion_names(model), ncol(values)))
  if (type != "cook") table$parameter <- factor(rep(colnames(values), each = size), colnames(values))
  table$value <- as.numeric(values)
  table$stands_out <- abs(table$value) > influence_limit(model, type) & !is.na(table$value)
  if (type == "variances") table$stands_out <- is_among_largest(table, 5L)
  table
}

#' @rdname autoplot.influence.merMod
#' @export
plot.influence.merMod <- function(x, ...) autoplot.influence.merMod(x, ...)

influence_types <- c("cook", "dfbetas", "variances", "leverage")

# Its elements stand in lme4's order: the fit's fixed effects and those of the refits, likewise the variances, the covariance matrices.
deletion_estimates <- function(influence) if (length(influence) >= 6L) influence[[2L]]

deletion_names <- function(influence) rownames(influence[[2L]]) %||% as.character(influence$deleted)

deletion_word <- function(influence) {
  name <- sub("^fixed.effects\\[-(.*)\\]$", "\\1", names(influence)[[2L]])
  if (name == "case") "observation" else name
}

# lme4's own method stops where there is one fixed effect.
dfbetas_of <- function(influence) {
  values <- if (length(influence[[1L]]) == 1L) dfbetas.influence_one(influence) else stats::dfbetas(influence)
  colnames(values) <- names(influence[[1L]])
  values
}

# How the standard deviations and correlations differ from the fit's; NA where effects don't vary and have no correlation.
variance_changes <- function(influence) {
  own <- deviations_of(t(influence[[3L]]))
  refits <- deviations_of(influence[[4L]])
  refits - own[rep(1L, nrow(refits)), , drop = FALSE]
}

# From variances and covariances in columns, by lme4's names: `sigma^2`, `v[Days]`, `C[Days,(Intercept)]`, which begin with the factor where
# there are several.
deviations_of <- function(values) {
  names <- colnames(values)
  factor <- ifelse(grepl(":[vC]\\[", names), sub(":[vC]\\[.*$", "", names), "")
  columns <- strsplit(sub("^.*[vC]\\[(.*)\\]$", "\\1", names), ",", fixed = TRUE)
  diagonal <- !grepl("C\\[", names)
  deviations <- sqrt(pmax(values, 0))
  for (i in which(!diagonal)) {
    own <- match(paste0(if (nzchar(factor[[i]])) paste0(factor[[i]], ":"), "v[", columns[[i]], "]"), names)
    correlation <- values[, i] / (deviations[, own[[1L]]] * deviations[, own[[2L]]])
    deviations[, i] <- ifelse(is.finite(correlation), correlation, NA)
  }
  words <- ifelse(diagonal, paste("SD of", vapply(columns, `[[`, "", 1L)), paste("cor. of", vapply(columns, paste, "", collapse = " and ")))
  words[names == "sigma^2"] <- "residual SD (sigma)"
  colnames(deviations) <- paste0(words, ifelse(nzchar(factor), paste(" by", factor), ""))
  deviations
}

influence_limit <- function(influence, type) {
  size <- nrow(influence[[2L]])
  switch(type, cook = 4 / size, dfbetas = 2 / sqrt(size), Inf)
}

is_among_largest <- function(data, count) {
  panels <- if (is.null(data$parameter)) rep(1L, nrow(data)) else as.integer(data$parameter)
  place <- stats::ave(-abs(data$value), panels, FUN = function(value) rank(value, ties.method = "first", na.last = "keep"))
  !is.na(place) & place <= count
}

# Those whose names are written, the largest first.
named_deletions <- function(data, count) {
  chosen <- data[data$stands_out, ]
  chosen <- chosen[is_among_largest(chosen, count), ]
  chosen[order(-abs(chosen$value)), ]
}

# Is there room for all names, in each row of panels?
has_named_axis <- function(influence, data) {
  rows <- if (is.null(data$parameter)) 1L else ceiling(nlevels(data$parameter) / 4)
  nrow(influence[[2L]]) <= 33L %/% rows && deletion_word(influence) != "observation"
}

# The part of a bar within the limits, and what is beyond them on either side.
bar_pieces <- function(low, high, limit) {
  within <- data.frame(from = pmax(low, -limit), to = pmin(high, limit), beyond = FALSE, row = seq_along(low))
  above <- data.frame(from = limit, to = high, beyond = TRUE, row = seq_along(low))[high > limit, ]
  below <- data.frame(from = low, to = -limit, beyond = TRUE, row = seq_along(low))[low < -limit, ]
  rbind(within, if (is.finite(limit)) rbind(above, below))
}

beyond_scale <- function() {
  ggplot2::scale_colour_manual(values = c("FALSE" = picture_colours[["blue"]], "TRUE" = picture_colours[["orange"]]), guide = "none")
}

parameter_facets <- function(data, scales, columns = NULL) {
  .data <- ggplot2::.data
  if (is.null(data$parameter)) return(NULL)
  count <- nlevels(data$parameter)
  width <- if (is.null(columns)) facet_width(count) else 70L %/% min(count, columns)
  facets <- ggplot2::facet_wrap(
    ggplot2::vars(.data$parameter), scales = scales, labeller = facet_words(width), ncol = if (count > 1L) columns
  )
  if (is.null(columns)) facets else list(facets, ggplot2::scale_x_continuous(n.breaks = if (count > 2L) 3 else 5))
}

limit_lines <- function(data, limit, axis, colour = "grey40") {
  if (!is.finite(limit)) return(NULL)
  at <- if (any(data$value < 0, na.rm = TRUE)) c(-limit, limit) else limit
  if (axis == "y") {
    ggplot2::geom_hline(yintercept = at, linetype = "dashed", colour = colour)
  } else {
    ggplot2::geom_vline(xintercept = at, linetype = "dashed", colour = colour)
  }
}

# Groups with their names at the axis, the most influential at the top.
named_axis_picture <- function(influence, data, limit) {
  order <- deletion_names(influence)[order(stats::cooks.distance(influence), na.last = FALSE)]
  data$deleted <- factor(data$deleted, order)
  shown <- data[!is.na(data$value), ]
  bars <- bar_pieces(pmin(shown$value, 0), pmax(shown$value, 0), limit)
  bars <- data.frame(bars[c("from", "to", "beyond")], shown[bars$row, intersect(c("deleted", "parameter"), names(data)), drop = FALSE])
  .data <- ggplot2::.data
  aes <- ggplot2::aes
  ggplot2::ggplot(data, aes(.data$value, .data$deleted)) + ggplot2::geom_vline(xintercept = 0, colour = "grey40") +
    limit_lines(data, limit, "x") +
    ggplot2::geom_segment(
      aes(.data$from, .data$deleted, xend = .data$to, yend = .data$deleted, colour = .data$beyond), bars, linewidth = 0.8
    ) +
    ggplot2::geom_point(aes(colour = .data$stands_out, shape = .data$stands_out), shown, size = 2) + beyond_scale() +
    ggplot2::scale_shape_manual(values = c("FALSE" = 16, "TRUE" = 17), guide = "none") + levels_axis() +
    parameter_facets(data, "free_x", 4L)
}

# Deletions in their order, as bars from zero.
index_picture <- function(data, named, limit) {
  .data <- ggplot2::.data
  aes <- ggplot2::aes
  size <- max(data$number)
  bars <- index_bars(data, limit)
  shared <- size > many_deletions
  if (shared) bars$beyond <- FALSE
  named$side <- ifelse(named$value < 0, 1.5, -0.5)
  # for a name beyond the longest bar
  room <- 0.08 * if (is.null(data$parameter)) 1 else ggplot2::wrap_dims(nlevels(data$parameter))[[1L]]
  picture <- ggplot2::ggplot(data, aes(.data$number, .data$value)) + (if (!shared) limit_lines(data, limit, "y")) +
    ggplot2::geom_segment(
      aes(.data$number, .data$from, xend = .data$number, yend = .data$to, colour = .data$beyond), bars,
      linewidth = if (size <= 200L) 0.8 else 0.4
    ) + ggplot2::geom_hline(yintercept = 0, colour = "grey40")
  if (shared) picture <- picture + limit_lines(data, limit, "y", "black")
  if (size <= 200L) {
    picture <- picture + ggplot2::geom_point(
      aes(colour = .data$stands_out, shape = .data$stands_out), data[!is.na(data$value), ], size = 1.5
    ) + ggplot2::scale_shape_manual(values = c("FALSE" = 16, "TRUE" = 17), guide = "none")
  } else {
    picture <- picture + ggplot2::geom_point(data = named, colour = picture_colours[["orange"]], shape = 17, size = 1.5)
  }
  picture + label_layer(named, aes(label = .data$deleted, vjust = .data$side), size = 3, hjust = "inward") + beyond_scale() +
    ggplot2::scale_y_continuous(expand = ggplot2::expansion(c(if (any(data$value < 0, na.rm = TRUE)) room else 0.02, room))) +
    parameter_facets(data, "free_y")
}

# Of more, neighbours share a bar, and only those that are named are marked: beyond the limit there is one in nearly every bar.
many_deletions <- 5000L

# A bar for each deletion, or one for neighbours where there are too many to tell apart.
index_bars <- function(data, limit, most = many_deletions, bins = 1000L) {
  data <- data[!is.na(data$value), ]
  size <- max(data$number)
  if (size <= most) {
    bars <- bar_pieces(pmin(data$value, 0), pmax(data$value, 0), limit)
    return(data.frame(bars[c("from", "to", "beyond")], data[bars$row, intersect(c("number", "parameter"), names(data)), drop = FALSE]))
  }
  bin <- ceiling(data$number / size * bins)
  panel <- if (is.null(data$parameter)) rep(1L, nrow(data)) else as.integer(data$parameter)
  cell <- (panel - 1L) * bins + bin
  first <- which(!duplicated(cell))
  low <- tapply(data$value, cell, min)[as.character(cell[first])]
  high <- tapply(data$value, cell, max)[as.character(cell[first])]
  pieces <- bar_pieces(pmin(as.numeric(low), 0), pmax(as.numeric(high), 0), limit)
  at <- first[pieces$row]
  bars <- data.frame(pieces[c("from", "to", "beyond")], number = (bin[at] - 0.5) * size / bins)
  if (!is.null(data$parameter)) bars$parameter <- data$parameter[at]
  bars
}

influence_subtitle <- function(data, limit, type, named) {
  if (type == "variances") return(if (is.null(named)) "triangles: the five largest changes" else "the five largest changes are named")
  beyond <- sum(data$stands_out)
  paste0(
    "dashed: ", if (type == "cook") "4 / n = " else "2 / sqrt(n) = ", format(limit, digits = 2L), "; beyond it: ",
    if (beyond == 0) "none" else counted(beyond, "value"), if (!is.null(named) && named < beyond) " (the largest are named)"
  )
}

influence_caption <- function(influence) {
  failed <- deletion_names(influence)[rowSums(is.na(influence[[2L]])) > 0]
  unsure <- sum(!influence$converged, na.rm = TRUE) - length(failed)
  paste(c(
    paste(counted(nrow(influence[[2L]]), "refit"), "without one", deletion_word(influence), "each"),
    if (length(failed)) paste0("no value without ", paste(utils::head(failed, 5L), collapse = ", "), if (length(failed) > 5L) ", ..."),
    if (unsure > 0) paste(counted(unsure, "refit"), "didn't converge")
  ), collapse = "; ")
}
