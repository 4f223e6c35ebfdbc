# Does the memory of bootMer() grow with the number of replicates? Rscript bench/memory.R [output.md]
#
# Each row is an R process of its own, which reads its peak memory off Linux's /proc: after the fit (its peak is then reset), and after the
# bootstrap. 100,000 rows, 2,000 groups with random slopes: the responses of 10,000 replicates would be 8 GB.
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

measure <- function(rng, statistic, nsim, threads) {
  fit <- lmer(y ~ x + (x | g), simulated())
  reset_peak()
  before <- peak_mb()
  time <- system.time(bootMer(fit, statistics[[statistic]], nsim = nsim, seed = 1, rng = rng, threads = threads))[["elapsed"]]
  cat(before, peak_mb(), time, "\n")
}

case <- function(rng, statistic, nsim, threads) {
  output <- system2(file.path(R.home("bin"), "Rscript"), c(script, "measure", rng, statistic, nsim, threads), stdout = TRUE)
  values <- as.numeric(strsplit(output[[length(output)]], " ")[[1L]])
  data.frame(rng = rng, statistic = statistic, nsim = nsim, threads = threads, before = values[1L], peak = values[2L], seconds = values[3L])
}

as_markdown <- function(table) {
  c(
    "Made by `Rscript bench/memory.R bench/memory.md`.", "",
    strwrap(paste0(
      "Peak resident memory of an R process that bootstraps a model of ", format(rows, big.mark = ",", scientific = FALSE), " rows and ",
      format(groups, big.mark = ","), " groups with random slopes, the package and its data included. All responses at once would take 0.8 MB per ",
      "replicate, 8,000 MB for 10,000. What grows with `rng = \"R\"` are the normals of the random effects, ", 8 * 2 * groups / 1e6,
      " MB per replicate here: lme4 draws them before all residuals. They are kept up to 512 MB, and beyond that drawn again chunk by chunk. Where `FUN` is R code the peak ",
      "has in it what R has not yet collected. The seconds are elapsed ones, on a machine with other work."
    ), 130), "",
    "| rng | FUN computed by | replicates | threads | before, MB | peak, MB | bootMer(), s |", "|---|---|---|---|---|---|---|",
    sprintf("| %s | %s | %s | %d | %.0f | %.0f | %.1f |", table$rng, ifelse(table$statistic == "R", "R, on each fit", "the engine"),
      format(table$nsim, big.mark = ","), table$threads, table$before, table$peak, table$seconds)
  )
}

arguments <- commandArgs(trailingOnly = TRUE)
if (length(arguments) && arguments[[1L]] == "measure") {
  measure(arguments[[2L]], arguments[[3L]], as.integer(arguments[[4L]]), as.integer(arguments[[5L]]))
} else {
  script <- sub("^--file=", "", grep("^--file=", commandArgs(), value = TRUE))
  cases <- rbind(
    expand.grid(nsim = c(200L, 1000L, 10000L), rng = c("R", "pcg64"), statistic = "engine", threads = 1L, stringsAsFactors = FALSE),
    expand.grid(nsim = 1000L, rng = c("R", "pcg64"), statistic = "engine", threads = 2L, stringsAsFactors = FALSE),
    expand.grid(nsim = c(200L, 1000L), rng = c("R", "pcg64"), statistic = "R", threads = 1L, stringsAsFactors = FALSE)
  )
  table <- do.call(rbind, Map(case, cases$rng, cases$statistic, cases$nsim, cases$threads))
  writeLines(as_markdown(table), if (length(arguments)) arguments[[1L]] else stdout())
}
