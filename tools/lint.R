# Run by tools/check.sh: lintr on the R code of the package, its tests and its tools, by the rules in .lintr; then what lintr doesn't see:
# a name that two files of the package define, or two helpers of the tests, of which R would keep the last, and the manual's faults.
#
# A file in which lintr found nothing isn't read again until it changes, or the rules, or lintr: .check/clean has a hash for each.
clean <- ".check/clean"
files <- list.files(c("R", "tests", "tools"), "[.]R$", full.names = TRUE, recursive = TRUE)
rules <- paste(c(tools::md5sum(".lintr"), utils::packageDescription("lintr")$Version, getRversion()), collapse = " ")
state <- paste(files, tools::md5sum(files), rules)
known <- state %in% if (file.exists(clean)) readLines(clean)

lints <- lintr::lint_dir(".", pattern = "[.]R$", exclusions = as.list(files[known]))
print(lints)
found <- vapply(lints, function(lint) lint$filename, "")
dir.create(dirname(clean), showWarnings = FALSE)
writeLines(state[!files %in% found], clean)

defined_in <- function(file) {
  expressions <- as.list(parse(file, keep.source = FALSE))
  assigned <- Filter(function(x) is.call(x) && identical(x[[1L]], as.name("<-")) && is.name(x[[2L]]), expressions)
  vapply(assigned, function(x) as.character(x[[2L]]), "")
}

defined_twice <- function(files) {
  names <- lapply(stats::setNames(files, files), defined_in)
  owners <- data.frame(name = unlist(names, use.names = FALSE), file = rep(files, lengths(names)))
  owners[owners$name %in% owners$name[duplicated(owners$name)], ]
}

twice <- rbind(
  defined_twice(list.files("R", "[.]R$", full.names = TRUE)),
  defined_twice(list.files("tests/testthat", "^helper.*[.]R$", full.names = TRUE))
)
if (nrow(twice)) {
  cat("defined more than once:\n")
  print(twice[order(twice$name), ], row.names = FALSE)
}

# What R CMD check finds in the manual, in a third of a second.
manual <- list(tools::checkDocFiles(dir = "."), tools:::.check_Rd_line_widths("."))
wrong <- Filter(length, lapply(manual, format))
for (text in wrong) writeLines(c("of the manual, see also its roxygen comments:", text))

quit(status = if (length(lints) > 0 || nrow(twice) || length(wrong)) 1 else 0)
