# Whoever watches a computation is told how far it is.

# A fit of which a profile takes a moment.
watched_model <- function() {
  data <- withr::with_seed(1, {
    data <- data.frame(g = factor(sample(500, 6000, TRUE)), h = factor(sample(450, 6000, TRUE)), x = stats::rnorm(6000))
    data$y <- stats::rnorm(6000) + stats::rnorm(500)[data$g] + stats::rnorm(450)[data$h]
    data
  })
  lmer(y ~ x + (1 | g) + (1 | h), data)
}

# Functions of the package in place of its own until the test ends.
replaced_here <- function(..., test = parent.frame()) {
  force(test)
  functions <- list(...)
  lapply(names(functions), function(name) {
    original <- get(name, envir = asNamespace("fastlmer"))
    withr::defer(utils::assignInNamespace(name, original, "fastlmer"), envir = test)
    utils::assignInNamespace(name, functions[[name]], "fastlmer")
  })
}

# What the engine tells while `work` is done.
told <- function(work) {
  seen <- new.env()
  seen$calls <- list()
  engine_watch(function(done, total, evaluations) seen$calls <- c(seen$calls, list(c(done, total, evaluations))))
  on.exit(engine_watch(NULL))
  value <- work
  engine_watch(NULL)
  list(value = value, calls = do.call(rbind, seen$calls))
}

test_that("the engine tells how far it is, and computes the same", {
  fit <- watched_model()
  watched <- told(profile(fit))
  expect_identical(watched$value, profile(fit))
  calls <- watched$calls
  expect_gt(nrow(calls), 1)
  pieces <- calls[calls[, 2L] > 0, , drop = FALSE]
  expect_gt(nrow(pieces), 0)
  expect_length(unique(pieces[, 2L]), 1L)
  expect_true(all(pieces[, 1L] <= pieces[, 2L]))
  expect_false(is.unsorted(pieces[, 1L]))
})

test_that("a watcher that fails, or that stops looking, changes nothing", {
  fit <- watched_model()
  tried <- new.env()
  replaced_here(cli_bar = function(...) {
    tried$bar <- TRUE
    stop("no bar")
  })
  bar <- engine_bar("a label")
  withr::defer(engine_watch(NULL))
  engine_watch(bar$tell)
  expect_s3_class(profile(fit), "thpr")
  engine_watch(NULL)
  expect_true(tried$bar)
  expect_null(bar$close())
})

test_that("a bar is shown for what the engine does long, and closed", {
  seen <- new.env()
  recorder <- function(total, label) {
    seen$opened <- c(seen$opened, list(list(total = total, label = label)))
    list(set = function(done) seen$set <- c(seen$set, done), close = function() seen$closed <- c(seen$closed, TRUE))
  }
  replaced_here(shows_progress = function() TRUE, cli_bar = recorder)
  fit <- watched_model()
  intervals <- profile(fit)
  labels <- vapply(seen$opened, `[[`, "", "label")
  expect_match(labels, "^Profiles of 5 parameters \\(6,000 rows, 950 levels, [0-9]+ threads?\\)")
  expect_true(any(vapply(seen$opened, function(bar) !is.na(bar$total), NA)))
  expect_gt(length(seen$set), 0)
  expect_length(seen$closed, length(seen$opened))
  expect_null(cache$watched)
  # an error leaves no watcher behind
  expect_error(watched("Work", 1, 1, 1, stop("stopped")), "stopped")
  expect_null(cache$watched)
})

test_that("nobody is told where nobody looks", {
  replaced_here(engine_watch = function(...) stop("watched"))
  expect_s3_class(profile(lmer(Reaction ~ Days + (1 | Subject), sleepstudy), which = "beta_"), "thpr")
  expect_identical(watched("Work", 1, 1, 1, 3), 3)
})

test_that("the size of the work is said in words", {
  expect_identical(size_text(1e6, 1, 2), "1,000,000 rows, 1 level, 2 threads")
  expect_identical(size_text(0, 30, 1), "30 levels, 1 thread")
})

test_that("fits and refits of many rows, Kenward-Roger and allFit() are watched", {
  seen <- new.env()
  replaced_here(
    watched = function(what, n, levels, threads, work) {
      seen$what <- c(seen$what, what)
      work
    },
    progress_bar = function(kind, arguments, total, label = "") {
      seen$bars <- c(seen$bars, label)
      list(set = function(done) seen$done <- c(seen$done, done), close = function() NULL, shown = TRUE)
    }
  )
  data <- withr::with_seed(1, data.frame(g = factor(sample(10, 20000, TRUE)), x = stats::rnorm(20000), y = stats::rnorm(20000)))
  fit <- suppressMessages(lmer(y ~ x + (1 | g), data))
  invisible(suppressMessages(refit(fit, stats::rnorm(20000))))
  small <- lmer(Reaction ~ Days + (1 | Subject), sleepstudy)
  invisible(vcov_kr(small))
  expect_identical(seen$what, c("Fitting", "Fitting", "Kenward-Roger"))
  table <- cbind(optimizer = c("bobyqa", "nloptwrap"), method = c("", "NLOPT_LN_BOBYQA"))
  invisible(allFit(small, table, verbose = FALSE))
  expect_identical(seen$bars, "Optimizers")
  expect_identical(seen$done, 1:2)
})
