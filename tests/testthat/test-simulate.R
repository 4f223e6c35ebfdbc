lme4_simulate <- function(...) get("simulate.merMod", envir = asNamespace("lme4"))(...)

test_that("draws are lme4's from the same seed, with their names and attributes", {
  fits <- resampling_fits()
  asked <- list(
    list(), list(re.form = NULL), list(use.u = TRUE), list(use.u = FALSE), list(re.form = ~0), list(na.action = na.exclude),
    list(na.action = na.omit)
  )
  for (name in setdiff(names(fits), "weights")) {
    for (arguments in asked) {
      # lme4 can't find a subset's rows again
      if (name == "subset" && (isTRUE(arguments$use.u) || "re.form" %in% names(arguments) && is.null(arguments$re.form))) next
      arguments <- c(list(fits[[name]], nsim = 3, seed = 11), arguments)
      ours <- do.call(simulate, arguments)
      state <- .Random.seed
      theirs <- do.call(lme4_simulate, arguments)
      expect_equal(ours, theirs, tolerance = 1e-12, label = name)
      expect_identical(attributes(ours), attributes(theirs), label = name)
      expect_identical(state, .Random.seed)
    }
  }
})

test_that("what is beyond the engine is lme4's", {
  fit <- lmer(Reaction ~ Days + (Days | Subject), lme4::sleepstudy)
  new <- lme4::sleepstudy[c(1, 20, 30), ]
  newparams <- list(sigma = 2, beta = c(1, 2), theta = c(1, 0, 1))
  for (arguments in list(list(newdata = new), list(re.form = ~ (1 | Subject)), list(newparams = newparams))) {
    arguments <- c(list(fit, nsim = 2, seed = 4), arguments)
    expect_equal(suppressMessages(do.call(simulate, arguments)), suppressMessages(do.call(lme4_simulate, arguments)), tolerance = 1e-12)
  }
  expect_error(simulate(fit, use.u = TRUE, re.form = NA), "should specify only one of")
})

test_that("prior weights divide the residual standard deviation, on the same normal draws", {
  fit <- resampling_fits()$weights
  root <- sqrt(weights(fit))
  for (arguments in list(list(), list(re.form = NULL), list(re.form = ~ (1 | Subject)))) {
    arguments <- c(list(fit, nsim = 2, seed = 4), arguments)
    ours <- do.call(simulate, arguments)
    theirs <- do.call(lme4_simulate, arguments)
    without <- do.call(lme4_simulate, c(arguments[-2], nsim = 1, cond.sim = FALSE))
    if ("re.form" %in% names(arguments) && is.null(arguments$re.form)) {
      expect_equal((ours[[1]] - without[[1]]) * root, theirs[[1]] - without[[1]], tolerance = 1e-10)
    } else {
      expect_gt(sd((ours[[1]] - theirs[[1]])[root != 1]), 0)
      expect_equal(ours[[1]][root == 1], theirs[[1]][root == 1], tolerance = 1e-10)
    }
  }
})

test_that("other parameters and other random effects are lme4's", {
  fit <- lmer(Reaction ~ Days + (Days | Subject), lme4::sleepstudy)
  theirs <- lme4_function("simulate.merMod")
  params <- c(list(beta = c(250, 10), sigma = 20), covariance_parameters(c(1, 0.1, 0.3)))
  expect_equal(simulate(fit, 2, seed = 1, newparams = params), theirs(fit, 2, seed = 1, newparams = params))
  heavy <- function(n) rt(n, 5)
  ours <- with_conditions(simulate(fit, 2, seed = 1, cluster.rand = heavy))
  expect_equal(ours, with_conditions(theirs(fit, 2, seed = 1, cluster.rand = heavy)))
  skip_if_not(lme4_takes("simulate.merMod", "cluster.rand"), "this lme4 draws normal effects only")
  expect_false(isTRUE(all.equal(ours$value, simulate(fit, 2, seed = 1))))
})
