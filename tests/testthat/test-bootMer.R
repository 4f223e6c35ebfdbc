fit <- lmer(Reaction ~ Days + (Days | Subject), lme4::sleepstudy)

test_that("each replicate is the exact fit of the response that simulate() draws, for every kind of model", {
  fits <- resampling_fits()
  statistic <- function(f) c(fixef(f), sigma = sigma(f))
  for (name in names(fits)) {
    fit <- fits[[name]]
    boot <- bootMer(fit, statistic, nsim = 3, seed = 5)
    y <- simulate(fit, 3, seed = 5, na.action = na.omit)
    for (i in 1:3) expect_equal(boot$t[i, ], statistic(exact_fit(fit, y[[i]])), tolerance = 1e-5, label = name)
  }
})

test_that("the object is lme4's", {
  ml <- lmer(Reaction ~ Days + (Days | Subject), lme4::sleepstudy, REML = FALSE)
  ours <- bootMer(ml, fixef, nsim = 50, seed = 1)
  state <- .Random.seed
  theirs <- lme4::bootMer(ml, fixef, nsim = 50, seed = 1)
  expect_identical(names(ours), names(theirs))
  expect_identical(state, .Random.seed)
  for (part in setdiff(names(ours), "call")) expect_equal(ours[[part]], theirs[[part]], tolerance = 1e-5, label = part)
  expect_equal(attributes(ours), attributes(theirs))
  expect_identical(rownames(confint(ours, level = 0.8)), rownames(confint(theirs, level = 0.8)))
  expect_equal(as.data.frame(ours), as.data.frame(theirs), tolerance = 1e-5)
  expect_output(print(ours), "PARAMETRIC BOOTSTRAP")
  expect_s3_class(boot::boot.ci(ours, index = 2, conf = 0.8, type = c("norm", "basic", "perc")), "bootci")
  semi <- bootMer(ml, fixef, nsim = 4, seed = 1, use.u = TRUE, type = "semiparametric")
  expect_equal(semi$t, lme4::bootMer(ml, fixef, nsim = 4, seed = 1, use.u = TRUE, type = "semiparametric")$t, tolerance = 1e-5)
  expect_error(bootMer(ml, fixef, type = "semiparametric"), "not yet implemented")
  expect_error(bootMer(ml, function(f) "a"), "return numeric vectors")
})

test_that("random effects may be kept, wholly or in part", {
  for (arguments in list(list(use.u = TRUE), list(re.form = NULL), list(re.form = ~ (1 | Subject)))) {
    boot <- do.call(bootMer, c(list(fit, fixef, nsim = 2, seed = 9), arguments))
    y <- do.call(simulate, c(list(fit, nsim = 2, seed = 9), arguments))
    expect_equal(boot$t[2, ], fixef(refit(fit, y[2])), tolerance = 1e-7)
  }
})

test_that("a statistic of known parts is the same computed at once and on each fit", {
  days <- data.frame(Days = c(0, 5, NA, 9))
  icc <- function(f) {
    v <- as.data.frame(VarCorr(f))
    v$vcov[1] / sum(v[v$grp != "Subject" | is.na(v$var2), "vcov"])
  }
  statistics <- list(
    fixef, sigma, AIC, function(f) getME(f, "theta"), function(f) c(a = fixef(f)[["Days"]], icc(f), log(sigma(f)) - 1),
    function(f) predict(f, newdata = days, re.form = NA), function(f) predict(f, lme4::sleepstudy[c(5, 77), ]),
    function(f) predict(f, data.frame(Days = 1:2, Subject = c("308", "new")), allow.new.levels = TRUE),
    function(f) unlist(VarCorr(f)), function(f) return(VarCorr(f)$Subject["Days", "(Intercept)"]),
    function(.) c(attr(VarCorr(.)$Subject, "stddev"), r = attr(VarCorr(.)[["Subject"]], "correlation")[1, 2], s = sigma(.)),
    function(f) ranef(f)$Subject[["Days"]], function(f) unlist(ranef(f)), function(f) c(logLik(f), REMLcrit(f), isSingular(f)),
    function(f) {
      s <- as.data.frame(VarCorr(f))$sdcor
      names(s) <- NULL
      return(setNames(s^2, letters[1:4]))
    }
  )
  for (FUN in statistics) {
    withr::local_options(fastlmer.vocabulary = TRUE)
    at_once <- bootMer(fit, FUN, nsim = 4, seed = 1)
    withr::local_options(fastlmer.vocabulary = FALSE)
    each <- bootMer(fit, FUN, nsim = 4, seed = 1)
    expect_equal(at_once[c("t0", "t", "seed")], each[c("t0", "t", "seed")], tolerance = 1e-9, label = deparse1(body(FUN)))
  }
})

test_that("the vocabulary knows what it should, and only under the right meaning", {
  record <- engine_of(fit)
  known <- function(FUN) !is.null(vectorised_statistic(FUN, fit, record, FUN(fit)))
  expect_true(known(fixef))
  expect_true(known(function(f) fixef(f)["Days"] / sigma(f)))
  expect_true(known(function(f) predict(f, lme4::sleepstudy[1:3, ], re.form = ~0)))
  expect_true(known(function(f) predict(f, lme4::sleepstudy[1:3, ], re.form = ~ (1 | Subject))))
  expect_true(known(function(f) {
    v <- as.data.frame(VarCorr(f))
    c(fixef(f)[["Days"]], v$sdcor[1] / sigma(f))
  }))
  expect_false(known(function(f) mean(residuals(f))))
  expect_false(known(function(f) {
    fixef <- function(f) 3
    fixef(f)
  }))
  fixef <- function(f) lme4::fixef(f)^2
  expect_true(known(function(f) lme4::fixef(f)))
  expect_false(known(function(f) fixef(f)))
})

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

test_that("failures, messages and warnings are counted as lme4 counts them", {
  FUN <- function(f) if (fixef(f)[[1]] > 255) stop("too large") else fixef(f)
  expect_warning(boot <- bootMer(fit, FUN, nsim = 20, seed = 1), "some bootstrap runs failed (6/20)", fixed = TRUE)
  expect_identical(attr(boot, "bootFail"), 6L)
  expect_identical(sum(is.na(boot$t[, 1])), 6L)
  flat <- suppressMessages(lmer(Yield ~ 1 + (1 | Batch), lme4::Dyestuff2))
  boot <- bootMer(flat, sigma, nsim = 10, seed = 1)
  each <- bootMer(flat, function(f) sigma(f) + 0 * nobs(f), nsim = 10, seed = 1)
  theirs <- suppressMessages(lme4::bootMer(flat, sigma, nsim = 10, seed = 1))
  expect_identical(attr(boot, "boot.all.msgs"), attr(each, "boot.all.msgs"))
  expect_equal(attr(boot, "boot.all.msgs")$`factory-message`, attr(theirs, "boot.all.msgs")$`factory-message`)
  expect_output(bootMer(fit, fixef, nsim = 2, verbose = TRUE), "1 :", fixed = TRUE)
  expect_output(bootMer(fit, fixef, nsim = 2, .progress = "txt"), "=")
})

test_that("other models are lme4's", {
  binary <- glmer(cbind(incidence, size - incidence) ~ period + (1 | herd), data = lme4::cbpp, family = binomial)
  expect_s3_class(suppressMessages(bootMer(binary, fixef, nsim = 1, seed = 1)), "bootMer")
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

test_that("the environment for the call's control may be given", {
  made <- function() {
    quiet <- lmerControl(check.conv.singular = "ignore")
    list(fit = lmer(Yield ~ 1 + (1 | Batch), lme4::Dyestuff2, control = quiet), env = environment())
  }
  made <- made()
  told <- function(...) sum(attr(bootMer(made$fit, sigma, nsim = 20, seed = 1, ...), "boot.all.msgs")[["factory-message"]])
  expect_gt(told(), 0)
  expect_identical(told(call.env = made$env), 0L)
})

test_that("columns of t have lme4's names, whatever FUN returns", {
  fit <- lmer(Reaction ~ Days + (1 | Subject), sleepstudy)
  lme4s <- lme4::lmer(Reaction ~ Days + (1 | Subject), sleepstudy)
  functions <- list(
    function(fit) cbind(fixef(fit), twice = 2 * fixef(fit)), function(fit) matrix(1:4 + 0, 2, dimnames = list(c("a", "b"), c("c", "d"))),
    function(fit) unname(cbind(fixef(fit))), fixef, function(fit) unname(fixef(fit)), sigma, function(fit) c(s = sigma(fit)),
    function(fit) as.matrix(vcov(fit)), function(fit) array(1:8 + 0, c(2, 2, 2)), function(fit) unlist(data.frame(a = 1:2, b = 3))
  )
  for (FUN in functions) {
    ours <- bootMer(fit, FUN, nsim = 2, seed = 1)
    theirs <- lme4::bootMer(lme4s, FUN, nsim = 2, seed = 1)
    expect_identical(dimnames(ours$t), dimnames(theirs$t))
    expect_identical(dim(ours$t), dim(theirs$t))
    expect_identical(attributes(ours$t0), attributes(theirs$t0))
  }
})
