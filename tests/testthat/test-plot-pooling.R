skip_if_not_installed("ggplot2")

days <- quote(lmer(Reaction ~ Days + (Days | Subject), sleepstudy))

lines_of <- function(data, kind) data[data$kind == kind, ]

test_that("the lines are those of lmList(), predict() with and without the levels' effects", {
  for (fit in list(eval(days), lme4::lmer(Reaction ~ Days + (Days | Subject), sleepstudy))) {
    data <- ggplot2::fortify(fit, type = "pooling")
    expect_identical(levels(data$kind), c("data", "no pooling", "partial pooling", "complete pooling"))
    points <- lines_of(data, "data")
    expect_identical(points$y, sleepstudy$Reaction)
    expect_identical(points$x, sleepstudy$Days)
    at <- function(line) data.frame(Subject = as.character(line$level), Days = line$x)
    partial <- lines_of(data, "partial pooling")
    expect_equal(partial$y, unname(predict(fit, at(partial))))
    complete <- lines_of(data, "complete pooling")
    expect_equal(complete$y, unname(predict(fit, at(complete), re.form = NA)))
    own <- lines_of(data, "no pooling")
    coefficients <- coef(lme4::lmList(Reaction ~ Days | Subject, sleepstudy))[as.character(own$level), ]
    expect_equal(own$y, coefficients[[1]] + coefficients[[2]] * own$x)
  }
})

test_that("other predictors are at their usual values, an offset at its mean, and other factors' effects are left out", {
  data <- transform(sleepstudy, o = Days / 2, h = factor(Days %% 2))
  data <- withr::with_seed(1, transform(data, f = factor(sample(letters[1:3], 180, TRUE)), z = rnorm(180)))
  fit <- suppressMessages(lmer(Reaction ~ poly(Days, 2) + f + z + (Days | Subject) + (1 | h), data, offset = o))
  found <- ggplot2::fortify(fit, type = "pooling", levels = c("330", "308"))
  expect_identical(levels(found$level), c("330", "308"))
  expect_identical(attr(found, "predictor"), "Days")
  own <- data[data$Subject == "330", ]
  line <- found[found$level == "330" & found$kind == "partial pooling", ]
  usual <- data.frame(
    Subject = "330", Days = line$x, z = mean(own$z), f = own$f[which.max(tabulate(match(own$f, own$f)))], o = mean(own$o)
  )
  expect_equal(line$y, unname(predict(fit, usual, re.form = ~ (Days | Subject))))
  points <- found[found$level == "330" & found$kind == "data", ]
  expect_equal(points$y, own$Reaction - own$o + mean(own$o))
  complete <- found[found$level == "330" & found$kind == "complete pooling", ]
  expect_equal(complete$y, unname(predict(fit, usual, re.form = NA)))
})

test_that("a variable that isn't a number, and none at all, is drawn", {
  fit <- lmer(angle ~ recipe * temperature + (1 | recipe:replicate), cake)
  data <- ggplot2::fortify(fit, type = "pooling")
  expect_identical(attr(data, "predictor"), "temperature")
  expect_identical(levels(data$x), levels(cake$temperature))
  expect_identical(nlevels(data$level), 12L)
  partial <- lines_of(data, "partial pooling")
  new <- data.frame(recipe = substr(partial$level, 1, 1), replicate = sub(".*:", "", partial$level), temperature = partial$x)
  expect_equal(partial$y, unname(predict(fit, new)))
  alone <- ggplot2::fortify(lmer(Yield ~ 1 + (1 | Batch), Dyestuff), type = "pooling")
  expect_equal(lines_of(alone, "data")$x, rep(1:5, 6))
  expect_equal(unique(lines_of(alone, "no pooling")$y), as.vector(tapply(Dyestuff$Yield, Dyestuff$Batch, mean)))
  fit <- lmer(Yield ~ 1 + (1 | Batch), Dyestuff)
  expect_error(ggplot2::autoplot(fit, "pooling", predictor = "x"), "no predictor", class = "fastlmer_argument_error")
})

test_that("levels without estimates of their own have two lines, of their own range is the first", {
  data <- sleepstudy[!(sleepstudy$Subject == "308" & sleepstudy$Days > 0) & !(sleepstudy$Subject == "309" & sleepstudy$Days > 4), ]
  fit <- lmer(Reaction ~ Days + (Days | Subject), data)
  found <- ggplot2::fortify(fit, type = "pooling")
  expect_false("308" %in% found$level[found$kind == "no pooling"])
  expect_identical(range(found$x[found$level == "309" & found$kind == "no pooling"]), c(0, 4))
  expect_identical(range(found$x[found$level == "309" & found$kind == "partial pooling"]), c(0, 9))
  expect_match(ggplot2::autoplot(fit, "pooling")$labels$caption, "1 level has no line")
})

test_that("many levels and rows are a selection, the same one each time", {
  data <- withr::with_seed(1, data.frame(g = factor(rep(1:30, each = 300)), x = rnorm(9000)))
  data$y <- withr::with_seed(2, rnorm(30)[data$g] + data$x + rnorm(9000))
  fit <- lmer(y ~ x + (1 | g), data)
  found <- ggplot2::fortify(fit, type = "pooling")
  expect_identical(nlevels(found$level), 12L)
  expect_identical(as.vector(table(found$level[found$kind == "data"])), rep(200L, 12))
  modes <- ranef(fit)$g[levels(found$level), 1]
  expect_false(is.unsorted(modes))
  expect_identical(range(modes), range(ranef(fit)$g[[1]]))
  expect_identical(found, ggplot2::fortify(fit, type = "pooling"))
  caption <- gsub("\n", " ", ggplot2::autoplot(fit, "pooling")$labels$caption)
  expect_match(caption, "12 of 30 levels.*At most 200 rows")
})

test_that("a wrong argument is named with what is possible", {
  fit <- eval(days)
  expect_error(ggplot2::autoplot(fit, "pooling", levels = "no"), "'levels' must be", class = "fastlmer_argument_error")
  expect_error(ggplot2::autoplot(fit, "pooling", predictor = "no"), "'predictor' must be .*Days", class = "fastlmer_argument_error")
  expect_error(ggplot2::autoplot(fit, "pooling", effects = "Days"), "'effects' isn't an argument", class = "fastlmer_argument_error")
  chunks <- lmer(Reaction ~ Days + (Days | Subject), in_chunks(sleepstudy, 50))
  expect_error(ggplot2::autoplot(chunks, "pooling"), "rows of the data", class = "fastlmer_unsupported_error")
  local_data <- sleepstudy
  lost <- lmer(Reaction ~ poly(Days, 2) + (1 | Subject), local_data)
  rm(local_data)
  expect_error(ggplot2::autoplot(lost, "pooling"), "needs the variable 'Days'", class = "fastlmer_unsupported_error")
})

test_that("the pictures look as they did", {
  skip_if_not_installed("vdiffr")
  fit <- eval(days)
  expect_identical(ggplot2::autoplot(fit, "pooling")$data, ggplot2::fortify(fit, type = "pooling"))
  vdiffr::expect_doppelganger("slopes", ggplot2::autoplot(fit, "pooling", levels = c("308", "309", "310", "330")))
  vdiffr::expect_doppelganger("no predictor", ggplot2::autoplot(lmer(Yield ~ 1 + (1 | Batch), Dyestuff), "pooling"))
})
