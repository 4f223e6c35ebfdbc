# Cultivation's design: cultivars and inoculations in blocks, a split plot.
split_plot <- function() {
  d <- expand.grid(Block = factor(1:4), Cult = factor(c("a", "b")), Inoc = factor(c("con", "dea", "liv")))
  withr::with_seed(3, {
    d$x <- rnorm(24)
    d$y <- 30 + rnorm(4)[d$Block] + c(0, 2)[d$Cult] + c(0, 1, 3)[d$Inoc] + d$x * rnorm(4)[d$Block] + rnorm(24)
  })
  d$one <- factor(rep("only", 24))
  d$row <- factor(1:24)
  d$zero <- 0
  d
}

unchecked <- function(...) {
  lmerControl(
    check.nlev.gtr.1 = "ignore", check.nobs.vs.nlev = "ignore", check.nobs.vs.nRE = "ignore", check.nlev.gtreq.5 = "ignore",
    check.nobs.vs.rankZ = "ignore", ...
  )
}

said <- function(expr) {
  texts <- character()
  withCallingHandlers(expr, fastlmer_undetermined = function(m) {
    texts <<- c(texts, conditionMessage(m))
    invokeRestart("muffleMessage")
  })
  texts
}

test_that("a variance that the likelihood doesn't determine is zero, and the message names the term and what it can't be told from", {
  d <- split_plot()
  cases <- list(
    list(y ~ Inoc * Cult + (1 | Block) + (1 | Cult), 2, "(1 | Cult) from the fixed effect Cult:"),
    list(y ~ Inoc * Cult + (1 | Cult), 1, "(1 | Cult) from the fixed effect Cult:"),
    list(y ~ x + (1 | Block) + (1 | one), 2, "(1 | one) from the intercept:"),
    list(y ~ x + (1 | one), 1, "(1 | one) from the intercept:"),
    list(y ~ x + Block + (1 + x | Block), 1:2, "(1 | Block) from the fixed effect Block:"),
    list(y ~ Block:x + (1 + x | Block), 2:3, "(x | Block) from the fixed effect Block:x:"),
    list(y ~ Block + (0 + Inoc | Block), c(3, 5, 6), "(Inocliv | Block) from the fixed effect Block:"),
    list(y ~ x + (1 | Block) + (0 + zero | Block), 2, "(zero | Block) is zero in all observations:"),
    list(y ~ x + (1 | Block) + (1 | row), 1, "(1 | row) from the residuals:")
  )
  for (case in cases) {
    texts <- said(fit <- suppressMessages(lmer(case[[1L]], d, control = unchecked()), classes = "simpleMessage"))
    expect_true(is_fastlmer(fit))
    expect_length(texts, 1L)
    expect_match(texts, case[[3L]], fixed = TRUE)
    expect_true(all(fit@theta[case[[2L]]] == 0))
    expect_true(sub("\n", "", texts) %in% fit@optinfo$conv$lme4$messages)
    # where lme4's optimizer began makes no difference to ours, and its criterion is no better
    lme4s <- suppressMessages(suppressWarnings(lme4::lmer(case[[1L]], d, control = unchecked())))
    expect_lt(lme4::REMLcrit(fit), lme4::REMLcrit(lme4s) + 1e-6)
    again <- suppressMessages(lmer(case[[1L]], d, control = unchecked(), start = 0.7 + numeric(length(fit@theta))))
    expect_equal(again@theta, fit@theta, tolerance = 1e-6)
    expect_equal(vcov(again), vcov(fit), tolerance = 1e-6)
  }
})

test_that("standard errors are those of the model without the undetermined term", {
  d <- split_plot()
  fit <- suppressMessages(lmer(y ~ Inoc * Cult + (1 | Block) + (1 | Cult), d, control = unchecked()))
  without <- suppressMessages(lmer(y ~ Inoc * Cult + (1 | Block), d))
  expect_equal(vcov(fit), vcov(without), tolerance = 1e-6, ignore_attr = TRUE)
  expect_equal(as.numeric(logLik(fit)), as.numeric(logLik(without)), tolerance = 1e-10)
})

test_that("nothing is said where the variance is determined, by maximum likelihood, or by request", {
  d <- split_plot()
  quiet <- function(...) suppressMessages(lmer(..., data = d, control = unchecked()), "simpleMessage")
  expect_identical(said(quiet(y ~ Inoc + (1 | Block) + (1 | Cult))), character())
  ml <- NULL
  expect_identical(said(ml <- quiet(y ~ Cult + (1 | Block) + (1 | Cult), REML = FALSE)), character())
  expect_identical(ml@theta[2L], 0)
  expect_silent(lmer(y ~ Cult + (1 | Block) + (1 | Cult), d, control = unchecked(check.conv.singular = "ignore")))
})

test_that("refits, bootstraps and many responses have the same zero", {
  d <- split_plot()
  formula <- y ~ Inoc * Cult + (1 | Block) + (1 | Cult)
  fit <- suppressMessages(lmer(formula, d, control = unchecked()))
  new <- simulate(fit, nsim = 3, seed = 1)
  expect_match(said(refitted <- suppressMessages(refit(fit, new[[1L]]), "simpleMessage")), "fixed effect Cult")
  expect_identical(refitted@theta[2L], 0)
  many <- as.data.frame(refit(fit, new))
  of_cult <- grepl("Cult", names(many)) & !grepl("Cultb", names(many))
  expect_identical(unlist(many[of_cult], use.names = FALSE), numeric(3))
  boot <- suppressMessages(bootMer(fit, function(fit) getME(fit, "theta"), nsim = 3, seed = 1))
  expect_identical(unname(boot$t[, 2L]), numeric(3))
  # a start that lme4's optimizer left in the flat direction
  lme4s <- suppressWarnings(suppressMessages(lme4::lmer(formula, d, control = unchecked())))
  expect_identical(suppressMessages(refit(lme4s))@theta[2L], 0)
})

test_that("a factor that is absorbed and random has no variance either, nor has one that it nests in", {
  n <- 900
  d <- withr::with_seed(1, data.frame(f = factor(rep_len(1:150, n)), h = factor(sample(12, n, TRUE)), x = rnorm(n), y = rnorm(n)))
  d$coarse <- factor(as.integer(d$f) %% 10)
  d$y <- d$y + withr::with_seed(2, rnorm(12))[d$h]
  for (formula in list(y ~ x + f + (1 | h) + (1 | f), y ~ x + f + (1 | h) + (1 | coarse), y ~ f + (1 | coarse) + (1 | h))) {
    expect_match(said(fit <- suppressMessages(lmer(formula, d), "simpleMessage")), "from the fixed effect f:")
    theta <- getME(fit, "theta")
    expect_identical(unname(theta[names(theta) != "h.(Intercept)"]), 0)
    reference <- lme4::lmer(update(formula, . ~ . - (1 | f) - (1 | coarse)), d)
    expect_equal(unname(theta["h.(Intercept)"]), reference@theta, tolerance = 1e-4)
    expect_lt(abs(lme4::REMLcrit(fit) - lme4::REMLcrit(reference)), 1e-6)
    y <- simulate(fit, seed = 1)[[1L]]
    again <- getME(suppressMessages(refit(fit, y)), "theta")
    expect_identical(unname(again[names(again) != "h.(Intercept)"]), 0)
  }
})

test_that("data in chunks have the same zero and message", {
  d <- split_plot()
  formula <- y ~ Inoc * Cult + (1 | Block) + (1 | Cult)
  whole <- suppressMessages(lmer(formula, d, control = unchecked()))
  products <- do.call(c, unname(lapply(split(d, rep(1:3, 8)), function(part) cross_products(formula, part))))
  expect_match(said(fit <- suppressMessages(lmer(formula, products, control = unchecked()), "simpleMessage")), "fixed effect Cult")
  expect_equal(fit@theta, whole@theta, tolerance = 1e-6)
  expect_identical(fit@theta[2L], 0)
})

test_that("a response that the fixed effects fit exactly has variances of zero, and a warning", {
  d <- split_plot()
  d$exact <- 2 * d$x + 1
  d$far <- 1e8 + d$x
  d$constant <- 3
  for (formula in list(exact ~ x + (1 | Block), exact ~ x + (x | Block), far ~ x + (1 | Block) + (1 | Inoc), constant ~ x + (1 | Block))) {
    for (reml in c(TRUE, FALSE)) {
      expect_warning(fit <- suppressMessages(lmer(formula, d, REML = reml, control = unchecked())), class = "fastlmer_exact_fit")
      expect_true(is_fastlmer(fit))
      expect_true(all(fit@theta == 0))
      expect_true(0 < sigma(fit) && sigma(fit) < 1e-14 * max(abs(fitted(fit))))
      expect_equal(unname(fixef(fit)), unname(coef(lm(split_formula(formula)$fixed, d))), tolerance = 1e-12)
      expect_output(print(summary(fit)), "fit the response exactly")
    }
  }
  # lme4 has theta wherever its optimizer got lost among the rounding errors, and warns of convergence
  expect_warning(
    suppressMessages(lme4::lmer(exact ~ x + (1 | Block), d, control = unchecked(check.conv.grad = "ignore"))), "unidentifiable"
  )
  fit <- suppressMessages(lmer(y ~ x + (1 | Block), d, control = unchecked()))
  expect_warning(suppressMessages(refit(fit, d$exact)), class = "fastlmer_exact_fit")
  expect_no_warning(suppressMessages(lmer(exact + 1e-6 * y ~ x + (1 | Block), d, control = unchecked())))
  products <- do.call(c, unname(lapply(split(d, rep(1:3, 8)), function(part) cross_products(exact ~ x + (1 | Block), part))))
  expect_warning(fit <- suppressMessages(lmer(exact ~ x + (1 | Block), products, control = unchecked())), class = "fastlmer_exact_fit")
  expect_identical(fit@theta, 0)
})
