test_that("R's own bars are asked by their names, and get their arguments", {
  shown <- capture.output({
    bar <- progress_bar("txt", list(style = 3, width = 20), 8)
    for (done in c(2, 4, 8)) bar$set(done)
    bar$close()
  })
  expect_true(bar$shown)
  expect_match(paste(shown, collapse = ""), "25%.*50%.*100%")
  expect_error(progress_bar("none such", list(), 8))
})

test_that("nothing is shown where nobody looks", {
  for (kind in c("none", "off")) {
    bar <- progress_bar(kind, list(), 3)
    expect_silent(bar$set(1))
    expect_silent(bar$close())
    expect_false(bar$shown)
  }
})

test_that("cli's bar knows how much is done", {
  skip_if_not_installed("cli")
  withr::local_options(cli.progress_show_after = 0, cli.progress_clear = FALSE, cli.dynamic = FALSE)
  bar <- progress_bar("cli", list(), 4)
  expect_true(bar$shown)
  bar$set(4)
  expect_no_error(bar$close())
})
