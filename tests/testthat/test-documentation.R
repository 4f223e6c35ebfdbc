# The manual pages, as they were installed or in the clone, and the citation.

manual <- function() {
  pages <- tools::Rd_db("fastlmer")
  folder <- test_path("../../man")
  if (!length(pages) && dir.exists(folder)) pages <- tools::Rd_db(dir = dirname(folder))
  skip_if(!length(pages), "the manual pages were not installed")
  pages
}

section <- function(page, tag) Filter(function(part) identical(attr(part, "Rd_tag"), tag), page)

# What of the examples R runs.
run_examples <- function(page) {
  examples <- unlist(section(page, "\\examples"), recursive = FALSE)
  runs <- Filter(function(part) !attr(part, "Rd_tag") %in% c("\\dontrun", "\\donttest", "COMMENT"), examples)
  trimws(paste(unlist(runs), collapse = ""))
}

test_that("every export has a manual page", {
  aliases <- unlist(lapply(manual(), function(page) unlist(section(page, "\\alias"))))
  exports <- setdiff(getNamespaceExports("fastlmer"), "show")
  expect_identical(setdiff(exports[!startsWith(exports, ".__")], aliases), character())
})

test_that("every page of a function has an example that runs", {
  functions <- Filter(function(page) length(section(page, "\\usage")) > 0L, manual())
  expect_gt(length(functions), 15)
  examples <- vapply(functions, run_examples, "")
  expect_identical(names(functions)[!nzchar(examples)], character())
})

test_that("every page has a title and a description, every argument a text", {
  for (page in manual()) {
    name <- unlist(section(page, "\\name"))
    expect_match(paste(unlist(section(page, "\\title")), collapse = ""), "[a-z]", info = name)
    expect_match(paste(unlist(section(page, "\\description")), collapse = ""), "[a-z]", info = name)
    items <- section(unlist(section(page, "\\arguments"), recursive = FALSE), "\\item")
    texts <- vapply(items, function(item) paste(unlist(item[[2L]]), collapse = ""), "")
    expect_true(all(grepl("[a-z]", texts)), info = name)
  }
})

test_that("the citation names the package and the papers of its methods", {
  entries <- citation("fastlmer")
  expect_match(entries[[1L]]$note, as.character(packageVersion("fastlmer")), fixed = TRUE)
  expect_true(all(c("10.18637/jss.v067.i01", "10.2307/2533558", "10.2307/3002019") %in% unlist(entries$doi)))
  expect_match(format(entries, style = "text"), "M.chler", all = FALSE)
})
