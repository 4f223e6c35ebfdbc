skip_if_not_installed("ggplot2")

days <- quote(lmer(Reaction ~ Days + (Days | Subject), sleepstudy))

# The criterion at a theta, by lme4.
criterion_of <- function(call) {
  call[[1L]] <- quote(lme4::lmer)
  function(theta) {
    fit <- suppressMessages(suppressWarnings(eval(as.call(c(as.list(call), list(start = theta, control = lmerControl(optimizer = NULL)))))))
    if (isREML(fit)) REMLcrit(fit) else deviance(fit)
  }
}

test_that("the curve is the criterion along each element of theta, and the parabola the Hessian's", {
  for (call in list(days, quote(lmer(diameter ~ 1 + (1 | plate) + (1 | sample), Penicillin, REML = FALSE)))) {
    fit <- eval(call)
    report <- convergence(fit)
    data <- ggplot2::fortify(report)
    theirs <- criterion_of(call)
    expect_identical(nlevels(data$direction), length(fit@theta))
    for (i in seq_along(fit@theta)) {
      line <- data[as.integer(data$direction) == i, ]
      for (row in c(1, 10, 30, nrow(line))) {
        expect_equal(line$rise[row], theirs(replace(fit@theta, i, line$step[row])) - report$criterion, tolerance = 1e-6)
      }
      away <- line$step - fit@theta[i]
      expect_equal(line$quadratic, report$gradient[[i]] * away + report$Hessian[i, i] * away^2 / 2)
      near <- abs(away) < 0.1 * max(abs(away))
      expect_lt(max(abs(line$quadratic - line$rise)[near]), 0.02)
    }
  }
})

test_that("along eigenvectors the parabola has the report's eigenvalues", {
  report <- convergence(eval(days))
  data <- ggplot2::fortify(report, along = "eigen")
  values <- vapply(split(data, data$direction), function(line) max(line$quadratic / line$step^2, na.rm = TRUE) * 2, 0)
  expect_equal(unname(values), rev(report$eigenvalues), tolerance = 1e-3)
  by <- attr(data, "directions")
  expect_equal(crossprod(by, report$Hessian %*% by), diag(rev(report$eigenvalues)), tolerance = 1e-8, ignore_attr = TRUE)
  expect_equal(ggplot2::fortify(report, along = "eigen", which = 2)$rise, data$rise[as.integer(data$direction) == 2])
})

test_that("the boundary is marked, and nothing is drawn beyond", {
  report <- suppressMessages(convergence(lmer(Yield ~ 1 + (1 | Batch), Dyestuff2)))
  data <- ggplot2::fortify(report)
  expect_identical(data$boundary, data$step == 0)
  expect_identical(min(data$step), 0)
  expect_gt(min(data$rise[-1]), 0)
  expect_match(ggplot2::autoplot(report)$labels$caption, "Dotted: the boundary")
})

test_that("an optimum that isn't one has lower points beside it", {
  stopped <- lmer(Reaction ~ Days + (Days | Subject), sleepstudy, start = c(0.3, 0, 0.1), control = lmerControl(optimizer = NULL))
  report <- convergence(stopped)
  expect_lt(min(ggplot2::fortify(report)$rise), -10)
  expect_match(ggplot2::autoplot(report)$labels$caption, "Not converged")
})

test_that("names say which effect, and one of many may be chosen", {
  report <- convergence(eval(days))
  expect_identical(levels(ggplot2::fortify(report)$direction), c("Intercept", "Days with Intercept", "Days"))
  expect_identical(levels(ggplot2::fortify(report, which = "Subject.Days")$direction), "Days")
  crossed <- convergence(lmer(diameter ~ 1 + (1 | plate) + (1 | sample), Penicillin))
  expect_identical(levels(ggplot2::fortify(crossed)$direction), c("plate: Intercept", "sample: Intercept"))
  expect_error(ggplot2::autoplot(report, "x"), "'along' must be one of", class = "fastlmer_argument_error")
  expect_error(ggplot2::autoplot(report, which = 4), "'which' must be", class = "fastlmer_argument_error")
  attr(report, "model") <- NULL
  expect_error(ggplot2::autoplot(report), "report by convergence", class = "fastlmer_argument_error")
})

test_that("reports are drawn after they were saved, of data in chunks and of absorbed factors", {
  file <- withr::local_tempfile()
  report <- convergence(eval(days))
  saveRDS(report, file)
  expect_equal(ggplot2::fortify(readRDS(file)), ggplot2::fortify(report))
  chunks <- convergence(lmer(Reaction ~ Days + (Days | Subject), in_chunks(sleepstudy, 50)))
  expect_equal(ggplot2::fortify(chunks)$rise, ggplot2::fortify(report)$rise, tolerance = 1e-3)
  absorbed <- convergence(lmer(y ~ f + (1 | g), withr::with_seed(1, hundred_effects())))
  data <- ggplot2::fortify(absorbed)
  expect_lt(abs(data$rise[which.min(data$quadratic)]), 1e-6)
})

test_that("plot() draws it too, and the pictures look as they did", {
  report <- convergence(eval(days))
  expect_identical(plot(report)$data, ggplot2::fortify(report))
  skip_if_not_installed("vdiffr")
  vdiffr::expect_doppelganger("theta", ggplot2::autoplot(report))
  vdiffr::expect_doppelganger("eigenvectors", plot(report, along = "eigen"))
  vdiffr::expect_doppelganger("singular", plot(suppressMessages(convergence(lmer(Yield ~ 1 + (1 | Batch), Dyestuff2)))))
})
