# Calls on fits with lme4 and with fastlmer, each side in a process of its own, so that only the calls are timed. A case is a list of
#   name                 for the table
#   data, formula        texts or objects: `m` is the fit, `data` its data; `reml` is FALSE for maximum likelihood
#   call                 what is timed, an expression; `lme4` is what lme4 runs instead (NULL for the same, NA for nothing)
#   parts                with `lme4`, how many times its seconds count
# What takes less than two seconds is run again, five times (lme4's half as often), and its fastest run is what counts.

run_case <- function(case, package) {
  here <- globalenv()
  theirs <- package == "lme4"
  call <- if (theirs && !is.null(case$lme4)) case$lme4 else case$call
  if (length(call) == 1L && is.na(call)) return(NA_real_)
  here$data <- eval(str2lang(case$data), here)
  # a call that update() can evaluate again
  here$m <- suppressWarnings(suppressMessages(eval(bquote(lmer(.(case$formula), data, REML = .(!isFALSE(case$reml)))), here)))
  once <- function() {
    gc(FALSE)
    system.time(capture.output(suppressWarnings(suppressMessages(invisible(eval(call, here))))), gcFirst = FALSE)[["elapsed"]]
  }
  seconds <- tryCatch({
    first <- once()
    if (first < 2) min(first, vapply(seq_len(if (theirs) 2L else 5L), function(i) once(), 0)) else first
  }, error = function(e) {
    message(case$name, ": ", conditionMessage(e))
    NA_real_
  })
  if (theirs && !is.null(case$parts)) seconds * case$parts else seconds
}

# What a script leaves when it is run again, in a process of its own, for one side: its arguments are "side", these and a file's name.
run_side <- function(script, ...) {
  file <- tempfile(fileext = ".rds")
  system2(file.path(R.home("bin"), "Rscript"), shQuote(c(script, "side", ..., file)))
  readRDS(file)
}

# The table of the cases whose name matches the second argument of the command, written to the first. This file's caller runs itself again
# for each side.
compare_cases <- function(script, cases) {
  arguments <- commandArgs(TRUE)
  wanted <- if (length(arguments) > 1L) arguments[[2L]] else "."
  cases <- cases[grep(wanted, vapply(cases, `[[`, "", "name"))]
  if (length(arguments) > 2L) {
    suppressPackageStartupMessages(library(arguments[[3L]], character.only = TRUE))
    saveRDS(vapply(cases, run_case, 0, arguments[[3L]]), arguments[[4L]])
    quit(save = "no")
  }
  ours <- run_side(script, wanted, "fastlmer")
  theirs <- run_side(script, wanted, "lme4")
  text <- function(seconds) ifelse(is.na(seconds), "", formatC(seconds, digits = 3, format = "f"))
  parts <- vapply(cases, function(case) if (is.null(case$parts)) "" else sprintf(" (%s)", case$why), "")
  ratio <- ifelse(is.na(theirs), "", sprintf("%.0f", theirs / pmax(ours, 1e-3)))
  writeLines(c(
    "| call | lme4 (s) | fastlmer (s) | ratio |", "|---|---|---|---|",
    sprintf("| %s | %s%s | %s | %s |", gsub("|", "\\|", vapply(cases, `[[`, "", "name"), fixed = TRUE), text(theirs), ifelse(is.na(theirs), "", parts), text(ours), ratio)
  ), if (length(arguments) && nzchar(arguments[[1L]])) arguments[[1L]] else stdout())
}
