# lme4 drops levels that don't occur before it makes the columns of random effects. Those of chunks are made of all levels, since any may
# still come; at the end they are replaced by the columns of the levels that came, of which they are linear combinations.

# The cross-products with the columns of a formula's terms made of the levels in use. `bars` says which of the products' bars those of the
# formula are.
without_unused_levels <- function(products, split, bars) {
  recipe <- products$recipe
  maps <- lapply(recipe$cnms, function(names) diag(length(names)))
  for (i in seq_along(bars)) {
    bar <- split$bars[[i]]
    if (!any(vapply(recipe$kinds[side_variables(bar)], has_unused, NA))) next
    map <- map_to_used(bar, recipe$kinds)
    terms <- which(recipe$block == bars[i])
    if (isTRUE(split$diagonal[i])) {
      recipe$block[terms[!selected_columns(map, bar)]] <- 0L
    } else {
      maps[[terms]] <- map$values
      recipe$cnms[[terms]] <- map$names
    }
  }
  products$recipe <- recipe
  square <- vapply(maps, function(map) identical(map, diag(nrow(map))), NA)
  if (!all(square)) products$saved <- map_effects(products$saved, maps, recipe$cnms)
  products
}

# Which of a term's columns those of the levels in use are, where each is one of them: independent effects can't be combined.
selected_columns <- function(map, bar) {
  if (!all(map$values %in% c(0, 1)) || !all(colSums(map$values) == 1)) {
    fail("data", sprintf("the columns of (%s) change where a level doesn't occur: leave that level out", deparse1(bar)))
  }
  rowSums(map$values) == 1
}

has_unused <- function(kind) !is.null(kind) && kind$kind == "levels" && !kind$logical && !all(kind$levels %in% kind$observed)

# The matrix T with Z_used = Z T, from rows that have each combination of levels, with numbers of no special kind.
map_to_used <- function(bar, kinds) {
  names <- side_variables(bar)
  factors <- names[vapply(kinds[names], function(kind) kind$kind == "levels", NA)]
  levels <- lapply(kinds[factors], function(kind) if (kind$logical) kind$levels else used_levels_of(kind))
  # rows enough for the numbers' columns in each cell
  numbers <- sum(vapply(kinds[setdiff(names, factors)], function(kind) kind[["k"]] %||% 1L, 1L))
  cells <- expand.grid(c(stats::setNames(levels, factors), list(.row = seq_len(2L^min(numbers, 6L)))), stringsAsFactors = FALSE)
  columns <- function(all) {
    frame <- lapply(stats::setNames(names, names), function(name) cell_column(kinds[[name]], cells[[name]], seq_len(nrow(cells)), all))
    frame <- structure(frame, class = "data.frame", row.names = seq_len(nrow(cells)), terms = stats::terms(eval(call("~", bar[[2L]]))))
    stats::model.matrix(eval(call("~", bar[[2L]])), frame)
  }
  from <- columns(TRUE)
  to <- columns(FALSE)
  values <- matrix(0, ncol(from), ncol(to))
  for (j in seq_len(ncol(to))) {
    same <- which(colSums(abs(from - to[, j])) == 0)
    if (length(same)) values[same[1L], j] <- 1 else values[, j] <- coefficients_of(from, to[, j])
  }
  list(values = values, names = colnames(to))
}

coefficients_of <- function(from, to) {
  b <- qr.coef(qr(from), to)
  b[is.na(b)] <- 0
  whole <- abs(b - round(b)) < 1e-9
  b[whole] <- round(b[whole])
  b
}

# A variable's values in these rows: numbers that nothing else adds up to, or levels.
cell_column <- function(kind, value, row, all) {
  if (kind$kind == "number") return(sin(row * (1 + sqrt(row))))
  if (kind$kind == "matrix") return(matrix(cos(outer(row, seq_len(kind$k), `+`)^2), length(row), dimnames = list(NULL, kind$columns)))
  if (kind$logical) return(value == "TRUE")
  out <- factor(value, levels = if (all) kind$levels else used_levels_of(kind), ordered = kind$ordered)
  if (all) attr(out, "contrasts") <- kind$contrasts
  out
}

# Saved cross-products (src/rust/src/products.rs) of the columns Z T, for a matrix T per term.
map_effects <- function(saved, maps, cnms) {
  factors <- lapply(seq_along(saved$factors), function(f) block_diagonal(maps[saved$factor == f]))
  saved$factors <- Map(map_factor, saved$factors, factors, length(saved$columns))
  shape <- which(lower.tri(diag(length(factors))), arr.ind = TRUE)
  shape <- shape[order(shape[, 1L], shape[, 2L]), , drop = FALSE]
  saved$pairs <- Map(
    function(pair, first, second) map_pair(pair, factors[[first]], factors[[second]]),
    saved$pairs, shape[, 2L], shape[, 1L]
  )
  saved$k <- vapply(maps, ncol, 0L, USE.NAMES = FALSE)
  saved$constant <- vapply(cnms, match, 0L, x = "(Intercept)", nomatch = 0L, USE.NAMES = FALSE)
  saved
}

block_diagonal <- function(blocks) {
  out <- matrix(0, sum(vapply(blocks, nrow, 0L)), sum(vapply(blocks, ncol, 0L)))
  row <- column <- 0L
  for (block in blocks) {
    out[row + seq_len(nrow(block)), column + seq_len(ncol(block))] <- block
    row <- row + nrow(block)
    column <- column + ncol(block)
  }
  out
}

map_factor <- function(factor, map, d) {
  k <- nrow(map)
  levels <- length(factor$levels)
  half <- times_first(array(factor$zz, c(k, k, levels)), map)
  factor$zz <- as.numeric(times_first(aperm(half, c(2L, 1L, 3L)), map))
  raw <- times_first(aperm(array(factor$zv, c(d, k, levels)), c(2L, 1L, 3L)), map)
  factor$zv <- as.numeric(aperm(raw, c(2L, 1L, 3L)))
  factor$zy <- as.numeric(crossprod(map, matrix(factor$zy, k)))
  factor$centre <- as.numeric(crossprod(map, factor$centre))
  factor
}

map_pair <- function(pair, first, second) {
  half <- times_first(array(pair$values, c(nrow(first), nrow(second), length(pair$first))), first)
  both <- times_first(aperm(half, c(2L, 1L, 3L)), second)
  pair$values <- as.numeric(aperm(both, c(2L, 1L, 3L)))
  pair
}

# T'A for each matrix A of an array.
times_first <- function(arrays, map) {
  size <- dim(arrays)
  array(crossprod(map, matrix(arrays, size[1L])), c(ncol(map), size[-1L]))
}
