# The lecture's data frames, its slides' numbers, and lme4 at the optimum to compare with.

# What the slides' code needs attached.
attach_tidyverse <- function() {
  for (package in c("dplyr", "tibble", "tidyr")) {
    skip_if_not_installed(package)
    suppressPackageStartupMessages(library(package, character.only = TRUE))
  }
}

# Runs the chunks of vignettes/lecture.Rmd whose labels begin with "data-", so that what is tested is what the reader sees.
lecture_data <- function() {
  places <- c(testthat::test_path("../../vignettes/lecture.Rmd"), system.file("doc/lecture.Rmd", package = "fastlmer"))
  vignette <- places[file.exists(places)]
  skip_if(length(vignette) == 0, "the vignette isn't here")
  attach_tidyverse()
  lines <- readLines(vignette[1], encoding = "UTF-8")
  data <- new.env(parent = globalenv())
  for (start in grep("^```\\{r data-", lines)) {
    end <- start + match("```", lines[-seq_len(start)])
    eval(parse(text = lines[seq(start + 1, end - 1)]), data)
  }
  data
}

# A csv beside the slides: from the folder that FASTLMER_SHARED names, or from ../shared beside the repository.
slides_csv <- function(name) {
  shared <- Sys.getenv("FASTLMER_SHARED", testthat::test_path("../../../shared"))
  file <- file.path(shared, "lecture", paste0(name, ".csv"))
  skip_if_not(file.exists(file), "the slides' csv files aren't here")
  utils::read.csv(file)
}

printout <- function(object) in_older_words(paste(utils::capture.output(print(object)), collapse = "\n"))

a_number <- "(?<![\\w.])[-+]?\\d+(\\.\\d+)?(e[-+]?\\d+)?~?(?!\\w)"

numbers_in <- function(text) regmatches(text, gregexpr(a_number, text, perl = TRUE))[[1]]

decimals <- function(number) nchar(sub("e.*", "", sub("^[^.]*[.]?", "", number)))

# Are these the slide's numbers? `slide` is the slide's own text. Where R now prints more or fewer digits, the shorter decide.
# A number with a `~`, or a table with a relative difference `within`, shows that lme4's optimiser stopped just before the
# optimum: they must be near, and the exact comparison is the one with lme4 at the optimum.
expect_slide <- function(object, slide, within = 0) {
  ours <- numbers_in(if (is.character(object)) object else printout(object))
  theirs <- numbers_in(slide)
  early <- endsWith(theirs, "~")
  theirs <- sub("~", "", theirs, fixed = TRUE)
  expect_length(ours, length(theirs))
  if (length(ours) != length(theirs)) return(invisible())
  digits <- pmin(decimals(ours), decimals(theirs))
  allowed <- ifelse(decimals(ours) == decimals(theirs), 0, 0.5 * 10^-digits)
  allowed <- allowed + ifelse(early, 1e-3, within) * abs(as.numeric(theirs))
  off <- abs(as.numeric(ours) - as.numeric(theirs)) > allowed + 1e-9
  expect(!any(off), paste0("printed ", ours[off], ", on the slide ", theirs[off], collapse = "\n"))
}

# The same call by lme4, its optimiser told not to stop early.
at_optimum <- function(fit) {
  call <- fit@call
  call[[1]] <- quote(lme4::lmer)
  call$control <- lme4::lmerControl(optCtrl = list(xtol_abs = 1e-12, xtol_rel = 1e-12, ftol_abs = 1e-14, ftol_rel = 1e-14))
  optimum <- suppressMessages(eval(call, parent.frame()))
  optimum@call <- fit@call
  optimum
}

# Word for word what lme4 prints at the optimum, and number for number but for a few millionths: an optimiser that goes by the
# values of the criterion alone can't see more of where its minimum is.
expect_printed_alike <- function(ours, theirs) {
  ours <- printout(ours)
  theirs <- printout(theirs)
  words <- function(text) gsub("\\s+", " ", gsub(a_number, "#", text, perl = TRUE))
  expect_identical(words(ours), words(theirs))
  numbers <- lapply(list(ours, theirs), function(text) as.numeric(numbers_in(text)))
  last_digit <- 10^-decimals(numbers_in(theirs))
  expect_true(all(abs(numbers[[1]] - numbers[[2]]) <= 2e-6 * abs(numbers[[2]]) + 1.001 * last_digit))
}
