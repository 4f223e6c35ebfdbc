# How the time of lmer() grows: Rscript bench/growth.R [largest number of rows] [output.md]
#
# With the rows (1,000 levels), with the levels (10 rows each), and with the columns k of one random-effects term (200 levels, 10,000 rows).
# lme4 is timed at the smaller sizes. The slope is that of log time over log size at the upper half of the sizes: 1 is proportional.
# A picture goes to bench/growth.png. Largest: 1e7 unless said; some ten minutes.
suppressMessages(library(fastlmer))
arguments <- commandArgs(trailingOnly = TRUE)
largest <- if (length(arguments)) as.numeric(arguments[[1L]]) else 1e7
here <- dirname(sub("^--file=", "", grep("^--file=", commandArgs(), value = TRUE)))

# Every effect varies between the levels, so that no fit is singular.
simulated <- function(rows, levels, k) {
  set.seed(1)
  g <- rep_len(seq_len(levels), rows)
  data <- data.frame(g = factor(g), y = stats::rnorm(rows) + stats::rnorm(levels)[g])
  for (name in paste0("x", seq_len(k - 1L), recycle0 = TRUE)) {
    data[[name]] <- stats::rnorm(rows)
    data$y <- data$y + (0.5 + 0.5 * stats::rnorm(levels)[g]) * data[[name]]
  }
  data
}

# y ~ x1 + ... + (x1 + ... | g)
model_formula <- function(k) {
  columns <- paste(c("1", paste0("x", seq_len(k - 1L), recycle0 = TRUE)), collapse = " + ")
  stats::as.formula(sprintf("y ~ %s + (%s | g)", columns, columns))
}

seconds <- function(lmer, formula, data, budget = 3, most = 11L) {
  taken <- numeric()
  while (length(taken) < most && sum(taken) < budget) {
    begin <- as.numeric(Sys.time())
    suppressWarnings(suppressMessages(lmer(formula, data)))
    taken <- c(taken, as.numeric(Sys.time()) - begin)
  }
  stats::median(taken)
}

sizes <- rbind(
  data.frame(what = "rows", size = c(3e3, 1e4, 3e4, 1e5, 3e5, 1e6, 3e6, 1e7), lme4_up_to = 1e5) |>
    transform(rows = size, levels = 1e3, k = 2L),
  data.frame(what = "levels", size = 10^seq(2, 6, by = 0.5), lme4_up_to = 1e4) |>
    transform(rows = 10 * round(size), levels = round(size), k = 2L),
  data.frame(what = "columns k", size = 1:8, lme4_up_to = 5) |> transform(rows = 1e4, levels = 200, k = as.integer(size))
)
sizes <- sizes[sizes$rows <= largest, ]

measure <- function(size) {
  data <- simulated(size$rows, size$levels, size$k)
  formula <- model_formula(size$k)
  time <- function(lmer) seconds(lmer, formula, data)
  data.frame(fastlmer = time(fastlmer::lmer), lme4 = if (size$size <= size$lme4_up_to) time(lme4::lmer) else NA_real_)
}

slope <- function(size, time) {
  known <- which(!is.na(time))
  upper <- known[seq_along(known) > length(known) / 2]
  stats::coef(stats::lm(log(time[upper]) ~ log(size[upper])))[[2L]]
}

invisible(lmer(model_formula(2L), simulated(100, 10, 2L))) # the first call loads what later ones find loaded
times <- cbind(sizes, do.call(rbind, lapply(split(sizes, seq_len(nrow(sizes))), measure)))

number <- function(format, x) ifelse(is.na(x), "-", sprintf(format, x))
slopes <- vapply(split(times, factor(times$what, unique(times$what))), function(part) {
  sprintf("With %s: slope %.2f for fastlmer, %.2f for lme4.", part$what[[1L]], slope(part$size, part$fastlmer), slope(part$size, part$lme4))
}, "")
writeLines(c(
  sprintf("Made by `Rscript bench/growth.R %g`.", largest), "",
  "| growing | rows | levels | k | fastlmer, s | lme4, s | ratio |", "|---|---|---|---|---|---|---|",
  sprintf("| %s | %s | %s | %d | %.4f | %s | %s |", times$what, format(times$rows, big.mark = ",", scientific = FALSE, trim = TRUE),
          format(times$levels, big.mark = ",", scientific = FALSE, trim = TRUE), times$k, times$fastlmer, number("%.3f", times$lme4),
          number("%.0f", times$lme4 / times$fastlmer)), "",
  slopes
), if (length(arguments) > 1L) arguments[[2L]] else stdout())

long <- rbind(
  data.frame(times[c("what", "size")], package = "fastlmer", seconds = times$fastlmer),
  data.frame(times[c("what", "size")], package = "lme4", seconds = times$lme4)
)
long$what <- factor(long$what, unique(long$what))
picture <- ggplot2::ggplot(long[!is.na(long$seconds), ], ggplot2::aes(size, seconds, colour = package)) +
  ggplot2::geom_line() +
  ggplot2::geom_point() +
  ggplot2::facet_wrap(~what, scales = "free_x") +
  ggplot2::scale_x_log10() +
  ggplot2::scale_y_log10() +
  ggplot2::labs(x = NULL, y = "seconds, whole call", colour = NULL) +
  ggplot2::theme_bw()
ggplot2::ggsave(file.path(here, "growth.png"), picture, width = 9, height = 3.5, dpi = 120)
