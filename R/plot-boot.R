#' Pictures of a bootstrap
#'
#' `autoplot()` draws how each statistic is distributed over the replicates, with the estimate (a line and a point) and its confidence
#' intervals (bars below). Replicates whose fit is singular are filled in another colour, so that one sees whether a pile at a boundary
#' comes from them; the caption says their share and how many replicates failed. `plot()` of a bootstrap is [boot::plot.boot()].
#'
#' @section What is drawn:
#' * *histogram*: bins of equal width from the least to the largest replicate, their number by Freedman and Diaconis's rule, at least
#'   20 (of less than 400 replicates their square root) and at most 60. So replicates at a boundary, a standard deviation of zero or a
#'   correlation of one, are in a bin that ends there.
#' * *density*: a normal kernel with Sheather and Jones's bandwidth. Where several replicates have the least or the largest value it ends
#'   there, as a parameter at its boundary does, at zero where all replicates are positive and some near to it; what the kernel puts
#'   beyond is folded back. Up to 200 replicates are marked one by one
#'   below it. A pile of replicates at one value has no density: the histogram shows it better.
#' * *interval*: estimates and intervals only, a row for each statistic; a thin line goes from the least to the largest replicate. Of more
#'   than 20 statistics this is the default.
#'
#' @param object,model a result of [bootMer()], [boot_resample()] or [boot::boot()].
#' @param type which intervals, one or several of those of [boot_intervals()]; `NULL` for none.
#' @param level their confidence level.
#' @param index which statistics: numbers or names; by default all (for `type = "stud"` those that have a standard error in `se`).
#' @param geom `"histogram"`, `"density"` or `"interval"`.
#' @param bins number of bins of the histograms.
#' @param se,fit,group for `"stud"` and `"bca"`, see [boot_intervals()].
#' @param data not used.
#' @param ... not used.
#' @return `autoplot()`: a ggplot. `fortify()`: its data frame, a row per replicate and statistic: `replicate`, a number; `term`, the
#'   statistic; `value`; `singular`, whether the replicate's fit is singular, `NA` where the bootstrap doesn't know (lme4's doesn't).
#' @references Davison, A. C. and Hinkley, D. V. (1997) *Bootstrap Methods and Their Application*. Cambridge University Press.
#'
#'   Freedman, D. and Diaconis, P. (1981) On the histogram as a density estimator: L2 theory. *Zeitschrift fuer
#'   Wahrscheinlichkeitstheorie und verwandte Gebiete* 57, 453-476. \doi{10.1007/BF01025868}
#'
#'   Sheather, S. J. and Jones, M. C. (1991) A reliable data-based bandwidth selection method for kernel density estimation. *Journal of
#'   the Royal Statistical Society B* 53, 683-690. \doi{10.1111/j.2517-6161.1991.tb01857.x}
#' @seealso [boot_intervals()] for the numbers
#' @examples
#' if (requireNamespace("ggplot2")) {
#'   fit <- lmer(Reaction ~ Days + (Days | Subject), sleepstudy)
#'   statistics <- function(f) c(fixef(f), sd = attr(VarCorr(f)$Subject, "stddev"))
#'   boot <- bootMer(fit, statistics, nsim = 200, seed = 1)
#'   ggplot2::autoplot(boot)
#'   ggplot2::autoplot(boot, c("perc", "basic", "shortest"), index = 3:4, geom = "density")
#'   head(ggplot2::fortify(boot))
#' }
#' @method autoplot boot
#' @rawNamespace S3method(ggplot2::autoplot,boot)
autoplot.boot <- function(object, type = "perc", level = 0.95, index = NULL, geom = NULL, bins = NULL, se = NULL, fit = NULL,
                          group = NULL, ...) {
  needs_ggplot2("a bootstrap")
  names <- statistic_names(object)
  number <- if (is.null(index) && !is.null(se)) length(se) else length(names)
  shown <- chosen_numbers(index %||% seq_len(number), names, "index")
  geom <- one_choice(geom %||% if (length(shown) > 20L) "interval" else "histogram", c("histogram", "density", "interval"), "geom")
  data <- fortify.boot(object, index = shown)
  intervals <- if (length(type)) boot_intervals(object, type, level, shown, se, fit, group)
  if (geom == "interval") return(picture_of_intervals(object, data, intervals, shown))
  picture_of_replicates(object, data, intervals, shown, geom, checked_bins(bins))
}

#' @rdname autoplot.boot
#' @method fortify boot
#' @rawNamespace S3method(ggplot2::fortify,boot)
fortify.boot <- function(model, data, index = NULL, ...) {
  names <- statistic_names(model)
  shown <- chosen_numbers(index, names, "index")
  size <- nrow(model$t)
  singular <- attr(model, "singular")
  singular <- if (is.null(singular)) NA else seq_len(size) %in% singular
  data.frame(
    replicate = rep.int(seq_len(size), length(shown)), term = factor(rep(names[shown], each = size), names[shown]),
    value = as.numeric(model$t[, shown]), singular = rep.int(rep_len(singular, size), length(shown))
  )
}

statistic_names <- function(boot) {
  names <- names(boot$t0) %||% paste0("t", seq_along(boot$t0))
  make.unique(ifelse(is.na(names) | names == "", paste0("t", seq_along(boot$t0)), names))
}

checked_bins <- function(bins) {
  if (is.null(bins)) return(NULL)
  if (!is_finite_number(bins) || bins < 1 || bins > 1e4) fail("argument", "'bins' must be a number of bins, 1 or more")
  as.integer(bins)
}

# The words of boot_intervals()'s kinds.
interval_words <- c(perc = "percentile", basic = "basic", norm = "normal", stud = "studentised", bca = "BCa", shortest = "shortest")

picture_of_replicates <- function(boot, data, intervals, shown, geom, bins) {
  pieces <- split(data, data$term)
  shapes <- do.call(rbind, lapply(pieces, if (geom == "histogram") histogram_of else density_of, bins))
  heights <- vapply(split(shapes$top, shapes$term), max, 0)
  estimates <- data.frame(term = factor(levels(data$term), levels(data$term)), estimate = as.numeric(boot$t0)[shown], top = heights)
  .data <- ggplot2::.data
  aes <- ggplot2::aes
  picture <- ggplot2::ggplot(data, aes(.data$value)) + shape_layers(shapes, geom) +
    ggplot2::geom_segment(
      aes(.data$estimate, 0, xend = .data$estimate, yend = .data$top), estimates,
      linewidth = 0.8
    ) + interval_layers(intervals, heights, estimates) +
    ggplot2::facet_wrap(ggplot2::vars(.data$term), scales = "free", labeller = facet_words(facet_width(length(shown)))) +
    sparse_axis(length(shown)) + ggplot2::scale_y_continuous(breaks = upper_breaks, labels = plain_number) +
    fill_of_marked(shapes$singular) +
    ggplot2::labs(
      x = "value of the statistic", y = if (geom == "histogram") "replicates" else "density", title = "Bootstrap distributions",
      subtitle = interval_subtitle(intervals), caption = boot_caption(boot, data)
    )
  if (geom == "density" && nrow(boot$t) <= 200L) picture <- picture + ggplot2::geom_rug(sides = "b", alpha = 0.5, na.rm = TRUE)
  picture
}

# Bins of one statistic, singular replicates below the others: `xmin`, `xmax`, `ymin`, `ymax`; `top`, the height of both together.
histogram_of <- function(piece, bins = NULL) {
  piece <- piece[is.finite(piece$value), ]
  if (!nrow(piece)) return(NULL)
  breaks <- bin_breaks(piece$value, bins)
  count <- function(values) tabulate(cut(values, breaks, labels = FALSE, include.lowest = TRUE), length(breaks) - 1L)
  singular <- piece$singular %in% TRUE
  bars <- stacked(piece, count(piece$value[singular]), count(piece$value[!singular]))
  data.frame(bars, xmin = breaks[-length(breaks)], xmax = breaks[-1L])
}

# From the least to the largest value, so that what piles up at a bound is in a bin that ends there.
bin_breaks <- function(values, bins = NULL) {
  ends <- range(values)
  width <- diff(ends)
  if (width <= 1e-12 * max(abs(ends))) {
    half <- if (ends[[1L]] == 0) 0.5 else abs(ends[[1L]]) / 100
    return(ends[[1L]] + c(-half, half))
  }
  if (is.null(bins)) {
    spread <- stats::IQR(values)
    wanted <- if (spread > 0) width / (2 * spread) * length(values)^(1 / 3) else 0
    bins <- min(max(ceiling(wanted), min(20, sqrt(length(values))), 5), 60)
  }
  seq(ends[[1L]], ends[[2L]], length.out = bins + 1L)
}

# A density of one statistic, that of the singular replicates below: at `x` from `ymin` to `ymax`.
density_of <- function(piece, ...) {
  piece <- piece[is.finite(piece$value), ]
  if (!nrow(piece)) return(NULL)
  values <- piece$value
  ends <- range(values)
  if (diff(ends) <= 1e-12 * max(abs(ends))) fail("argument", "'", piece$term[[1L]], "' is the same in all replicates: it has no density")
  piled <- abs(outer(values, ends, `-`)) <= 1e-6 * diff(ends)
  bounds <- colSums(piled) > 1
  width <- kernel_width(values[rowSums(piled[, bounds, drop = FALSE]) == 0])
  if (ends[[1L]] >= 0 && ends[[1L]] < 3 * width) {
    bounds[[1L]] <- TRUE
    ends[[1L]] <- 0
  }
  from <- ends[[1L]] - if (bounds[[1L]]) 0 else 3 * width
  to <- ends[[2L]] + if (bounds[[2L]]) 0 else 3 * width
  height <- function(values) {
    if (!length(values)) return(numeric(512L))
    kernel <- function(values) stats::density(values, width, n = 512L, from = from, to = to)$y
    folded <- kernel(values) + (if (bounds[[1L]]) kernel(2 * from - values) else 0) + (if (bounds[[2L]]) kernel(2 * to - values) else 0)
    folded * length(values) / nrow(piece)
  }
  singular <- piece$singular %in% TRUE
  data.frame(stacked(piece, height(values[singular]), height(values[!singular])), x = seq(from, to, length.out = 512L))
}

kernel_width <- function(values) tryCatch(stats::bw.SJ(values), error = function(e) stats::bw.nrd0(values))

# Heights of the singular replicates, and those of the others on top of them.
stacked <- function(piece, singular, others) {
  n <- length(others)
  marked <- any(singular > 0)
  data.frame(
    term = piece$term[[1L]], singular = rep(c(if (marked) TRUE, FALSE), each = n), ymin = c(if (marked) numeric(n), singular),
    ymax = c(if (marked) singular, singular + others), top = singular + others
  )
}

shape_layers <- function(shapes, geom) {
  .data <- ggplot2::.data
  if (geom == "histogram") {
    mapping <- ggplot2::aes(xmin = .data$xmin, xmax = .data$xmax, ymin = .data$ymin, ymax = .data$ymax, fill = .data$singular)
    return(ggplot2::geom_rect(mapping, shapes[shapes$ymax > shapes$ymin, ], inherit.aes = FALSE))
  }
  mapping <- ggplot2::aes(.data$x, ymin = .data$ymin, ymax = .data$ymax, fill = .data$singular)
  ggplot2::geom_ribbon(mapping, shapes, inherit.aes = FALSE, colour = "grey30", linewidth = 0.2)
}

# Of replicates that are marked and those that aren't, with a legend where there are some.
fill_of_marked <- function(marked, labels = c("FALSE" = "fit not singular", "TRUE" = "singular fit"), name = NULL) {
  ggplot2::scale_fill_manual(
    values = c("FALSE" = picture_colours[["sky"]], "TRUE" = picture_colours[["orange"]]), name = name, labels = labels,
    guide = if (any(marked)) "legend" else "none"
  )
}

# Bars below the distributions, one for each kind of interval, with a point at the estimate.
interval_layers <- function(intervals, heights, estimates) {
  .data <- ggplot2::.data
  aes <- ggplot2::aes
  if (is.null(intervals)) return(NULL)
  kinds <- unique(intervals$type)
  bars <- data.frame(
    term = rep(estimates$term, each = length(kinds)), estimate = intervals$estimate, conf.low = intervals$conf.low,
    conf.high = intervals$conf.high, kind = factor(interval_words[intervals$type], interval_words[kinds])
  )
  bars$height <- heights[as.character(bars$term)]
  bars$y <- -bars$height * (0.07 + 0.08 * (as.integer(bars$kind) - 1))
  colours <- unname(c("black", picture_colours[c("blue", "green", "purple", "yellow", "grey")])[seq_along(kinds)])
  guide <- if (length(kinds) > 1L) ggplot2::guide_legend() else "none"
  list(
    ggplot2::geom_segment(
      aes(.data$conf.low, .data$y, xend = .data$conf.high, yend = .data$y, colour = .data$kind), bars, linewidth = 0.9, na.rm = TRUE
    ),
    ggplot2::geom_segment(
      aes(.data$end, .data$y - 0.025 * .data$height, xend = .data$end, yend = .data$y + 0.025 * .data$height, colour = .data$kind),
      rbind(transform(bars, end = bars$conf.low), transform(bars, end = bars$conf.high)), linewidth = 0.9, na.rm = TRUE
    ),
    ggplot2::geom_point(aes(.data$estimate, .data$y, colour = .data$kind, shape = .data$kind), bars, size = 2),
    ggplot2::scale_colour_manual(values = colours, name = "interval", guide = guide),
    ggplot2::scale_shape_manual(values = c(16, 15, 17, 18, 25, 8)[seq_along(kinds)], name = "interval", guide = guide)
  )
}

interval_subtitle <- function(intervals) {
  if (is.null(intervals)) return("line: estimate")
  kinds <- unique(intervals$type)
  level <- percent_of(intervals$level[[1L]], 3L)
  if (length(kinds) > 1L) return(paste0("line: estimate; bars: ", level, " intervals"))
  paste0("line: estimate; bar: ", level, " ", interval_words[[kinds]], " interval")
}

# How many replicates there are, of which kind, and how many of them are singular or failed.
boot_caption <- function(boot, data) {
  size <- nrow(boot$t)
  kind <- boot$resampling %||% if (inherits(boot, "bootMer")) boot$sim
  shown <- matrix(is.finite(data$value), size)
  failed <- attr(boot, "bootFail") %||% sum(rowSums(shown) == 0)
  left_out <- sum(!shown) - failed * ncol(shown)
  paste(c(
    paste0(counted(size, "replicate"), if (!is.null(kind)) paste0(", ", kind, " bootstrap")), singular_text_of(boot, size),
    if (failed > 0) paste(counted(failed, "failed", "failed"), "and not shown"),
    if (left_out > 0) paste(counted(left_out, "value is", "values are"), "not finite and not shown")
  ), collapse = "; ")
}

# lme4's bootstraps know the number only, by the messages.
singular_text_of <- function(boot, size) {
  singular <- attr(boot, "singular")
  if (!is.null(singular)) return(paste("singular fits:", percent_of(length(singular) / size)))
  messages <- attr(boot, "boot.all.msgs")
  texts <- unlist(lapply(unname(messages), function(table) stats::setNames(as.integer(table), names(table))))
  count <- sum(texts[grepl("singular", names(texts))])
  if (count > 0) paste0("singular fits: ", percent_of(count / size), " (which ones isn't known)")
}

# Ticks of what counts from zero: none for the bars below it.
upper_breaks <- function(limits) {
  breaks <- pretty(c(0, limits[[2L]]), 4)
  breaks[breaks >= 0 & breaks <= limits[[2L]]]
}

plain_number <- function(x) format(x, big.mark = ",", trim = TRUE)

# Estimates and intervals alone.
picture_of_intervals <- function(boot, data, intervals, shown) {
  names <- levels(data$term)
  finite <- data[is.finite(data$value), ]
  ends <- vapply(split(finite$value, finite$term), function(x) if (length(x)) range(x) else c(NA_real_, NA_real_), numeric(2))
  rows <- data.frame(term = names, estimate = as.numeric(boot$t0)[shown], least = ends[1L, ], largest = ends[2L, ])
  many <- length(names) > readable_names
  ordered <- if (many) names[order(rows$estimate)] else rev(names)
  data$term <- factor(data$term, ordered)
  rows$term <- factor(rows$term, ordered)
  .data <- ggplot2::.data
  aes <- ggplot2::aes
  ggplot2::ggplot(data, aes(.data$value, .data$term)) +
    ggplot2::geom_segment(
      aes(.data$least, .data$term, xend = .data$largest, yend = .data$term), rows, linewidth = 0.2, colour = "grey60", na.rm = TRUE
    ) +
    ranges_of_intervals(intervals, names, ordered, many) +
    ggplot2::geom_point(aes(.data$estimate, .data$term), rows, size = if (many) 0.3 else 1.5) +
    levels_axis() +
    ggplot2::labs(
      x = "value of the statistic", title = "Bootstrap intervals",
      y = if (many) paste0(counted(length(names), "statistic"), ", ordered by estimate"),
      subtitle = sub("^line: estimate", "points: estimates", sub("bar:", "thick:", interval_subtitle(intervals))),
      caption = paste0(boot_caption(boot, data), "; thin lines: all replicates")
    )
}

# Kinds stand side by side, in the legend's order.
ranges_of_intervals <- function(intervals, names, ordered, many) {
  if (is.null(intervals)) return(NULL)
  kinds <- interval_words[unique(intervals$type)]
  intervals$term <- factor(rep(names, each = length(kinds)), ordered)
  intervals$kind <- factor(interval_words[intervals$type], rev(kinds))
  colours <- stats::setNames(picture_colours[c("blue", "orange", "green", "purple", "yellow", "grey")][seq_along(kinds)], kinds)
  .data <- ggplot2::.data
  list(
    ggplot2::geom_linerange(
      ggplot2::aes(.data$estimate, .data$term, xmin = .data$conf.low, xmax = .data$conf.high, colour = .data$kind), intervals,
      position = ggplot2::position_dodge(if (length(kinds) > 1L) 0.6 else 0), linewidth = if (many) 0.3 else 0.9, na.rm = TRUE
    ),
    ggplot2::scale_colour_manual(
      values = colours, name = "interval", breaks = unname(kinds), guide = if (length(kinds) > 1L) "legend" else "none"
    )
  )
}
