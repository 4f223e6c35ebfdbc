test_that("an axis has all names, every second from the last on, or none", {
  expect_identical(named_levels(letters[1:4], at_most = 8L), letters[1:4])
  expect_identical(named_levels(letters[1:5], at_most = 8L), c("a", "c", "e"))
  expect_identical(named_levels(letters[1:6], at_most = 8L), c("b", "d", "f"))
  expect_identical(named_levels(letters[1:9], at_most = 8L), character())
  expect_identical(named_levels(character()), character())
})

test_that("a choice is one of those that there are", {
  expect_identical(one_choice("b", c("a", "b"), "type"), "b")
  for (wrong in list("c", c("a", "b"), 1, NULL, NA_character_)) {
    expect_error(one_choice(wrong, c("a", "b"), "type"), "'type' must be one of \"a\", \"b\"", class = "fastlmer_argument_error")
  }
})

test_that("names are chosen by number or by name", {
  expect_identical(chosen_numbers(NULL, letters[1:3], "which"), 1:3)
  expect_identical(chosen_numbers(c("c", "a"), letters[1:3], "which"), c(3L, 1L))
  expect_identical(chosen_numbers(2, letters[1:3], "which"), 2L)
  for (wrong in list("d", 4, 0, -1, character(), NA)) {
    expect_error(chosen_numbers(wrong, letters[1:3], "which"), "'which' must be numbers up to 3", class = "fastlmer_argument_error")
  }
  expect_error(chosen_numbers("no", paste0("n", 1:30), "which"), "'n20', '...'", fixed = TRUE)
})

test_that("parameters are named in words", {
  expect_identical(
    parameter_words(c("sd_Days|Subject", "cor_Days.(Intercept)|Subject", "var_x|a:b", "cov_x.y|g", ".sigma", "sigma", ".sigmasq", "Days")),
    c(
      "SD of Days by Subject", "cor. of Days and (Intercept) by Subject", "variance of x by a:b", "cov. of x and y by g",
      "residual SD (sigma)", "residual SD (sigma)", "residual variance", "Days"
    )
  )
})

test_that("long names are cut into lines, between words or after a mark", {
  expect_identical(in_lines("SD of Days by Subject", 12), "SD of Days\nby Subject")
  expect_identical(in_lines("short", 12), "short")
  expect_identical(in_lines("condition:frequency", 12), "condition:\nfrequency")
  expect_identical(caption_of("One.", NULL, "Two.", width = 6), "One.\nTwo.")
  expect_null(caption_of(NULL))
})

test_that("numbers have their nouns, variables their labels and units", {
  expect_identical(counted(1, "replicate"), "1 replicate")
  expect_identical(counted(1000, "replicate"), "1,000 replicates")
  expect_identical(counted(2, "analysis", "analyses"), "2 analyses")
  expect_identical(percent_of(0.12345), "12 %")
  y <- structure(1:3, label = "Reaction time", units = "ms")
  expect_identical(name_with_unit("y", y), "Reaction time (ms)")
  expect_identical(name_with_unit("y", y, structure(1:3, units = "day")), "Reaction time (ms per day)")
  expect_identical(name_with_unit("y", 1:3), "y")
})
