list2env(resampling_bench(), environment())

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
