test_that("an optimum in the interior is certain", {
  fit <- lmer(Reaction ~ Days + (Days | Subject), sleepstudy)
  report <- convergence(fit)
  expect_true(report$converged)
  expect_lt(report$decrease, 1e-9)
  expect_equal(report$criterion, REMLcrit(fit), tolerance = 1e-12)
  expect_identical(names(report$gradient), names(getME(fit, "theta")))
  expect_lt(max(abs(report$gradient)), 1e-6)
  expect_identical(report$exact, "analytic")
  expect_gt(min(report$eigenvalues), 1)
  expect_identical(nrow(report$singular), 0L)
  expect_identical(as.data.frame(report)$row, c("(Intercept)", "Days", "Days"))
  expect_identical(as.data.frame(report)$column, c("(Intercept)", "(Intercept)", "Days"))
  expect_false(any(as.data.frame(report)$at_boundary))
})

test_that("derivatives are those of the criterion, exact for large crossed models too", {
  data <- lme4::InstEval[lme4::InstEval$s %in% levels(lme4::InstEval$s)[1:700], ]
  crossed <- quote(lmer(y ~ 1 + (1 | s) + (1 | d), data))
  for (call in list(quote(lmer(Reaction ~ Days + (Days | Subject), sleepstudy, REML = FALSE)), crossed)) {
    fit <- eval(call)
    report <- convergence(fit)
    at <- function(theta) {
      there <- eval(as.call(c(as.list(call), list(start = theta, control = lmerControl(optimizer = NULL)))))
      if (isREML(there)) REMLcrit(there) else deviance(there)
    }
    theta <- fit@theta
    h <- 1e-3
    k <- length(theta)
    hessian <- outer(seq_len(k), seq_len(k), Vectorize(function(i, j) {
      step <- function(a, b) at(theta + h * (a * (seq_len(k) == i) + b * (seq_len(k) == j)))
      (step(1, 1) - step(1, -1) - step(-1, 1) + step(-1, -1)) / (4 * h^2)
    }))
    expect_equal(report$Hessian, hessian, tolerance = 1e-3, ignore_attr = TRUE)
  }
  expect_identical(report$exact, "differences")
})

test_that("singular directions are named by their columns", {
  variance <- suppressMessages(convergence(lmer(Yield ~ 1 + (1 | Batch), Dyestuff2)))
  expect_true(variance$converged)
  expect_identical(variance$singular[1:4], data.frame(term = "Batch", columns = "(Intercept)", kind = "variance", value = 0))
  expect_true(as.data.frame(variance)$at_boundary)

  some <- withr::with_seed(3, data.frame(g = factor(rep(1:8, each = 5)), x = rep(0:4, 8) + 2000))
  some$y <- withr::with_seed(4, rnorm(40, sd = 0.5)) + rep(c(-3, -2, -1, 0, 0, 1, 2, 3), each = 5) * (some$x - 1999)
  correlated <- suppressMessages(convergence(lmer(y ~ x + (x | g), some)))
  expect_identical(correlated$singular$kind, "correlation")
  expect_identical(correlated$singular$columns, "(Intercept), x")
  expect_identical(correlated$singular$value, -1)
})

test_that("a direction has no variance, as it says", {
  fit <- suppressMessages(lmer(angle ~ recipe * temp + (recipe * temp | replicate), cake))
  report <- convergence(fit)
  expect_gt(nrow(report$singular), 0)
  v <- VarCorr(fit)$replicate
  for (weights in report$singular$direction) {
    part <- v[names(weights), names(weights)]
    expect_lt(drop(weights %*% part %*% weights), 1e-8 * max(diag(part) * weights^2))
  }
})

test_that("predictors in any unit give the same report", {
  reports <- lapply(c(1e-6, 1, 1e6), function(unit) {
    data <- transform(sleepstudy, Days = (Days + 1000) * unit)
    convergence(lmer(Reaction ~ Days + (Days | Subject), data))
  })
  for (report in reports) {
    expect_true(report$converged)
    expect_identical(nrow(report$singular), 0L)
    expect_false(any(report$parameters$at_boundary))
  }
})

test_that("what isn't an optimum is told from one that lme4 doubts", {
  stopped <- suppressWarnings(lme4::lmer(Reaction ~ Days + (Days | Subject), sleepstudy,
    control = lmerControl(optCtrl = list(maxeval = 3))))
  report <- convergence(stopped)
  expect_false(report$converged)
  expect_equal(report$decrease, REMLcrit(stopped) - REMLcrit(lmer(Reaction ~ Days + (Days | Subject), sleepstudy)), tolerance = 1e-6)
  expect_true(convergence(lme4::lmer(Reaction ~ Days + (Days | Subject), sleepstudy))$converged)
})

test_that("fits of data in chunks and with absorbed factors have one", {
  streamed <- lmer(Reaction ~ Days + (Days | Subject), in_chunks(sleepstudy, 50))
  memory <- lmer(Reaction ~ Days + (Days | Subject), sleepstudy)
  expect_equal(convergence(streamed)$Hessian, convergence(memory)$Hessian, tolerance = 1e-5)
  expect_true(convergence(streamed)$converged)
  expect_true(convergence(lmer(y ~ f + (1 | g), withr::with_seed(1, hundred_effects())))$converged)
})

test_that("the print is for people", {
  report <- convergence(lmer(Reaction ~ Days + (Days | Subject), sleepstudy))
  report[c("gradient", "eigenvalues")] <- list(c(1e-8, -2e-9), c(45.3, 16.7))
  singular <- suppressMessages(convergence(lmer(Yield ~ 1 + (1 | Batch), Dyestuff2)))
  singular$gradient <- 0
  lost <- report
  lost[c("converged", "decrease", "messages", "exact")] <- list(FALSE, 0.5321, "Model failed to converge", "differences")
  crossing <- singular
  crossing$singular <- data.frame(term = "Subject", columns = "(Intercept), Days", kind = c("correlation", "combination"), value = c(-1, 0))
  crossing$singular$direction <- list(c("(Intercept)" = 1, Days = 0.2), c("(Intercept)" = -1, a = 0.5, b = -0.25))
  expect_snapshot({
    report
    singular
    lost
    crossing
  })
})

test_that("other objects are refused", {
  expect_error(convergence(stats::lm(dist ~ speed, cars)), "'object' must be a linear mixed model", class = "fastlmer_argument_error")
  counts <- glmer(cbind(incidence, size - incidence) ~ period + (1 | herd), lme4::cbpp, family = binomial)
  expect_error(convergence(counts), class = "fastlmer_argument_error")
})

test_that("isSingular() and rePCA() are lme4's, without its C++ object", {
  for (fit in suppressMessages(list(
    lmer(Reaction ~ Days + (Days | Subject), sleepstudy), lmer(Yield ~ 1 + (1 | Batch), Dyestuff2),
    lmer(angle ~ recipe * temp + (recipe * temp | replicate), cake)
  ))) {
    there <- suppressWarnings(suppressMessages(eval(as.call(c(quote(lme4::lmer), as.list(fit@call)[-1L], list(
      start = fit@theta, control = lmerControl(optimizer = NULL)
    ))))))
    expect_identical(isSingular(fit), isSingular(there))
    expect_equal(rePCA(fit), rePCA(there), tolerance = 1e-6)
    expect_equal(summary(rePCA(fit)), summary(rePCA(there)), tolerance = 1e-6)
    expect_false(exists("built", engine_mark(fit), inherits = FALSE))
  }
})
