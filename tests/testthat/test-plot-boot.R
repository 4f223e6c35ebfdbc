skip_if_not_installed("ggplot2")

fit <- lmer(Reaction ~ Days + (Days | Subject), sleepstudy)
few <- lmer(Reaction ~ Days + (Days | Subject), droplevels(subset(sleepstudy, as.integer(Subject) <= 6)))
statistic <- function(f) c(fixef(f), sd = attr(VarCorr(f)$Subject, "stddev"))

# A bootstrap that is the same on every machine: `a` like a normal distribution, `b` with a fifth at its bound, zero.
fixed_boot <- function(size = 200L) {
  normal <- stats::qnorm(stats::ppoints(size))
  t <- cbind(a = 10 + 2 * normal, b = pmax(0.85 + normal[(seq_len(size) * 77L) %% size + 1L], 0))
  structure(
    list(t0 = c(a = 10.2, b = 0.9), t = t, R = size, sim = "parametric"),
    class = c("bootMer", "boot"), bootFail = 0L, singular = which(t[, "b"] == 0)
  )
}

test_that("a bootstrap knows which replicates are singular, whoever computes the statistic", {
  singular <- function(FUN, ...) attr(suppressMessages(bootMer(few, FUN, nsim = 40, seed = 1, ...)), "singular")
  words <- singular(function(f) as.numeric(isSingular(f)))
  flags <- suppressMessages(bootMer(few, function(f) as.numeric(isSingular(f)), nsim = 40, seed = 1))$t[, 1]
  expect_gt(length(words), 3)
  expect_identical(words, which(flags == 1))
  withr::with_options(list(fastlmer.vocabulary = FALSE), expect_identical(singular(statistic), words))
  withr::with_options(list(fastlmer.vocabulary = FALSE), {
    expect_identical(singular(statistic, parallel = "multicore", ncpus = 2), words)
  })
  expect_identical(singular(statistic, threads = 1), singular(statistic, threads = 3))
})

test_that("so do the other kinds, and bootstraps that were put together", {
  flag <- function(f) as.numeric(isSingular(f))
  for (type in c("residual", "case", "wild")) {
    boot <- suppressMessages(boot_resample(few, flag, 30, type, seed = 1))
    expect_identical(attr(boot, "singular"), which(boot$t[, 1] == 1), label = type)
  }
  first <- suppressMessages(bootMer(few, flag, nsim = 30, seed = 1, rng = "pcg64"))
  both <- suppressMessages(more_replicates(first, few, 20))
  expect_identical(attr(both, "singular"), which(both$t[, 1] == 1))
  file <- withr::local_tempfile()
  save_replicates(both, file)
  expect_identical(attr(restore_replicates(file, few), "singular"), attr(both, "singular"))
  attr(first, "singular") <- NULL
  expect_null(attr(c(first, suppressMessages(bootMer(few, flag, nsim = 5, seed = 9, rng = "pcg64"))), "singular"))
})

test_that("the picture's data are the replicates", {
  boot <- suppressMessages(bootMer(few, statistic, nsim = 50, seed = 1))
  data <- ggplot2::fortify(boot)
  expect_named(data, c("replicate", "term", "value", "singular"))
  expect_identical(matrix(data$value, 50), unname(boot$t))
  expect_identical(levels(data$term), names(boot$t0))
  expect_identical(which(data$singular[1:50]), attr(boot, "singular"))
  expect_identical(ggplot2::autoplot(boot)$data, data)
  expect_identical(levels(ggplot2::fortify(boot, index = "sd.Days")$term), "sd.Days")
})

test_that("bars hold all replicates, ends and estimate are those of boot_intervals()", {
  boot <- suppressMessages(bootMer(few, statistic, nsim = 300, seed = 1))
  for (geom in c("histogram", "density")) {
    picture <- ggplot2::autoplot(boot, c("perc", "shortest"), level = 0.9, index = 3:4, geom = geom)
    layers <- lapply(seq_along(picture$layers), function(i) ggplot2::layer_data(picture, i))
    shapes <- layers[[1L]]
    if (geom == "histogram") {
      expect_equal(as.numeric(tapply(shapes$ymax - shapes$ymin, shapes$PANEL, sum)), c(300, 300))
      expect_equal(as.numeric(tapply(shapes$xmin, shapes$PANEL, min)), apply(boot$t[, 3:4], 2, min), ignore_attr = TRUE)
      expect_equal(as.numeric(tapply(shapes$xmax, shapes$PANEL, max)), apply(boot$t[, 3:4], 2, max), ignore_attr = TRUE)
      orange <- shapes[shapes$fill == picture_colours[["orange"]], ]
      expect_equal(as.numeric(tapply(orange$ymax, orange$PANEL, sum)), rep(length(attr(boot, "singular")), 2))
    } else {
      areas <- vapply(split(shapes, list(shapes$PANEL, shapes$fill)), function(s) sum(s$ymax - s$ymin) * diff(s$x[1:2]), 0)
      expect_equal(areas[[1]] + areas[[3]], 1, tolerance = 0.01)
      expect_equal(areas[[2]] + areas[[4]], 1, tolerance = 0.01)
      expect_equal(min(areas), length(attr(boot, "singular")) / 300, tolerance = 0.01)
    }
    expect_equal(layers[[2L]]$x, unname(boot$t0[3:4]))
    intervals <- boot_intervals(boot, c("perc", "shortest"), 0.9, 3:4)
    expect_equal(layers[[3L]]$x, intervals$conf.low)
    expect_equal(layers[[3L]]$xend, intervals$conf.high)
  }
})

test_that("studentised and BCa intervals are drawn", {
  boot <- bootMer(fit, function(f) c(fixef(f), se = sqrt(diag(as.matrix(vcov(f))))), nsim = 60, seed = 1)
  picture <- ggplot2::autoplot(boot, "stud", se = 3:4)
  expect_equal(ggplot2::layer_data(picture, 3)$x, boot_intervals(boot, "stud", index = 1:2, se = 3:4)$conf.low)
  picture <- ggplot2::autoplot(boot, "bca", index = 1:2, fit = fit)
  expect_equal(ggplot2::layer_data(picture, 3)$x, boot_intervals(boot, "bca", index = 1:2, fit = fit)$conf.low)
})

test_that("many statistics are rows, with names where these can be read", {
  boot <- bootMer(fit, function(f) unlist(ranef(f)$Subject), nsim = 30, seed = 1)
  picture <- ggplot2::autoplot(boot)
  rows <- ggplot2::layer_data(picture, 2)
  intervals <- boot_intervals(boot)
  expect_equal(rows$xmin[order(rows$y, decreasing = TRUE)], intervals$conf.low[intervals$type == "perc"])
  expect_length(ggplot2::layer_scales(picture)$y$get_limits(), 36)
  boot <- bootMer(fit, fitted, nsim = 30, seed = 1)
  built <- ggplot2::ggplot_build(ggplot2::autoplot(boot))
  expect_length(built$layout$panel_params[[1L]]$y$get_breaks(), 0)
  expect_match(built$plot$labels$y, "180 statistics")
})

test_that("the caption says what there is", {
  boot <- suppressMessages(bootMer(few, statistic, nsim = 50, seed = 1))
  share <- paste0("singular fits: ", percent_of(length(attr(boot, "singular")) / 50))
  expect_match(ggplot2::autoplot(boot)$labels$caption, paste0("50 replicates, parametric bootstrap; ", share), fixed = TRUE)
  count <- sum(attr(boot, "boot.all.msgs")[["factory-message"]])
  attr(boot, "singular") <- NULL
  boot$t[1:3, ] <- NA
  boot$t[4, 1] <- Inf
  attr(boot, "bootFail") <- 3L
  caption <- ggplot2::autoplot(boot)$labels$caption
  expect_match(caption, sprintf("singular fits: %s (which ones isn't known)", percent_of(count / 50)), fixed = TRUE)
  expect_match(caption, "3 failed and not shown; 1 value is not finite", fixed = TRUE)
  expect_identical(ggplot2::fortify(boot)$singular, rep(NA, 200))
})

test_that("bootstraps of other packages are drawn, and plot() is boot's", {
  skip_if_not_installed("boot")
  other <- withr::with_seed(1, boot::boot(sleepstudy$Reaction, function(y, i) mean(y[i]), 50))
  picture <- ggplot2::autoplot(other)
  expect_identical(as.character(picture$data$term[[1L]]), "t1")
  expect_equal(ggplot2::layer_data(picture, 2)$x, mean(sleepstudy$Reaction))
  expect_null(utils::getS3method("plot", "bootMer", optional = TRUE))
})

test_that("bounds and constants have bins and densities that end there", {
  boot <- fixed_boot()
  breaks <- bin_breaks(boot$t[, "b"])
  expect_identical(breaks[c(1L, length(breaks))], range(boot$t[, "b"]))
  expect_gte(length(breaks), 15)
  expect_lte(length(bin_breaks(stats::qnorm(stats::ppoints(1e5)))), 61)
  expect_length(bin_breaks(c(3, 3, 3)), 2)
  density <- density_of(subset(ggplot2::fortify(boot), term == "b"))
  expect_identical(min(density$x), 0)
  expect_equal(sum(density$top[density$singular]) * diff(density$x[1:2]), 1, tolerance = 0.01)
  boot$t[, "b"] <- 0
  expect_length(ggplot2::layer_data(ggplot2::autoplot(boot), 2)$x, 2)
  expect_error(ggplot2::autoplot(boot, geom = "density"), "'b' is the same in all replicates", class = "fastlmer_argument_error")
})

test_that("nonsense is refused by name", {
  boot <- fixed_boot()
  expect_error(ggplot2::autoplot(boot, geom = "violin"), "'geom' must be one of \"histogram\"", class = "fastlmer_argument_error")
  expect_error(ggplot2::autoplot(boot, index = "c"), "'index' must be numbers up to 2 or names among 'a', 'b'")
  expect_error(ggplot2::autoplot(boot, index = 3), "'index' must be")
  expect_error(ggplot2::autoplot(boot, bins = "many"), "'bins' must be a number of bins")
  expect_error(ggplot2::autoplot(boot, "stud"), "needs 'se'")
})

test_that("pictures are as they were", {
  skip_if_not_installed("vdiffr")
  vdiffr::expect_doppelganger("histograms", ggplot2::autoplot(fixed_boot()))
  vdiffr::expect_doppelganger("densities with kinds", ggplot2::autoplot(fixed_boot(100L), c("perc", "basic", "norm"), geom = "density"))
  vdiffr::expect_doppelganger("intervals", ggplot2::autoplot(fixed_boot(), c("perc", "shortest"), geom = "interval"))
})
