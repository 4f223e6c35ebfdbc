# Run by tools/test.sh: all of tests/testthat against the installed package, and the totals as the last line. With the argument `fast`, as
# tools/check.sh runs it, without the files that take longer than a few seconds.
slow <- paste0(
  "^(allFit|attach|boot.*|engine-value|chunk-(columns|lmer|source|unused)|comparison|confint|ecosystem.*|interrupts|lecture|",
  "lmer-(absorbed|frame|optimum)|refit|rng|simulate|vignettes)$"
)
fast <- "fast" %in% commandArgs(TRUE)

results <- as.data.frame(testthat::test_dir(
  "tests/testthat",
  package = "fastlmer",
  load_package = "installed",
  reporter = "summary",
  stop_on_failure = FALSE,
  filter = if (fast) slow,
  invert = fast
))
failed <- sum(results$failed) + sum(results$error)
cat(sprintf("\n%d passed, %d failed, %d skipped\n", sum(results$passed), failed, sum(results$skipped)))
quit(status = if (failed > 0 || nrow(results) == 0) 1 else 0)
