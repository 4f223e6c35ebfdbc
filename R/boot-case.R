# The case bootstrap. `draws` is a named logical vector: which factors, and the rows (.obs), are drawn with replacement.
case_levels <- function(record, resample) {
  names <- names(record$flist)
  if (is.null(resample)) {
    outer <- vapply(seq_along(names), function(i) {
      !any(vapply(setdiff(seq_along(names), i), function(j) is_nested(record$codes[[i]], record$codes[[j]]), NA))
    }, NA)
    resample <- stats::setNames(outer, names)
  }
  known <- c(names, ".obs")
  if (!is.logical(resample) || is.null(names(resample)) || !all(names(resample) %in% known)) {
    fail("argument", "'resample' must be a logical vector with names among ", paste(sQuote(known), collapse = ", "))
  }
  if (!any(resample)) fail("argument", "'resample' draws nothing")
  stats::setNames(known %in% names(resample)[resample], known)
}

# From the coarsest factor on: a list of `rows`, and per factor the new labels of these rows. A factor nested in one that came before is
# drawn within each group of that; else its levels are drawn once for all rows.
drawn_cases <- function(record, draws) {
  codes <- lapply(record$codes, as.integer)
  rows <- seq_along(codes[[1L]])
  labels <- list()
  for (i in order(record$nlev)) {
    outer <- Filter(function(j) is_nested(record$codes[[i]], record$codes[[j]]), as.integer(names(labels)))
    stratum <- if (length(outer)) labels[[as.character(outer[length(outer)])]] else rep(1L, length(rows))
    copies <- drawn_copies(stratum, codes[[i]][rows], draws[[i]])
    labels <- lapply(labels, `[`, copies$position)
    rows <- rows[copies$position]
    labels[[as.character(i)]] <- copies$label
  }
  if (draws[[".obs"]]) {
    cell <- do.call(paste, unname(labels))
    position <- unlist(lapply(split(seq_along(rows), cell), function(at) at[sample.int(length(at), replace = TRUE)]), use.names = FALSE)
    labels <- lapply(labels, `[`, position)
    rows <- rows[position]
  }
  list(rows = rows, labels = unname(labels[as.character(seq_along(codes))]))
}

# Within each stratum the levels that occur there are drawn with replacement, or taken as they are. Which positions that gives, and from
# which draw each comes.
drawn_copies <- function(stratum, level, replace) {
  pairs <- unique(data.frame(stratum, level))
  if (replace) pairs$level <- stats::ave(pairs$level, pairs$stratum, FUN = function(x) x[sample.int(length(x), replace = TRUE)])
  width <- max(level)
  draws <- split(seq_len(nrow(pairs)), (pairs$stratum - 1) * width + pairs$level)
  hits <- draws[match((stratum - 1) * width + level, as.numeric(names(draws)))]
  list(position = rep.int(seq_along(level), lengths(hits)), label = unlist(hits, use.names = FALSE))
}

# The fit of such rows, a replicate's fit as replicate_fit() makes them.
case_fit <- function(plan, cases) {
  rows <- cases$rows
  record <- record_of_rows(plan$record, rows, cases$labels)
  if (any(engine_rank_margin(engine_pointer(record)) < 1e-7)) stop("the drawn rows leave the fixed effects undetermined")
  fit <- solve_response(record)
  boundary <- singular_columns(cbind(fit$theta), record$lower) && fit$least < 1e-4
  batch <- list(converged = fit$converged, evaluations = fit$evaluations, boundary = boundary)
  fit$optinfo <- replicate_optinfo(plan, batch, fit, 1L)
  parts <- parts_of_record(record, case_frame(plan$x@frame, rows, record$flist), plan$x)
  parts$Gp <- parts$dims <- NULL
  light(new_lmermod(fit, parts, plan$x@call))
}

# The model frame of the rows, with the new groups where a factor is a variable of its own.
case_frame <- function(frame, rows, flist) {
  kept <- attributes(frame)[c("terms", "formula")]
  frame <- frame[rows, , drop = FALSE]
  for (name in intersect(names(flist), names(frame))) frame[[name]] <- flist[[name]]
  attributes(frame) <- c(attributes(frame)[c("names", "class")], list(row.names = .set_row_names(length(rows))), kept)
  frame
}

run_cases <- function(plan, draws, progress) {
  on.exit(progress$close())
  collected <- new.env(parent = emptyenv())
  lower <- plan$record$lower
  failed <- list(value = rep(NA_real_, length(plan$t0)), singular = NA)
  replicates <- lapply(seq_len(plan$nsim), function(i) {
    cases <- drawn_cases(plan$record, draws)
    replicate <- value_with_conditions(collected, failed, {
      fit <- case_fit(plan, cases)
      list(value = plan$FUN(fit), singular = singular_columns(cbind(fit@theta), lower))
    })
    progress$set(i)
    replicate
  })
  gathered(list(list(
    values = do.call(cbind, lapply(replicates, `[[`, "value")), singular = vapply(replicates, `[[`, NA, "singular"),
    conditions = mget(c("message", "warning", "error"), envir = collected, ifnotfound = list(NULL))
  )))
}
