# Run by tools/test.sh: all of tests/testthat against the installed package, and the totals as the last line.
#
# With the argument `fast`, as tools/check.sh runs it, two halves at once, without the files that take longer than three seconds of an
# idle core: those are written down here, and what they test is tested once and small in test-in-short.R where no fast file does. A file
# that isn't written down, but takes longer than `limit`, is named at the end.
limit <- 4
slow <- c(
  "allFit", "anova", "attach", "boot-case", "boot-reb", "boot-residual", "boot-save", "boot-wild", "boot-workers", "chunk-columns",
  "chunk-lmer", "comparison", "ecosystem-generics", "ecosystem-inference", "ecosystem-other-fits", "ecosystem-plots",
  "ecosystem-scoping", "ecosystem-tables", "engine-value", "infer-influence", "infer-kenward-roger", "infer-satterthwaite", "interop",
  "interop-emmeans", "interop-lmerTest", "interop-parameters", "interrupts", "lecture", "lme4-object", "lmer", "lmer-absorbed",
  "lmer-parts", "plot-boot", "plot-profile", "power", "predict-rows", "predict-simulate", "profile", "refit", "sitrep", "vignettes",
  "watch"
)

tests_of <- function(reporter, ...) {
  as.data.frame(testthat::test_dir(
    "tests/testthat", package = "fastlmer", load_package = "installed", reporter = reporter, stop_on_failure = FALSE, ...
  ))
}

# Each half in a fork, for which this process has loaded the package and has computed nothing.
fast_tests <- function() {
  library(testthat)
  library(fastlmer)
  names <- sub("^test-(.*)[.]R$", "\\1", basename(find_test_scripts("tests/testthat")))
  unknown <- setdiff(slow, names)
  if (length(unknown)) stop("said to be slow, but not there: ", toString(unknown))
  names <- setdiff(names, slow)
  halves <- split(names, seq_along(names) %% 2L)
  made <- parallel::mclapply(halves, mc.cores = 2L, function(half) {
    tests_of(CheckReporter$new(), filter = paste0("^(", paste(half, collapse = "|"), ")$"))
  })
  died <- !vapply(made, is.data.frame, NA)
  if (any(died)) stop("R ended, or a file couldn't be read, in one of: ", toString(unlist(halves[died])))
  results <- do.call(rbind, made)
  seconds <- rowsum(results$user + results$system, results$file)[, 1L]
  long <- seconds[seconds > limit]
  if (length(long)) cat("\nslow by now, see tools/test.R:", toString(sprintf("%s (%.1f s)", names(long), long)), "\n")
  results
}

results <- if ("fast" %in% commandArgs(TRUE)) fast_tests() else tests_of("summary")
failed <- sum(results$failed) + sum(results$error)
cat(sprintf("\n%d passed, %d failed, %d skipped\n", sum(results$passed), failed, sum(results$skipped)))
quit(status = if (failed > 0 || nrow(results) == 0) 1 else 0)
