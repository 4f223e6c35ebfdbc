# Each model of helper-models.R, by REML and by ML, as fastlmer and as lme4 with its best optimiser fit it in the same run.
# Tolerances: the criterion is known to about 1e-13 of itself per observation; it is flat at the optimum, so that what depends on
# theta is known to the square root of that.
data <- comparison_data()

# Why lme4 warns at its optimum where there is nothing to warn of. None is known for these models.
false_warnings <- list()

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
