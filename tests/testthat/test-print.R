test_that("print() and show() are lme4's, whichever way they are asked for", {
  pairs <- fit_pair(Reaction ~ Days + (Days | Subject), lme4::sleepstudy)
  printed <- lapply(pairs, function(fit) capture.output(print(fit)))
  expect_identical(printed[[1L]], printed[[2L]])
  expect_identical(capture.output(methods::show(pairs[[1L]])), printed[[1L]])
  expect_identical(capture.output(print(pairs[[1L]], digits = 3)), capture.output(print(pairs[[2L]], digits = 3)))
  capture.output(expect_invisible(print(pairs[[1L]])))
})
