sleep <- sleep_data()

test_that("expressions that look at other rows are refused, with the remedy", {
  refused <- function(formula, ...) tryCatch(lmer(formula, in_chunks(sleep, 50), ...), error = conditionMessage)
  by_subset <- function() lmer(Reaction ~ Days + (1 | Subject), in_chunks(sleep, 50), subset = Days > median(Days))
  expect_snapshot({
    refused(Reaction ~ poly(Days, 2) + (1 | Subject))
    refused(scale(Reaction) ~ Days + (1 | Subject))
    refused(Reaction ~ I(Days - mean(Days)) + (1 | Subject))
    refused(Reaction ~ splines::ns(Days, 2) + (1 | Subject))
    refused(Reaction ~ as.integer(factor(text)) + (1 | Subject))
    refused(Reaction ~ Days + (1 | factor(text)))
    refused(Reaction ~ Days + (text | three))
    tryCatch(by_subset(), error = conditionMessage)
    refused(Reaction ~ . + (1 | Subject))
    refused(Reaction ~ Days)
    refused(Reaction ~ Days + (1 | Subject), na.action = na.pass)
    refused(Reaction ~ Days + (1 | Subject), devFunOnly = TRUE)
  })
})

test_that("chunks that don't fit together are refused, with the remedy", {
  two <- function(a, b) {
    parts <- list(a, b)
    function(i) if (i <= 2L) parts[[i]]
  }
  refused <- function(a, b, formula = Reaction ~ x + (1 | Subject)) tryCatch(lmer(formula, two(a, b)), error = conditionMessage)
  first <- sleep[1:90, ]
  second <- sleep[91:180, ]
  with_x <- function(data, x) {
    data$x <- x
    data
  }
  expect_snapshot({
    refused(with_x(first, 1), with_x(second, "a"))
    refused(with_x(first, factor("a")), with_x(second, factor("b")))
    refused(with_x(first, 1), second)
    refused(with_x(first, 1:90), as.list(second))
    refused(first, second, Reaction ~ elsewhere + (1 | Subject))
    refused(with_x(first, cbind(1, 1:90)), with_x(second, 1))
    refused(with_x(first, as.Date("2024-01-01")), with_x(second, 1))
    refused(with_x(first, c(NA, 1:89)), with_x(second, Inf))
    refused(with_x(first, factor("a")), with_x(second, factor("b")), Reaction ~ as.integer(x) + (1 | Subject))
    refused(first, transform(second, Subject = as.numeric(Subject)), Reaction ~ 1 + (1 | Subject))
    refused(first[0, ], second[0, ], Reaction ~ Days + (1 | Subject))
  })
})

test_that("a vector of the workspace is no column of a chunk", {
  outside <- rnorm(50)
  expect_error(lmer(Reaction ~ outside + (1 | Subject), in_chunks(sleep, 50)), "not a column of the chunks")
})
