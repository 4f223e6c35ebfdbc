test_that("a batch has each response's fit", {
  fits <- resampling_fits()
  for (name in c("slopes", "weights", "offset", "missing", "excluded", "crossed")) {
    fit <- fits[[name]]
    y <- simulate(fit, 4, seed = 1)
    many <- refit(fit, y, threads = 2)
    expect_s3_class(many, "refit_many")
    expect_length(many, 4L)
    table <- as.data.frame(many)
    expect_identical(table$response, paste0("sim_", 1:4))
    for (i in 1:4) {
      one <- suppressMessages(refit(fit, y[i]))
      expect_equal(unlist(table[i, names(fixef(fit)), drop = FALSE]), fixef(one), tolerance = 1e-7, label = name)
      expect_equal(table$sigma[i], sigma(one), tolerance = 1e-7)
      expect_equal(as.numeric(many$theta[, i]), unname(getME(one, "theta")), tolerance = 1e-5)
      expect_identical(table$singular[i], isSingular(one))
    }
  }
})

test_that("a matrix, one fit of a batch, standard errors, and responses that can't be fitted", {
  fit <- lmer(Reaction ~ Days + (Days | Subject), lme4::sleepstudy)
  y <- as.matrix(simulate(fit, 3, seed = 1))
  colnames(y) <- c("a", "b", "c")
  y[1, "c"] <- NA
  many <- refit(fit, y)
  expect_equal(fixef(many[["b"]]), fixef(refit(fit, y[, "b"])))
  expect_equal(fixef(many[[1]]), fixef(many)[1, ], tolerance = 1e-8)
  expect_true(is.na(as.data.frame(many)$converged[3]))
  expect_error(many[[4]], "subscript out of bounds")
  skip_if_not_installed("generics")
  tidied <- generics::tidy(many)
  expect_equal(tidied$std.error[1:2], unname(sqrt(diag(as.matrix(vcov(many[[1]]))))), tolerance = 1e-6)
  expect_output(print(many), "3 fits of one model, by REML")
  expect_error(refit(fit, y[1:10, ]), "the new response has 10 values")
})
