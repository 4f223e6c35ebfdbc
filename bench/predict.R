# Predictions with lme4 and with fastlmer: Rscript bench/predict.R [output.md] [calls], where `calls` is a regular expression that names
# have to match.
#
# lme4 1.1-31 has neither standard errors nor intervals: it is asked for the predictions.

folder <- dirname(sub("^--file=", "", grep("^--file=", commandArgs(), value = TRUE)))
source(file.path(folder, "beside.R"))

million_rows <- function(rows = 1e6, groups = 1e5) {
  set.seed(1)
  g <- factor(sample(groups, rows, replace = TRUE))
  x <- rnorm(rows)
  f <- factor(sample(letters[1:4], rows, replace = TRUE))
  data.frame(x, f, g, y = 1 + 0.5 * x + rnorm(groups)[g] + 0.5 * rnorm(groups)[g] * x + rnorm(rows))
}

calls <- list(
  list("100 x a row of new data", quote(for (i in 1:100) predict(m, one))),
  list("100 x a row, without random effects", quote(for (i in 1:100) predict(m, one, re.form = NA))),
  list("all rows as new data", quote(predict(m, data))),
  list("a row with its interval", quote(predict(m, one, interval = "prediction")), quote(predict(m, one))),
  list("1,000 rows with standard errors", quote(predict(m, thousand, se.fit = TRUE)), quote(predict(m, thousand)))
)
models <- list(
  list("sleepstudy, `Days + (Days | Subject)`", "sleepstudy", Reaction ~ Days + (Days | Subject)),
  list("InstEval, `service + (1 | s) + (1 | d)`", "InstEval", y ~ service + (1 | s) + (1 | d)),
  list("1,000,000 rows, `f * x + (x | g)`, 100,000 groups", "million_rows()", y ~ f * x + (x | g))
)
of_rows <- function(data) {
  n <- nrow(data)
  list2env(list(one = data[n %/% 2, ], thousand = data[round(seq(1, n, length.out = 1000)), ]), globalenv())
  data
}
cases <- unlist(lapply(models, function(model) {
  lapply(calls, function(call) {
    list(name = paste0(model[[1L]], ": ", call[[1L]]), data = sprintf("of_rows(%s)", model[[2L]]), formula = model[[3L]],
      call = call[[2L]], lme4 = if (length(call) > 2L) call[[3L]])
  })
}), recursive = FALSE)
compare_cases(file.path(folder, "predict.R"), cases)
