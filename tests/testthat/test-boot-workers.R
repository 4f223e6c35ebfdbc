fit <- lmer(Reaction ~ Days + (Days | Subject), lme4::sleepstudy)

test_that("workers of a cluster and of a future plan give what one process gives", {
  skip_on_cran()
  skip_if_not_installed("future.apply")
  FUN <- function(f) c(fixef(f), vcov(f)[1, 2])
  old <- future::plan("multisession", workers = 2)
  on.exit(future::plan(old))
  for (rng in c("pcg64", "R")) {
    alone <- bootMer(fit, FUN, nsim = 10, seed = 7, rng = rng)
    for (kind in c("snow", "future")) {
      there <- bootMer(fit, FUN, nsim = 10, seed = 7, rng = rng, parallel = kind, ncpus = 2)
      expect_identical(there$t, alone$t, label = paste(rng, kind))
    }
  }
})

test_that("workers have the variables of the user's workspace that FUN uses", {
  globals <- globals_of(function(f) f)
  expect_identical(globals, list())
  FUN <- evalq(function(f) resampling_helper(f) * resampling_constant, globalenv())
  evalq(resampling_helper <- function(f) fixef(f)[1] + resampling_deeper, globalenv())
  evalq(resampling_constant <- 2, globalenv())
  evalq(resampling_deeper <- 1, globalenv())
  on.exit(rm(list = c("resampling_helper", "resampling_constant", "resampling_deeper"), envir = globalenv()))
  expect_setequal(names(globals_of(FUN)), c("resampling_helper", "resampling_constant", "resampling_deeper"))
})

test_that("pieces for the workers cover a chunk once", {
  for (count in c(1, 2, 3, 8)) {
    pieces <- pieces_of(c(11, 5), count)
    expect_identical(unlist(lapply(pieces, function(piece) piece[[1L]] - 1 + seq_len(piece[[2L]]))), as.numeric(11:15))
  }
  expect_length(pieces_of(c(1, 5), 8), 5L)
})

test_that("a worker that dies is an error here", {
  skip_on_os("windows")
  skip_on_cran()
  # that ends, and gives no results: its replicates must not be missing without a word
  here <- Sys.getpid()
  FUN <- function(f) if (Sys.getpid() != here) tools::pskill(Sys.getpid()) else residuals(f)[[1L]]
  expect_error(suppressWarnings(bootMer(fit, FUN, nsim = 4, seed = 1, parallel = "multicore", ncpus = 2)))
})
