skip_if_not_installed("ggplot2")

many_rows <- function(n = 20000) {
  data <- withr::with_seed(1, data.frame(g = factor(rep_len(1:50, n)), x = rnorm(n), noise = rnorm(n), shift = rnorm(50)[rep_len(1:50, n)]))
  lmer(y ~ x + (1 | g), transform(data, y = x + shift + noise))
}

test_that("points are the residuals and fitted values", {
  data <- transform(sleepstudy, w = rep(1:3, 60))
  data$Reaction[7] <- NA
  fit <- lmer(Reaction ~ Days + (Days | Subject), data, weights = w, na.action = na.exclude)
  found <- ggplot2::fortify(fit, type = "diagnostics")
  expect_identical(levels(found$panel), c("residuals", "scale", "normal", "groups"))
  residuals <- residuals(fit, type = "pearson")[-7]
  one <- found[found$panel == "residuals", ]
  expect_equal(one$y, unname(residuals))
  expect_equal(one$x, unname(fitted(fit)[-7]))
  expect_equal(found$y[found$panel == "scale"], unname(sqrt(abs(residuals) / sigma(fit))))
  expect_equal(ggplot2::fortify(fit, type = "scale")[-(1:2)], found[found$panel == "scale", -(1:2)], ignore_attr = TRUE)
  expect_identical(ggplot2::autoplot(fit, "residuals")$labels$y, "Weighted residual")
})

test_that("normal plots are qqnorm()'s, of the conditional modes too", {
  fit <- lmer(Reaction ~ Days + (Days | Subject), sleepstudy)
  data <- ggplot2::fortify(fit, type = "normal")
  parts <- split(data, data$name)
  expect_identical(names(parts), c("Normal plot: residuals", "Normal plot: Subject, Intercept", "Normal plot: Subject, Slope of Days"))
  values <- list(residuals(fit) / sigma(fit), ranef(fit)$Subject[["(Intercept)"]], ranef(fit)$Subject$Days)
  for (i in 1:3) {
    expected <- qqnorm(values[[i]], plot.it = FALSE)
    expect_equal(parts[[i]]$x, unname(sort(expected$x)))
    expect_equal(parts[[i]]$y, unname(sort(expected$y)))
  }
  expect_identical(parts[[3]]$level, rownames(ranef(fit)$Subject)[order(ranef(fit)$Subject$Days)])
})

test_that("the band holds 95 percent of a normal sample's values, rank by rank", {
  inside <- withr::with_seed(1, replicate(400, {
    rows <- quantile_rows("", rnorm(200))
    line <- quartile_line(rows$y)
    # the band's own line is off by the quartiles' error: of standard normal values it is known
    shift <- function(at) (at - line$intercept) / line$slope
    rows$y >= shift(rows$ymin) & rows$y <= shift(rows$ymax)
  }))
  expect_lt(max(abs(rowMeans(inside) - 0.95)), 0.05)
})

test_that("levels have the quantiles of their residuals", {
  fit <- lmer(Reaction ~ Days + (1 | Subject), sleepstudy[-(1:3), ])
  data <- ggplot2::fortify(fit, type = "groups")
  expected <- vapply(split(residuals(fit), fit@flist$Subject), quantile, numeric(5))
  expect_equal(unname(t(data[c("ymin", "lower", "y", "upper", "ymax")])), unname(expected), ignore_attr = TRUE)
  expect_identical(data$rows, as.vector(table(fit@flist$Subject)))
  expect_identical(data$level[order(data$x)], names(sort(expected[3, ])))
})

test_that("many rows are counted in bins, of normal plots the tails are kept", {
  fit <- many_rows()
  data <- ggplot2::fortify(fit, type = "diagnostics")
  expect_lt(nrow(data), 6000)
  for (panel in c("residuals", "scale")) {
    bins <- data[data$panel == panel, ]
    expect_identical(unique(bins$shape), "bin")
    expect_identical(sum(bins$rows), nobs(fit))
  }
  bins <- data[data$panel == "residuals", ]
  one <- bins[which.max(bins$rows), ]
  at <- fitted(fit) >= one$xmin & fitted(fit) < one$xmax & residuals(fit) >= one$ymin & residuals(fit) < one$ymax
  expect_identical(sum(at), one$rows)
  normal <- data[data$name == "Normal plot: residuals", ]
  expect_equal(range(normal$y), range(residuals(fit)) / sigma(fit))
  expected <- qqnorm(residuals(fit) / sigma(fit), plot.it = FALSE)
  place <- match(normal$x, expected$x)
  expect_equal(normal$y, unname(expected$y[place]))
  expect_identical(data, ggplot2::fortify(fit, type = "diagnostics"))
  expect_match(ggplot2::autoplot(fit, "diagnostics")$labels$caption, "20,000 rows in bins")
})

test_that("the picture's data are fortify()'s, and data in chunks have none", {
  fit <- lmer(diameter ~ 1 + (1 | plate) + (1 | sample), Penicillin)
  for (type in c("diagnostics", "residuals", "scale", "normal", "groups")) {
    expect_identical(ggplot2::autoplot(fit, type)$data, ggplot2::fortify(fit, type = type))
  }
  chunks <- lmer(diameter ~ 1 + (1 | plate) + (1 | sample), in_chunks(Penicillin, 50))
  expect_error(ggplot2::autoplot(chunks, "diagnostics"), "rows of the data", class = "fastlmer_unsupported_error")
})

test_that("the pictures look as they did", {
  skip_if_not_installed("vdiffr")
  fit <- lmer(Reaction ~ Days + (Days | Subject), sleepstudy)
  for (type in c("residuals", "scale", "normal", "groups")) vdiffr::expect_doppelganger(type, ggplot2::autoplot(fit, type))
  vdiffr::expect_doppelganger("diagnostics", ggplot2::autoplot(lmer(Yield ~ 1 + (1 | Batch), Dyestuff), "diagnostics"))
})
