sleep <- sleep_data()
source <- in_chunks(sleep, 50)
memory <- lmer(Reaction ~ Days + three + (Days | Subject), sleep)
fit <- lmer(Reaction ~ Days + three + (Days | Subject), source)

test_that("it is an engine fit of lme4's class", {
  expect_true(is_fastlmer(fit))
  expect_identical(class(fit), class(memory))
  expect_false(is_streamed(memory))
  expect_false(isSingular(fit))
})

test_that("print() and summary() show all but the residuals", {
  shown <- function(object) {
    lines <- utils::capture.output(print(object))
    residuals <- grep("^Scaled residuals", lines)
    if (length(residuals)) lines <- lines[-(residuals + 0:3)]
    lines[!grepl("^ +Data:", lines)]
  }
  expect_identical(shown(fit), shown(memory))
  expect_identical(shown(summary(fit)), shown(summary(memory)))
  expect_false(any(grepl("residuals", utils::capture.output(print(summary(fit))))))
  expect_equal(coef(summary(fit)), coef(summary(memory)), tolerance = 1e-6)
  expect_s3_class(summary(fit), "summary.merMod")
})

test_that("tidy(), emmeans() and the manual page's example work, whatever lme4 asks for", {
  skip_if_not_installed("broom.mixed")
  skip_if_not_installed("emmeans")
  expect_equal(as.data.frame(broom.mixed::tidy(fit)), as.data.frame(broom.mixed::tidy(memory)), tolerance = 1e-5)
  expect_equal(
    as.data.frame(emmeans::emmeans(fit, ~ Days, at = list(Days = c(1, 7)), data = source(1), lmer.df = "asymptotic")),
    as.data.frame(emmeans::emmeans(memory, ~ Days, at = list(Days = c(1, 7)), lmer.df = "asymptotic")),
    tolerance = 1e-5
  )
  expect_identical(names(summary(fit)), names(summary(memory)))
  chunks <- function(i) if (i <= 4) lme4::sleepstudy[45 * (i - 1) + 1:45, ]
  expect_output(print(summary(lmer(Reaction ~ Days + (Days | Subject), data = chunks))), "251.405")
})

test_that("it predicts new data", {
  new <- sleep[c(3, 77, 120), ]
  for (form in list(NULL, NA, ~ (1 | Subject))) {
    expect_equal(predict(fit, new, re.form = form), predict(memory, new, re.form = form), tolerance = 1e-6)
  }
  new$Subject <- "new"
  expect_error(predict(fit, new), "new levels detected in newdata")
  expect_equal(predict(fit, new, allow.new.levels = TRUE), predict(memory, new, allow.new.levels = TRUE), tolerance = 1e-6)
  chunks <- lapply(1:4, function(i) predict(fit, newdata = source(i)))
  expect_equal(unlist(chunks), fitted(memory), tolerance = 1e-6, ignore_attr = TRUE)
})

test_that("predictions with text, interactions of grouping factors and numbers as levels", {
  text <- transform(sleep, word = c("b", "a", "c")[three], three = as.character(three))
  for (formula in list(Reaction ~ word + (1 | text), Reaction ~ Days + (1 | number / three), Reaction ~ factor(Days) + (1 | text:three))) {
    ours <- suppressMessages(lmer(formula, in_chunks(text, 50)))
    theirs <- suppressMessages(lmer(formula, text))
    expect_equal(predict(ours, text), predict(theirs, text), tolerance = 1e-5)
  }
})

test_that("models are compared by anova()", {
  table <- function(source, ...) {
    small <- lmer(Reaction ~ three + (Days | Subject), source, ...)
    large <- lmer(Reaction ~ Days + three + (Days | Subject), source, ...)
    suppressMessages(anova(small, large))
  }
  expect_equal(as.data.frame(table(source, REML = FALSE)), as.data.frame(table(sleep, REML = FALSE)), tolerance = 1e-6)
  expect_equal(as.data.frame(table(source)), as.data.frame(table(sleep)), tolerance = 1e-6)
  expect_equal(anova(fit), anova(memory), tolerance = 1e-6)
  expect_equal(extractAIC(fit), extractAIC(memory), tolerance = 1e-7)
  expect_false(isREML(refitML(fit)))
  expect_true(is_streamed(refitML(fit)))
})

test_that("broom.mixed's tables are those of the data in memory", {
  skip_if_not_installed("broom.mixed")
  expect_equal(broom.mixed::tidy(fit), broom.mixed::tidy(memory), tolerance = 1e-5)
  expect_equal(broom.mixed::tidy(fit, effects = "ran_vals"), broom.mixed::tidy(memory, effects = "ran_vals"), tolerance = 1e-4)
  expect_equal(broom.mixed::glance(fit), broom.mixed::glance(memory), tolerance = 1e-6)
})

test_that("confidence intervals by Wald's method", {
  expect_equal(confint(fit, method = "Wald"), confint(memory, method = "Wald"), tolerance = 1e-6)
  expect_equal(confint(fit, quiet = TRUE), confint(memory, quiet = TRUE), tolerance = 1e-5)
})

test_that("it survives saveRDS()", {
  file <- withr::local_tempfile()
  saveRDS(fit, file)
  again <- readRDS(file)
  expect_equal(ranef(again), ranef(fit))
  expect_equal(fixef(refitML(again)), fixef(refitML(fit)))
})

test_that("what needs the rows is refused, with the remedy", {
  refused <- function(expression) tryCatch(expression, error = conditionMessage)
  small <- lmer(Reaction ~ three + (Days | Subject), source)
  expect_null(weights(fit))
  expect_snapshot({
    refused(fitted(fit))
    refused(residuals(fit))
    refused(predict(fit))
    refused(simulate(fit))
    refused(refit(fit, 1))
    refused(bootMer(fit, fixef, 2))
    refused(suppressMessages(confint(fit, method = "boot")))
    refused(influence(fit))
    refused(boot_lrt(fit, small, nsim = 2))
    refused(boot_resample(fit, fixef, 2))
  })
})

test_that("lme4's workspace, which ends the process without rows, is refused, also after saveRDS()", {
  file <- withr::local_tempfile()
  saveRDS(fit, file)
  for (object in list(fit, readRDS(file), refitML(fit))) {
    for (name in c("Zt", "Lambdat", "RZX", "L")) expect_error(getME(object, name), "needs the rows of the data", label = name)
    expect_error(object@pp$ptr(), "needs the rows of the data")
    expect_error(object@resp$wrss(), "needs the rows of the data")
    expect_error(object@pp$copy(), "needs the rows of the data")
  }
})

test_that("sums over the rows of the model matrix are missing, not zero", {
  expect_true(all(is.na(getME(fit, "X"))))
  expect_identical(colnames(getME(fit, "X")), colnames(getME(memory, "X")))
  skip_if_not_installed("performance")
  expect_true(is.na(suppressWarnings(performance::icc(fit))[[1]]))
})

test_that("tests and marginal means need no rows, or those of a chunk", {
  skip_if_not_installed("car")
  expect_equal(as.data.frame(car::Anova(fit)), as.data.frame(car::Anova(memory)), tolerance = 1e-5)
  skip_if_not_installed("emmeans")
  means <- function(object, ...) as.data.frame(emmeans::emmeans(object, "three", lmer.df = "asymptotic", ...))
  expect_equal(means(fit, data = source(1)), means(memory, data = source(1)), tolerance = 1e-5, ignore_attr = TRUE)
})

test_that("update() reads the source again", {
  expect_equal(fixef(update(fit, . ~ . - Days)), fixef(update(memory, . ~ . - Days)), tolerance = 1e-6)
})

test_that("what is computed again after saving has the same bits", {
  fit <- suppressMessages(lmer(Reaction ~ Days + three + (Days | Subject) + (1 | three), in_chunks(sleep_data(), 37)))
  again <- unserialize(serialize(fit, NULL))
  expect_identical(ranef(again, condVar = TRUE), ranef(fit, condVar = TRUE))
  expect_identical(refitML(again)@theta, refitML(fit)@theta)
  # the same cross-products, looked at before (for rank) or not, make the same design
  stream <- engine_mark(fit)$cache$stream
  pointer <- engine_products_load(stream$saved)
  invisible(engine_products_summary(pointer, stream$columns))
  variances <- function(model) engine_condvar(model$design, fit@theta, 1L)
  expect_identical(variances(stream_model(stream, pointer)), variances(stream_model(stream)))
})
