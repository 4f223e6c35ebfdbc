# One model fitted twice: `ours` by fastlmer, `theirs` by lme4 at its best optimum, with lme4's default optimiser on record.
fit_pair <- function(formula, data, ...) {
  call <- match.call()
  env <- parent.frame()
  fit <- function(lmer, ...) {
    call[[1L]] <- lmer
    eval(as.call(c(as.list(call), ...)), env)
  }
  best <- fit(quote(lme4::lmer), control = list(lme4::lmerControl(optimizer = best_of, calc.derivs = FALSE)))
  theirs <- fit(quote(lme4::lmer), start = list(best@theta))
  theirs@call$start <- NULL
  list(ours = fit(quote(fastlmer::lmer)), theirs = theirs)
}

# The same question to both fits: the same answer, the same messages and warnings, no error. The fits agree to about 1e-7, what
# lme4's optimiser leaves open; where the answer comes from fitting again, lme4's default optimiser sets the tolerance.
expect_same_answer <- function(pair, question, tolerance = 1e-5) {
  ours <- with_conditions(question(pair$ours))
  theirs <- with_conditions(question(pair$theirs))
  skip_if_behind_lme4(theirs$conditions)
  expect_identical(ours$conditions, theirs$conditions)
  expect_false(any(grepl("^error: ", theirs$conditions)))
  expect_false(is.null(theirs$value))
  expect_identical(all.equal(ours$value, theirs$value, tolerance = tolerance, check.environment = FALSE), TRUE)
}

# One test for each of several questions that need a package.
test_answers <- function(package, pair, questions, tolerance = 1e-5) {
  for (name in names(questions)) {
    test_that(paste0(package, ", ", name), {
      skip_if_not_installed(package)
      expect_same_answer(pair, questions[[name]], tolerance)
    })
  }
}

# What a ggplot draws.
drawn <- function(plot) ggplot2::ggplot_build(plot)$data
