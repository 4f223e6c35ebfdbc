#' More replicates of a bootstrap
#'
#' `more_replicates()` goes on where a bootstrap has stopped. With `rng = "pcg64"` a replicate is given by the seed and its number, and the
#' new ones have the numbers that follow: 500 replicates and 500 more are, bit for bit, the 1000 of one call. With `rng = "R"` the new ones
#' are drawn from R's stream as it stands, or from `seed`. `c()` puts bootstraps of one model together, say of several seeds or machines.
#'
#' Bootstraps belong together when the statistic has the same value for the fit, the estimates are the same, and the responses were drawn in
#' the same way; and none may hold replicates that another holds, for these would be counted twice.
#'
#' @param boot,... results of [bootMer()] or of `boot_resample(type = "parametric")`.
#' @param fit the fit that was bootstrapped.
#' @param nsim number of further replicates.
#' @param seed a seed of the new replicates' own; `NULL` to go on with that of `boot`.
#' @param threads as for [bootMer()].
#' @return A result as `boot`, with all replicates; its `seed` is the first one's.
#' @seealso [bootMer()], [save_replicates()]
#' @examples
#' fit <- lmer(Reaction ~ Days + (Days | Subject), sleepstudy)
#' first <- bootMer(fit, fixef, nsim = 50, seed = 1, rng = "pcg64")
#' both <- more_replicates(first, fit, 50)
#' identical(both$t, bootMer(fit, fixef, nsim = 100, seed = 1, rng = "pcg64")$t)
#' c(first, bootMer(fit, fixef, nsim = 50, seed = 2, rng = "pcg64"))
#' @export
more_replicates <- function(boot, fit, nsim, seed = NULL, threads = default_threads()) {
  if (!inherits(boot, "bootMer")) fail("argument", "'boot' must be a result of bootMer()")
  record <- if (missing(fit)) NULL else engine_of(fit)
  if (is.null(record)) fail("argument", "'fit' must be the linear mixed model that was bootstrapped")
  if (!same_estimates(boot$mle, estimates_of(fit))) fail("argument", "'fit' isn't the model that was bootstrapped: its estimates differ")
  if (!identical(boot$sim, "parametric") || !is.function(boot$statistic)) {
    fail("unsupported", "more replicates can be drawn of parametric bootstraps whose statistic is known: use restore_replicates(FUN = )")
  }
  stopifnot((nsim <- as.integer(nsim[1L])) > 0L)
  plan <- list(
    record = record, FUN = boot$statistic, nsim = nsim, threads = threads, verbose = FALSE, control = call_control(fit, parent.frame())
  )
  more <- run_bootstrap(fit, plan, draws_after(boot, seed), list(count = 1L), progress_bar("none", list(), nsim), boot$call)
  c(boot, more)
}

# What further replicates are drawn with.
draws_after <- function(boot, seed) {
  known <- attr(boot, "draws")
  if (is.null(known)) {
    settings <- as.list(boot$call)
    if (any(c("use.u", "re.form", "type") %in% names(settings)) && !identical(settings$type, "parametric")) {
      fail("unsupported", "more replicates need the random effects to be drawn anew; or use rng = \"pcg64\"")
    }
    return(list(rng = "R", seed = seed, keep = NA, type = "parametric", after = 0))
  }
  streams <- known$streams
  seed <- if (is.null(seed)) streams$seed[[nrow(streams)]] else pcg_seed(seed)
  own <- streams[streams$seed == seed, ]
  after <- if (nrow(own)) max(own$first + own$count - 1) else 0
  list(rng = "pcg64", seed = seed, keep = if (!known$keep) NA, type = "parametric", after = after)
}

estimates_of <- function(fit) list(beta = lme4::getME(fit, "beta"), theta = lme4::getME(fit, "theta"), sigma = stats::sigma(fit))

same_estimates <- function(a, b) isTRUE(all.equal(lapply(a, as.numeric), lapply(b, as.numeric), tolerance = 1e-8))

#' @rdname more_replicates
#' @export
c.bootMer <- function(...) {
  boots <- list(...)
  if (!all(vapply(boots, inherits, NA, "bootMer"))) fail("argument", "only results of bootMer() can be put together")
  first <- boots[[1L]]
  for (other in boots[-1L]) refuse_others(first, other)
  draws <- lapply(boots, attr, "draws")
  streams <- do.call(rbind, lapply(draws, `[[`, "streams"))
  if (length(streams)) refuse_twice(streams)
  first$t <- do.call(rbind, lapply(boots, `[[`, "t"))
  first$R <- nrow(first$t)
  add <- function(name) add_tables(lapply(boots, attr, name))
  attr(first, "bootFail") <- as.integer(sum(vapply(boots, function(boot) as.numeric(attr(boot, "bootFail")), 0)))
  attr(first, "boot.fail.msgs") <- if (attr(first, "bootFail") > 0) add("boot.fail.msgs")
  kinds <- names(attr(first, "boot.all.msgs"))
  attr(first, "boot.all.msgs") <- lapply(stats::setNames(kinds, kinds), function(kind) {
    add_tables(lapply(boots, function(boot) attr(boot, "boot.all.msgs")[[kind]]))
  })
  attr(first, "singular") <- joined_numbers(boots)
  if (length(streams)) attr(first, "draws") <- list(keep = draws[[1L]]$keep, streams = joined_streams(streams))
  first
}

# The numbers of the singular replicates among all; NULL where a bootstrap doesn't know them.
joined_numbers <- function(boots) {
  singular <- lapply(boots, attr, "singular")
  if (any(vapply(singular, is.null, NA))) return(NULL)
  before <- cumsum(c(0L, vapply(boots, function(boot) as.integer(boot$R), 0L)))[seq_along(boots)]
  as.integer(unlist(Map(`+`, singular, before)))
}

refuse_others <- function(first, other) {
  if (!same_estimates(first$mle, other$mle)) fail("argument", "these are bootstraps of different models: their estimates differ")
  if (!identical(names(first$t0), names(other$t0)) || !isTRUE(all.equal(as.numeric(first$t0), as.numeric(other$t0), tolerance = 1e-8))) {
    fail("argument", "these are bootstraps of different statistics: their values for the fit differ")
  }
  drawn <- function(boot) list(boot$sim, boot$ran.gen, boot$resampling, attr(boot, "draws")$keep)
  if (!identical(drawn(first), drawn(other))) fail("argument", "the responses of these bootstraps were drawn in different ways")
  if (is.null(attr(first, "draws")) && identical(first$seed, other$seed) && identical(first$t, other$t)) {
    fail("argument", "these are the same replicates twice")
  }
}

# No replicate of the engine's generator may be there twice.
refuse_twice <- function(streams) {
  for (own in split(streams, streams$seed)) {
    own <- own[order(own$first), ]
    if (any(own$first[-1L] < (own$first + own$count)[-nrow(own)])) {
      fail("argument", sprintf("replicates of the seed %.0f would be there twice: use another seed, or more_replicates()", own$seed[[1L]]))
    }
  }
}

# Runs that follow each other are one.
joined_streams <- function(streams) {
  out <- streams[1L, ]
  for (i in seq_len(nrow(streams))[-1L]) {
    last <- nrow(out)
    if (streams$seed[i] == out$seed[last] && streams$first[i] == out$first[last] + out$count[last]) {
      out$count[last] <- out$count[last] + streams$count[i]
    } else {
      out <- rbind(out, streams[i, ])
    }
  }
  `rownames<-`(out, NULL)
}

# Tables of messages as one.
add_tables <- function(tables) {
  texts <- unlist(lapply(tables, function(table) rep(names(table), as.integer(table))))
  table(if (is.null(texts)) character() else texts)
}
