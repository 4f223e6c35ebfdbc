# Sources of data that don't fit in memory, as a list of
#   columns()  the names of the source's columns, NULL where they aren't known before a chunk is read
#   open(columns)  starts a pass; a list of next_chunk(), the next chunk as a data frame or NULL after the last, and close()

# Does `data` come in chunks?
is_stream <- function(data) {
  # what can't be evaluated is for lme4 to refuse
  data <- tryCatch(data, error = function(e) NULL)
  if (is.function(data)) return(is_chunk_function(data))
  is_cross_products(data) || inherits(data, c("tbl_lazy", arrow_classes))
}

# A function that can return chunks takes no argument, or one. One that comes with R is what the name of a missing object finds, as
# `t` or `df`, and is for lme4 to refuse.
is_chunk_function <- function(data) {
  if (is.primitive(data) || length(formals(data)) > 1L || methods::is(data, "genericFunction")) return(FALSE)
  home <- environment(data)
  !isNamespace(home) || !getNamespaceName(home) %in% c(packages_of_r, "lme4", "Matrix", "fastlmer")
}

packages_of_r <- c("base", "stats", "graphics", "grDevices", "utils", "datasets", "methods", "tools", "parallel", "splines", "stats4",
  "tcltk", "grid", "compiler")

arrow_classes <- c("Dataset", "ArrowTabular", "arrow_dplyr_query", "RecordBatchReader", "Scanner")

chunk_source <- function(data) {
  if (is.function(data)) return(function_source(data))
  if (is.data.frame(data)) return(frame_source(data))
  if (inherits(data, "tbl_lazy")) return(database_source(data))
  if (inherits(data, arrow_classes)) return(arrow_source(data))
  fail("argument", "'data' must be a data frame, a function that returns chunks, a database table (dbplyr) or an Arrow data set")
}

# Rows that are fetched at a time where the source leaves it to us.
chunk_rows <- function() {
  rows <- getOption("fastlmer.chunk", 1e5)
  if (!is.numeric(rows) || length(rows) != 1L || is.na(rows) || rows < 1) {
    fail("argument", "the option 'fastlmer.chunk' must be a number of rows")
  }
  as.integer(min(rows, .Machine$integer.max))
}

# Calls `visit(chunk, value)` on one chunk after the other, `value` being what the call before returned; what the last one returned.
fold_chunks <- function(source, columns, value, visit) {
  pass <- source$open(columns)
  on.exit(pass$close())
  while (!is.null(chunk <- pass$next_chunk())) {
    if (!is.data.frame(chunk)) fail("data", "a chunk must be a data frame, not ", class(chunk)[1L])
    if (nrow(chunk)) value <- visit(chunk, value)
  }
  value
}

# A counter that a closure can advance.
counter <- function() {
  state <- new.env(parent = emptyenv())
  state$at <- 0L
  function() {
    state$at <- state$at + 1L
    state$at
  }
}

function_source <- function(read) {
  numbered <- length(formals(read)) == 1L
  list(columns = function() NULL, open = function(columns) {
    number <- counter()
    list(next_chunk = function() if (numbered) read(number()) else read(), close = function() NULL)
  })
}

frame_source <- function(data) {
  list(columns = function() names(data), open = function(columns) {
    number <- counter()
    size <- chunk_rows()
    next_chunk <- function() {
      first <- (number() - 1) * size + 1
      if (first <= nrow(data)) as.data.frame(data)[seq.int(first, min(first + size - 1, nrow(data))), columns, drop = FALSE]
    }
    list(next_chunk = next_chunk, close = function() NULL)
  })
}

database_source <- function(data) {
  # It is one for dplyr, but its rows don't come through a DBI result.
  if (inherits(data, "tbl_spark")) {
    fail(
      "unsupported", "a Spark table can't be read in chunks: write it by sparklyr::spark_write_parquet() and give ",
      "arrow::open_dataset() of that folder as 'data', or dplyr::collect() it"
    )
  }
  need_packages(c("dbplyr", "dplyr", "DBI"), "a database table")
  list(columns = function() colnames(data), open = function(columns) {
    connection <- dbplyr::remote_con(data)
    query <- dbplyr::sql_render(dplyr::select(data, dplyr::all_of(columns)), connection)
    result <- DBI::dbSendQuery(connection, query)
    size <- chunk_rows()
    # Some drivers call a result complete only after an empty fetch.
    next_chunk <- function() {
      chunk <- if (!DBI::dbHasCompleted(result)) DBI::dbFetch(result, n = size)
      if (NROW(chunk)) chunk
    }
    list(next_chunk = next_chunk, close = function() DBI::dbClearResult(result))
  })
}

arrow_source <- function(data) {
  if (!inherits(data, "RecordBatchReader")) need_packages(c("arrow", "dplyr"), "an Arrow data set")
  if (inherits(data, "Scanner")) data <- arrow::as_record_batch_reader(data)
  is_reader <- inherits(data, "RecordBatchReader")
  list(columns = function() if (is_reader) data$schema$names else names(data), open = function(columns) {
    reader <- if (is_reader) data else arrow::as_record_batch_reader(dplyr::select(data, dplyr::all_of(columns)))
    next_chunk <- function() {
      batch <- reader$read_next_batch()
      if (!is.null(batch)) as.data.frame(batch)[columns]
    }
    list(next_chunk = next_chunk, close = function() NULL)
  })
}

need_packages <- function(packages, source) {
  missing <- packages[!vapply(packages, requireNamespace, NA, quietly = TRUE)]
  if (length(missing)) {
    fail("package", "to read ", source, " install ", paste(sQuote(missing), collapse = ", "))
  }
}
