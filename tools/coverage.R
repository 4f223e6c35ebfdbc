# Run by tools/coverage.sh: a table from covr's counts per line and llvm-cov's summary.
args <- commandArgs(TRUE)

lines <- readRDS(args[1L])
lines <- lines[grepl("^R/", lines$filename), ]
r <- data.frame(file = unique(lines$filename))
r$lines <- as.vector(table(lines$filename)[r$file])
r$run <- as.vector(tapply(lines$value > 0, lines$filename, sum)[r$file])

files <- jsonlite::fromJSON(args[2L], simplifyVector = FALSE)$data[[1L]]$files
rust <- data.frame(
  file = sub("^.*/src/rust/", "src/rust/", vapply(files, `[[`, "", "filename")),
  lines = vapply(files, function(file) file$summary$lines$count, 1L),
  run = vapply(files, function(file) file$summary$lines$covered, 1L)
)
rust <- rust[startsWith(rust$file, "src/rust/"), ]

table_of <- function(title, part) {
  part <- part[order(part$run / part$lines, part$file), ]
  total <- data.frame(file = "all", lines = sum(part$lines), run = sum(part$run))
  part <- rbind(total, part)
  c("", paste("##", title), "", "| file | lines | run by tests, % |", "|---|---|---|",
    sprintf("| %s | %d | %.1f |", part$file, part$lines, 100 * part$run / part$lines))
}
engine <- startsWith(rust$file, "src/rust/engine/")
writeLines(c(
  "# Lines that the tests run", "",
  "Made by `sh tools/coverage.sh`: the R code and the glue by the tests in `tests/testthat`, the engine by these and by its own.",
  "Lines are those with code that can be run; the files with most of them left out come first.",
  table_of("R", r), table_of("Glue", rust[!engine, ]), table_of("Engine", rust[engine, ])
))
