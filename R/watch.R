# Progress of what takes long within one call of the engine: a fit of many rows, a profile, Kenward and Roger's matrices. While the engine
# computes it asks now and then whether the user has pressed Ctrl-C, and tells at the same occasion how far it is.

# Evaluates `work`, which is about a model of `n` rows and so many `levels` on so many `threads`. Where somebody looks, cli's bar appears
# after two seconds: with the time left where the number of pieces is known, else with how often the criterion was evaluated.
watched <- function(what, n, levels, threads, work) {
  if (!is.null(cache$watched) || !shows_progress()) return(work)
  cache$watched <- TRUE
  bar <- engine_bar(sprintf("%s (%s)", what, size_text(n, sum(levels), threads)))
  on.exit({
    engine_watch(NULL)
    cache$watched <- NULL
    bar$close()
  })
  engine_watch(bar$tell)
  work
}

# The same of a fit, which is soon done where there are few rows.
watched_fit <- function(n, levels, threads, work) {
  if (n < 20000L) work else watched("Fitting", n, levels, threads, work)
}

# Data in chunks leave no rows behind.
size_text <- function(n, levels, threads) {
  counts <- c(rows = n, levels = levels, threads = threads)
  counts <- counts[counts > 0]
  paste(with_commas(counts), ifelse(counts == 1, sub("s$", "", names(counts)), names(counts)), collapse = ", ")
}

# A bar as two functions: `tell`, which the engine calls, and `close`. A stage of another size gets another bar.
engine_bar <- function(label) {
  state <- new.env()
  close <- function() if (!is.null(state$bar)) state$bar$close()
  open <- function(total) {
    close()
    state$total <- total
    state$bar <- cli_bar(if (total > 0) total else NA, if (total > 0) label else paste0(label, ", evaluations:"))
  }
  tell <- function(done, total, evaluations) {
    # R calls this within the engine: an error would stop the computation
    tryCatch({
      if (!identical(total, state$total)) open(total)
      state$bar$set(if (total > 0) min(done, total) else evaluations)
    }, error = function(e) NULL)
  }
  list(tell = tell, close = close)
}
