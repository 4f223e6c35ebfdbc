fit <- lmer(Reaction ~ Days + (Days | Subject), lme4::sleepstudy)

# Five responses drawn in chunks of a size, with a FUN that draws after each chunk.
chunked <- function(size, source_of, ...) {
  set.seed(8)
  recipe <- simulation_recipe(engine_of(fit), fit, keep = FALSE)
  chunks <- chunk_bounds(5, 1, 1, bytes = 8 * size)
  source <- source_of(chunks, function(n) draw_effects(recipe, n), function(n) draw_residuals(recipe, n), TRUE,
    function(u, e) simulated_responses(engine_of(fit), recipe, list(u = u, e = e)), size = 1, ...)
  y <- vector("list", length(chunks))
  fun <- numeric()
  for (i in seq_along(chunks)) {
    y[[i]] <- source$responses(i)
    fun <- c(fun, rnorm(chunks[[i]][2]))
  }
  list(y = do.call(cbind, y), fun = fun)
}

test_that("a FUN that draws finds the stream where lme4 leaves it, also in chunks", {
  set.seed(3)
  boot <- bootMer(fit, function(f) rnorm(1), nsim = 5)
  state <- .Random.seed
  set.seed(3)
  expect_equal(boot$t0, rnorm(1))
  simulate(fit, 5)
  expect_equal(as.numeric(boot$t), rnorm(5))
  expect_identical(state, .Random.seed)

  together <- chunked(2, drawn_source)
  apart <- chunked(2, drawn_source, limit = 0)
  expect_identical(together, apart)
  expect_identical(chunked(5, drawn_source)$y, together$y)
})

test_that("pcg64: the same for any number of threads, chunks and workers", {
  one <- bootMer(fit, fixef, nsim = 30, seed = 7, rng = "pcg64", threads = 1)
  set.seed(1)
  before <- .Random.seed
  expect_identical(bootMer(fit, fixef, nsim = 30, seed = 7, rng = "pcg64", threads = 2)$t, one$t)
  expect_identical(.Random.seed, before)
  expect_identical(bootMer(fit, fixef, nsim = 10, seed = 7, rng = "pcg64")$t, one$t[1:10, ])
  FUN <- function(f) c(fixef(f), vcov(f)[1, 2])
  alone <- bootMer(fit, FUN, nsim = 10, seed = 7, rng = "pcg64")
  expect_equal(alone$t[, 1:2], one$t[1:10, ], tolerance = 1e-9)
  expect_identical(unname(alone$seed), 7)
  expect_error(bootMer(fit, fixef, seed = 1.5, rng = "pcg64"), "one whole number")
  expect_false(identical(bootMer(fit, fixef, nsim = 30, seed = 8, rng = "pcg64")$t, one$t))
  skip_on_os("windows")
  expect_identical(bootMer(fit, FUN, nsim = 10, seed = 7, rng = "pcg64", parallel = "multicore", ncpus = 2)$t, alone$t)
  expect_identical(bootMer(fit, FUN, nsim = 6, seed = 7, parallel = "multicore", ncpus = 2)$t, bootMer(fit, FUN, nsim = 6, seed = 7)$t)
})

test_that("chunks cover all replicates once, in order, and are no larger than their memory", {
  for (nsim in c(1, 7, 1000)) {
    for (values in c(1, 1e4, 1e9)) {
      bounds <- chunk_bounds(nsim, values, threads = 2, pieces = 5)
      numbers <- unlist(lapply(bounds, function(chunk) chunk[[1L]] - 1 + seq_len(chunk[[2L]])))
      expect_identical(as.numeric(numbers), as.numeric(seq_len(nsim)))
      sizes <- vapply(bounds, `[[`, 0, 2L)
      expect_true(all(sizes <= max(2, 64e6 / (8 * values))))
    }
  }
  expect_length(chunk_bounds(100, 1, 1, pieces = 20), 20L)
})
