# Standard errors beside those of the same bootstrap written out in plain R, on data frames and with lmer() for every replicate. With 1000
# replicates each, two standard errors of the same quantity differ by about 3 %.
data <- lme4::sleepstudy
formula <- Reaction ~ Days + (1 | Subject)
fit <- lmer(formula, data)
statistic <- function(f) c(fixef(f), sd = as.data.frame(VarCorr(f))$sdcor)

plain <- function(new_data, n = 1000) {
  set.seed(99)
  t <- replicate(n, suppressMessages(statistic(lmer(formula, new_data()))))
  apply(t, 1, sd)
}

with_reaction <- function(y) {
  data$Reaction <- y
  data
}

bootstrap_errors <- function(...) apply(boot_resample(fit, statistic, 1000, ..., seed = 5)$t, 2, sd)

test_that("parametric: bootMer()", {
  boot <- boot_resample(fit, fixef, 10, "parametric", seed = 3)
  expect_identical(boot$t, bootMer(fit, fixef, 10, seed = 3)$t)
  expect_identical(boot$resampling, "parametric")
})

test_that("residual", {
  skip_on_cran()
  modes <- ranef(fit)$Subject[[1]]
  modes <- (modes - mean(modes)) / sqrt(mean((modes - mean(modes))^2)) * sqrt(VarCorr(fit)$Subject[1])
  residuals <- residuals(fit) - mean(residuals(fit))
  residuals <- residuals / sqrt(mean(residuals^2)) * sigma(fit)
  fixed <- predict(fit, re.form = NA)
  expected <- plain(function() with_reaction(fixed + sample(modes, replace = TRUE)[data$Subject] + sample(residuals, replace = TRUE)))
  expect_equal(bootstrap_errors("residual"), expected, tolerance = 0.08)
})

test_that("case: groups, rows in groups, both", {
  skip_on_cran()
  subjects <- split(data, data$Subject)
  rows <- function(d) d[sample(nrow(d), replace = TRUE), ]
  together <- function(pieces) {
    do.call(rbind, Map(function(d, i) {
      d$Subject <- i
      d
    }, pieces, paste0("s", seq_along(pieces))))
  }
  expect_equal(bootstrap_errors("case"), plain(function() together(sample(subjects, replace = TRUE))), tolerance = 0.1)
  expect_equal(bootstrap_errors("case", resample = c(.obs = TRUE)), plain(function() together(lapply(subjects, rows))), tolerance = 0.1)
  expect_equal(
    bootstrap_errors("case", resample = c(Subject = TRUE, .obs = TRUE)),
    plain(function() together(lapply(sample(subjects, replace = TRUE), rows))), tolerance = 0.1
  )
})

test_that("wild", {
  skip_on_cran()
  x <- model.matrix(~Days, data)
  leverage <- diag(x %*% solve(crossprod(x)) %*% t(x))
  fixed <- predict(fit, re.form = NA)
  mammen <- function(n) {
    values <- c(-(sqrt(5) - 1) / 2, (sqrt(5) + 1) / 2)
    sample(values, n, replace = TRUE, prob = c(sqrt(5) + 1, sqrt(5) - 1) / (2 * sqrt(5)))
  }
  residuals <- (data$Reaction - fixed) / (1 - leverage)
  expected <- plain(function() with_reaction(fixed + residuals * mammen(18)[data$Subject]))
  expect_equal(bootstrap_errors("wild"), expected, tolerance = 0.08)
  residuals <- (data$Reaction - fixed) / sqrt(1 - leverage)
  expected <- plain(function() with_reaction(fixed + residuals * sample(c(-1, 1), 18, replace = TRUE)[data$Subject]))
  expect_equal(bootstrap_errors("wild", hccme = "hc2", aux = "rademacher"), expected, tolerance = 0.08)
})

test_that("random-effect block, types 0 and 1", {
  skip_on_cran()
  fixed <- predict(fit, re.form = NA)
  marginal <- data$Reaction - fixed
  means <- tapply(marginal, data$Subject, mean)
  within <- split(marginal - means[data$Subject], data$Subject)
  drawn <- function(means, within) {
    with_reaction(fixed + sample(means, replace = TRUE)[data$Subject] +
      unlist(lapply(within[sample(18, replace = TRUE)], sample, replace = TRUE)))
  }
  expect_equal(bootstrap_errors("reb"), plain(function() drawn(means, within)), tolerance = 0.08)
  means <- (means - mean(means)) / sqrt(mean((means - mean(means))^2)) * sqrt(VarCorr(fit)$Subject[1])
  within <- lapply(within, function(e) e / sqrt(mean(unlist(within)^2)) * sigma(fit))
  expect_equal(bootstrap_errors("reb", reb_type = 1), plain(function() drawn(means, within)), tolerance = 0.08)
})

test_that("random-effect block, type 2: adjusted afterwards", {
  FUN <- function(f) c(fixef(f), as.data.frame(VarCorr(f))$vcov)
  raw <- boot_resample(fit, FUN, 300, "reb", seed = 1)
  adjusted <- boot_resample(fit, FUN, 300, "reb", reb_type = 2, seed = 1)
  expect_equal(colMeans(adjusted$t), adjusted$t0, tolerance = 1e-6)
  expect_lt(abs(cor(log(adjusted$t[, 3]), log(adjusted$t[, 4]))), 1e-8)
  expect_equal(apply(log(adjusted$t[, 3:4]), 2, sd), apply(log(raw$t[, 3:4]), 2, sd), tolerance = 1e-8)
  expect_equal(scale(adjusted$t[, 1:2], scale = FALSE), scale(raw$t[, 1:2], scale = FALSE), tolerance = 1e-8, ignore_attr = TRUE)
  expect_error(boot_resample(fit, function(f) sum(residuals(f)), 5, "reb", reb_type = 2), "needs a random intercept")
})

test_that("reflation: drawn effects have the estimated covariance", {
  slopes <- lmer(Reaction ~ Days + (Days | Subject), data)
  record <- engine_of(slopes)
  effects <- Map(reflated, term_effects(record, slopes@u), term_covariances(record))[[1]]
  expect_equal(crossprod(effects) / 18, matrix(VarCorr(slopes)$Subject, 2), tolerance = 1e-8, ignore_attr = TRUE)
  expect_equal(colMeans(effects), c(0, 0))
  expect_equal(random_part(record, term_effects(record, slopes@u)) + fixed_part(record), unname(fitted(slopes)), tolerance = 1e-8)
})

test_that("cases of nested factors are drawn within the groups drawn", {
  nested <- lmer(strength ~ 1 + (1 | batch / cask), lme4::Pastes)
  record <- engine_of(nested)
  set.seed(1)
  cases <- drawn_cases(record, case_levels(record, c("cask:batch" = TRUE, batch = TRUE)))
  expect_length(cases$rows, 60L)
  expect_true(is_nested(factor(cases$labels[[1]]), factor(cases$labels[[2]])))
  expect_length(unique(cases$labels[[1]]), 30L)
  expect_length(unique(cases$labels[[2]]), 10L)
  expect_identical(names(which(case_levels(record, NULL))), "batch")
  expect_equal(lengths(split(lme4::Pastes$batch[cases$rows], cases$labels[[2]])), rep(6L, 10), ignore_attr = TRUE)
  every <- drawn_cases(record, case_levels(record, c("cask:batch" = FALSE, batch = FALSE, .obs = TRUE)))
  expect_length(every$rows, 60L)
})

test_that("crossed factors: each by itself, or refused", {
  crossed <- lmer(diameter ~ 1 + (1 | plate) + (1 | sample), lme4::Penicillin)
  record <- engine_of(crossed)
  set.seed(1)
  cases <- drawn_cases(record, case_levels(record, NULL))
  expect_length(cases$rows, 144L)
  expect_length(unique(paste(cases$labels[[1]], cases$labels[[2]])), 144L)
  expect_true(all(is.finite(boot_resample(crossed, fixef, 10, "case", seed = 1)$t)))
  # by hand: plates and samples each drawn with replacement
  wide <- xtabs(diameter ~ plate + sample, lme4::Penicillin)
  set.seed(2)
  expected <- sd(replicate(400, mean(wide[sample(24, replace = TRUE), sample(6, replace = TRUE)])))
  expect_equal(sd(boot_resample(crossed, fixef, 400, "case", seed = 2)$t), expected, tolerance = 0.1)
  modes <- lapply(ranef(crossed), function(m) (m[[1]] - mean(m[[1]])) / sqrt(mean((m[[1]] - mean(m[[1]]))^2)))
  sds <- as.data.frame(VarCorr(crossed))$sdcor
  expected <- sd(replicate(400, mean(sds[1] * sample(modes$plate, replace = TRUE)) + mean(sds[2] * sample(modes$sample, replace = TRUE))))
  expect_equal(sd(boot_resample(crossed, fixef, 400, "residual", seed = 2)$t), expected, tolerance = 0.15)
  expect_error(boot_resample(crossed, fixef, 5, "wild"), "one grouping factor in which all others are nested")
  expect_error(boot_resample(crossed, fixef, 5, "reb"), "needs one grouping factor")
  expect_error(boot_resample(crossed, fixef, 5, "case", resample = c(nobody = TRUE)), "must be a logical vector with names among")
})

test_that("weights, offsets, missing rows, factors and rank-deficient models", {
  fits <- resampling_fits()
  for (name in names(fits)) {
    for (type in c("residual", "case", "wild", "reb")) {
      if (type %in% c("wild", "reb") && name == "crossed") next
      boot <- boot_resample(fits[[name]], fixef, 20, type, seed = 1)
      expect_true(all(is.finite(boot$t)), label = paste(name, type))
      expect_true(all(abs(colMeans(boot$t) - boot$t0) < 1.5 * apply(boot$t, 2, sd)), label = paste(name, type))
    }
  }
})

test_that("the object goes where bootMer()'s goes", {
  boot <- boot_resample(fit, fixef, 60, "residual", seed = 1)
  expect_s3_class(boot, c("bootMer", "boot"), exact = TRUE)
  expect_output(print(boot), "ORDINARY NONPARAMETRIC BOOTSTRAP")
  expect_identical(dim(suppressWarnings(confint(boot))), c(2L, 2L))
})
