# Tests of what happens on loading and attaching, in an R process of their own.

# Runs an expression in an R process of its own; what it prints.
in_new_process <- function(...) {
  paths <- paste(.libPaths(), collapse = .Platform$path.sep)
  script <- withr::local_tempfile(fileext = ".R")
  writeLines(c(...), script)
  suppressWarnings(system2(file.path(R.home("bin"), "Rscript"), c("--vanilla", script),
    stdout = TRUE, stderr = TRUE, env = paste0("R_LIBS=", shQuote(paths))))
}

quietly <- function(...) paste0("suppressPackageStartupMessages(library(", c(...), "))")
