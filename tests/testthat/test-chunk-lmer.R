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

test_that("factors, text and logicals in the fixed effects", {
  sleep$word <- c("b", "a", "c")[sleep$three]
  expect_same_stream(stream_pair(Reaction ~ three + late + (1 | Subject), sleep))
  expect_same_stream(stream_pair(Reaction ~ word * Days + (1 | Subject), sleep, size = 2))
  expect_same_stream(stream_pair(Reaction ~ three * late * Days + (1 | Subject), sleep))
  expect_same_stream(stream_pair(Reaction ~ Days:three + three + (1 | Subject), sleep))
  expect_same_stream(stream_pair(Reaction ~ three:late - 1 + (1 | Subject), sleep))
  expect_same_stream(stream_pair(Reaction ~ factor(Days) + (1 | Subject), sleep, size = 3))
  expect_same_stream(stream_pair(Reaction ~ ordered(three) + (1 | Subject), sleep))
  expect_same_stream(stream_pair(Reaction ~ half + (1 | Subject), transform(sleep, half = factor(half, levels = c("x", 5:0)))))
  expect_same_stream(stream_pair(Reaction ~ three + (three | Subject), sleep, REML = FALSE), 1e-6)
})

test_that("contrasts are the user's", {
  expect_same_stream(stream_pair(Reaction ~ three * late + (1 | Subject), sleep, contrasts = list(three = "contr.sum")))
  expect_same_stream(stream_pair(Reaction ~ three + (1 | Subject), sleep, contrasts = list(three = contr.helmert)))
  own <- sleep
  stats::contrasts(own$three) <- stats::contr.helmert(3)
  expect_same_stream(stream_pair(Reaction ~ three + (1 | Subject), own))
  withr::local_options(contrasts = c("contr.sum", "contr.poly"))
  expect_same_stream(stream_pair(Reaction ~ three + (1 | Subject), sleep))
})

test_that("fewer contrasts than a factor has levels leave the other columns out of X", {
  one <- matrix(c(-1, 0, 1), 3, dimnames = list(NULL, "lin"))
  expect_same_stream(stream_pair(Reaction ~ three + Days + (1 | Subject), sleep, contrasts = list(three = one)))
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

test_that("levels that a subset leaves out are dropped", {
  expect_same_stream(stream_pair(Reaction ~ three + (1 | Subject), sleep, subset = three != "1"))
  expect_same_stream(stream_pair(Reaction ~ three * late + (1 | Subject), sleep, subset = !(three == "1" & late)))
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

test_that("expressions that look at other rows are refused, with the remedy", {
  refused <- function(formula, ...) tryCatch(lmer(formula, in_chunks(sleep, 50), ...), error = conditionMessage)
  by_subset <- function() lmer(Reaction ~ Days + (1 | Subject), in_chunks(sleep, 50), subset = Days > median(Days))
  expect_snapshot({
    refused(Reaction ~ poly(Days, 2) + (1 | Subject))
    refused(scale(Reaction) ~ Days + (1 | Subject))
    refused(Reaction ~ I(Days - mean(Days)) + (1 | Subject))
    refused(Reaction ~ splines::ns(Days, 2) + (1 | Subject))
    refused(Reaction ~ as.integer(factor(text)) + (1 | Subject))
    refused(Reaction ~ Days + (1 | factor(text)))
    refused(Reaction ~ Days + (text | three))
    tryCatch(by_subset(), error = conditionMessage)
    refused(Reaction ~ . + (1 | Subject))
    refused(Reaction ~ Days)
    refused(Reaction ~ Days + (1 | Subject), na.action = na.pass)
    refused(Reaction ~ Days + (1 | Subject), devFunOnly = TRUE)
  })
})

test_that("chunks that don't fit together are refused, with the remedy", {
  two <- function(a, b) {
    parts <- list(a, b)
    function(i) if (i <= 2L) parts[[i]]
  }
  refused <- function(a, b, formula = Reaction ~ x + (1 | Subject)) tryCatch(lmer(formula, two(a, b)), error = conditionMessage)
  first <- sleep[1:90, ]
  second <- sleep[91:180, ]
  with_x <- function(data, x) {
    data$x <- x
    data
  }
  expect_snapshot({
    refused(with_x(first, 1), with_x(second, "a"))
    refused(with_x(first, factor("a")), with_x(second, factor("b")))
    refused(with_x(first, 1), second)
    refused(with_x(first, 1:90), as.list(second))
    refused(first, second, Reaction ~ elsewhere + (1 | Subject))
    refused(with_x(first, cbind(1, 1:90)), with_x(second, 1))
    refused(with_x(first, as.Date("2024-01-01")), with_x(second, 1))
    refused(with_x(first, c(NA, 1:89)), with_x(second, Inf))
    refused(with_x(first, factor("a")), with_x(second, factor("b")), Reaction ~ as.integer(x) + (1 | Subject))
    refused(first, transform(second, Subject = as.numeric(Subject)), Reaction ~ 1 + (1 | Subject))
    refused(first[0, ], second[0, ], Reaction ~ Days + (1 | Subject))
  })
})

test_that("a vector of the workspace is no column of a chunk", {
  outside <- rnorm(50)
  expect_error(lmer(Reaction ~ outside + (1 | Subject), in_chunks(sleep, 50)), "not a column of the chunks")
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
