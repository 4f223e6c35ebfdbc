test_that("integers make the factor that factor() makes", {
  set.seed(1)
  for (x in list(c(7L, -3L, 7L, 12L, 0L), sample(1000L, 5000L, TRUE), sample(.Machine$integer.max, 100L), 5L, integer())) {
    expect_identical(integer_factor(x), factor(x))
  }
})

test_that("an integer column groups as its factor does", {
  fits <- both(Reaction ~ Days + (Days | number), sleep_data())
  expect_same_fit(fits)
  expect_identical(levels(fits$ours$value@flist$number), levels(fits$theirs$value@flist$number))
})

test_that("a term with the columns of the fixed effects shares their matrix", {
  frame <- model.frame(Reaction ~ Days + w + Subject, sleep_data())
  x <- plain_matrix(Reaction ~ Days, frame, NULL)
  bars <- list(quote(Days | Subject), quote(1 + Days | Subject), quote(0 + Days | Subject), quote(Days + w | Subject))
  terms <- random_terms(bars, frame, x)
  expect_identical(terms$z[1:2], list(x, x))
  expect_identical(lapply(terms$z[3:4], unname), list(matrix(frame$Days), cbind(1, frame$Days, frame$w)))
  expect_identical(unname(terms$cnms), list(c("(Intercept)", "Days"), c("(Intercept)", "Days"), "Days", c("(Intercept)", "Days", "w")))
})
