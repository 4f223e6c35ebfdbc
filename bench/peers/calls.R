# Whole calls of fastlmer's lmer() beside mixedlm's: Rscript bench/peers/calls.R <folder> <python with mixedlm> [models]
#
# Both read the same data.csv and formula.txt. mixedlm has a process per model; fastlmer's calls come right before and after its, so that
# what else the machine does falls on both. `models` is an expression that names match.
suppressMessages(library(fastlmer))
arguments <- commandArgs(trailingOnly = TRUE)
here <- dirname(sub("^--file=", "", grep("^--file=", commandArgs(), value = TRUE)))
folder <- arguments[[1L]]
matching <- if (length(arguments) > 2L) arguments[[3L]] else ""

# Elapsed seconds of calls that take up to `budget` seconds together.
seconds <- function(call, budget = 1, most = 15L) {
  taken <- numeric()
  while (length(taken) < most && sum(taken) < budget) {
    begin <- as.numeric(Sys.time())
    call()
    taken <- c(taken, as.numeric(Sys.time()) - begin)
  }
  taken
}

# Seconds, evaluations, criterion and, for a model that it can't fit, mixedlm's message.
mixedlm <- function(path) {
  line <- system2(arguments[[2L]], c(file.path(here, "mixedlm_calls.py"), path), stdout = TRUE, stderr = FALSE)
  words <- strsplit(line[length(line)], " ")[[1L]]
  fitted <- length(words) == 3L && words[1L] != "-"
  values <- if (fitted) as.numeric(words) else rep(NA_real_, 3L)
  data.frame(mixedlm = values[1L], evaluations_mixedlm = values[2L], criterion_mixedlm = values[3L],
             message = if (fitted) "" else paste(words[-1L], collapse = " "))
}

criterion <- function(fit) fit@devcomp$cmp[[if (isREML(fit)) "REML" else "dev"]]

measure <- function(path) {
  formula <- stats::as.formula(readLines(file.path(path, "formula.txt")))
  data <- utils::read.csv(file.path(path, "data.csv"), stringsAsFactors = TRUE)
  reml <- "reml 1" %in% readLines(file.path(path, "model.txt"))
  call <- function() suppressWarnings(suppressMessages(fastlmer::lmer(formula, data, REML = reml)))
  fit <- call() # and not timed: mixedlm's first call isn't either
  before <- seconds(call)
  theirs <- mixedlm(path)
  cbind(model = basename(path), ours = stats::median(c(before, seconds(call))), evaluations = fit@optinfo$feval, criterion = criterion(fit), theirs)
}

paths <- Sys.glob(file.path(folder, "*", "formula.txt"))
paths <- dirname(paths[grepl(matching, basename(dirname(paths)))])
table <- do.call(rbind, lapply(paths, measure))
table$ratio <- table$mixedlm / table$ours
table$above <- table$criterion_mixedlm - table$criterion
fits <- !is.na(table$mixedlm)
worse <- fits & table$above > 1e-3
number <- function(format, x) ifelse(is.na(x), "-", sprintf(format, x))
writeLines(c(
  "| model | fastlmer, ms | mixedlm, ms | mixedlm / fastlmer | evaluations fastlmer | evaluations mixedlm | mixedlm's criterion above |",
  "|---|---|---|---|---|---|---|",
  sprintf("| %s | %.2f | %s | %s | %d | %s | %s%s |", table$model, 1e3 * table$ours, number("%.2f", 1e3 * table$mixedlm),
          number("%.2f", table$ratio), as.integer(table$evaluations), number("%.0f", table$evaluations_mixedlm),
          number("%.1e", table$above), ifelse(worse, " **worse**", "")),
  "",
  sprintf("Median ratio %.1f, lowest %.2f (%s); mixedlm fits %d of %d, %d of them at a worse optimum.", stats::median(table$ratio[fits]),
          min(table$ratio[fits]), table$model[which.min(table$ratio)], sum(fits), nrow(table), sum(worse)),
  sprintf("mixedlm on %s: %s", table$model[!fits], table$message[!fits])
))
