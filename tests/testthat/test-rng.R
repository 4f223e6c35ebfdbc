fit <- suppressMessages(lmer(Reaction ~ Days + (Days | Subject), lme4::sleepstudy))
crossed <- lmer(diameter ~ 1 + (1 | plate) + (1 | sample), lme4::Penicillin)

# Two samples of replicates, one from each generator; many more, on other designs, in bench/coverage.R.
test_that("the bootstrap distributions are the same from both generators", {
  statistic <- function(f) c(as.data.frame(VarCorr(f))$sdcor, fixef(f))
  for (model in list(fit, crossed)) {
    r <- bootMer(model, statistic, nsim = 2000, seed = 1, rng = "R")$t
    pcg64 <- bootMer(model, statistic, nsim = 2000, seed = 2, rng = "pcg64")$t
    for (j in seq_len(ncol(r))) {
      # ties: estimates of zero
      p <- suppressWarnings(stats::ks.test(r[, j], pcg64[, j]))$p.value
      expect_gt(p, 0.001, label = paste("p of statistic", j, "of", deparse1(formula(model))))
    }
  }
})

test_that("pcg64: the normals are standard normal, within and across replicates", {
  record <- engine_of(fit)
  recipe <- utils::modifyList(simulation_recipe(record, fit, keep = TRUE), list(mean = numeric(180), sigma = 1))
  count <- 4000
  e <- simulated_responses(record, recipe, list(rng = list(seed = 5, first = 1, count = count)))
  expect_gt(stats::ks.test(as.numeric(e), stats::pnorm)$p.value, 0.001)
  # a mean and a variance for each row, and the row's correlation with the next
  expect_gt(stats::ks.test(sqrt(count) * rowMeans(e), stats::pnorm)$p.value, 0.001)
  expect_gt(stats::ks.test(rowSums(e^2), stats::pchisq, count)$p.value, 0.001)
  expect_gt(stats::ks.test(sqrt(count) * rowMeans(e[-1, ] * e[-180, ]), stats::pnorm)$p.value, 0.001)
})

# A generator that only changes its stream from replicate to replicate shows correlations at some of these distances.
test_that("pcg64: replicates are independent of their neighbours", {
  record <- engine_of(fit)
  recipe <- utils::modifyList(simulation_recipe(record, fit, keep = TRUE), list(mean = numeric(180), sigma = 1))
  count <- 5000
  e <- simulated_responses(record, recipe, list(rng = list(seed = 5, first = 1, count = count)))
  z <- vapply(1:60, function(lag) rowSums(e[, seq_len(count - lag)] * e[, -seq_len(lag)]) / sqrt(count - lag), numeric(180))
  expect_gt(stats::ks.test(as.numeric(z), stats::pnorm)$p.value, 0.001)
  expect_lt(max(abs(z)), 5)
})

test_that("pcg64: any split of the replicates over chunks, workers and threads gives the same", {
  record <- engine_of(crossed)
  recipe <- simulation_recipe(record, crossed, keep = FALSE)
  part <- function(first, count, threads) {
    refit_batch(record, recipe_responses(recipe, list(rng = list(seed = 3, first = first, count = count))), threads)
  }
  whole <- part(1, 40, 1)
  for (sizes in list(c(20, 20), c(1, 2, 37), rep(1, 40), c(39, 1))) {
    first <- cumsum(c(1, sizes))[seq_along(sizes)]
    for (threads in 1:2) {
      parts <- Map(part, first, sizes, threads)
      for (what in c("beta", "theta")) {
        expect_identical(do.call(cbind, lapply(parts, `[[`, what)), whole[[what]], label = paste(what, toString(sizes), threads))
      }
      expect_identical(unlist(lapply(parts, `[[`, "sigma")), whole$sigma)
    }
  }
  boots <- lapply(1:2, function(threads) bootMer(crossed, sigma, nsim = 40, seed = 3, rng = "pcg64", threads = threads)$t)
  expect_identical(boots[[1L]], boots[[2L]])
  expect_equal(as.numeric(boots[[1L]]), whole$sigma, tolerance = 1e-12)
})

test_that("pcg64: the seed decides, and R's generator decides on the seed where none is given", {
  boot <- function(...) bootMer(fit, fixef, nsim = 5, rng = "pcg64", ...)
  expect_identical(boot(seed = 1)$t, boot(seed = 1)$t)
  seeds <- lapply(1:20, function(seed) boot(seed = seed)$t)
  expect_false(anyDuplicated(unlist(seeds)) > 0)

  withr::local_preserve_seed()
  set.seed(4)
  first <- boot()
  second <- boot()
  expect_false(identical(first$t, second$t))
  set.seed(4)
  expect_identical(boot()[c("t", "seed")], first[c("t", "seed")])
  expect_identical(boot(seed = first$seed)$t, first$t)
})
