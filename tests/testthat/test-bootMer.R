fit <- lmer(Reaction ~ Days + (Days | Subject), lme4::sleepstudy)

test_that("each replicate is the exact fit of the response that simulate() draws, for every kind of model", {
  fits <- resampling_fits()
  statistic <- function(f) c(fixef(f), sigma = sigma(f))
  for (name in names(fits)) {
    fit <- fits[[name]]
    boot <- bootMer(fit, statistic, nsim = 3, seed = 5)
    y <- simulate(fit, 3, seed = 5, na.action = na.omit)
    for (i in 1:3) expect_equal(boot$t[i, ], statistic(exact_fit(fit, y[[i]])), tolerance = 1e-5, label = name)
  }
})

test_that("the object is lme4's", {
  ml <- lmer(Reaction ~ Days + (Days | Subject), lme4::sleepstudy, REML = FALSE)
  ours <- bootMer(ml, fixef, nsim = 50, seed = 1)
  state <- .Random.seed
  theirs <- lme4::bootMer(ml, fixef, nsim = 50, seed = 1)
  expect_identical(names(ours), names(theirs))
  expect_identical(state, .Random.seed)
  for (part in setdiff(names(ours), "call")) expect_equal(ours[[part]], theirs[[part]], tolerance = 1e-5, label = part)
  expect_equal(attributes(ours)[names(attributes(theirs))], attributes(theirs))
  expect_identical(setdiff(names(attributes(ours)), names(attributes(theirs))), "singular")
  expect_identical(rownames(confint(ours, level = 0.8)), rownames(confint(theirs, level = 0.8)))
  expect_equal(as.data.frame(ours), as.data.frame(theirs), tolerance = 1e-5)
  expect_output(print(ours), "PARAMETRIC BOOTSTRAP")
  expect_s3_class(boot::boot.ci(ours, index = 2, conf = 0.8, type = c("norm", "basic", "perc")), "bootci")
  semi <- bootMer(ml, fixef, nsim = 4, seed = 1, use.u = TRUE, type = "semiparametric")
  expect_equal(semi$t, lme4::bootMer(ml, fixef, nsim = 4, seed = 1, use.u = TRUE, type = "semiparametric")$t, tolerance = 1e-5)
  expect_error(bootMer(ml, fixef, type = "semiparametric"), "not yet implemented")
  expect_error(bootMer(ml, function(f) "a"), "return numeric vectors")
})

test_that("random effects may be kept, wholly or in part", {
  for (arguments in list(list(use.u = TRUE), list(re.form = NULL), list(re.form = ~ (1 | Subject)))) {
    boot <- do.call(bootMer, c(list(fit, fixef, nsim = 2, seed = 9), arguments))
    y <- do.call(simulate, c(list(fit, nsim = 2, seed = 9), arguments))
    expect_equal(boot$t[2, ], fixef(refit(fit, y[2])), tolerance = 1e-7)
  }
})

test_that("other models are lme4's", {
  binary <- glmer(cbind(incidence, size - incidence) ~ period + (1 | herd), data = lme4::cbpp, family = binomial)
  expect_s3_class(suppressMessages(bootMer(binary, fixef, nsim = 1, seed = 1)), "bootMer")
})

test_that("the environment for the call's control may be given", {
  made <- function() {
    quiet <- lmerControl(check.conv.singular = "ignore")
    list(fit = lmer(Yield ~ 1 + (1 | Batch), lme4::Dyestuff2, control = quiet), env = environment())
  }
  made <- made()
  told <- function(...) sum(attr(bootMer(made$fit, sigma, nsim = 20, seed = 1, ...), "boot.all.msgs")[["factory-message"]])
  expect_gt(told(), 0)
  expect_identical(told(call.env = made$env), 0L)
})

test_that("columns of t have lme4's names, whatever FUN returns", {
  fit <- lmer(Reaction ~ Days + (1 | Subject), sleepstudy)
  lme4s <- lme4::lmer(Reaction ~ Days + (1 | Subject), sleepstudy)
  functions <- list(
    function(fit) cbind(fixef(fit), twice = 2 * fixef(fit)), function(fit) matrix(1:4 + 0, 2, dimnames = list(c("a", "b"), c("c", "d"))),
    function(fit) unname(cbind(fixef(fit))), fixef, function(fit) unname(fixef(fit)), sigma, function(fit) c(s = sigma(fit)),
    function(fit) as.matrix(vcov(fit)), function(fit) array(1:8 + 0, c(2, 2, 2)), function(fit) unlist(data.frame(a = 1:2, b = 3))
  )
  for (FUN in functions) {
    ours <- bootMer(fit, FUN, nsim = 2, seed = 1)
    theirs <- lme4::bootMer(lme4s, FUN, nsim = 2, seed = 1)
    expect_identical(dimnames(ours$t), dimnames(theirs$t))
    expect_identical(dim(ours$t), dim(theirs$t))
    expect_identical(attributes(ours$t0), attributes(theirs$t0))
  }
})
