# Each model of helper-models.R, by REML and by ML, as fastlmer and as lme4 with its best optimiser fit it in the same run.
# Tolerances: the criterion is known to about 1e-13 of itself per observation; it is flat at the optimum, so that what depends on
# theta is known to the square root of that.
data <- comparison_data()

# At lme4's optimum none of these models is warned of falsely, so that the messages and warnings are the same without exception.

expect_below <- function(measured, tolerance, where) {
  for (name in names(measured)) {
    expect_true(measured[[name]] <= tolerance, label = sprintf("%s of %s: %.3g <= %.1g", name, where, measured[[name]], tolerance))
  }
}

expect_same_model <- function(comparison) {
  where <- paste0(comparison$model, if (comparison$reml) " (REML)" else " (ML)")
  ours <- comparison$ours$value
  theirs <- comparison$theirs$value
  expect_true(is_fastlmer(ours), label = where)
  expect_identical(comparison$ours$conditions, comparison$theirs$conditions, label = where)
  expect_below(c(criterion = criterion(ours) - criterion(theirs)), max(1e-6, 1e-13 * nobs(theirs)), where)
  expect_below(distances(ours, theirs), 1e-4, where)
  expect_identical(inputs(ours), inputs(theirs), label = where)
  # lme4 takes seconds for the conditional variances of InstEval whole: once is enough.
  variances <- nobs(theirs) < 50000 || where == "InstEval: s + d (REML)"
  if (variances) expect_below(c(variances = variance_distance(ours, theirs)), 1e-4, where)
  expect_same_views(with_conditions(views(ours, variances)), with_conditions(views(theirs, variances)), where)
  expect_same_predictions(comparison, where)
}

expect_same_views <- function(mine, lme4s, where) {
  expect_identical(mine$conditions, lme4s$conditions, label = where)
  expect_length(grep("^error: ", mine$conditions), 0L)
  for (name in names(lme4s$value)) {
    expect_identical(skeleton(mine$value[[name]]), skeleton(lme4s$value[[name]]), label = paste(name, "of", where))
  }
}

expect_same_predictions <- function(comparison, where) {
  theirs <- comparison$theirs$value
  known <- new_rows(comparison)
  unknown <- with_new_levels(known, theirs)
  mine <- predictions(comparison$ours$value, known, unknown)
  lme4s <- predictions(theirs, known, unknown)
  expect_below(c(predictions = prediction_distance(mine, lme4s, sigma(theirs))), 1e-4, where)
  expect_identical(skeleton(mine), skeleton(lme4s), label = paste("predictions of", where))
  expect_true(is.null(mine$refused$value))
  expect_false(is.null(mine$unknown$value))
}

rows <- comparison_rows()
for (i in seq_len(nrow(rows))) {
  test_that(paste0(rows$model[[i]], if (rows$reml[[i]]) ", REML" else ", ML"), {
    expect_same_model(compare_model(rows$model[[i]], rows$reml[[i]], data))
  })
}

# What a user of lme4 gets without choosing an optimiser, judged by lme4's own criterion.
expect_lower <- function(model, reml, by) {
  call <- match.call(lme4::lmer, comparison_models()[[model]])
  call$REML <- reml
  ours <- fit_call(call, quote(fastlmer::lmer), data)$value
  default <- fit_call(call, quote(lme4::lmer), data)$value
  call$devFunOnly <- TRUE
  at_ours <- fit_call(call, quote(lme4::lmer), data)$value(lme4::getME(ours, "theta"))
  expect_equal(at_ours, criterion(ours), tolerance = 1e-9)
  expect_lt(at_ours, criterion(default) - by)
}

test_that("where lme4's default optimiser stops early, lme4's criterion is lower at our optimum", {
  skip_if(utils::packageVersion("lme4") != "1.1.31", "other versions may stop elsewhere")
  expect_lower("sleepstudy: polynomials", TRUE, by = 14)
  expect_lower("cake: slope", TRUE, by = 0.02)
  expect_lower("cake: slope", FALSE, by = 0.1)
  expect_lower("sleepstudy: I(Days^2) + Days | S", FALSE, by = 1e-5)
})
