# The table of test-comparison.R in numbers: Rscript bench/comparison.R [output.md] [models matching this expression]
suppressMessages(library(fastlmer))
arguments <- commandArgs(trailingOnly = TRUE)

compare_row <- function(model, reml, data) {
  fits <- compare_model(model, reml, data)
  ours <- fits$ours$value
  theirs <- fits$theirs$value
  apart <- distances(ours, theirs)
  data.frame(
    model = model, reml = reml, lme4 = criterion(theirs), fastlmer = criterion(ours),
    fixef = apart[["fixef"]], variances = apart[["varcorr"]],
    messages = identical(fits$ours$conditions, fits$theirs$conditions)
  )
}

as_markdown <- function(rows) {
  yes_no <- function(x) ifelse(x, "yes", "no")
  cells <- sprintf("| %s | %s | %.6f | %.6f | %.1g | %.1g | %s |", gsub("|", "\\|", rows$model, fixed = TRUE),
    yes_no(rows$reml), rows$lme4, rows$fastlmer, rows$fixef, rows$variances, yes_no(rows$messages))
  c(
    "| model | REML | criterion lme4 | criterion fastlmer | max fixef diff in SE | max var rel diff | same messages |",
    "|---|---|---|---|---|---|---|", cells
  )
}

comparison_table <- function(matching = "") {
  files <- list.files(pattern = "^helper-(compare|measures|models|optimum)\\.R$")
  for (file in files) source(file)
  rows <- comparison_rows()
  rows <- rows[grepl(matching, rows$model), ]
  data <- comparison_data()
  do.call(rbind, Map(compare_row, rows$model, rows$reml, MoreArgs = list(data = data)))
}

output <- if (length(arguments)) normalizePath(arguments[[1L]], mustWork = FALSE) else stdout()
table <- withr::with_dir(
  file.path("tests", "testthat"), comparison_table(if (length(arguments) > 1L) arguments[[2L]] else "")
)
writeLines(as_markdown(table), output)
