# Whole calls of fastlmer's lmer() beside mixedlm's: Rscript bench/peers/calls.R <folder> <results of mixedlm_calls.py> [lme4]
#
# Both read the same data.csv and formula.txt. With `lme4` its calls are timed too.
suppressMessages(library(fastlmer))
arguments <- commandArgs(trailingOnly = TRUE)
folder <- arguments[[1L]]
mixedlm <- utils::read.delim(arguments[[2L]], header = FALSE, col.names = c("model", "seconds", "evaluations", "criterion", "error"), quote = "")

quietly <- function(code) suppressWarnings(suppressMessages(code))

# Median of the elapsed seconds and the fit; calls take up to `budget` seconds together.
calls <- function(lmer, formula, data, reml, budget = 2, most = 15L) {
  seconds <- numeric()
  while (length(seconds) < most && sum(seconds) < budget) {
    begin <- as.numeric(Sys.time())
    fit <- quietly(lmer(formula, data, REML = reml))
    seconds <- c(seconds, as.numeric(Sys.time()) - begin)
  }
  list(seconds = stats::median(if (length(seconds) > 1L) seconds[-1L] else seconds), fit = fit)
}

criterion <- function(fit) fit@devcomp$cmp[[if (isREML(fit)) "REML" else "dev"]]

measure <- function(name) {
  path <- function(file) file.path(folder, name, file)
  formula <- stats::as.formula(readLines(path("formula.txt")))
  data <- utils::read.csv(path("data.csv"), stringsAsFactors = TRUE)
  reml <- "reml 1" %in% readLines(path("model.txt"))
  ours <- calls(fastlmer::lmer, formula, data, reml)
  lme4 <- if ("lme4" %in% arguments) calls(lme4::lmer, formula, data, reml)$seconds else NA_real_
  data.frame(model = name, ours = ours$seconds, lme4 = lme4, own_evaluations = ours$fit@optinfo$feval, own_criterion = criterion(ours$fit))
}

table <- merge(do.call(rbind, lapply(mixedlm$model, measure)), mixedlm, by = "model")
table$ratio <- table$seconds / table$ours
table$above <- table$criterion - table$own_criterion
number <- function(format, x) ifelse(is.na(x), "-", sprintf(format, x))
cat(
  "| model | fastlmer, ms | mixedlm, ms | mixedlm / fastlmer | lme4, ms | evaluations fastlmer | evaluations mixedlm | mixedlm's criterion above |",
  "|---|---|---|---|---|---|---|---|",
  sprintf("| %s | %.2f | %s | %s | %s | %d | %s | %s |", table$model, 1e3 * table$ours, number("%.2f", 1e3 * table$seconds),
          number("%.2f", table$ratio), number("%.1f", 1e3 * table$lme4), as.integer(table$own_evaluations),
          number("%.0f", table$evaluations), paste0(number("%.1e", table$above), ifelse(table$above > 1e-3 & !is.na(table$above), " **worse**", ""))),
  "",
  sprintf("Median ratio %.1f, lowest %.2f (%s); mixedlm fits %d of %d, %d of them at a worse optimum.", stats::median(table$ratio, na.rm = TRUE),
          min(table$ratio, na.rm = TRUE), table$model[which.min(table$ratio)], sum(!is.na(table$seconds)), nrow(table),
          sum(table$above > 1e-3, na.rm = TRUE)),
  with(table[is.na(table$seconds), ], if (length(model)) sprintf("mixedlm on %s: %s", model, error)),
  sep = "\n"
)
