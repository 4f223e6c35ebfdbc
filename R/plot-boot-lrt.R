#' Pictures of a bootstrap likelihood ratio test
#'
#' What the statistic is when the smaller model is true: the draws of [boot_lrt()], beside the chi-squared distribution that is used instead
#' where one doesn't bootstrap, with the statistic of the data. The p-values of both are in the subtitle.
#'
#' @section What is drawn:
#' * *density*: a histogram of the draws' statistics, those that are larger than the data's filled in another colour, and the density of the
#'   chi-squared distribution. An arrow points to the data's statistic where it is larger than twice the largest draw's. Where the larger
#'   model has one variance more, and no other fixed effects, there is a second curve: half the sum of the chi-squared distributions with
#'   all degrees of freedom and with one less, which is right in large samples, since the variance lies at its boundary (Stram and Lee
#'   1994).
#' * *tail*: the share of draws with a larger statistic, and the tail probabilities of these distributions, on a logarithmic axis. Where
#'   the vertical line crosses a curve is its p-value.
#'
#' Statistics below zero, which are zero but for rounding, are drawn as zero.
#'
#' @param object,model,x a result of [boot_lrt()].
#' @param type `"density"` or `"tail"`.
#' @param bins number of bins of the histogram; by default as in [autoplot.boot].
#' @param data not used.
#' @param ... for `plot()`: arguments of `autoplot()`; else not used.
#' @return `autoplot()` and `plot()`: a ggplot. `fortify()`: its data frame, a row per draw: `replicate`; `statistic`, `NA` where the draw
#'   couldn't be fitted; `larger`, whether it is larger than the data's.
#' @references Stram, D. O. and Lee, J. W. (1994) Variance components testing in the longitudinal mixed effects model. *Biometrics* 50,
#'   1171-1177. \doi{10.2307/2533455}
#' @examples
#' if (requireNamespace("ggplot2")) {
#'   large <- lmer(Reaction ~ Days + (Days | Subject), sleepstudy)
#'   test <- boot_lrt(large, lmer(Reaction ~ Days + (1 | Subject), sleepstudy), nsim = 200, seed = 1)
#'   plot(test)
#'   plot(test, "tail")
#' }
#' @method autoplot boot_lrt
#' @rawNamespace S3method(ggplot2::autoplot,boot_lrt)
autoplot.boot_lrt <- function(object, type = "density", bins = NULL, ...) {
  needs_ggplot2("a bootstrap likelihood ratio test")
  type <- one_choice(type, c("density", "tail"), "type")
  bins <- checked_bins(bins)
  data <- fortify.boot_lrt(object)
  drawn <- data$statistic[!is.na(data$statistic)]
  if (!length(drawn)) fail("data", "none of the draws could be fitted: there is nothing to draw")
  observed <- max(object$LRTstat[["tobs"]], 0)
  far <- type == "density" && observed > 2 * max(drawn)
  end <- if (far) 1.5 * max(drawn) else max(drawn, observed)
  .data <- ggplot2::.data
  picture <- ggplot2::ggplot(data, ggplot2::aes(.data$statistic))
  picture <- if (type == "density") {
    bars <- histogram_of(data.frame(term = "", value = drawn, singular = drawn > observed), bins)
    bars[c("ymin", "ymax", "top")] <- bars[c("ymin", "ymax", "top")] / (length(drawn) * (bars$xmax - bars$xmin))
    picture + density_layers(object, bars, end) + observed_layers(observed, end, max(bars$top))
  } else {
    picture + tail_layers(object, drawn, end) + observed_layers(observed, end)
  }
  picture + lrt_scales(object) + ggplot2::labs(
    x = "likelihood ratio statistic", y = if (type == "density") "density" else "probability of a larger statistic",
    title = "Bootstrap likelihood ratio test", subtitle = lrt_subtitle(object, far), caption = lrt_caption(object, data)
  )
}

#' @rdname autoplot.boot_lrt
#' @method fortify boot_lrt
#' @rawNamespace S3method(ggplot2::fortify,boot_lrt)
fortify.boot_lrt <- function(model, data, ...) {
  statistic <- pmax(as.numeric(model$ref), 0)
  data.frame(replicate = seq_along(statistic), statistic = statistic, larger = statistic > model$LRTstat[["tobs"]])
}

#' @rdname autoplot.boot_lrt
#' @export
plot.boot_lrt <- function(x, ...) autoplot.boot_lrt(x, ...)

# The distributions that the statistic is said to have: for each its name, its density and its tail.
lrt_distributions <- function(test) {
  df <- test$LRTstat[["df"]]
  chi <- function(df) {
    list(
      density = function(x) if (df == 0) 0 * x else stats::dchisq(x, df),
      tail = function(x) if (df == 0) as.numeric(x <= 0) else stats::pchisq(x, df, lower.tail = FALSE)
    )
  }
  both <- list(chi(df - 1), chi(df))
  half <- function(what) function(x) (both[[1L]][[what]](x) + both[[2L]][[what]](x)) / 2
  distributions <- list(c(list(name = paste(df, "df")), chi(df)))
  if (!tests_one_variance(test)) return(distributions)
  c(distributions, list(list(name = sprintf("half %d df, half %d df", df - 1, df), density = half("density"), tail = half("tail"))))
}

tests_one_variance <- function(test) {
  tested <- attr(test, "tested")
  !is.null(tested) && tested[["variances"]] == 1 && tested[["fixed"]] == 0
}

lrt_curves <- function(test, what, end, ceiling = Inf) {
  x <- end * seq(0.0005, 1.02, length.out = 800L)
  curves <- lapply(lrt_distributions(test), function(distribution) {
    data.frame(x = x, y = distribution[[what]](x), distribution = distribution$name)
  })
  curves <- do.call(rbind, curves)
  curves$distribution <- factor(curves$distribution, unique(curves$distribution))
  curves[curves$y <= ceiling, ]
}

density_layers <- function(test, bars, end) {
  .data <- ggplot2::.data
  aes <- ggplot2::aes
  list(
    shape_layers(bars, "histogram"),
    fill_of_marked(bars$singular, c("FALSE" = "smaller", "TRUE" = "larger than the data's"), "draws"),
    ggplot2::geom_line(
      aes(.data$x, .data$y, linetype = .data$distribution), lrt_curves(test, "density", end, 1.15 * max(bars$top)), linewidth = 0.8
    )
  )
}

tail_layers <- function(test, drawn, end) {
  .data <- ggplot2::.data
  aes <- ggplot2::aes
  sorted <- sort(unique(drawn))
  size <- length(drawn)
  steps <- data.frame(x = c(0, sorted), y = c(1, 1 - cumsum(tabulate(match(drawn, sorted))) / size))
  steps <- steps[steps$y > 0, ]
  steps <- rbind(steps, data.frame(x = sorted[length(sorted)], y = steps$y[nrow(steps)]))
  list(
    ggplot2::geom_line(
      aes(.data$x, .data$y, linetype = .data$distribution), lrt_curves(test, "tail", end), linewidth = 0.8
    ),
    ggplot2::geom_step(aes(.data$x, .data$y, colour = "bootstrap"), steps, linewidth = 1),
    ggplot2::scale_colour_manual(values = c(bootstrap = picture_colours[["blue"]]), name = NULL),
    ggplot2::scale_y_log10(labels = function(x) vapply(x, function(x) if (is.na(x)) "" else format(x, digits = 2L), ""))
  )
}

lrt_scales <- function(test) {
  names <- vapply(lrt_distributions(test), `[[`, "", "name")
  ggplot2::scale_linetype_manual(values = c("solid", "22")[seq_along(names)], name = "chi-squared")
}

# The data's statistic; where it lies far beyond the draws, an arrow towards it, since the draws would be a line else.
observed_layers <- function(observed, end, top) {
  if (observed <= end) return(ggplot2::geom_vline(xintercept = observed, linewidth = 0.8))
  list(
    ggplot2::annotate(
      "segment", x = 0.75 * end, xend = end, y = top / 2, yend = top / 2, linewidth = 0.8,
      arrow = ggplot2::arrow(length = ggplot2::unit(0.1, "inches"))
    ),
    ggplot2::annotate("text", x = end, y = 0.55 * top, label = paste("the data's:", format(observed, digits = 4L)), hjust = 1, vjust = 0)
  )
}

lrt_subtitle <- function(test, far) {
  observed <- max(test$LRTstat[["tobs"]], 0)
  words <- vapply(lrt_distributions(test), function(d) paste("p =", p_text(d$tail(observed)), "by chi-squared,", d$name), "")
  paste(c(
    paste0(if (!far) "vertical line: ", "the data's statistic, ", format(observed, digits = 4L)),
    paste0("p = ", p_text(test$test$p.value[[2L]]), " by the bootstrap", if (test$n.extreme == 0) " (no draw is larger)"), words
  ), collapse = "\n")
}

p_text <- function(p) format(p, digits = 2L, scientific = p < 1e-4)

lrt_caption <- function(test, data) {
  size <- nrow(data)
  failed <- sum(is.na(data$statistic))
  formula <- function(name) paste(strwrap(deparse1(test[[name]]), 80L), collapse = "\n")
  paste0(
    counted(size, "draw"), " from the smaller model, ", counted(test$samples[["npos"]], "statistic"), " above zero",
    if (failed) paste0(", ", counted(failed, "draw"), " couldn't be fitted"), "\nlarger: ", formula("formula.large"), "\nsmaller: ",
    formula("formula.small")
  )
}
