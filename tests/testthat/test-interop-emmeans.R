# emmeans' degrees of freedom by the engine, beside its own for the same fit.
skip_if_not_installed("emmeans")
skip_if_not_installed("pbkrtest")
loadNamespace("emmeans")

factors <- lmer(angle ~ recipe * temperature + (1 | recipe:replicate), cake)
slopes <- lmer(Reaction ~ Days + I(Days^2) + (Days | Subject), sleepstudy)

# What emmeans says of a fit that it takes for its own to compute.
by_emmeans <- function(expr) {
  methods <- Filter(function(method) method$package %in% c("emmeans", "pbkrtest"), cache$methods)
  lapply(methods, remove_method)
  on.exit(lapply(methods, add_method, replace = TRUE))
  force(expr)
}
table <- function(grid) as.data.frame(grid)

test_that("means, contrasts and joint tests are emmeans' own", {
  expect_same <- function(answer, tolerance = 1e-5) {
    ours <- answer()
    expect_equal(ours, by_emmeans(answer()), tolerance = tolerance)
  }
  expect_same(function() table(emmeans::test(emmeans::emmeans(factors, ~temperature), joint = TRUE)))
  expect_same(function() table(emmeans::emmeans(factors, ~recipe, df = 7)))
  expect_same(function() capture.output(print(emmeans::emmeans(factors, ~recipe))))
  expect_same(function() table(emmeans::emmeans(factors, ~recipe, vcov. = 2 * as.matrix(vcov(factors)), lmer.df = "asymptotic")))
  aliased <- suppressMessages(lmer(Reaction ~ Days + I(2 * Days) + factor(Days > 4) + (1 | Subject), sleepstudy))
  expect_same(function() table(emmeans::emmeans(aliased, "Days", at = list(Days = 1:2))))
  for (df in c("kenward-roger", "asymptotic", "satterthwaite")) {
    if (df == "satterthwaite") skip_if_no_lmerTest()
    expect_same(function() table(emmeans::emmeans(factors, ~ recipe | temperature, lmer.df = df)), 1e-4)
    expect_same(function() table(emmeans::emmeans(factors, pairwise ~ recipe, lmer.df = df)$contrasts), 1e-4)
    expect_same(function() table(emmeans::joint_tests(factors, lmer.df = df)), 1e-4)
    expect_same(function() table(emmeans::emtrends(slopes, ~Days, "Days", at = list(Days = c(1, 8)), lmer.df = df)), 1e-4)
  }
  expect_same(function() table(emmeans::emmeans(factors, ~recipe, mode = "sat")), 1e-4)
})

test_that("there is no limit of rows, and no need of pbkrtest or lmerTest", {
  data <- withr::with_seed(1, {
    data <- data.frame(g = factor(rep(1:20, 200)), a = factor(rep(1:2, each = 20)))
    data$y <- stats::rnorm(20)[data$g] + stats::rnorm(4000)
    data
  })
  fit <- lmer(y ~ a + (1 | g), data)
  for (df in c("kenward-roger", "satterthwaite")) {
    expect_silent(means <- table(emmeans::emmeans(fit, ~a, lmer.df = df)))
    expect_true(all(is.finite(means$df)))
  }
  other <- lme4::glmer(cbind(incidence, size - incidence) ~ period + (1 | herd), lme4::cbpp, stats::binomial)
  expect_identical(table(emmeans::emmeans(other, ~period)), by_emmeans(table(emmeans::emmeans(other, ~period))))
})

test_that("a grid is complete in itself", {
  for (df in c("kenward-roger", "satterthwaite")) {
    grid <- emmeans::emmeans(slopes, ~Days, at = list(Days = 1:2), lmer.df = df)
    file <- withr::local_tempfile()
    saveRDS(grid, file)
    expect_equal(table(readRDS(file)), table(grid))
  }
})

test_that("degrees of freedom of several rows are pbkrtest's", {
  L <- diag(3)[2:3, ]
  basis <- kenward_roger_basis(slopes)
  expect_equal(kenward_roger_df(L, basis$dfargs), test_kr(slopes, L)$ddf, tolerance = 1e-9)
  expect_equal(kenward_roger_df(rbind(L, L[1L, ]), basis$dfargs), test_kr(slopes, L)$ddf, tolerance = 1e-9)
  expect_equal(kenward_roger_df(c(0, 1, 0), basis$dfargs), test_kr(slopes)$df[[2L]], tolerance = 1e-9)
  expect_identical(kenward_roger_df(c(0, 0, 0), basis$dfargs), NA_real_)
})
