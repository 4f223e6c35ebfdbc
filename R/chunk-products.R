#' Cross-products of data that come in chunks
#'
#' A linear mixed model needs its data only through their cross-products, and cross-products of parts of the data add up. `cross_products()`
#' forms them in one pass over data that need not fit in memory; `c()` adds those of several parts, formed one after the other, by
#' several workers or on several machines; `lmer(formula, data = <cross-products>)` fits the model. [fastlmer-big-data] has examples.
#'
#' @param formula a formula as for [lmer()]: a response, fixed effects, random-effects terms.
#' @param data the data or a part of them: a data frame; a function that returns chunks; a database table (`dplyr::tbl()`, package
#'   dbplyr); an Arrow data set, table or query. See [fastlmer-big-data].
#' @param subset,weights,offset expressions in the data's columns, as in [lmer()].
#' @param na.action `na.omit` (rows with a missing value are left out and counted), `na.exclude` (the same) or `na.fail`.
#' @param contrasts a list as for [model.matrix.default()]; it can also be given to [lmer()] later.
#' @param levels a named list of levels for variables that are factors. Needed for text in the columns of random effects, as `f` in `(f |
#'   g)`; otherwise the levels of text are its sorted values.
#' @param ... `cross_products`, for `c()`.
#' @return An object of class `cross_products`: plain vectors, which can be saved, sent to another process and combined by `c()`. Its size
#'   depends on the number of levels and columns, not on the number of rows.
#' @seealso [fastlmer-big-data], [lmer()]
#' @examples
#' # each worker takes its part of the data
#' parts <- split(sleepstudy, sleepstudy$Days %% 3)
#' sums <- lapply(parts, function(part) cross_products(Reaction ~ Days + (Days | Subject), part))
#' sums <- do.call(c, unname(sums))
#' sums
#' lmer(Reaction ~ Days + (Days | Subject), data = sums)
#'
#' # models with fewer terms need no other pass
#' lmer(Reaction ~ 1 + (Days | Subject), data = sums)
#' @export
cross_products <- function(formula, data, subset, weights, na.action, offset, contrasts = NULL, levels = NULL) {
  call <- match.call()
  extras <- as.list(call)[intersect(c("subset", "weights", "offset"), names(call))]
  request <- stream_request(formula, extras, if (!missing(na.action)) na.action, contrasts, levels)
  products_of_source(chunk_source(data), request)
}

is_cross_products <- function(x) inherits(x, "cross_products")

products_of_source <- function(source, request) {
  available <- source$columns()
  columns <- if (!is.null(available)) intersect(available, request$variables)
  empty <- list(request = request, omitted = 0, recipe = NULL, pointer = NULL)
  state <- fold_chunks(source, columns, empty, add_chunk)
  saved <- if (!is.null(state$pointer)) engine_products_save(state$pointer)
  new_cross_products(request, state$omitted, state$recipe, saved)
}

# Without the environments of formulas: a worker's would send its rows along.
new_cross_products <- function(request, omitted, recipe, saved) {
  formulas <- vapply(request$parts, inherits, NA, "formula")
  request$parts[formulas] <- lapply(request$parts[formulas], `environment<-`, globalenv())
  if (!is.null(recipe)) attr(attr(recipe$frame, "terms"), ".Environment") <- globalenv()
  structure(list(request = request, omitted = omitted, recipe = recipe, saved = saved), class = "cross_products")
}

add_chunk <- function(chunk, state) {
  part <- read_chunk(chunk, state$request)
  state$omitted <- state$omitted + part$omitted
  if (is.null(part$recipe)) return(state)
  state$recipe <- common_recipe(state$recipe, part$recipe)
  if (is.null(state$pointer)) state$pointer <- do.call(engine_products, part$shape)
  arguments <- part$arguments
  engine_products_add(
    state$pointer, enc2utf8(arguments$columns), arguments$v, arguments$y, arguments$weights, arguments$codes,
    lapply(arguments$levels, enc2utf8), arguments$z
  )
  state
}

# What two sets of chunks tell together; NULL is of no rows.
common_recipe <- function(one, other) {
  if (is.null(one)) return(other)
  if (is.null(other)) return(one)
  if (!identical(one$cnms, other$cnms)) fail("data", "the columns of the random effects differ between chunks")
  names <- names(one$kinds)
  one$kinds <- Map(common_kind, one$kinds, other$kinds, names)
  one$types <- Map(common_type, one$types, other$types, names(one$types))
  for (name in intersect(names(one$inside), names(other$inside))) {
    if (!identical(one$inside[[name]], other$inside[[name]])) {
      refuse_variable(name, "is a factor with other levels in another chunk: give it the same levels in all of them")
    }
  }
  one$n <- one$n + other$n
  one
}

#' @rdname cross_products
#' @export
c.cross_products <- function(...) {
  parts <- list(...)
  if (!all(vapply(parts, is_cross_products, NA))) fail("argument", "only cross-products can be combined with cross-products")
  first <- parts[[1L]]
  for (part in parts[-1L]) {
    if (!same_request(first$request, part$request)) fail("data", "the cross-products belong to different models")
  }
  recipe <- Reduce(common_recipe, lapply(parts, `[[`, "recipe"))
  saved <- Filter(Negate(is.null), lapply(parts, `[[`, "saved"))
  if (length(saved)) {
    pointer <- engine_products_load(saved[[1L]])
    for (other in saved[-1L]) engine_products_merge(pointer, other)
    saved <- engine_products_save(pointer)
  }
  new_cross_products(first$request, sum(vapply(parts, `[[`, 0, "omitted")), recipe, if (length(saved)) saved)
}

# The same formula, subset, weights and offset? Environments differ between processes.
same_request <- function(one, other) {
  text <- function(request) c(deparse1(request$parts$formula), vapply(request$extras, deparse1, ""))
  identical(text(one), text(other)) && identical(one$levels, other$levels)
}

#' @export
#' @noRd
print.cross_products <- function(x, ...) {
  cat("Cross-products of a linear mixed model\n")
  cat("Formula: ", deparse1(x$request$parts$formula), "\n", sep = "")
  n <- format(x$recipe$n %||% 0, big.mark = ",")
  cat("Rows: ", n, if (x$omitted > 0) paste0(" (", format(x$omitted, big.mark = ","), " left out for missing values)"), "\n", sep = "")
  levels <- vapply(x$saved$factors, function(factor) length(factor$levels), 0L)
  groups <- paste(x$recipe$groups, format(levels, big.mark = ",", trim = TRUE), sep = ", ", collapse = "; ")
  if (length(levels)) cat("Groups: ", groups, "\n", sep = "")
  invisible(x)
}
