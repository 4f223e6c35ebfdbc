# Every vignette is knitted by rmarkdown in an R process of its own. What its prose claims of its numbers it checks itself, in chunks that
# aren't shown; here is tested that it knits, that no chunk was skipped or failed, and that its pictures and numbers are there.

# In the clone, or as they were installed.
vignettes <- Filter(length, lapply(c(test_path("../../vignettes"), system.file("doc", package = "fastlmer")), list.files,
  pattern = "[.]Rmd$", full.names = TRUE))
vignettes <- if (length(vignettes)) vignettes[[1L]] else character()

test_that("there are vignettes", {
  skip_if(!length(vignettes), "they were not installed")
  expect_true(all(c("lecture.Rmd", "resampling.Rmd", "inference.Rmd") %in% basename(vignettes)))
})

knit <- function(source) {
  skip_if_not_installed("rmarkdown")
  skip_if_not(rmarkdown::pandoc_available(), "pandoc isn't here")
  folder <- withr::local_tempdir(.local_envir = parent.frame())
  file.copy(source, folder)
  said <- in_new_process(
    sprintf("setwd(%s)", deparse(folder)),
    sprintf("rmarkdown::render(%s, quiet = TRUE)", deparse(basename(source))),
    "cat('knitted')"
  )
  expect_identical(said[length(said)], "knitted", info = paste(said, collapse = "\n"))
  html <- file.path(folder, sub("[.]Rmd$", ".html", basename(source)))
  list(source = readLines(source, encoding = "UTF-8"), html = paste(readLines(html, encoding = "UTF-8"), collapse = "\n"))
}

count <- function(pattern, text) sum(vapply(gregexpr(pattern, text, perl = TRUE), function(at) sum(at > 0), 0))

# What is neither a chunk, nor inline code, nor an address, nor the header.
prose_of <- function(lines) {
  fences <- grepl("^\\s*```", lines)
  inside <- cumsum(fences) %% 2 == 1 | fences
  header <- seq_along(lines) <= which(lines == "---")[2L]
  gsub("`[^`]*`|<https?:[^>]*>", "", paste(lines[!inside & !header], collapse = "\n"))
}

for (source in vignettes) {
  test_that(paste("a vignette knits:", basename(source)), {
    skip_on_cran()
    needs_lmerTest <- any(grepl("lmerTest::", readLines(source, encoding = "UTF-8"), fixed = TRUE))
    if (needs_lmerTest && requireNamespace("lmerTest", quietly = TRUE)) skip_if_no_lmerTest()
    page <- knit(source)
    expect_identical(count("Error in |Error:", page$html), count("error = TRUE", page$source))
    expect_identical(count("<img[^>]* src=\"data:image/png", page$html), count("^```\\{r.*fig\\.cap", page$source))
    expect_false(grepl("(src|href)=\"http[^\"]*\\.(css|js)\"", page$html)) # one file, without network
    expect_lt(nchar(page$html), 2e6)
  })
}

# Only what is computed can't be out of date. (The lecture quotes slides.)
for (source in vignettes[basename(vignettes) != "lecture.Rmd"]) {
  test_that(paste("numbers in prose are computed:", basename(source)), {
    prose <- prose_of(readLines(source, encoding = "UTF-8"))
    expect_identical(regmatches(prose, gregexpr("[0-9]+\\.[0-9]+", prose))[[1L]], character())
  })
}
