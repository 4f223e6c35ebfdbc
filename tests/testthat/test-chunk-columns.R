sleep <- sleep_data()

test_that("factors, text and logicals in the fixed effects", {
  sleep$word <- c("b", "a", "c")[sleep$three]
  expect_same_stream(stream_pair(Reaction ~ three + late + (1 | Subject), sleep))
  expect_same_stream(stream_pair(Reaction ~ word * Days + (1 | Subject), sleep, size = 2))
  expect_same_stream(stream_pair(Reaction ~ three * late * Days + (1 | Subject), sleep))
  expect_same_stream(stream_pair(Reaction ~ Days:three + three + (1 | Subject), sleep))
  expect_same_stream(stream_pair(Reaction ~ three:late - 1 + (1 | Subject), sleep))
  expect_same_stream(stream_pair(Reaction ~ factor(Days) + (1 | Subject), sleep, size = 3))
  expect_same_stream(stream_pair(Reaction ~ ordered(three) + (1 | Subject), sleep))
  expect_same_stream(stream_pair(Reaction ~ half + (1 | Subject), transform(sleep, half = factor(half, levels = c("x", 5:0)))))
  expect_same_stream(stream_pair(Reaction ~ three + (three | Subject), sleep, REML = FALSE), 1e-6)
})

test_that("contrasts are the user's", {
  expect_same_stream(stream_pair(Reaction ~ three * late + (1 | Subject), sleep, contrasts = list(three = "contr.sum")))
  expect_same_stream(stream_pair(Reaction ~ three + (1 | Subject), sleep, contrasts = list(three = contr.helmert)))
  own <- sleep
  stats::contrasts(own$three) <- stats::contr.helmert(3)
  expect_same_stream(stream_pair(Reaction ~ three + (1 | Subject), own))
  withr::local_options(contrasts = c("contr.sum", "contr.poly"))
  expect_same_stream(stream_pair(Reaction ~ three + (1 | Subject), sleep))
})

test_that("fewer contrasts than a factor has levels leave the other columns out of X", {
  one <- matrix(c(-1, 0, 1), 3, dimnames = list(NULL, "lin"))
  expect_same_stream(stream_pair(Reaction ~ three + Days + (1 | Subject), sleep, contrasts = list(three = one)))
})

test_that("levels that a subset leaves out are dropped", {
  expect_same_stream(stream_pair(Reaction ~ three + (1 | Subject), sleep, subset = three != "1"))
  expect_same_stream(stream_pair(Reaction ~ three * late + (1 | Subject), sleep, subset = !(three == "1" & late)))
})
