# Ctrl-C on what takes long within one call of the engine, in a process of its own.

skip_on_cran()
skip_on_os("windows")

# Runs `setup`, and `work` twice in another R, the second time with an interrupt soon after it has begun. What became of that one, the
# processor time of both (the elapsed time tells more of the machine's other work), and whether what `state` says is what it was before.
interrupted <- function(setup, work, state = NULL) {
  folder <- withr::local_tempdir()
  file <- function(name) file.path(folder, name)
  child <- bquote({
    library(fastlmer)
    .(setup)
    work <- function() .(work)
    state <- function() .(state)
    before <- state()
    processor <- function() sum(proc.time()[1:2])
    begin <- processor()
    work()
    whole <- processor() - begin
    system(sprintf("(sleep 0.3; kill -INT %d) &", Sys.getpid()))
    begin <- processor()
    how <- tryCatch(
      {
        work()
        "finished"
      },
      interrupt = function(i) "interrupted",
      error = conditionMessage
    )
    stopped <- processor() - begin
    saveRDS(list(how = how, whole = whole, stopped = stopped, unchanged = identical(state(), before)), .(file("result")))
  })
  writeLines(deparse(child), file("script.R"))
  system2(file.path(R.home("bin"), "Rscript"), c("--vanilla", file("script.R")), stdout = file("said"), stderr = file("said"))
  if (!file.exists(file("result"))) stop(paste(readLines(file("said")), collapse = "\n"))
  readRDS(file("result"))
}

expect_stopped <- function(result) {
  expect_identical(result$how, "interrupted")
  expect_true(result$unchanged)
  expect_gt(result$whole, 0.7) # else this shows nothing
  expect_lt(result$stopped, 0.7 * result$whole)
}

# What a fit says of itself, and gives to others.
state_of_fit <- quote({
  new <- data.frame(g = fit@frame$g[1:3], h = fit@frame$h[1:3], x = 1:3)
  list(
    fit@theta, fit@beta, fit@u, fixef(fit), ranef(fit), VarCorr(fit), vcov(fit), fitted(fit), predict(fit, new), logLik(fit), fit@call,
    simulate(fit, seed = 1), fixef(suppressMessages(refit(fit, rev(fit@frame$y))))
  )
})

test_that("a batch can be interrupted within a replicate, on any number of threads", {
  for (threads in 1:2) {
    setup <- bquote({
      set.seed(1)
      d <- data.frame(g = factor(sample(1400, 3e4, TRUE)), h = factor(sample(1300, 3e4, TRUE)), y = rnorm(3e4))
      fit <- lmer(y ~ (1 | g) + (1 | h), d, control = lmerControl(calc.derivs = FALSE))
      y <- as.data.frame(replicate(2, rnorm(3e4) + rnorm(1400)[d$g] + rnorm(1300)[d$h]))
      options(fastlmer.threads = .(threads))
    })
    expect_stopped(interrupted(setup, quote(refit(fit, y))))
  }
})

test_that("the pass over the rows of a large model can be interrupted", {
  for (threads in 1:2) {
    setup <- bquote({
      set.seed(1)
      n <- 1e7
      codes <- list(sample(1e5L, n, TRUE), sample(2e3L, n, TRUE))
      x <- matrix(rnorm(2 * n), n)
      threads <- .(threads)
    })
    expect_stopped(interrupted(setup, quote(fastlmer:::engine_design(x, codes, c(1e5L, 2e3L), 1:2, list(NULL, NULL), NULL, threads))))
  }
})

test_that("influence by row can be interrupted, on any number of threads", {
  for (threads in 1:2) {
    setup <- bquote({
      set.seed(1)
      d <- data.frame(g = factor(sample(60, 3000, TRUE)), h = factor(sample(50, 3000, TRUE)), x = rnorm(3000), y = rnorm(3000))
      fit <- lmer(y ~ x + (x | g) + (x | h), d)
      options(fastlmer.threads = .(threads))
    })
    expect_stopped(interrupted(setup, quote(influence(fit)), state_of_fit))
  }
})

test_that("a profile can be interrupted, on any number of threads", {
  for (threads in 1:2) {
    setup <- bquote({
      set.seed(1)
      d <- data.frame(g = factor(sample(700, 9000, TRUE)), h = factor(sample(650, 9000, TRUE)), x = rnorm(9000))
      d$y <- rnorm(9000) + rnorm(700)[d$g] + rnorm(650)[d$h]
      fit <- lmer(y ~ x + (1 | g) + (1 | h), d)
      options(fastlmer.threads = .(threads))
    })
    expect_stopped(interrupted(setup, quote(profile(fit)), state_of_fit))
  }
})

small_crossed <- quote({
  set.seed(1)
  d <- data.frame(g = factor(sample(60, 3000, TRUE)), h = factor(sample(50, 3000, TRUE)), x = rnorm(3000))
  d$y <- d$x + rnorm(60)[d$g] + rnorm(50)[d$h] + rnorm(3000)
  fit <- lmer(y ~ x + (x | g) + (x | h), d)
})

test_that("predictions by simulation and a simulation of power can be interrupted", {
  setup <- bquote({
    .(small_crossed)
    options(fastlmer.threads = 2)
  })
  predict <- quote(predict(fit, d[1:5, ], se.fit = TRUE, method = "simulate", nsim = 2000))
  expect_stopped(interrupted(setup, predict, state_of_fit))
  power <- quote(simulate_power(fit, "x", along = "g", sizes = c(60, 90), nsim = 600, seed = 1))
  expect_stopped(interrupted(setup, power, state_of_fit))
})

test_that("what is watched can be interrupted, and is watched no longer", {
  setup <- bquote({
    set.seed(1)
    d <- data.frame(g = factor(sample(700, 9000, TRUE)), h = factor(sample(650, 9000, TRUE)), x = rnorm(9000))
    d$y <- rnorm(9000) + rnorm(700)[d$g] + rnorm(650)[d$h]
    fit <- lmer(y ~ x + (1 | g) + (1 | h), d)
    utils::assignInNamespace("shows_progress", function() TRUE, "fastlmer")
    utils::assignInNamespace("cli_bar", function(...) list(set = function(done) NULL, close = function() NULL), "fastlmer")
  })
  expect_stopped(interrupted(setup, quote(profile(fit)), quote(list(fit@theta, fastlmer:::cache$watched))))
})
