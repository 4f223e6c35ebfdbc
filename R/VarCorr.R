# A replicate's fit is lme4's object like any other, marked so that as.data.frame() of its VarCorr() takes a tenth of the time. (Not
# with lme4 2.x, whose VarCorr() has more in it.)
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
  if (!missing(sigma) || ...length() || !is_fastlmer(x) || has_structures()) return(NextMethod())
  sigma <- stats::sigma(x)
  terms <- Map(
    function(factor, names) covariance_of(sigma * factor, names),
    relative_factors(x@theta, lengths(x@cnms)), x@cnms
  )
  names <- names(x@flist)[attr(x@flist, "assign")]
  names(terms) <- if (anyDuplicated(names)) make.names(names, unique = TRUE) else names
  structure(terms, sc = sigma, useSc = TRUE, class = c(if (is_light(x)) "light_VarCorr", "VarCorr.merMod"))
}

# L L' with the attributes that lme4 gives it, without BLAS, which for so few numbers only costs time.
covariance_of <- function(factor, names) {
  k <- nrow(factor)
  covariance <- matrix(0, k, k, dimnames = list(names, names))
  for (column in seq_len(k)) covariance[] <- covariance + factor[, column] * rep(factor[, column], each = k)
  diagonal <- (seq_len(k) - 1L) * k + seq_len(k)
  sd <- sqrt(covariance[diagonal])
  names(sd) <- names
  correlation <- covariance / sd / rep(sd, each = k)
  correlation[diagonal] <- 1
  attr(covariance, "stddev") <- sd
  attr(covariance, "correlation") <- correlation
  covariance
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
