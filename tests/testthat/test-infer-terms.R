# Tests of terms without lmerTest, beside lmerTest's from the same parts.

own_table <- function(fit, type, ddf = "Satterthwaite") {
  suppressMessages(term_tests(fit, own_tests(fit, ddf, "anova"), term_contrasts(fit, type)))
}

expect_same_tests <- function(fit, label) {
  tested <- as_lmer_test(fit)
  for (type in c("1", "2", "3")) {
    theirs <- suppressMessages(anova(tested, type = type))
    expect_equal(as.matrix(own_table(fit, type)), as.matrix(theirs), tolerance = 1e-6, label = paste(label, type))
  }
}

test_that("terms of all types are lmerTest's", {
  skip_if_not_installed("lmerTest")
  models <- tested_models()
  for (name in names(models)) {
    fit <- suppressMessages(eval(models[[name]], comparison_data()))
    if (length(fit@beta) > 1L) suppressWarnings(expect_same_tests(fit, name))
  }
})

test_that("so are interactions of three factors, of factors with variables, and terms without an intercept", {
  skip_if_not_installed("lmerTest")
  data <- withr::with_seed(5, data.frame(
    a = factor(sample(3, 300, TRUE)), b = factor(sample(2, 300, TRUE)), c = factor(sample(2, 300, TRUE)), x = rnorm(300),
    z = runif(300), g = gl(30, 10)
  ))
  data$y <- withr::with_seed(6, rnorm(300) + rnorm(30)[data$g] + as.numeric(data$a) * data$x)
  right <- list(~ a * b * c, ~ a * x + b, ~ a * b + x:a, ~ x * z, ~ 0 + a + b, ~ a:b, ~ log(z) * a + I(x^2), ~ c + a %in% b)
  for (terms in right) {
    formula <- stats::reformulate(c(attr(stats::terms(terms), "term.labels"), "(1 | g)"), "y", attr(stats::terms(terms), "intercept") == 1L)
    expect_same_tests(suppressMessages(lmer(formula, data)), deparse1(terms))
  }
  expect_same_tests(lmer(y ~ a * b + (1 | g), data, contrasts = list(a = "contr.sum", b = "contr.helmert")), "other codings")
  gaps <- subset(data, !(a == "1" & b == "2"))
  gapped <- suppressMessages(lmer(y ~ a * b + (1 | g), gaps))
  expect_same_tests(gapped, "an empty cell")
  expect_message(term_contrasts(gapped, "3"), "Missing cells for: a1:b2.", fixed = TRUE)
})

test_that("a contrast of dependent rows has the degrees of freedom of its rank", {
  skip_if_not_installed("lmerTest")
  fit <- lmer(angle ~ recipe + temperature + (1 | recipe:replicate), cake)
  contrast <- diag(8)[c(2, 3, 2), ]
  contrast[3, ] <- contrast[1, ] + contrast[2, ]
  ours <- term_tests(fit, satterthwaite_tests(fit), list(both = contrast))
  theirs <- lmerTest::contestMD(as_lmer_test(fit), contrast)
  expect_equal(as.numeric(ours), as.numeric(theirs), tolerance = 1e-6)
  expect_true(all(is.na(term_tests(fit, satterthwaite_tests(fit), list(none = contrast[0, ])))))
})

test_that("Kenward and Roger's tests of terms are lmerTest's", {
  skip_if_not_installed("lmerTest")
  skip_if_not_installed("pbkrtest")
  fit <- lmer(Reaction ~ three * late + Days + (Days | Subject), sleep_data())
  theirs <- suppressMessages(anova(as_lmer_test(fit), type = "3", ddf = "Kenward-Roger"))
  expect_equal(as.matrix(own_table(fit, "3", "Kenward-Roger")), as.matrix(theirs), tolerance = 1e-5)
  own <- kenward_roger_tests(fit)$coefficients()
  table <- summary(as_lmer_test(fit), ddf = "Kenward-Roger")$coefficients
  expect_equal(cbind(own$error, own$df), unname(table[, c("Std. Error", "df")]), tolerance = 1e-5)
  expect_error(kenward_roger_tests(update(fit, REML = FALSE)), "Kenward-Roger's method is only available for REML model fits", fixed = TRUE)
})

test_that("drop1() takes the terms that may be dropped", {
  fit <- lmer(angle ~ recipe * temperature + (1 | recipe:replicate), cake)
  expect_identical(checked_scope(fit, NULL), "recipe:temperature")
  expect_error(checked_scope(fit, "recipe"), "Only marginal terms can be dropped from the model", fixed = TRUE)
  expect_error(checked_scope(fit, 1), "'scope' should be a character vector naming terms to be dropped", fixed = TRUE)
})

test_that("data in chunks and absorbed factors have the tests of the same model in memory", {
  pair <- stream_pair(angle ~ recipe + temp + (1 | recipe:replicate), cake)
  tables <- lapply(pair[c("stream", "memory")], anova, type = "III", ddf = "Satterthwaite")
  expect_equal(as.matrix(tables$stream), as.matrix(tables$memory), tolerance = 1e-6)
  expect_error(anova(pair$stream, type = "I"), "anova\\(type = \\) of this model needs the rows", class = "fastlmer_unsupported_error")
  drops <- lapply(pair[c("stream", "memory")], drop1, ddf = "Satterthwaite")
  expect_equal(as.matrix(drops$stream), as.matrix(drops$memory), tolerance = 1e-6)

  data <- comparison_data()$hundred
  data$x <- sin(seq_len(nrow(data)))
  absorbed <- lmer(y ~ x + f + (1 | g), data)
  expect_false(is.null(engine_mark(absorbed)$absorbed))
  contrasts(data$f) <- stats::contr.treatment(100L)
  dense <- lmer(y ~ x + f + (1 | g), data)
  tables <- lapply(list(absorbed, dense), own_table, "2")
  expect_equal(as.matrix(tables[[1]]), as.matrix(tables[[2]]), tolerance = 1e-6)
  expect_equal(as.matrix(anova(absorbed, type = 2)), as.matrix(tables[[1]]))
  expect_null(engine_mark(absorbed)$formed)
})
