fit <- lmer(Reaction ~ Days + (Days | Subject), sleepstudy)

test_that("what was saved is restored, bit for bit, and small", {
  file <- withr::local_tempfile(fileext = ".rds")
  whole <- withr::local_tempfile(fileext = ".rds")
  results <- list(
    bootMer(fit, fixef, nsim = 200, seed = 1), bootMer(fit, function(f) c(sigma = sigma(f)), nsim = 50, seed = 1, rng = "pcg64"),
    boot_resample(fit, fixef, 50, "residual", seed = 1)
  )
  for (boot in results) {
    expect_identical(save_replicates(boot, file), file)
    again <- restore_replicates(file, fit)
    for (part in setdiff(names(boot), c("statistic", "data"))) expect_identical(again[[part]], boot[[part]], info = part)
    expect_identical(names(again), names(boot))
    expect_equal(again$data, boot$data)
    expect_equal(attributes(again), attributes(boot))
    expect_equal(again$statistic(fit), boot$t0)
    expect_identical(confint(again), confint(boot))
    expect_output(print(again), "Bootstrap")
    saveRDS(boot, whole, compress = "xz")
    expect_lt(file.size(file), 0.7 * file.size(whole))
  }
  boot <- bootMer(fit, fixef, nsim = 1000, seed = 1, rng = "pcg64")
  save_replicates(boot, file)
  save_replicates(boot, whole, digits = "single")
  expect_lt(file.size(whole), 2 * 1000 * 4 + 2000)
  expect_lt(file.size(whole), 0.6 * file.size(file))
  expect_equal(restore_replicates(whole, fit)$t, boot$t, tolerance = 1e-6)
})

test_that("a restored bootstrap goes on in a fresh session", {
  skip_on_cran()
  file <- withr::local_tempfile(fileext = ".rds")
  boot <- bootMer(fit, fixef, nsim = 20, seed = 1, rng = "pcg64")
  save_replicates(boot, file)
  code <- c(
    "suppressMessages(library(fastlmer))", "fit <- lmer(Reaction ~ Days + (Days | Subject), sleepstudy)",
    sprintf("boot <- restore_replicates('%s', fit)", file), "boot <- more_replicates(boot, fit, 20)",
    sprintf("save_replicates(boot, '%s')", file)
  )
  script <- withr::local_tempfile(lines = code, fileext = ".R")
  withr::with_envvar(list(R_LIBS = paste(.libPaths(), collapse = .Platform$path.sep)), {
    expect_identical(system2(file.path(R.home("bin"), "Rscript"), c("--vanilla", script), stdout = FALSE, stderr = FALSE), 0L)
  })
  expect_identical(restore_replicates(file, fit)$t, bootMer(fit, fixef, nsim = 40, seed = 1, rng = "pcg64")$t)
})

test_that("failed replicates stay missing", {
  file <- withr::local_tempfile(fileext = ".rds")
  boot <- bootMer(fit, fixef, nsim = 5, seed = 1)
  boot$t[2, 1] <- NA
  save_replicates(boot, file, digits = "single")
  expect_identical(is.na(restore_replicates(file, fit)$t), is.na(boot$t))
})

test_that("other models, files and statistics are refused", {
  file <- withr::local_tempfile(fileext = ".rds")
  boot <- bootMer(fit, fixef, nsim = 5, seed = 1)
  save_replicates(boot, file)
  expect_error(restore_replicates(file, lmer(Reaction ~ Days + (1 | Subject), sleepstudy)), "estimates differ from those in the file")
  expect_error(restore_replicates(file, 1), "'fit' must be the model")
  expect_error(restore_replicates(file, fit, sigma), "'FUN' isn't the statistic")
  expect_identical(restore_replicates(file, fit, fixef)$statistic, fixef)
  expect_error(save_replicates(1, file), "'boot' must be a result")
  saveRDS(1, file)
  expect_error(restore_replicates(file, fit), "isn't a file of save_replicates")
  expect_error(suppressWarnings(restore_replicates(tempfile(), fit)), "can't be read")
})
