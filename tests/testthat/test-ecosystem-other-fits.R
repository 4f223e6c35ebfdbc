# Fits that aren't linear mixed models of lmer()'s go their own way in every method of ours: what lme4's method gives, or its error.

answer_of <- function(call) {
  answer <- tryCatch(suppressWarnings(suppressMessages(call)), error = conditionMessage)
  # splines have the environments of their calls
  if (inherits(answer, "thpr")) lapply(answer, as.vector) else answer
}

theirs <- function(generic, fit, ...) {
  of_class <- function(class) utils::getS3method(generic, class, optional = TRUE, envir = asNamespace("lme4"))
  method <- of_class(class(fit)[[1L]]) %||% of_class("merMod")
  method(fit, ...)
}

expect_left_alone <- function(fit, generics) {
  for (generic in names(generics)) {
    arguments <- c(list(fit), generics[[generic]])
    ours <- answer_of(do.call(generic, arguments))
    expect_equal(ours, answer_of(do.call(theirs, c(list(generic), arguments))), label = paste(generic, class(fit)[[1L]]))
  }
}

methods_to_leave_alone <- list(
  predict = list(), hatvalues = list(), cooks.distance = list(), rstudent = list(), confint = list(method = "Wald"),
  simulate = list(seed = 1), ranef = list(), fixef = list(), VarCorr = list(), vcov = list(), summary = list(), anova = list(),
  profile = list(which = 1)
)

test_that("fits of blme go their own way", {
  skip_if_not_installed("blme")
  fit <- tryCatch(
    suppressWarnings(blme::blmer(Reaction ~ Days + (Days | Subject), lme4::sleepstudy)),
    error = function(e) skip("this blme doesn't know this lme4")
  )
  expect_false(is_fastlmer(fit))
  # blme has its own summary(); the others are lme4's
  expect_left_alone(fit, methods_to_leave_alone[setdiff(names(methods_to_leave_alone), c("summary", "profile"))])
})

test_that("generalised and nonlinear fits go their own way", {
  generalised <- glmer(cbind(incidence, size - incidence) ~ period + (1 | herd), lme4::cbpp, stats::binomial)
  expect_left_alone(generalised, methods_to_leave_alone)
  nonlinear <- nlmer(
    circumference ~ SSlogis(age, Asym, xmid, scal) ~ Asym | Tree, datasets::Orange, start = c(Asym = 200, xmid = 725, scal = 350)
  )
  some <- c("predict", "ranef", "fixef", "VarCorr", "vcov", "summary", "hatvalues", "simulate")
  expect_left_alone(nonlinear, methods_to_leave_alone[some])
})
