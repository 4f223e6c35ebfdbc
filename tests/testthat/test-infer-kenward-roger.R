# Kenward and Roger's inference beside pbkrtest's n x n matrices for the same fit, and where those are wrong beside matrices of our own.

models <- c(
  comparison_models()[c(
    "sleepstudy: 1 | S", "sleepstudy: 0 + Days | S", "sleepstudy: Days | S", "sleepstudy: Days || S", "sleepstudy: I(Days^2) + Days | S",
    "sleepstudy: factor(Days)", "sleepstudy: offset argument", "sleepstudy: offset term", "sleepstudy: subset", "sleepstudy: NA rows",
    "sleepstudy: sum contrasts", "sleepstudy: Helmert contrasts", "sleepstudy: ordered factor", "sleepstudy: 0 + Days",
    "sleepstudy: intercept only", "sleepstudy: aliased column", "sleepstudy: empty cell", "sleepstudy: mean 1e8", "Dyestuff",
    "Dyestuff2 (singular)", "Penicillin, crossed", "Pastes: batch/cask", "Pastes: batch + sample", "cake: recipe:replicate"
  )],
  list(
    "crossed, with slopes" = quote(lmer(y ~ a * x + (x | g) + (1 | h), crossed)),
    "crossed and unbalanced, maximum likelihood" = quote(lmer(y ~ a + x + (1 | g) + (0 + x | h), crossed[-(1:37), ], REML = FALSE)),
    "two terms of one factor" = quote(lmer(y ~ x + (1 | g) + (0 + x | g), crossed)),
    "a correlation of one" = quote(lmer(y ~ x + (x | h), crossed[1:40, ]))
  )
)

data <- comparison_data()
assign("crossed", envir = data, withr::with_seed(1, {
  crossed <- expand.grid(g = factor(1:12), h = factor(1:6), r = 1:2)
  crossed$a <- factor(ifelse(as.integer(crossed$g) %% 3 == 0, "p", ifelse(crossed$r == 1, "q", "r")))
  crossed$x <- round(stats::rnorm(nrow(crossed)), 2)
  crossed$y <- with(crossed, stats::rnorm(12)[g] + stats::rnorm(6)[h] + 0.5 * stats::rnorm(12)[g] * x + stats::rnorm(nrow(crossed)))
  crossed
}))
fit_of <- function(call) suppressMessages(suppressWarnings(eval(call, data)))
pbkr <- function(name) get(name, envir = asNamespace("pbkrtest"))

# All pairs of neighbours, the whole, and a row that the others imply.
hypotheses <- function(p) {
  whole <- diag(p)
  first <- if (p > 1L) list(whole[-1L, , drop = FALSE], rbind(whole[p, ], rep(1, p))) else list(whole)
  c(list(whole), first)
}

test_that("adjusted covariance, F and degrees of freedom are pbkrtest's", {
  skip_if_not_installed("pbkrtest")
  for (name in names(models)) {
    fit <- fit_of(models[[name]])
    expect_true(is_fastlmer(fit), info = name)
    reml <- if (lme4::isREML(fit)) fit else update(fit, REML = TRUE, evaluate = FALSE)
    if (is.call(reml)) reml <- suppressWarnings(eval(reml, data))
    dense <- pbkr("vcovAdj_internal")(vcov(reml), pbkr("get_SigmaG")(reml), lme4::getME(reml, "X"))
    ours <- vcov_kr(fit)
    expect_s4_class(ours, class(dense))
    expect_equal(dimnames(ours), dimnames(dense), info = name)
    expect_equal(as.matrix(ours), as.matrix(dense), tolerance = 1e-6, info = name)
    expect_equal(lapply(attr(ours, "P"), as.matrix), lapply(attr(dense, "P"), as.matrix), tolerance = 1e-6, info = name)
    expect_equal(as.matrix(attr(ours, "W")), as.matrix(attr(dense, "W")), tolerance = 1e-5, info = name)
    for (L in hypotheses(length(fixef(reml)))) {
      theirs <- pbkr(".KR_adjust")(dense, vcov(reml), L, fixef(reml), 0)
      test <- test_kr(fit, L)
      expect_equal(test$ndf, theirs$ndf, info = name)
      expect_equal(
        unlist(test[c("F", "ddf", "F.scaling", "p.value")], use.names = FALSE),
        c(theirs$Fstat, theirs$ddf, theirs$F.scaling, theirs$p.value), tolerance = 1e-5, info = name
      )
    }
    each <- test_kr(fit)
    df <- vapply(seq_len(nrow(each)), function(j) pbkr("Lb_ddf")(diag(nrow(each))[j, ], vcov(reml), dense), 0)
    expect_equal(each$df, df, tolerance = 1e-5, info = name)
    expect_equal(each$std.error, unname(sqrt(diag(as.matrix(dense)))), tolerance = 1e-6, info = name)
    expect_equal(rownames(each), names(fixef(fit)), info = name)
  }
})

# The paper's formulas on n x n matrices, with the rows' own residual variances.
dense_reference <- function(fit) {
  x <- as.matrix(lme4::getME(fit, "X"))
  lambda <- as.matrix(lme4::getME(fit, "Lambda"))
  z <- as.matrix(lme4::getME(fit, "Z"))
  s2 <- sigma(fit)^2
  residual <- diag(1 / fit@resp$weights)
  v <- s2 * (residual + tcrossprod(z %*% lambda))
  derivatives <- list()
  for (term in seq_along(fit@cnms)) {
    k <- length(fit@cnms[[term]])
    own <- z[, (fit@Gp[term] + 1L):fit@Gp[term + 1L], drop = FALSE]
    for (c in seq_len(k)) {
      for (r in c:k) {
        g <- tcrossprod(own[, seq(r, ncol(own), by = k), drop = FALSE], own[, seq(c, ncol(own), by = k), drop = FALSE])
        derivatives <- c(derivatives, list(if (r == c) g else g + t(g)))
      }
    }
  }
  derivatives <- c(derivatives, list(residual))
  inverse <- solve(v)
  phi <- solve(crossprod(x, inverse %*% x))
  o <- lapply(derivatives, function(g) g %*% inverse %*% x)
  p <- lapply(o, function(o) -crossprod(inverse %*% x, o))
  q <- function(i, j) crossprod(o[[i]], inverse %*% o[[j]])
  m <- seq_along(derivatives)
  information <- outer(m, m, Vectorize(function(i, j) {
    sum((derivatives[[i]] %*% inverse) * t(derivatives[[j]] %*% inverse)) - 2 * sum(phi * q(i, j)) +
      sum((phi %*% p[[i]]) * t(phi %*% p[[j]]))
  }))
  w <- 2 * solve(information)
  change <- Reduce(`+`, lapply(m, function(i) Reduce(`+`, lapply(m, function(j) w[i, j] * (q(i, j) - p[[i]] %*% phi %*% p[[j]])))))
  list(covariance = phi + 2 * phi %*% change %*% phi, W = w, P = p)
}

test_that("prior weights are the rows' residual variances", {
  fits <- list(
    fit_of(models[["sleepstudy: Days | S"]]),
    fit_of(quote(lmer(Reaction ~ Days + (Days | Subject), sleep, weights = w))),
    fit_of(quote(lmer(y ~ a * x + (x | g) + (1 | h), crossed, weights = 1 + as.integer(r) * abs(x))))
  )
  for (fit in fits) {
    dense <- dense_reference(fit)
    ours <- vcov_kr(fit)
    expect_equal(as.matrix(ours), dense$covariance, tolerance = 1e-8, ignore_attr = TRUE)
    expect_equal(as.matrix(attr(ours, "W")), dense$W, tolerance = 1e-6, ignore_attr = TRUE)
    expect_equal(as.matrix(attr(ours, "P")[[1L]]), dense$P[[1L]], tolerance = 1e-8, ignore_attr = TRUE)
  }
})

test_that("an absorbed factor, and data in chunks, have the answers of all columns and rows", {
  rows <- withr::with_seed(2, {
    rows <- data.frame(f = factor(rep(1:110, each = 4)), g = factor(rep_len(1:13, 440)), x = stats::rnorm(440))
    rows$y <- stats::rnorm(13)[rows$g] + rows$x + stats::rnorm(440)
    rows
  })
  absorbed <- lmer(y ~ f + x + (x | g), rows)
  whole <- lmer(y ~ f + x + (x | g), rows, contrasts = list(f = contr.treatment(110)))
  expect_s3_class(engine_of(absorbed)$x, "absorbed_columns")
  expect_false(inherits(engine_of(whole)$x, "absorbed_columns"))
  expect_equal(as.matrix(vcov_kr(absorbed)), as.matrix(vcov_kr(whole)), tolerance = 1e-5, ignore_attr = TRUE)
  L <- diag(111)[c(2:5, 111), ]
  expect_equal(test_kr(absorbed, L), test_kr(whole, L), tolerance = 1e-5)

  products <- cross_products(y ~ x + (x | g), rows)
  for (reml in c(TRUE, FALSE)) {
    streamed <- lmer(y ~ x + (x | g), products, REML = reml)
    expect_equal(test_kr(streamed), test_kr(lmer(y ~ x + (x | g), rows, REML = reml)), tolerance = 1e-5)
  }
})

test_that("units of predictors do not matter", {
  fit <- lmer(Reaction ~ Days + (Days | Subject), sleepstudy)
  wild <- suppressWarnings(lmer(Reaction ~ I(Days * 1e9 + 4e9) + (I(Days * 1e9) | Subject), sleepstudy))
  expect_equal(test_kr(wild, c(0, 1)), test_kr(fit, c(0, 1)), tolerance = 1e-5)
})

test_that("a hypothesis may repeat itself, but not contradict itself", {
  fit <- fit_of(models[["cake: recipe:replicate"]])
  L <- diag(length(fixef(fit)))[2:4, ]
  expect_equal(test_kr(fit, rbind(L, L[1L, ] + L[2L, ]), c(1, 2, 0, 3)), test_kr(fit, L, c(1, 2, 0)), tolerance = 1e-10)
  expect_error(test_kr(fit, rbind(L, L[1L, ]), c(1, 2, 0, 3)), "contradict", class = "fastlmer_engine_error")
  one <- test_kr(fit, L[1L, ], 1)
  expect_equal(one$p.value, test_kr(fit, L[1L, , drop = FALSE], 1, joint = FALSE)$p.value, tolerance = 1e-8)
})

test_that("wrong arguments are named", {
  fit <- lmer(Reaction ~ Days + (Days | Subject), sleepstudy)
  expect_error(test_kr(fit, 1:3), "'L' must have one column for each of the 2 fixed effects, not 3", class = "fastlmer_argument_error")
  expect_error(test_kr(fit, "Days"), "'L' must have numbers only", class = "fastlmer_argument_error")
  expect_error(test_kr(fit, c(0, NA)), "'L' must have numbers only", class = "fastlmer_argument_error")
  expect_error(test_kr(fit, c(0, 0)), "all of its coefficients are zero", class = "fastlmer_engine_error")
  expect_error(test_kr(fit, diag(2), 1:3), "'rhs' must be a number, or one for each of the 2 rows", class = "fastlmer_argument_error")
  expect_error(test_kr(fit, diag(2), joint = NA), "'joint' must be TRUE or FALSE", class = "fastlmer_argument_error")
  expect_error(vcov_kr(1), "'object' must be a linear mixed model", class = "fastlmer_argument_error")
  expect_error(vcov_kr(lme4::glmer(cbind(incidence, size - incidence) ~ period + (1 | herd), cbpp, binomial)), "linear mixed model")
  expect_error(vcov_kr(lmer(Reaction ~ 0 + (1 | Subject), sleepstudy)), "no fixed effects", class = "fastlmer_engine_error")
})

test_that("what tests are made of is computed once, and again after a file", {
  fit <- lmer(Reaction ~ Days + (Days | Subject), sleepstudy)
  expected <- test_kr(fit)
  kept <- engine_of(fit)$cache$kenward_roger$made$state
  vcov_kr(fit)
  expect_identical(engine_of(fit)$cache$kenward_roger$made$state, kept)
  file <- withr::local_tempfile()
  saveRDS(fit, file)
  expect_equal(test_kr(readRDS(file)), expected)
  changed <- fit
  changed@theta <- 2 * fit@theta
  expect_error(test_kr(changed), "can't take this fit", class = "fastlmer_unsupported_error")
})

test_that("results do not depend on the number of threads", {
  skip_on_cran()
  part <- subset(lme4::InstEval, as.integer(d) <= 300)
  part <- droplevels(rbind(part, part))
  fit <- lmer(y ~ service + (1 | s) + (1 | d), part)
  expect_gt(nrow(part), 20000)
  afresh <- function(call) {
    rm(list = intersect("kenward_roger", ls(engine_of(fit)$cache)), envir = engine_of(fit)$cache)
    call
  }
  by_option <- function(threads) withr::with_options(list(fastlmer.threads = threads), afresh(test_kr(fit)))
  expect_identical(by_option(1), by_option(2))
  expect_identical(afresh(test_kr(fit, threads = 2)), by_option(1))
  expect_identical(afresh(vcov_kr(fit, threads = 2)), afresh(vcov_kr(fit, threads = 1)))
})
