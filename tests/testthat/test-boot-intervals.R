fit <- lmer(Reaction ~ Days + (Days | Subject), lme4::sleepstudy)

test_that("percentile, basic, normal and studentised intervals are those of boot.ci()", {
  skip_if_not_installed("boot")
  boot <- bootMer(fit, function(f) c(fixef(f), se = sqrt(diag(as.matrix(vcov(f))))), nsim = 199, seed = 1)
  ours <- boot_intervals(boot, c("perc", "basic", "norm", "stud"), index = "Days", se = "se.Days", level = 0.9)
  theirs <- boot::boot.ci(boot, conf = 0.9, index = c(2, 4), var.t0 = boot$t0[[4]]^2, var.t = boot$t[, 4]^2,
    type = c("perc", "basic", "stud"))
  normal <- boot::boot.ci(boot, conf = 0.9, index = 2, type = "norm")$normal
  limits <- rbind(theirs$percent[4:5], theirs$basic[4:5], normal[2:3], theirs$student[4:5])
  expect_equal(unname(as.matrix(ours[c("conf.low", "conf.high")])), limits, tolerance = 1e-8)
  expect_identical(ours$term, rep("Days", 4))
})

test_that("BCa: bias and acceleration by hand", {
  boot <- bootMer(fit, fixef, nsim = 499, seed = 1)
  ours <- boot_intervals(boot, "bca", fit = fit)
  left_out <- sapply(levels(lme4::sleepstudy$Subject), function(subject) {
    fixef(lmer(Reaction ~ Days + (Days | Subject), subset(lme4::sleepstudy, Subject != subject)))
  })
  away <- rowMeans(left_out) - left_out
  a <- rowSums(away^3) / (6 * rowSums(away^2)^1.5)
  expect_equal(accelerations(boot, fit, NULL), a, tolerance = 1e-5, ignore_attr = TRUE)
  bias <- qnorm(mean(boot$t[, 2] < boot$t0[2]))
  z <- bias + qnorm(c(0.025, 0.975))
  expected <- quantile(boot$t[, 2], pnorm(bias + z / (1 - a[2] * z)), type = 6)
  expect_equal(unlist(ours[2, c("conf.low", "conf.high")]), expected, tolerance = 1e-3, ignore_attr = TRUE)
  expect_error(boot_intervals(boot, "bca"), "needs 'fit'")
  expect_error(boot_intervals(boot, "stud"), "needs 'se'")
  expect_error(boot_intervals(boot, index = "x"), "no statistic is called or numbered .x.; there are ")
})

test_that("the engine's normal quantiles and probabilities are R's to twelve digits, in the tails too", {
  p <- c(1e-300, 1e-100, 1e-20, 1e-10, 10^(-6:-2), 0.025, seq(0.05, 0.95, by = 0.05), 0.975, 0.99, 1 - 10^(-3:-10))
  expect_lt(max(abs(engine_normal_quantile(p[p != 0.5]) / qnorm(p[p != 0.5]) - 1)), 1e-12)
  z <- c(-37, -30, -20, -10, seq(-8, 8, by = 0.1))
  expect_lt(max(abs(engine_normal_cdf(z) / pnorm(z) - 1)), 1e-12)
  expect_identical(engine_normal_quantile(c(0, 0.5, 1, 2, NaN)), c(-Inf, 0, Inf, NaN, NaN))
  expect_identical(engine_normal_cdf(c(-Inf, 0, Inf)), c(0, 0.5, 1))
})

test_that("the shortest interval is the narrowest of all that hold the level", {
  set.seed(1)
  for (t in list(rexp(99), rexp(1000), rnorm(40), round(rnorm(200), 1))) {
    for (level in c(0.5, 0.9, 0.95)) {
      found <- shortest_of(t, level)
      expect_gte(mean(t >= found[1] & t <= found[2]), level)
      # no pair of replicates that holds as many is closer
      pairs <- outer(sort(t), sort(t), function(a, b) b - a)
      holds <- outer(seq_along(t), seq_along(t), function(a, b) (b - a + 1) / length(t)) >= level - 1e-12
      expect_identical(diff(found), min(pairs[holds]))
    }
  }
  # of an exponential variable it begins at zero
  expect_lt(shortest_of(stats::qexp(stats::ppoints(1e4)), 0.95)[1], 1e-3)
  expect_equal(shortest_of(1:20, 0.95), c(1, 19))
})

test_that("shortest intervals are a kind like the others", {
  fit <- lmer(Reaction ~ Days + (Days | Subject), sleepstudy)
  boot <- bootMer(fit, sigma, nsim = 100, seed = 1)
  intervals <- boot_intervals(boot, c("perc", "shortest"))
  expect_identical(intervals$type, c("perc", "shortest"))
  expect_equal(c(intervals$conf.low[2], intervals$conf.high[2]), shortest_of(boot$t[, 1], 0.95))
})
