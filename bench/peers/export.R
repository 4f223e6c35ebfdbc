# A model as columns in files, for engines that know nothing of R. A folder per model holds
#   model.txt    lines of words: reml 0|1, rows n, fixed p, factor <levels> (one line each), term <factor from 0> <columns> (one line each)
#   columns.f64  y, then X column by column as model.matrix() makes it, then the columns of each term
#   codes.i32    the level codes from 1 of each factor
#   data.csv     the rows as a table, factors as labels that no reader takes for numbers, and formula.txt: for packages that take a formula
# Numbers are little-endian.

# A grouping factor with its interactions, as lme4 makes it of the rows in the fit.
grouping_factor <- function(expression, frame) {
  variables <- lapply(all.vars(expression), function(name) factor(frame[[name]]))
  if (length(variables) == 1L) variables[[1L]] else droplevels(interaction(variables, lex.order = TRUE))
}

# One bar: its factor's name, its factor and its columns.
random_term <- function(bar, frame) {
  columns <- stats::model.matrix(eval(call("~", bar[[2L]])), frame)
  list(name = paste(all.vars(bar[[3L]]), collapse = ":"), factor = grouping_factor(bar[[3L]], frame), z = unname(columns))
}

folder_name <- function(name) gsub("[^a-z0-9]+", "-", tolower(name))

write_model <- function(model, data, folder, csv = TRUE) {
  folder <- file.path(folder, folder_name(model$name))
  dir.create(folder, recursive = TRUE, showWarnings = FALSE)
  frame <- stats::model.frame(lme4::subbars(model$formula), data, drop.unused.levels = TRUE)
  frame <- cbind(frame, data[rownames(frame), setdiff(names(data), names(frame)), drop = FALSE])
  x <- stats::model.matrix(lme4::nobars(model$formula)[-2L], frame)
  terms <- lapply(lme4::findbars(lme4::expandDoubleVerts(model$formula)), random_term, frame = frame)
  names <- unique(vapply(terms, `[[`, "", "name"))
  factors <- lapply(names, function(name) Find(function(term) term$name == name, terms)$factor)

  writeLines(c(
    sprintf("reml %d", model$REML), sprintf("rows %d", nrow(frame)), sprintf("fixed %d", ncol(x)),
    vapply(factors, function(factor) sprintf("factor %d", nlevels(factor)), ""),
    vapply(terms, function(term) sprintf("term %d %d", match(term$name, names) - 1L, ncol(term$z)), "")
  ), file.path(folder, "model.txt"))
  columns <- file(file.path(folder, "columns.f64"), "wb")
  writeBin(as.numeric(frame[[1L]]), columns, endian = "little")
  writeBin(as.numeric(x), columns, endian = "little")
  for (term in terms) writeBin(as.numeric(term$z), columns, endian = "little")
  close(columns)
  codes <- file(file.path(folder, "codes.i32"), "wb")
  for (factor in factors) writeBin(as.integer(factor), codes, endian = "little")
  close(codes)
  if (csv) {
    is_factor <- vapply(frame, is.factor, NA)
    frame[is_factor] <- lapply(names(frame)[is_factor], function(name) paste0(name, as.character(frame[[name]])))
    utils::write.csv(frame, file.path(folder, "data.csv"), row.names = FALSE, quote = FALSE)
    writeLines(paste(deparse(model$formula, 500L), collapse = ""), file.path(folder, "formula.txt"))
  }
}
