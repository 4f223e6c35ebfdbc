skip_if_not_installed("ggplot2")

fit <- lmer(Reaction ~ Days + (Days | Subject), sleepstudy)
by_subject <- influence(fit, "Subject")
by_row <- influence(fit)

# An influence that is the same on every machine: of `size` deletions, two of which stand out.
fixed_influence <- function(size, name = "g") {
  labels <- paste0("n", seq_len(size))
  shift <- stats::qnorm(stats::ppoints(size))[(seq_len(size) * 7L) %% size + 1L] / size
  shift[c(2L, 5L)] <- c(12, -10) / size
  fixed <- cbind("(Intercept)" = 10 + 0.4 * shift, x = 2 - 0.8 * rev(shift))
  variances <- cbind("sigma^2" = 1 + shift / 10, "v[(Intercept)]" = 4 + shift, "C[x,(Intercept)]" = 1 - shift / 5, "v[x]" = 1 + rev(shift))
  rownames(fixed) <- rownames(variances) <- labels
  own <- diag(c(0.16, 0.64))
  parts <- list(
    c("(Intercept)" = 10, x = 2), fixed, c("sigma^2" = 1, "v[(Intercept)]" = 4, "C[x,(Intercept)]" = 1, "v[x]" = 1), variances, own,
    stats::setNames(rep(list(own), size), labels), name, labels, stats::setNames(rep(TRUE, size), labels)
  )
  at <- function(what) paste0(what, "[-", name, "]")
  names(parts) <- c(
    "fixed.effects", at("fixed.effects"), "var.cov.comps", at("var.cov.comps"), "vcov", at("vcov"), "groups", "deleted", "converged"
  )
  structure(parts, class = "influence.merMod")
}

test_that("data are Cook's distances, dfbetas and changes of standard deviations and correlations", {
  data <- ggplot2::fortify(by_subject)
  expect_named(data, c("number", "deleted", "value", "stands_out"))
  expect_equal(stats::setNames(data$value, data$deleted), cooks.distance(by_subject), ignore_attr = TRUE)
  expect_identical(data$deleted, levels(sleepstudy$Subject))
  expect_identical(data$stands_out, data$value > 4 / 18)
  data <- ggplot2::fortify(by_row, type = "dfbetas", which = "Days")
  expect_equal(data$value, unname(dfbetas(by_row)[, "Days"]))
  expect_identical(data$stands_out, abs(data$value) > 2 / sqrt(180))
  data <- ggplot2::fortify(by_subject, type = "variances")
  without <- lmer(Reaction ~ Days + (Days | Subject), subset(sleepstudy, Subject != "335"))
  changes <- as.data.frame(VarCorr(without))$sdcor - as.data.frame(VarCorr(fit))$sdcor
  expect_equal(data$value[data$deleted == "335"], changes[c(4, 1, 3, 2)], tolerance = 1e-3)
  expect_identical(levels(data$parameter), c("residual SD (sigma)", "SD of (Intercept)", "cor. of Days and (Intercept)", "SD of Days"))
  expect_identical(as.integer(table(data$parameter[data$stands_out])), rep(5L, 4))
})

test_that("several factors have their names, and what doesn't vary has no correlation", {
  values <- rbind(c("sigma^2" = 4, "a:b:v[x]" = 1, "a:b:C[z,x]" = 1, "a:b:v[z]" = 4, "g:v[(Intercept)]" = 0))
  found <- deviations_of(values)
  expect_identical(colnames(found), c(
    "residual SD (sigma)", "SD of x by a:b", "cor. of z and x by a:b", "SD of z by a:b", "SD of (Intercept) by g"
  ))
  expect_identical(unname(found[1, ]), c(2, 1, 0.5, 2, 0))
  values[1, 2] <- 0
  expect_identical(unname(deviations_of(values)[1, 3]), NA_real_)
})

test_that("lme4's objects and one fixed effect are taken", {
  model <- lme4::lmer(Yield ~ 1 + (1 | Batch), Dyestuff)
  theirs <- lme4_function("influence.merMod")(model, "Batch", data = Dyestuff)
  expect_equal(
    ggplot2::fortify(theirs, type = "dfbetas")$value,
    as.numeric(dfbeta(theirs)) / sqrt(vapply(theirs[["vcov[-Batch]"]], function(v) v[1], 0)), ignore_attr = TRUE
  )
  for (type in c("cook", "dfbetas", "variances")) expect_s3_class(ggplot2::ggplot_build(plot(theirs, type)), "ggplot_built")
})

test_that("groups are rows with the most influential at the top", {
  picture <- plot(by_subject)
  expect_identical(picture$data[names(ggplot2::fortify(by_subject)[-2L])], ggplot2::fortify(by_subject)[-2L])
  rows <- ggplot2::layer_scales(picture)$y$get_limits()
  expect_identical(rev(rows), with(ggplot2::fortify(by_subject), deleted[order(-value)]))
  points <- ggplot2::layer_data(picture, 4)
  expect_equal(points$x[order(points$y)], unname(sort(cooks.distance(by_subject))))
  expect_equal(ggplot2::layer_data(picture, 2)$xintercept, 4 / 18)
})

test_that("observations are in their order, and the names are of those that stand out most", {
  picture <- plot(by_row, names = 1)
  expect_identical(picture$data, ggplot2::fortify(by_row))
  bars <- ggplot2::layer_data(picture, 2)
  expect_equal(as.numeric(tapply(bars$yend, bars$x, max)), unname(cooks.distance(by_row)))
  texts <- ggplot2::layer_data(picture, length(picture$layers))
  expect_identical(texts$label, names(which.max(cooks.distance(by_row))))
  expect_match(picture$labels$subtitle, "4 / n = 0.022; beyond it: 2 values (the largest are named)", fixed = TRUE)
  expect_equal(nrow(ggplot2::layer_data(plot(by_row, names = 0), 5)), 0)
})

test_that("neighbours of very many share a bar from the least to the largest", {
  size <- 20000L
  data <- data.frame(number = rep(seq_len(size), 2), value = sin(seq_len(2 * size)), parameter = factor(rep(c("a", "b"), each = size)))
  bars <- index_bars(data, 0.9)
  expect_lt(nrow(bars), 6001)
  expect_equal(range(bars$from, bars$to), range(data$value))
  whole <- bars[bars$parameter == "b" & bars$number == bars$number[[1L]], ]
  own <- data$value[data$parameter == "b" & data$number <= 20]
  expect_equal(range(whole$from, whole$to), range(own))
  expect_true(all(abs(bars$to[bars$beyond]) >= 0.9 | abs(bars$from[bars$beyond]) >= 0.9))
  picture <- plot(fixed_influence(6000L, "case"))
  expect_identical(unique(ggplot2::layer_data(picture, 1)$colour), picture_colours[["blue"]])
  expect_equal(nrow(ggplot2::layer_data(picture, 4)), sum(utils::head(sort(picture$data$value, decreasing = TRUE), 10) > 4 / 6000))
})

test_that("what couldn't be refitted is named", {
  data <- data.frame(y = c(1, 2, 4, 3, 5, 4, 6, 2), x = c(1, 2, 3, 4, 6, 6, 6, 6), g = gl(4, 2))
  data$arm <- factor(ifelse(data$g == "1", "a", "b"))
  found <- influence(suppressMessages(lmer(y ~ arm + (1 | g), data)), "g")
  expect_true(anyNA(found[[2L]]))
  picture <- plot(found)
  expect_match(picture$labels$caption, "4 refits without one g each; no value without 1")
  expect_s3_class(ggplot2::ggplot_build(picture), "ggplot_built")
})

test_that("nonsense is refused by name", {
  expect_error(plot(by_row, "hat"), "'type' must be one of \"cook\", \"dfbetas\"", class = "fastlmer_argument_error")
  expect_error(plot(by_row, "dfbetas", which = "days"), "'which' must be numbers up to 2 or names among '\\(Intercept\\)', 'Days'")
  expect_error(plot(by_row, names = -1), "'names' must be a number")
})

test_that("pictures are as they were", {
  skip_if_not_installed("vdiffr")
  vdiffr::expect_doppelganger("8 groups", plot(fixed_influence(8L)))
  vdiffr::expect_doppelganger("80 groups dfbetas", plot(fixed_influence(80L), "dfbetas"))
  vdiffr::expect_doppelganger("8 groups variances", plot(fixed_influence(8L), "variances"))
  vdiffr::expect_doppelganger("300 observations", plot(fixed_influence(300L, "case")))
})
