test_that("VarCorr() of a replicate's fit, and its data frame, are lme4's", {
  fits <- resampling_fits()
  theirs <- get("VarCorr.merMod", envir = asNamespace("lme4"))
  for (name in names(fits)) {
    fit <- refit(fits[[name]], fits[[name]]@resp$y)
    expected <- theirs(fit)
    ours <- VarCorr(light(fit))
    expect_equal(as.data.frame(ours), as.data.frame(expected), tolerance = 1e-12, label = name)
    expect_equal(as.data.frame(ours, order = "lower.tri"), as.data.frame(expected, order = "lower.tri"), tolerance = 1e-12)
    expect_equal(capture.output(print(ours)), capture.output(print(expected)))
    class(ours) <- "VarCorr.merMod"
    expect_equal(ours, expected, tolerance = 1e-12, label = name)
  }
})

test_that("fixef() is lme4's, for any fit", {
  theirs <- get("fixef.merMod", envir = asNamespace("lme4"))
  for (fit in c(resampling_fits(), resampling_fits(lme4::lmer))) {
    expect_identical(fixef(fit), theirs(fit))
    expect_identical(fixef(fit, add.dropped = TRUE), theirs(fit, add.dropped = TRUE))
  }
})

test_that("VarCorr() of a fit is lme4's, attributes and all", {
  data <- sleep_data()
  for (formula in list(
    Reaction ~ Days + (Days | Subject), Reaction ~ Days + (1 | Subject) + (0 + Days | Subject), Reaction ~ three + (0 + three | Subject)
  )) {
    fit <- suppressMessages(lmer(formula, data))
    theirs <- getFromNamespace("VarCorr.merMod", "lme4")(fit)
    expect_equal(VarCorr(fit), theirs, tolerance = 1e-14)
    expect_identical(attributes(VarCorr(fit)), attributes(theirs))
    expect_identical(lapply(VarCorr(fit), function(v) names(attributes(v))), lapply(theirs, function(v) names(attributes(v))))
  }
})
