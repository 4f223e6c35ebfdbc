# Whole calls of fastlmer's lmer() beside lme4's in one run: Rscript bench/lmer.R [runs] > table.md
#
# The fits that take lme4 long are run fewer times; what is printed is the median of the elapsed times, the ratio,
# the evaluations that each needed, and by how much fastlmer's criterion is below lme4's. With peak = TRUE (the
# second argument) each call is repeated in a process of its own to read its peak memory off /proc.
library(fastlmer)

arguments <- commandArgs(TRUE)
runs <- if (length(arguments)) as.integer(arguments[[1L]]) else 5L
peak <- length(arguments) > 1L && arguments[[2L]] == "peak"

million_rows <- function(rows = 1e6, groups = 1e4) {
  set.seed(1)
  g <- factor(sample(groups, rows, replace = TRUE))
  x <- rnorm(rows)
  y <- 1 + 0.5 * x + rnorm(groups)[g] + 0.5 * rnorm(groups)[g] * x + rnorm(rows)
  data.frame(y, x, g)
}

cases <- list(
  list(name = "sleepstudy, `Days | Subject`, REML", formula = Reaction ~ Days + (Days | Subject), data = quote(sleepstudy),
       REML = TRUE, times = 40L, lme4_times = 20L),
  list(name = "InstEval, `service + (1 | s) + (1 | d)`, ML", formula = y ~ service + (1 | s) + (1 | d), data = quote(InstEval),
       REML = FALSE, times = runs, lme4_times = 3L),
  list(name = "InstEval, `service * dept + (1 | s) + (1 | d)`, ML", formula = y ~ service * dept + (1 | s) + (1 | d),
       data = quote(InstEval), REML = FALSE, times = runs, lme4_times = 1L),
  list(name = "InstEval, `service + (1 | s) + (1 | d) + (1 | dept)`, ML", formula = y ~ service + (1 | s) + (1 | d) + (1 | dept),
       data = quote(InstEval), REML = FALSE, times = runs, lme4_times = 1L),
  list(name = "1,000,000 rows, 10,000 groups, `x + (1 + x | g)`, REML", formula = y ~ x + (1 + x | g), data = quote(million_rows()),
       REML = TRUE, times = runs, lme4_times = 1L)
)

# Median elapsed seconds of a fit, and the fit.
timed <- function(lmer, case, data, times) {
  seconds <- numeric(times)
  for (i in seq_len(times)) {
    gc(FALSE)
    seconds[[i]] <- system.time(fit <- suppressWarnings(lmer(case$formula, data, REML = case$REML)), gcFirst = FALSE)[["elapsed"]]
  }
  # system.time() reads milliseconds: short calls are timed together
  if (stats::median(seconds) < 0.05) {
    seconds <- system.time(for (i in seq_len(times)) suppressWarnings(lmer(case$formula, data, REML = case$REML)))[["elapsed"]] / times
  }
  list(seconds = stats::median(seconds), fit = fit)
}

# Peak resident memory in MB of a process that makes the data and fits once.
peak_memory <- function(package, case) {
  script <- tempfile(fileext = ".R")
  dump("million_rows", script)
  code <- bquote({
    suppressMessages(library(fastlmer))
    invisible(suppressWarnings(getExportedValue(.(package), "lmer")(.(case$formula), .(case$data), REML = .(case$REML))))
    cat(sub("[^0-9]*([0-9]+).*", "\\1", grep("VmHWM", readLines("/proc/self/status"), value = TRUE)))
  })
  cat(deparse(code), sep = "\n", file = script, append = TRUE)
  as.numeric(system2(file.path(R.home("bin"), "Rscript"), script, stdout = TRUE, stderr = FALSE)) / 1024
}

cat("| model | lme4 (s) | fastlmer (s) | ratio | evaluations lme4 | evaluations fastlmer | criterion below lme4's |",
    if (peak) " peak lme4 (MB) | peak fastlmer (MB) |", "\n|---|---|---|---|---|---|---|", if (peak) "---|---|", "\n", sep = "")
for (case in cases) {
  data <- eval(case$data)
  invisible(lmer(case$formula, data, REML = case$REML)) # the first call loads what later ones find loaded
  ours <- timed(fastlmer::lmer, case, data, case$times)
  theirs <- timed(lme4::lmer, case, data, case$lme4_times)
  criterion <- function(fit) -2 * as.numeric(logLik(fit))
  cat(sprintf("| %s | %.4f | %.4f | %.1f | %d | %d | %.2e |", gsub("|", "\\|", case$name, fixed = TRUE), theirs$seconds, ours$seconds,
              theirs$seconds / ours$seconds, as.integer(theirs$fit@optinfo$feval), as.integer(ours$fit@optinfo$feval),
              criterion(theirs$fit) - criterion(ours$fit)))
  if (peak) cat(sprintf(" %.0f | %.0f |", peak_memory("lme4", case), peak_memory("fastlmer", case)))
  cat("\n")
}
