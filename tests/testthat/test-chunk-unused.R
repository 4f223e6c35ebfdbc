test_that("levels that don't occur have no random effect, as in memory", {
  data <- sleep_data()
  data$four <- factor(c("a", "b", "c")[data$three], c("none", "a", "b", "c", "never"))
  data$last <- factor(c("a", "b", "c")[data$three], c("a", "b", "c", "never"))
  for (formula in list(
    Reaction ~ Days + (last | Subject), Reaction ~ Days + (0 + last | Subject), Reaction ~ four + (four | Subject),
    Reaction ~ Days + (0 + four:Days | Subject) + (1 | Subject)
  )) {
    expect_same_stream(suppressWarnings(stream_pair(formula, data)), 1e-7)
  }
  withr::local_options(contrasts = c("contr.sum", "contr.poly"))
  expect_same_stream(suppressWarnings(stream_pair(Reaction ~ Days + (last | Subject), data)), 1e-7)
})

test_that("the columns of the levels in use are those of lme4 for other contrasts, and for interactions", {
  data <- sleep_data()
  data$last <- factor(c("a", "b", "c")[data$three], c("a", "b", "c", "never"))
  for (contrasts in list("contr.treatment", "contr.sum", "contr.helmert")) {
    withr::local_options(contrasts = c(contrasts, "contr.poly"))
    for (bar in list(quote(last | Subject), quote(last * Days | Subject), quote(0 + last | Subject), quote(0 + last:Days | Subject))) {
      request <- stream_request(eval(bquote(Reaction ~ 1 + (.(bar)))), list(), NULL, NULL, NULL)
      kinds <- read_chunk(data, request)$recipe$kinds
      map <- map_to_used(bar, kinds)
      all <- model.matrix(eval(call("~", bar[[2L]])), data)
      used <- model.matrix(eval(call("~", bar[[2L]])), droplevels(data))
      expect_identical(map$names, colnames(used))
      expect_equal(all %*% map$values, used, ignore_attr = TRUE, tolerance = 1e-12)
    }
  }
})

test_that("several terms and factors keep their cross-products", {
  data <- sleep_data()
  data$last <- factor(c("a", "b", "c")[data$three], c("a", "b", "c", "never"))
  data$week <- factor(data$Days %/% 2)
  formula <- Reaction ~ Days + (0 + last | Subject) + (1 | week)
  expect_same_stream(suppressWarnings(stream_pair(formula, data)), 1e-7)
  # a smaller model of the same cross-products
  products <- cross_products(Reaction ~ Days + (Days | Subject) + (0 + last | week), data)
  whole <- suppressMessages(lmer(Reaction ~ Days + (0 + last | week), data))
  expect_equal(
    as.numeric(logLik(suppressMessages(lmer(Reaction ~ Days + (0 + last | week), products)))), as.numeric(logLik(whole)), tolerance = 1e-8
  )
})

test_that("powers of a variable and other matrices of numbers are columns of chunks", {
  data <- sleep_data()
  for (formula in list(
    Reaction ~ poly(Days, 2, raw = TRUE) + (1 | Subject), Reaction ~ stats::poly(Days, 2, raw = TRUE) * late + (1 | Subject),
    Reaction ~ three * poly(Days, degree = 2, raw = TRUE) + (1 | Subject), Reaction ~ Days + (poly(Days, 1, raw = TRUE) | Subject),
    Reaction ~ cbind(Days, d2 = Days^2) + (1 | Subject),
    Reaction ~ poly(Days, 2, raw = TRUE):three + poly(Days, 2, raw = TRUE) + (1 | Subject)
  )) {
    pair <- suppressWarnings(stream_pair(formula, data))
    expect_same_stream(pair, 1e-6)
    expect_equal(predict(pair$stream, newdata = data[1:7, ]), predict(pair$memory, newdata = data[1:7, ]), tolerance = 1e-6)
  }
  expect_error(lmer(Reaction ~ poly(Days, 2) + (1 | Subject), in_chunks(data, 50)), "may look at other rows")
  expect_error(lmer(Reaction ~ poly(Days, 2, raw = FALSE) + (1 | Subject), in_chunks(data, 50)), "may look at other rows")
})
