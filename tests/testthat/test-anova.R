# drop1(), chains of anova() and selection of terms beside lme4's and lmerTest's.

selection_models <- function() {
  list(
    "interaction" = quote(lmer(angle ~ recipe * temperature + (1 | recipe:replicate), cake)),
    "maximum likelihood" = quote(lmer(Reaction ~ Days + I(Days^2) + (Days | Subject), sleep, REML = FALSE)),
    "weights and offset" = quote(lmer(Reaction ~ Days + three + (1 | Subject), sleep, weights = w, offset = o)),
    "missing values" = quote(lmer(Reaction ~ with_na + three + (1 | Subject), sleep)),
    "singular" = quote(lmer(Yield ~ x + (1 | Batch), dyestuff)),
    "crossed" = quote(lmer(diameter ~ x + z + (1 | plate) + (1 | sample), penicillin))
  )
}

selection_data <- function() {
  noise <- function(data, seed) {
    withr::with_seed(seed, {
      data$x <- stats::rnorm(nrow(data))
      data$z <- stats::runif(nrow(data))
    })
    data
  }
  list2env(list(
    sleep = sleep_data(), cake = lme4::cake, dyestuff = noise(lme4::Dyestuff2, 1), penicillin = noise(lme4::Penicillin, 2)
  ), parent = globalenv())
}

by_lme4 <- function(model) {
  model[[1L]] <- quote(lme4::lmer)
  model
}

fit_quietly <- function(model, data) suppressWarnings(suppressMessages(eval(model, data)))

test_that("drop1() is lme4's, with and without tests", {
  data <- selection_data()
  for (name in names(selection_models())) {
    model <- selection_models()[[name]]
    ours <- fit_quietly(model, data)
    theirs <- fit_quietly(by_lme4(model), data)
    expect_true(is_fastlmer(ours), label = name)
    for (test in c("none", "Chisq")) {
      # without rows that have missing values in the term that is dropped the number of rows changes, which is an error
      tables <- lapply(list(ours, theirs), function(fit) {
        tryCatch(suppressWarnings(suppressMessages(drop1(fit, test = test))), error = conditionMessage)
      })
      expect_identical(is.character(tables[[1L]]), name == "missing values")
      expect_equal(tables[[1L]], tables[[2L]], tolerance = 1e-5, label = paste(name, test))
      expect_identical(attributes(tables[[1L]]), attributes(tables[[2L]]), label = paste(name, test))
    }
    scope <- attr(stats::terms(ours), "term.labels")[1L]
    if (!name %in% c("interaction", "missing values")) {
      one <- suppressWarnings(suppressMessages(list(drop1(ours, scope), drop1(theirs, scope))))
      expect_equal(one[[1L]], one[[2L]], tolerance = 1e-5, label = name)
    }
  }
})

test_that("drop1(ddf = ) is lmerTest's by both methods", {
  skip_if_no_lmerTest()
  data <- selection_data()
  for (name in setdiff(names(selection_models()), "singular")) {
    fit <- fit_quietly(selection_models()[[name]], data)
    for (ddf in c("Satterthwaite", if (isREML(fit) && name != "weights and offset") "Kenward-Roger")) {
      theirs <- suppressMessages(drop1(eval(quote(lmerTest::as_lmerModLmerTest(fit)), list(fit = fit), data), ddf = ddf))
      expect_equal(suppressMessages(drop1(fit, ddf = ddf)), theirs, tolerance = 1e-4, label = paste(name, ddf))
    }
  }
  fit <- lmer(Reaction ~ Days + (Days | Subject), sleepstudy)
  expect_error(drop1(fit, ddf = "KR2"), "'arg' should be one of", fixed = TRUE)
  expect_error(drop1(fit, scope = "nothing", ddf = "Satterthwaite"))
})

test_that("chains of models have lme4's table, whoever fitted them", {
  data <- selection_data()
  chain <- function(lmer) {
    large <- lmer(Reaction ~ Days + I(Days^2) + (Days | Subject), data$sleep)
    middle <- update(large, . ~ . - I(Days^2))
    list(large, middle, update(middle, . ~ . - (Days | Subject) + (1 | Subject)), update(middle, . ~ . - Days, REML = FALSE))
  }
  table <- function(models, ...) suppressMessages(do.call(anova, c(models, list(model.names = letters[1:4]), ...)))
  ours <- chain(lmer)
  theirs <- chain(lme4::lmer)
  expect_true(all(vapply(ours, is_fastlmer, NA)))
  expect_equal(table(ours), table(theirs), tolerance = 1e-5, ignore_attr = "heading")
  expect_equal(table(c(ours[1:2], theirs[3:4])), table(theirs), tolerance = 1e-5, ignore_attr = "heading")
  restricted <- function(models) anova(models[[1L]], models[[3L]], refit = FALSE)
  expect_equal(restricted(ours), restricted(theirs), tolerance = 1e-5, ignore_attr = "heading")
  expect_equal(anova(ours[[1L]]), anova(theirs[[1L]]), tolerance = 1e-5)
})

test_that("lmerTest's step() selects what it selects by itself", {
  skip_if_no_lmerTest()
  data <- withr::with_seed(1, {
    data <- expand.grid(g = factor(1:15), h = factor(1:8), r = 1:2)
    data <- transform(data, a = factor(r), x = stats::rnorm(240), z = stats::rnorm(240))
    transform(data, y = x + stats::rnorm(15)[g] + stats::rnorm(8)[h] + 0.7 * stats::rnorm(15)[g] * x + stats::rnorm(240))
  })
  data <- list2env(list(data = data), parent = globalenv())
  formula <- y ~ a * x + z + (x | g) + (z | h)
  steps <- lapply(list(quote(fastlmer::lmer), quote(lme4::lmer)), function(lmer) {
    call <- as.call(list(lmer, formula, quote(data)))
    environment(call[[2L]]) <- data
    fit <- fit_quietly(call, data)
    suppressMessages(eval(quote(lmerTest::step(lmerTest::as_lmerModLmerTest(fit))), list(fit = fit), data))
  })
  expect_equal(steps[[1L]]$random, steps[[2L]]$random, tolerance = 1e-4)
  expect_equal(steps[[1L]]$fixed, steps[[2L]]$fixed, tolerance = 1e-3)
  expect_identical(formula(attr(steps[[1L]], "model")), formula(attr(steps[[2L]], "model")))
})

test_that("step() and stepAIC() say of a fit what they say of lme4's", {
  message_of <- function(expression) tryCatch(expression, error = conditionMessage)
  fits <- lapply(list(lmer, lme4::lmer), function(lmer) lmer(Reaction ~ Days + (Days | Subject), sleepstudy, REML = FALSE))
  said <- lapply(fits, function(fit) message_of(stats::step(fit, trace = 0)))
  expect_identical(said[[1L]], said[[2L]])
  expect_type(said[[1L]], "character")
  # what selection by AIC is made of
  expect_equal(extractAIC(fits[[1L]]), extractAIC(fits[[2L]]), tolerance = 1e-6)
})
