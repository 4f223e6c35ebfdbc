# A progress bar as two functions, set(done) and close(), and whether there is anything to see. lme4's kinds "txt", "tk" and "win" are R's
# own bars; "cli" is that package's, with the time left, and appears after two seconds; "none" is cli's in an interactive session, else
# nothing.
progress_bar <- function(kind, arguments, total, label = "Bootstrap") {
  if (identical(kind, "none")) kind <- if (shows_progress()) "cli" else "none"
  nothing <- list(set = function(done) NULL, close = function() NULL, shown = FALSE)
  switch(kind, none = , off = nothing, cli = cli_bar(total, label), r_bar(kind, arguments, total))
}

shows_progress <- function() {
  interactive() && isTRUE(getOption("fastlmer.progress", TRUE)) && requireNamespace("cli", quietly = TRUE)
}

cli_bar <- function(total, label) {
  if (!requireNamespace("cli", quietly = TRUE)) fail("package", ".progress = \"cli\" needs the package cli")
  env <- new.env()
  bar <- cli::cli_progress_bar(label, total = total, .envir = env, .auto_close = FALSE)
  list(
    set = function(done) cli::cli_progress_update(set = done, id = bar, .envir = env),
    close = function() cli::cli_progress_done(id = bar, .envir = env), shown = TRUE
  )
}

r_bar <- function(kind, arguments, total) {
  from <- if (kind == "tk") "tcltk" else "utils"
  setter <- paste0("set", toupper(substr(kind, 1L, 1L)), substring(kind, 2L), "ProgressBar")
  bar <- do.call(getExportedValue(from, paste0(kind, "ProgressBar")), arguments)
  set <- getExportedValue(from, setter)
  list(set = function(done) set(bar, done / total), close = function() close(bar), shown = TRUE)
}
