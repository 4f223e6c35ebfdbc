# What influence() leaves out, one after the other: a list of
#   name     lme4's name of it, "case" for observations
#   labels   the deletions: row names, or the groups as they are in the data
#   codes    for each row of the fit which deletion leaves it out, from 1; 0 where none does

deletions_of <- function(model, groups, data, caller) {
  if (is.null(groups)) return(case_deletions(model))
  if (!is.character(groups) || !length(groups) || anyNA(groups)) fail("argument", "'groups' must be names of variables")
  variables <- lapply(groups, group_variable, model, data, caller)
  values <- if (length(groups) == 1L) variables[[1L]] else do.call(paste, c(lapply(variables, as.character), sep = "."))
  labels <- unique(values[!is.na(values)])
  if (length(labels) < 2L) {
    fail("argument", sprintf("without the only group of '%s' nothing is left to fit", paste(groups, collapse = ".")))
  }
  codes <- match(values, labels)
  codes[is.na(values)] <- 0L
  list(name = paste(groups, collapse = "."), labels = labels, codes = codes)
}

# Each observation, in the data's order; those that were left out because of missing values are listed, for lme4 does so.
case_deletions <- function(model) {
  used <- row.names(model@frame)
  left_out <- attr(model@frame, "na.action")
  if (is.null(left_out)) return(list(name = "case", labels = used, codes = seq_along(used)))
  labels <- character(length(used) + length(left_out))
  at <- seq_along(labels)[-left_out]
  labels[left_out] <- names(left_out) %||% as.character(left_out)
  labels[at] <- used
  list(name = "case", labels = labels, codes = at)
}

# The values of a variable in the rows of the fit.
group_variable <- function(name, model, data, caller) {
  if (!is.null(data)) return(rows_of_fit(as.data.frame(data), name, model, "data"))
  frame <- model@frame
  if (name %in% names(frame)) {
    value <- frame[[name]]
    # lme4 looks into the data, where texts are texts
    was_text <- identical(attr(attr(frame, "terms"), "dataClasses")[[name]], "character")
    if (is.null(dim(value))) return(if (was_text) as.character(value) else value)
  }
  if (name %in% names(model@flist)) return(model@flist[[name]])
  data <- data_of_call(model, caller)
  if (is.null(data) || !name %in% names(data)) {
    fail("argument", sprintf(
      "'groups' names '%s', which is in neither the fit%s: give the data frame that has it as 'data'", name,
      if (is.null(data)) " nor in data that its call names" else " nor its data"
    ))
  }
  rows_of_fit(data, name, model, "the data that the fit's call names")
}

data_of_call <- function(model, caller) {
  expression <- stats::getCall(model)$data
  for (place in list(environment(stats::formula(model)), caller)) {
    data <- tryCatch(eval(expression, place), error = function(e) NULL)
    if (is.data.frame(data) || is.matrix(data)) return(as.data.frame(data))
  }
}

# A column of data in the order of the fit's rows, found by their number or their names.
rows_of_fit <- function(data, name, model, what) {
  if (!name %in% names(data)) fail("argument", sprintf("'groups' names '%s', which 'data' doesn't have", name))
  names <- row.names(model@frame)
  at <- match(names, row.names(data))
  if (anyNA(at)) {
    if (nrow(data) != length(names)) {
      fail("argument", sprintf("%s has %d rows, whose names aren't those of the fit's %d", what, nrow(data), length(names)))
    }
    at <- seq_along(names)
  }
  data[[name]][at]
}
