sleep <- sleep_data()

test_that("chunks of any size and order give the fit of all rows", {
  withr::local_seed(1)
  for (order in list(seq_len(180), sample(180), rev(seq_len(180)))) {
    for (size in c(7, 60, 1000)) {
      expect_same_stream(stream_pair(Reaction ~ Days + (Days | Subject), sleep, size = size, order = order))
    }
  }
})

test_that("a chunk of one row is a chunk", {
  expect_same_stream(stream_pair(Reaction ~ Days + (1 | Subject), sleep, size = 1))
})

test_that("maximum likelihood, terms without correlation, no intercept", {
  expect_same_stream(stream_pair(Reaction ~ Days + (Days | Subject), sleep, REML = FALSE))
  expect_same_stream(stream_pair(Reaction ~ Days + (Days || Subject), sleep))
  expect_same_stream(stream_pair(Reaction ~ 1 + (1 | Subject), sleep))
  expect_same_stream(stream_pair(Reaction ~ 0 + Days + (Days | Subject), sleep))
  expect_same_stream(stream_pair(Reaction ~ Days + (0 + Days | Subject), sleep))
  expect_same_stream(stream_pair(Reaction ~ 0 + three + (1 | Subject), sleep))
})

test_that("crossed and nested factors, and the order of terms that lme4 gives them", {
  expect_same_stream(stream_pair(diameter ~ 1 + (1 | plate) + (1 | sample), Penicillin))
  expect_same_stream(stream_pair(diameter ~ 1 + (1 | sample) + (1 | plate), Penicillin))
  expect_same_stream(stream_pair(strength ~ 1 + (1 | batch / cask), Pastes))
  expect_same_stream(stream_pair(strength ~ 1 + (1 | batch) + (1 | sample), Pastes))
  expect_same_stream(stream_pair(angle ~ recipe * temperature + (1 | recipe:replicate), cake))
  expect_same_stream(stream_pair(
    Reaction ~ Days + (1 | half) + (0 + Days | half) + (Days | Subject) + (1 | three), sleep,
    control = lmerControl(check.conv.singular = "ignore")
  ), 1e-7)
})

test_that("a large crossed model", {
  tenth <- droplevels(subset(InstEval, as.integer(s) %% 10 == 0))
  expect_same_stream(stream_pair(y ~ service + lectage + (1 | s) + (1 | d) + (1 | dept), tenth, size = 500), 1e-7)
})

test_that("weights, offsets, subset and missing values", {
  expect_same_stream(stream_pair(Reaction ~ Days + (Days | Subject), sleep, weights = w))
  expect_same_stream(stream_pair(Reaction ~ Days + (Days | Subject), sleep, offset = o, weights = w * 2))
  expect_same_stream(stream_pair(Reaction ~ Days + offset(o) + (1 | Subject), sleep, offset = 2 * o))
  expect_same_stream(stream_pair(Reaction ~ Days + (1 | Subject), sleep, subset = Days > 1 & three != "2"))
  expect_same_stream(stream_pair(Reaction ~ with_na + (1 | Subject), sleep, size = 10))
  expect_same_stream(stream_pair(Reaction ~ with_na + (1 | Subject), sleep, size = 1))
  expect_same_stream(stream_pair(log(Reaction) ~ I(Days^2) + Days + (I(Days / 10) | Subject), sleep))
  k <- 3
  expect_same_stream(stream_pair(Reaction ~ I(Days / k) + (1 | Subject), sleep))
})

test_that("a grouping variable may be text, a number, or a factor with unused or changing levels", {
  expect_same_stream(stream_pair(Reaction ~ Days + (1 | text), sleep))
  expect_same_stream(stream_pair(Reaction ~ Days + (1 | number), sleep))
  expect_same_stream(stream_pair(Reaction ~ Days + (1 | number), transform(sleep, number = number * 1e5 + 0.5)))
  expect_same_stream(stream_pair(Reaction ~ Days + (1 | number), transform(sleep, number = as.numeric(number - 308) * 1e5)))
  expect_same_stream(stream_pair(Reaction ~ Days + (1 | unused), sleep))
  expect_same_stream(stream_pair(Reaction ~ Days + (1 | number:three) + (1 | text), sleep))
  pair <- stream_pair(Reaction ~ Days + (1 | Subject), sleep)
  dropped <- function(i) if (i <= 18) droplevels(sleep[10 * i - 9:0, ])
  fit <- lmer(Reaction ~ Days + (1 | Subject), dropped)
  expect_equal(fixef(fit), fixef(pair$memory))
  expect_equal(ranef(fit), ranef(pair$memory), tolerance = 1e-6)
})

test_that("means far from zero and predictors that explain nearly all", {
  sleep$far <- sleep$Reaction + 1e8
  sleep$stamp <- 1.6e9 + 86400 * sleep$Days
  sleep$steep <- sleep$Reaction + 1e6 * sleep$Days + 1e9
  pairs <- suppressWarnings(list(
    stream_pair(far ~ Days + (Days | Subject), sleep, size = 10), stream_pair(Reaction ~ stamp + (1 | Subject), sleep, size = 10),
    stream_pair(steep ~ Days + (Days | Subject), sleep, size = 10), stream_pair(steep ~ stamp + (1 | Subject), sleep, size = 1)
  ))
  for (pair in pairs) expect_same_stream(pair, 1e-6)
})

test_that("aliased columns are dropped in lme4's words", {
  formula <- Reaction ~ Days + I(2 * Days) + three + (1 | Subject)
  expect_message(lmer(formula, in_chunks(sleep, 50)), "fixed-effect model matrix is rank deficient so dropping 1 column / coefficient")
  expect_same_stream(stream_pair(formula, sleep))
  expect_error(
    lmer(formula, in_chunks(sleep, 50), control = lmerControl(check.rankX = "stop.deficient")), "rank(X) = 4 < 5 = p", fixed = TRUE
  )
})

test_that("a column that lme4 takes for a multiple of the intercept is dropped", {
  shifted <- sleep
  shifted$far <- 1e6 + sin(seq_len(nrow(shifted)))
  expect_same_stream(stream_pair(Reaction ~ Days + far + (1 | Subject), shifted))
  shifted$far <- 1e6 + 1e-3 * sin(seq_len(nrow(shifted)))
  formula <- Reaction ~ Days + far + (1 | Subject)
  text <- "fixed-effect model matrix is rank deficient so dropping 1 column / coefficient"
  expect_message(stream <- lmer(formula, in_chunks(shifted, 50)), text)
  expect_message(memory <- lmer(formula, shifted), text)
  expect_equal(fixef(stream), fixef(memory), tolerance = 1e-8)
})

test_that("what cross-products can't tell from aliased columns is an error, with the remedy", {
  sleep$far <- sleep$Days + 2e6
  expect_error(lmer(Reaction ~ far * three + (1 | Subject), in_chunks(sleep, 50)), "subtract a number near its mean")
  expect_same_stream(stream_pair(Reaction ~ I(far - 2e6) * three + (1 | Subject), sleep))
})

test_that("indicators instead of an intercept cost no digits where the mean is far from zero", {
  sleep$far <- sleep$Reaction + 1e8
  expect_same_stream(stream_pair(far ~ 0 + three:late + half + (1 | Subject), sleep, REML = FALSE), 1e-6)
})

test_that("lme4's checks are made, in its words", {
  expect_no_warning(lmer(Reaction ~ I(Days * 1e6) + (1 | Subject), in_chunks(sleep, 50)))
  expect_error(lmer(Reaction ~ I(Days * 1e6) + (1 | Subject), in_chunks(sleep, 50), control = lmerControl(check.scaleX = "stop")),
    "Some predictor variables are on very different scales")
  expect_no_warning(lmer(Reaction ~ I(Days * 1e6) + (1 | Subject), in_chunks(sleep, 50), control = lmerControl(check.scaleX = "ignore")))
  sleep$row <- seq_len(180)
  expect_error(lmer(Reaction ~ Days + (1 | row), in_chunks(sleep, 50)), "number of levels of each grouping factor must be < number of obs")
  expect_error(lmer(Reaction ~ Days + (1 | one), in_chunks(transform(sleep, one = 1), 50)), "grouping factors must have > 1 sampled level")
  pairs <- transform(sleep, pair = (row + 1) %/% 2)
  expect_error(lmer(Reaction ~ Days + (Days | pair), in_chunks(pairs, 50)), "number of observations \\(=180\\) <= number of random effects")
  expect_message(lmer(Yield ~ 1 + (1 | Batch), in_chunks(Dyestuff2, 10)), "boundary (singular) fit: see help('isSingular')", fixed = TRUE)
})

test_that("an optimizer that the user names runs on the engine's criterion", {
  fit <- lmer(Reaction ~ Days + (Days | Subject), in_chunks(sleep, 50), control = lmerControl(optimizer = "bobyqa"))
  expect_equal(fit@theta, lmer(Reaction ~ Days + (Days | Subject), sleep)@theta, tolerance = 1e-4)
  expect_identical(fit@optinfo$optimizer, "bobyqa")
})

test_that("a function without argument is asked until it returns NULL", {
  state <- new.env()
  state$at <- 0
  next_chunk <- function() {
    state$at <- state$at + 1
    if (state$at <= 4) sleep[45 * (state$at - 1) + 1:45, ]
  }
  expect_equal(fixef(lmer(Reaction ~ Days + (1 | Subject), next_chunk)), fixef(lmer(Reaction ~ Days + (1 | Subject), sleep)))
  expect_error(lmer(Reaction ~ Days + (1 | Subject), next_chunk), "0 (non-NA) cases", fixed = TRUE)
})

test_that("the name of a function that isn't a source is lme4's to refuse", {
  # stats::df, where the user's data frame df is missing
  expect_false(is_stream(stats::df))
  expect_error(lmer(Reaction ~ Days + (1 | Subject), df))
})
