fit <- lmer(Reaction ~ Days + (Days | Subject), sleepstudy)

test_that("the power of an existing design is the share of rejected simulated responses", {
  power <- simulate_power(fit, "Days", effects = list(Days = 5), nsim = 60, method = "lrt", seed = 3)
  beta <- replace(fixef(fit), "Days", 5)
  # the same responses by bootMer()'s streams
  record <- engine_of(fit)
  y <- engine_simulate(engine_pointer(record), record$x, record$codes, record$z, record$weights, list(
    mean = drop(getME(fit, "X") %*% beta), sigma = sigma(fit), theta = getME(fit, "theta"), rng = list(seed = 3, first = 1, count = 60)
  ))
  p <- apply(y, 2, function(y) {
    data <- transform(sleepstudy, Reaction = y)
    large <- suppressWarnings(suppressMessages(lme4::lmer(Reaction ~ Days + (Days | Subject), data, REML = FALSE)))
    small <- suppressWarnings(suppressMessages(lme4::lmer(Reaction ~ 1 + (Days | Subject), data, REML = FALSE)))
    suppressMessages(anova(large, small))[2, "Pr(>Chisq)"]
  })
  expect_equal(power$power, mean(p < 0.05))
  expect_equal(unlist(power[c("conf.low", "conf.high")], use.names = FALSE), as.numeric(binom.test(sum(p < 0.05), 60)$conf.int))
})

test_that("Wald tests are those of each refit", {
  record <- engine_of(fit)
  responses <- list(
    mean = drop(getME(fit, "X") %*% c(250, 4)), sigma = sigma(fit), theta = getME(fit, "theta"), rng = list(seed = 1, first = 1, count = 8)
  )
  y <- engine_simulate(engine_pointer(record), record$x, record$codes, record$z, record$weights, responses)
  plan <- list(contrast = diag(2), method = "z", threads = 1L)
  expected <- apply(y, 2, function(y) {
    refitted <- suppressMessages(refit(fit, y))
    pchisq(sum(fixef(refitted) * solve(as.matrix(vcov(refitted)), fixef(refitted))), 2, lower.tail = FALSE)
  })
  expect_equal(power_tests(record, responses, plan)$p, expected, tolerance = 1e-6)
})

test_that("t and F tests are lmerTest's of each refit", {
  skip_if_no_lmerTest()
  data <- transform(sleepstudy, f = factor(Days %% 3))
  model <- lmer(Reaction ~ f + Days + (Days | Subject), data)
  record <- engine_of(model)
  responses <- list(
    mean = fitted(model), sigma = sigma(model), theta = getME(model, "theta"), rng = list(seed = 1, first = 1, count = 6)
  )
  y <- engine_simulate(engine_pointer(record), record$x, record$codes, record$z, record$weights, responses)
  for (contrast in list(rbind(c(0, 0, 0, 1)), rbind(c(0, 1, 0, 0), c(0, 0, 1, 0)))) {
    expected <- apply(y, 2, function(y) {
      refitted <- lmerTest::as_lmerModLmerTest(lmer(y ~ f + Days + (Days | Subject), data))
      lmerTest::contestMD(refitted, contrast)[["Pr(>F)"]]
    })
    tested <- power_tests(record, responses, list(contrast = contrast, method = "t", threads = 2L))
    # at the boundary lmerTest's numerical derivatives reach beyond it
    inside <- !tested$singular
    expect_gte(sum(inside), 4)
    expect_equal(tested$p[inside], expected[inside], tolerance = 1e-5)
  }
})

test_that("a design grows by copies of whole levels, nested factors with them, crossed ones not", {
  data <- expand.grid(child = 1:4, class = 1:3, school = 1:5, item = 1:2)
  data <- within(data, {
    class <- factor(paste(school, class))
    school <- factor(school)
    item <- factor(item)
    type <- as.numeric(as.integer(school) > 2)
    y <- sin(seq_along(item)) + as.integer(class) %% 4
  })
  model <- suppressMessages(lmer(y ~ type + (1 | school) + (1 | class) + (1 | item), data))
  record <- engine_of(model)
  grown <- grown_record(record, "school", 12)
  expect_equal(grown$nlev[match(c("school", "class", "item"), names(grown$flist))], c(12L, 36L, 2L))
  expect_equal(as.integer(table(grown$flist$school)), rep(24L, 12))
  expect_equal(as.integer(table(grown$flist$class)), rep(8L, 36))
  # two copies, and two of the five more: of both types
  expect_equal(as.numeric(tapply(grown$x[, "type"], grown$flist$school, mean)), c(0, 0, 1, 1, 1, 0, 0, 1, 1, 1, 0, 1))
  fewer <- grown_record(record, "school", 3)
  expect_equal(fewer$nlev[match(c("school", "class", "item"), names(fewer$flist))], c(3L, 9L, 2L))
  expect_setequal(fewer$x[, "type"], 0:1)
  # along an inner factor the outer one keeps its levels
  expect_equal(grown_record(record, "class", 30)$nlev[match(c("school", "class"), names(grown$flist))], c(5L, 30L))
})

test_that("more subjects and larger effects have more power, and the result depends on the seed alone", {
  power <- function(threads, seed = 1) {
    simulate_power(fit, "Days", "Subject", c(6, 18), list(Days = c(0, 8)), nsim = 200, method = "z", seed = seed, threads = threads)
  }
  table <- power(1)
  expect_s3_class(table, c("power_table", "data.frame"), exact = TRUE)
  expect_named(table, c("Subject", "Days", "nsim", "power", "conf.low", "conf.high", "singular", "failed"))
  expect_equal(table$Subject, c(6, 6, 18, 18))
  expect_true(all(table$power[c(1, 3)] < 0.2) && table$power[2] < table$power[4] && table$power[4] > 0.95)
  expect_identical(power(3), table)
  expect_false(identical(power(1, 2)$power, table$power))
})

test_that("contrasts, terms and coefficients name the same test", {
  data <- transform(sleepstudy, f = factor(Days %% 3))
  model <- lmer(Reaction ~ f + (1 | Subject), data)
  by <- function(test) simulate_power(model, test, nsim = 50, method = "lrt", seed = 1, effects = list(f2 = 10))$power
  expect_equal(by("f"), by(c("f1", "f2")))
  expect_equal(by("f"), by(rbind(c(0, 1, 0), c(0, 1, -1))))
})

test_that("populations may have other parameters, and weights and offsets stay", {
  data <- transform(sleepstudy, w = 1 + Days, o = Days)
  model <- lmer(Reaction ~ Days + (1 | Subject), data, weights = w, offset = o)
  large <- simulate_power(model, "Days", nsim = 100, method = "z", seed = 1, newparams = list(sigma = 500, beta = c(250, 2)))
  small <- simulate_power(model, "Days", nsim = 100, method = "z", seed = 1, newparams = list(sigma = 1, theta = 0.1))
  expect_lt(large$power, 0.5)
  expect_equal(small$power, 1)
})

test_that("what makes no sense is refused by name", {
  expect_error(simulate_power(fit, "Day"), "no fixed effect or term is called .Day.; there are .*Days")
  expect_error(simulate_power(fit, 1:3), "'test' has 3 columns, the model 2 fixed effects")
  expect_error(simulate_power(fit, rbind(1:2, 2:1, 0:1)), "independent rows")
  expect_error(simulate_power(fit, "Days", along = "subject"), "'along' must be the name of a grouping factor: .Subject.")
  expect_error(simulate_power(fit, "Days", sizes = 10), "'sizes' needs 'along'")
  expect_error(simulate_power(fit, "Days", "Subject", 1.5), "'sizes' must be whole numbers")
  expect_error(simulate_power(fit, "Days", effects = list(day = 1)), "'effects' names .day., which is no fixed effect")
  expect_error(simulate_power(fit, "Days", nsim = 0), "'nsim' must be a positive number")
  expect_error(simulate_power(fit, "Days", alpha = 5), "'alpha' must be a number between 0 and 1")
  expect_error(simulate_power(fit, "Days", newparams = list(theta = 1)), "'newparams\\$theta' must have 3 finite numbers")
  expect_error(simulate_power(lm(Reaction ~ Days, sleepstudy), "Days"), "'fit' must be a linear mixed model")
  expect_error(
    simulate_power(lmer(Reaction ~ Days + factor(as.integer(Subject) %% 4) + (1 | Subject), sleepstudy), "Days", "Subject", 2),
    "with 2 levels of 'Subject' the fixed effects can't be told apart"
  )
})

test_that("a power table is printed", {
  table <- simulate_power(fit, "Days", "Subject", c(6, 12), list(Days = c(3, 6)), nsim = 20, method = "z", seed = 1)
  expect_output(print(table), "Power of the Wald test at level 0.05.*Subject Days nsim power")
})
