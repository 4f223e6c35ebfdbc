points_of <- function(x, y) data.frame(name = factor("a"), shape = "point", x = x, y = y)

test_that("the smooth line of points is lowess()'s, that of bins weighs columns by their rows", {
  x <- seq(0, 1, length.out = 50)
  data <- points_of(x, sin(6 * x))
  line <- smooth_lines(data)
  expect_equal(line[c("x", "y")], as.data.frame(stats::lowess(data$x, data$y)), ignore_attr = TRUE)
  # a straight line stays one, whatever the bins' rows; columns of less than 20 rows are left out
  bins <- expand.grid(x = 1:12, side = c(-1, 1))
  bins <- transform(bins, name = factor("a"), shape = "bin", y = 2 * x + side, rows = 10 * x)
  line <- smooth_lines(bins)
  expect_identical(line$x, as.numeric(1:12))
  expect_equal(line$y, 2 * line$x, tolerance = 1e-8)
  expect_null(smooth_lines(transform(bins, rows = 9)))
})

test_that("nothing is drawn of panels that aren't there", {
  none <- points_of(1, 1)[0, ]
  expect_null(rows_layers(none, FALSE))
  expect_null(normal_layers(none))
  expect_null(level_layers(none))
})
