skip_if_not_installed("ggplot2")

test_that("the data are ranef()'s, with intervals by the conditional variances", {
  crossed <- suppressMessages(lmer(
    Reaction ~ Days + (1 | Subject) + (0 + Days | Subject) + (1 | three), transform(sleepstudy, three = factor(Days %% 3))
  ))
  calls <- list(
    quote(lmer(Reaction ~ Days + (Days | Subject), sleepstudy)), quote(lme4::lmer(diameter ~ 1 + (1 | plate) + (1 | sample), Penicillin))
  )
  for (fit in c(lapply(calls, eval), crossed)) {
    data <- ggplot2::fortify(fit, type = "caterpillar", conf.level = 0.9)
    expected <- as.data.frame(ranef(fit))
    expect_identical(names(data), c("group", "level", "effect", "estimate", "std.error", "conf.low", "conf.high"))
    place <- match(
      paste(data$group, data$effect, data$level), paste(expected$grpvar, expected$term, expected$grp)
    )
    expect_identical(sort(place), seq_len(nrow(expected)))
    expect_equal(data$estimate, expected$condval[place])
    expect_equal(data$std.error, expected$condsd[place])
    expect_equal(data$conf.high - data$conf.low, 2 * qnorm(0.95) * expected$condsd[place])
  }
})

test_that("what is drawn is sorted by effect, each with its own names", {
  fit <- lmer(Reaction ~ Days + (Days | Subject), sleepstudy)
  picture <- ggplot2::autoplot(fit, "caterpillar")
  built <- ggplot2::ggplot_build(picture)
  points <- built$data[[3]]
  for (panel in 1:2) expect_false(is.unsorted(points$x[points$PANEL == panel][order(points$y[points$PANEL == panel])]))
  labels <- built$layout$panel_params[[2]]$y$get_labels()
  slopes <- ranef(fit)$Subject["Days"]
  expect_identical(unname(labels), rownames(slopes)[order(slopes$Days)])
})

test_that("one group or effect may be chosen, and data in chunks have one too", {
  fit <- lmer(diameter ~ 1 + (1 | plate) + (1 | sample), Penicillin)
  expect_identical(nrow(ggplot2::fortify(fit, type = "caterpillar", group = "sample")), 6L)
  slopes <- ggplot2::fortify(lmer(Reaction ~ Days + (Days | Subject), sleepstudy), type = "caterpillar", effects = "Days")
  expect_identical(levels(slopes$effect), "Days")
  chunks <- lmer(Reaction ~ Days + (Days | Subject), in_chunks(sleepstudy, 50))
  expect_equal(ggplot2::fortify(chunks, type = "caterpillar", effects = "Days"), slopes, tolerance = 1e-4)
  expect_error(ggplot2::autoplot(fit, "caterpillar", conf.level = 95), "'conf.level'", class = "fastlmer_argument_error")
})

test_that("of more than 80 levels the lowest and the highest are named", {
  data <- withr::with_seed(1, data.frame(g = factor(rep(1:100, each = 4)), y = rnorm(100)[rep(1:100, each = 4)] + rnorm(400)))
  picture <- ggplot2::autoplot(lmer(y ~ 1 + (1 | g), data), "caterpillar")
  modes <- picture$data$estimate
  expect_setequal(ggplot2::layer_data(picture, 4)$label, picture$data$level[c(which.min(modes), which.max(modes))])
})

test_that("the pictures look as they did", {
  skip_if_not_installed("vdiffr")
  vdiffr::expect_doppelganger("slopes", ggplot2::autoplot(lmer(Reaction ~ Days + (Days | Subject), sleepstudy), "caterpillar"))
  vdiffr::expect_doppelganger(
    "crossed", ggplot2::autoplot(lmer(diameter ~ 1 + (1 | plate) + (1 | sample), Penicillin), "caterpillar")
  )
})
