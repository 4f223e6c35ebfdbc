# A replicate's fit is lme4's object like any other, marked so that VarCorr() gives a result of which as.data.frame() takes a tenth of
# the time. (Not with lme4 2.x, whose VarCorr() has more in it.)
light <- function(fit) {
  if (has_structures()) return(fit)
  assign("light", TRUE, envir = engine_mark(fit))
  fit
}

is_light <- function(fit) {
  mark <- engine_mark(fit)
  !is.null(mark) && isTRUE(mark$light)
}

#' @importFrom lme4 VarCorr
#' @export
#' @noRd
VarCorr.lmerMod <- function(x, sigma = 1, ...) {
  result <- NextMethod()
  if (is_light(x)) class(result) <- c("light_VarCorr", class(result))
  result
}

#' @export
#' @noRd
as.data.frame.light_VarCorr <- function(x, row.names = NULL, optional = FALSE, order = c("cov.last", "lower.tri"), ...) {
  if (!missing(order)) return(NextMethod())
  x <- unclass(x)
  rows <- lapply(x, covariance_rows)
  column <- function(name) unlist(lapply(rows, `[[`, name), use.names = FALSE)
  sc <- attr(x, "sc")
  table <- list(
    grp = c(rep.int(names(x), lengths(lapply(rows, `[[`, "vcov"))), "Residual"), var1 = c(column("var1"), NA), var2 = c(column("var2"), NA),
    vcov = c(column("vcov"), sc^2), sdcor = c(column("sdcor"), sc)
  )
  structure(table, class = "data.frame", row.names = .set_row_names(length(table$grp)))
}

# Variances first, then the covariances below the diagonal.
covariance_rows <- function(v) {
  k <- nrow(v)
  names <- rownames(v)
  if (k == 1L) return(list(var1 = names, var2 = NA_character_, vcov = v[1L], sdcor = attr(v, "stddev")[[1L]]))
  below <- which(lower.tri(v))
  row <- (below - 1L) %% k + 1L
  column <- (below - 1L) %/% k + 1L
  list(
    var1 = names[c(seq_len(k), column)], var2 = c(rep.int(NA_character_, k), names[row]),
    vcov = c(v[(seq_len(k) - 1L) * k + seq_len(k)], v[below]), sdcor = c(attr(v, "stddev"), attr(v, "correlation")[below])
  )
}
