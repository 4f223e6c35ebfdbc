# Where the responses of a bootstrap come from, chunk by chunk. A source is a list of
#   chunks     a list of c(first, count): which replicates each chunk has
#   responses  a function of a chunk's number that returns what engine_refit_many() and engine_simulate() take; to be asked in order
#   portable   can a worker process ask for any chunk by itself?
# Responses are without the offset.
response_source <- function(plan, type, keep, rng, seed) {
  record <- plan$record
  n <- nrow(record$x)
  if (rng == "pcg64") {
    if (type != "parametric" || !plain_keep(keep)) fail("unsupported", "rng = \"pcg64\" draws all random effects or none; use rng = \"R\"")
    recipe <- simulation_recipe(record, plan$x, keep = is.null(keep))
    before <- plan$after %||% 0
    chunks <- chunk_bounds(plan$nsim, if (is.null(plan$statistic)) n else 2L * recipe$effects + 20L, plan$threads, plan$pieces)
    rng_of <- function(chunk) recipe_responses(recipe, list(rng = list(seed = seed, first = before + chunk[[1L]], count = chunk[[2L]])))
    return(list(chunks = chunks, responses = function(i) rng_of(chunks[[i]]), portable = TRUE))
  }
  chunks <- chunk_bounds(plan$nsim, n, plan$threads, plan$pieces)
  if (type == "semiparametric") {
    mean <- as.numeric(plan$x@resp$mu - plan$x@resp$offset)
    residuals <- as.numeric(plan$x@resp$y - plan$x@resp$mu)
    resample <- function(count) mean + vapply(seq_len(count), function(i) sample(residuals, replace = TRUE), residuals)
    return(drawn_source(chunks, NULL, resample, plan$draws, function(first, second) list(y = second)))
  }
  if (!plain_keep(keep)) {
    given <- stats::simulate(plan$x, plan$nsim, re.form = keep, na.action = stats::na.omit)
    return(given_source(given, record, chunks))
  }
  recipe <- simulation_recipe(record, plan$x, keep = is.null(keep))
  effects <- if (recipe$effects) function(count) draw_effects(recipe, count)
  drawn_source(chunks, effects, function(count) draw_residuals(recipe, count), plan$draws, function(first, second) {
    recipe_responses(recipe, list(u = first, e = second))
  }, recipe$effects * plan$nsim)
}

plain_keep <- function(keep) is.null(keep) || keeps_none(keep)

given_source <- function(responses, record, chunks) {
  y <- do.call(cbind, unclass(responses))
  if (!is.null(record$offset)) y <- y - record$offset
  list(chunks = chunks, portable = FALSE, responses = function(i) {
    list(y = y[, chunks[[i]][[1L]] - 1L + seq_len(chunks[[i]][[2L]]), drop = FALSE])
  })
}

# Bounds of chunks whose `values` numbers per replicate take about 64 MB; at least so many `pieces`, for a progress bar to move.
chunk_bounds <- function(nsim, values, threads, pieces = 1L, bytes = 64e6) {
  count <- max(threads, min(floor(bytes / (8 * values)), ceiling(nsim / (pieces %||% 1L))), 1)
  first <- seq(1, nsim, by = min(count, nsim))
  Map(c, first, pmin(count, nsim - first + 1))
}

# Draws from R's generator in lme4's order: first what `first` draws for all replicates (the random effects), then what `second` draws for
# all (the residuals). What is too large to keep is drawn twice: once to see where each chunk's draws begin, then chunk by chunk from there.
# Where FUN draws as well, it has to find the generator behind all of these.
drawn_source <- function(chunks, first, second, fun_draws, responses, size = 0, limit = 64e6) {
  counts <- vapply(chunks, `[[`, 0, 2L)
  all_first <- if (!is.null(first) && size <= limit) first(sum(counts))
  first_states <- if (!is.null(first) && is.null(all_first)) states_before(counts, first)
  second_states <- if (fun_draws && length(chunks) > 1L) states_before(counts, second)
  list(chunks = chunks, portable = FALSE, responses = function(i) {
    here <- generator_state()
    a <- if (!is.null(all_first)) {
      if (length(chunks) == 1L) all_first else all_first[, chunks[[i]][[1L]] - 1L + seq_len(counts[[i]]), drop = FALSE]
    } else if (!is.null(first)) {
      drawn_from(first_states[[i]], first, counts[[i]])
    }
    set_generator_state(if (is.null(second_states)) here else second_states[[i]])
    b <- second(counts[[i]])
    if (!is.null(second_states)) set_generator_state(here)
    responses(a, b)
  })
}

drawn_from <- function(state, draw, count) {
  set_generator_state(state)
  draw(count)
}

# The generator's states before each chunk's draws; it is left behind the last one's.
states_before <- function(counts, draw) {
  lapply(counts, function(count) {
    state <- generator_state()
    draw(count)
    state
  })
}
