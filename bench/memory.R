# Does the memory of bootMer() grow with the number of replicates? Rscript bench/memory.R [output.md]
#
# Each row is an R process of its own, which reads its peak memory off Linux's /proc: after the fit (its peak is then reset), and after the
# bootstrap. 100,000 rows, 2,000 groups with random slopes: the responses of 10,000 replicates would be 8 GB. And two crossed
# factors: each thread works on a dense factorisation of order 2,000, and all read another one, where their searches start.
library(fastlmer)
rows <- 1e5
groups <- 2000L

peak_mb <- function() {
  status <- readLines("/proc/self/status")
  as.numeric(gsub("[^0-9]", "", grep("^VmHWM", status, value = TRUE))) / 1024
}

# From here on the peak is that of what follows.
reset_peak <- function() {
  gc()
  writeLines("5", "/proc/self/clear_refs")
}

simulated <- function() {
  set.seed(1)
  g <- gl(groups, rows / groups)
  x <- rnorm(rows)
  data.frame(y = 1 + 0.5 * x + rnorm(groups)[g] + 0.5 * rnorm(groups)[g] * x + rnorm(rows), x, g)
}

# The statistics: one that the engine computes, one that is R code on the fit of each replicate.
statistics <- list(engine = function(f) c(fixef(f), sigma(f)), R = function(f) mean(residuals(f)^2))

crossed <- function() {
  set.seed(1)
  d <- data.frame(x = rnorm(4e4), s = factor(sample(3000, 4e4, TRUE)), i = factor(sample(2000, 4e4, TRUE)))
  transform(d, y = 0.2 * x + rnorm(3000)[s] + rnorm(2000)[i] + rnorm(4e4))
}

fits <- list(
  slopes = function() lmer(y ~ x + (x | g), simulated()),
  crossed = function() lmer(y ~ x + (1 | s) + (1 | i), crossed())
)

measure <- function(model, rng, statistic, nsim, threads) {
  fit <- fits[[model]]()
  reset_peak()
  before <- peak_mb()
  time <- system.time(bootMer(fit, statistics[[statistic]], nsim = nsim, seed = 1, rng = rng, threads = threads))[["elapsed"]]
  cat(before, peak_mb(), time, "\n")
}

case <- function(model, rng, statistic, nsim, threads) {
  output <- system2(file.path(R.home("bin"), "Rscript"), c(script, "measure", model, rng, statistic, nsim, threads), stdout = TRUE)
  values <- as.numeric(strsplit(output[[length(output)]], " ")[[1L]])
  data.frame(
    model = model, rng = rng, statistic = statistic, nsim = nsim, threads = threads, before = values[1L], peak = values[2L],
    seconds = values[3L]
  )
}

as_markdown <- function(table) {
  c(
    "Made by `Rscript bench/memory.R bench/memory.md`.", "",
    strwrap(paste0(
      "Peak resident memory of an R process that bootstraps a model of ", format(rows, big.mark = ",", scientific = FALSE), " rows and ",
      format(groups, big.mark = ","), " groups with random slopes, the package and its data included. All responses at once would take 0.8 MB per ",
      "replicate, 8,000 MB for 10,000. What grows with `rng = \"R\"` are the normals of the random effects, ", 8 * 2 * groups / 1e6,
      " MB per replicate here: lme4 draws them before all residuals. They are kept up to 512 MB, and beyond that drawn again chunk by chunk. Where `FUN` is R code the peak ",
      "has in it what R has not yet collected. The model with crossed factors has 40,000 rows and 3,000 x 2,000 levels: each thread holds a dense ",
      "factor of order 2,000, its inverse and room to form it, 96 MB, and all read one more factor and inverse, 64 MB, where they start."
    ), 130), "",
    "| model | rng | FUN computed by | replicates | threads | before, MB | peak, MB | bootMer(), s |", "|---|---|---|---|---|---|---|---|",
    sprintf("| %s | %s | %s | %s | %d | %.0f | %.0f | %.1f |", table$model, table$rng, ifelse(table$statistic == "R", "R, on each fit", "the engine"),
      format(table$nsim, big.mark = ","), table$threads, table$before, table$peak, table$seconds)
  )
}

arguments <- commandArgs(trailingOnly = TRUE)
if (length(arguments) && arguments[[1L]] == "measure") {
  measure(arguments[[2L]], arguments[[3L]], arguments[[4L]], as.integer(arguments[[5L]]), as.integer(arguments[[6L]]))
} else {
  script <- sub("^--file=", "", grep("^--file=", commandArgs(), value = TRUE))
  combined <- function(model, rng, statistic, nsim, threads) {
    expand.grid(nsim = nsim, threads = threads, rng = rng, model = model, statistic = statistic, stringsAsFactors = FALSE)
  }
  cases <- rbind(
    combined("slopes", c("R", "pcg64"), "engine", c(200L, 1000L, 10000L), 1L),
    combined("slopes", c("R", "pcg64"), "engine", 1000L, 2L),
    combined("slopes", c("R", "pcg64"), "R", c(200L, 1000L), 1L),
    combined("crossed", "pcg64", "engine", 8L, 1:2)
  )
  table <- do.call(rbind, Map(case, cases$model, cases$rng, cases$statistic, cases$nsim, cases$threads))
  writeLines(as_markdown(table), if (length(arguments)) arguments[[1L]] else stdout())
}
