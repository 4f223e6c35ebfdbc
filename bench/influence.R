# Influence and hat values with lme4 and with fastlmer: Rscript bench/influence.R [output.md] [calls], where `calls` is a regular expression
# that names have to match.
#
# Each side is a process of its own. By row of the crossed model lme4 needs more than two minutes: its time is that by subject, for sixty
# refits, times fifty, and the table says so. The last column compares the estimates: the largest difference between the fixed effects that the
# two find without the same rows, in standard errors. lme4's optimiser stops early, so that this is its distance from the optimum.

folder <- dirname(sub("^--file=", "", grep("^--file=", commandArgs(), value = TRUE)))
source(file.path(folder, "crossed.R"))
source(file.path(folder, "beside.R"))

million_rows <- function(rows = 1e6, groups = 1e4) {
  set.seed(1)
  g <- factor(sample(groups, rows, replace = TRUE))
  x <- rnorm(rows)
  data.frame(x, g, y = 1 + 0.5 * x + rnorm(groups)[g] + 0.5 * rnorm(groups)[g] * x + rnorm(rows))
}

# A call on a fit `m`; with `first` that is what lme4 runs, and its time counts `parts` times. NA: lme4 doesn't run it.
cases <- list(
  list(name = "sleepstudy, `Days + (Days | Subject)`: by subject", data = "sleepstudy", formula = Reaction ~ Days + (Days | Subject),
    call = quote(influence(m, "Subject"))),
  list(name = "sleepstudy: by row", data = "sleepstudy", formula = Reaction ~ Days + (Days | Subject), call = quote(influence(m))),
  list(name = "3,000 rows, `A * B + (A | subj) + (A | item)`: by subject", data = "crossed()",
    formula = y ~ A * B + (A | subj) + (A | item), call = quote(influence(m, "subj"))),
  list(name = "3,000 rows: by item", data = "crossed()", formula = y ~ A * B + (A | subj) + (A | item), call = quote(influence(m, "item"))),
  list(name = "3,000 rows: by row", data = "crossed()", formula = y ~ A * B + (A | subj) + (A | item), call = quote(influence(m)),
    parts = 50, first = quote(influence(m, "subj"))),
  list(name = "3,000 rows: hat values", data = "crossed()", formula = y ~ A * B + (A | subj) + (A | item), call = quote(hatvalues(m))),
  list(name = "1,000,000 rows, `x + (x | g)`, 10,000 groups: hat values", data = "million_rows()", formula = y ~ x + (x | g),
    call = quote(hatvalues(m)), parts = NA),
  list(name = "1,000,000 rows: Cook's distances", data = "million_rows()", formula = y ~ x + (x | g), call = quote(cooks.distance(m)), parts = NA),
  list(name = "InstEval, `service + (1 | s) + (1 | d)`: by dept", data = "InstEval", formula = y ~ service + (1 | s) + (1 | d),
    call = quote(influence(m, "dept")))
)

# Seconds and value of a case in this process.
run <- function(case, package) {
  here <- globalenv()
  here$data <- eval(str2lang(case$data), here)
  here$m <- suppressWarnings(suppressMessages(eval(bquote(lmer(.(case$formula), data)), here)))
  partly <- package == "lme4" && !is.null(case$parts)
  if (partly && is.na(case$parts)) return(list(seconds = NA, value = NULL))
  call <- if (partly) case$first else case$call
  once <- function() {
    gc(FALSE)
    system.time(here$value <- suppressWarnings(suppressMessages(eval(call, here))), gcFirst = FALSE)[["elapsed"]]
  }
  seconds <- once()
  if (seconds < 2 && package != "lme4") {
    seconds <- min(seconds, vapply(1:5, function(i) {
      # hat values are kept with the fit
      if (!is.list(here$value)) here$m <- suppressWarnings(suppressMessages(eval(bquote(lmer(.(case$formula), data)), here)))
      once()
    }, 0))
  }
  if (partly) return(list(seconds = seconds * case$parts, value = NULL))
  list(seconds = seconds, value = if (is.list(here$value)) here$value[c(2L, 5L)] else here$value)
}

difference <- function(ours, theirs) {
  if (is.null(theirs)) return("")
  if (!is.list(theirs)) return(sprintf("%.0e (of hat values)", max(abs(ours - theirs))))
  rows <- intersect(rownames(ours[[1L]]), rownames(theirs[[1L]]))
  error <- sqrt(diag(as.matrix(ours[[2L]])))
  sprintf("%.0e", max(abs(t(ours[[1L]][rows, , drop = FALSE] - theirs[[1L]][rows, , drop = FALSE]) / error)))
}

arguments <- commandArgs(TRUE)
wanted <- if (length(arguments) > 1L) arguments[[2L]] else "."
cases <- cases[grep(wanted, vapply(cases, `[[`, "", "name"))]
if (length(arguments) > 2L) {
  suppressPackageStartupMessages(library(arguments[[3L]], character.only = TRUE))
  saveRDS(lapply(cases, run, arguments[[3L]]), arguments[[4L]])
  quit(save = "no")
}

script <- file.path(folder, "influence.R")
ours <- run_side(script, wanted, "fastlmer")
theirs <- run_side(script, wanted, "lme4")
rows <- Map(function(case, a, b) {
  time <- if (is.na(b$seconds)) "" else sprintf("%.2f%s", b$seconds, if (is.null(case$parts)) "" else " (from 60 refits)")
  ratio <- if (is.na(b$seconds)) "" else sprintf("%.0f", b$seconds / a$seconds)
  sprintf("| %s | %s | %.3f | %s | %s |", gsub("|", "\\|", case$name, fixed = TRUE), time, a$seconds, ratio, difference(a$value, b$value))
}, cases, ours, theirs)
writeLines(c(
  "| call | lme4 (s) | fastlmer (s) | ratio | largest difference |", "|---|---|---|---|---|", unlist(rows)
), if (length(arguments)) arguments[[1L]] else stdout())
