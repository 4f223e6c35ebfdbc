# Which processes run FUN: a list of the kind, how many, a cluster, and whether they may be on other machines: then they also do what the
# engine's threads would do here.
worker_plan <- function(parallel, ncpus, cl) {
  if (parallel == "multicore" && .Platform$OS.type == "windows") parallel <- "no"
  count <- switch(parallel, no = 1L, multicore = ncpus, snow = if (is.null(cl)) ncpus else length(cl), future = future_workers())
  list(kind = parallel, count = as.integer(min(count, 1e4)), cl = cl, elsewhere = parallel == "future" || !is.null(cl))
}

future_workers <- function() {
  if (!requireNamespace("future.apply", quietly = TRUE)) fail("package", "parallel = \"future\" needs the package future.apply")
  max(2, future::nbrOfWorkers())
}

# All chunks, split between the workers. Where each replicate has its own random stream (rng = "pcg64") the workers draw and refit; else the
# draws are made here, for R has one stream.
run_on_workers <- function(plan, source, workers) {
  plan$record$cache <- NULL
  if (source$portable) {
    responses <- source$responses(1L)
    pieces <- unlist(lapply(source$chunks, pieces_of, count = workers$count), recursive = FALSE)
    jobs <- lapply(pieces, function(piece) {
      mine <- responses
      mine$rng[c("first", "count")] <- as.list(piece)
      list(responses = mine, first = piece[[1L]])
    })
    return(map_on_workers(jobs, plan, workers))
  }
  results <- lapply(seq_along(source$chunks), function(i) {
    responses <- source$responses(i)
    pieces <- pieces_of(c(1, source$chunks[[i]][[2L]]), workers$count)
    jobs <- lapply(pieces, function(piece) {
      columns <- piece[[1L]] - 1L + seq_len(piece[[2L]])
      matrices <- names(responses) %in% c("u", "e", "y") & !vapply(responses, is.null, NA)
      mine <- responses
      mine[matrices] <- lapply(responses[matrices], function(m) m[, columns, drop = FALSE])
      list(responses = mine, first = source$chunks[[i]][[1L]] + piece[[1L]] - 1)
    })
    map_on_workers(jobs, plan, workers)
  })
  unlist(results, recursive = FALSE)
}

pieces_of <- function(chunk, count) {
  sizes <- diff(round(seq(0, chunk[[2L]], length.out = min(count, chunk[[2L]]) + 1)))
  Map(c, chunk[[1L]] + cumsum(c(0, sizes[-length(sizes)])), sizes)
}

map_on_workers <- function(jobs, plan, workers) {
  plan$threads <- 1L
  plan$globals <- globals_of(plan$FUN)
  plan$process <- Sys.getpid()
  switch(workers$kind,
    multicore = checked_jobs(parallel::mclapply(jobs, run_job, plan = plan, mc.cores = workers$count)),
    snow = map_on_cluster(jobs, plan, workers),
    future = map_on_futures(jobs, plan)
  )
}

# mclapply() hands back the errors of a worker.
checked_jobs <- function(results) {
  failed <- vapply(results, inherits, NA, "try-error")
  if (any(failed)) stop(conditionMessage(attr(results[failed][[1L]], "condition")), call. = FALSE)
  results
}

# Only a FUN that draws random numbers needs streams for the workers; R's own stream stays where it is.
map_on_futures <- function(jobs, plan) {
  state <- generator_state()
  on.exit(set_generator_state(state))
  future.apply::future_lapply(jobs, run_job, plan = plan, future.seed = if (plan$draws) TRUE, future.packages = "fastlmer")
}

map_on_cluster <- function(jobs, plan, workers) {
  cl <- workers$cl
  if (is.null(cl)) {
    cl <- parallel::makePSOCKcluster(rep("localhost", workers$count))
    on.exit(parallel::stopCluster(cl))
    if (RNGkind()[1L] == "L'Ecuyer-CMRG") parallel::clusterSetRNGStream(cl)
    parallel::clusterCall(cl, set_library_paths, c(dirname(getNamespaceInfo("fastlmer", "path")), .libPaths()))
  }
  parallel::clusterCall(cl, attach_here)
  parallel::parLapply(cl, jobs, run_job, plan = plan)
}

# The user's variables that a function uses, and those that these use: a worker's workspace is empty. (Variables elsewhere than in the
# workspace go with the function.)
globals_of <- function(FUN) {
  found <- list()
  pending <- list(FUN)
  while (length(pending)) {
    used <- unlist(lapply(Filter(is_workspace_function, pending), codetools::findGlobals))
    names <- setdiff(intersect(as.character(used), ls(globalenv(), all.names = TRUE)), names(found))
    pending <- mget(names, envir = globalenv())
    found <- c(found, pending)
  }
  found
}

is_workspace_function <- function(value) is.function(value) && identical(environment(value), globalenv())

# The functions that workers run before they know the package have R's base as their environment.
set_library_paths <- `environment<-`(function(paths) .libPaths(paths), baseenv())
attach_here <- `environment<-`(function() suppressMessages(require("fastlmer", character.only = TRUE)), baseenv())

run_job <- function(job, plan) {
  if (!identical(plan$process, Sys.getpid())) list2env(plan$globals, globalenv())
  plan$record$cache <- new.env(parent = emptyenv())
  run_chunk(plan, job$responses, job$first)
}
