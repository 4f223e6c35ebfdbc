codes <- function(...) deletions_of(..., caller = globalenv())

test_that("groups are the model's, the data's, or given", {
  data <- sleep_data()
  data$site <- rep(c("north", "south", "west"), each = 60)
  fit <- lmer(Reaction ~ Days + (Days | Subject), data)
  by_subject <- codes(fit, "Subject", NULL)
  expect_identical(by_subject$labels, unique(data$Subject))
  expect_identical(by_subject$codes, match(data$Subject, unique(data$Subject)))
  # `data` is this function's: the formula's environment has it
  expect_identical(codes(fit, "site", NULL), list(name = "site", labels = c("north", "south", "west"), codes = rep(1:3, each = 60)))
  other <- data.frame(house = rep(1:2, 90))
  expect_identical(codes(fit, "house", other)$codes, rep(1:2, 90))
  both <- codes(fit, c("site", "Days"), NULL)
  expect_identical(both$name, "site.Days")
  expect_identical(both$labels, paste0(rep(c("north", "south", "west"), each = 10), ".", 0:9))
})

test_that("rows are matched by their names", {
  data <- sleep_data()
  data$site <- rep(c("north", "south"), 90)
  fit <- lmer(Reaction ~ with_na + (1 | Subject), data)
  expect_identical(codes(fit, "site", NULL)$codes, match(data$site[!is.na(data$with_na)], c("north", "south")))
  shuffled <- data[sample(nrow(data)), ]
  expect_identical(codes(fit, "site", shuffled)$codes, codes(fit, "site", NULL)$codes)
})

test_that("grouping factors that the formula makes are groups too", {
  fit <- lmer(strength ~ 1 + (1 | batch / cask), Pastes)
  found <- codes(fit, "cask:batch", NULL)
  expect_length(found$labels, 30)
  expect_identical(as.character(found$labels)[found$codes], as.character(fit@flist[["cask:batch"]]))
})

test_that("texts stay texts, and missing groups are left where they are", {
  data <- sleep_data()
  data$Subject <- as.character(data$Subject)
  data$site <- rep(c("north", NA, "south"), 60)
  fit <- lmer(Reaction ~ Days + (1 | Subject), data)
  expect_identical(codes(fit, "Subject", NULL)$labels, unique(data$Subject))
  expect_identical(codes(fit, "site", NULL)$codes, rep(c(1L, 0L, 2L), 60))
})

test_that("what isn't there is named", {
  fit <- lmer(Reaction ~ Days + (1 | Subject), sleepstudy)
  expect_error(codes(fit, "Nothing", NULL), "'groups' names 'Nothing', which is in neither", class = "fastlmer_argument_error")
  expect_error(codes(fit, "Nothing", sleepstudy), "which 'data' doesn't have", class = "fastlmer_argument_error")
  expect_error(codes(fit, 1, NULL), "'groups' must be names", class = "fastlmer_argument_error")
  expect_error(codes(fit, character(), NULL), "'groups' must be names", class = "fastlmer_argument_error")
  short <- data.frame(site = 1:3, row.names = c("a", "b", "c"))
  expect_error(codes(fit, "site", short), "data has 3 rows", class = "fastlmer_argument_error")
  one <- transform(sleepstudy, all = 1)
  expect_error(codes(fit, "all", one), "without the only group of 'all' nothing is left", class = "fastlmer_argument_error")
})
