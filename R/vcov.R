# The covariance matrix of the fixed effects of a fit by the engine, as the object of package Matrix that lme4 makes, without its
# conversions (which take twenty times as long; bootstraps of standard errors or t-values ask for it in every replicate).
#' @importFrom stats vcov
#' @export
#' @noRd
vcov.lmerMod <- function(object, correlation = TRUE, sigm = stats::sigma(object), use.hessian = NULL, ...) {
  plain <- is.null(use.hessian) || identical(use.hessian, FALSE)
  if (!plain || ...length() || !is_fastlmer(object) || has_structures() || !matrix_classes()$known) return(NextMethod())
  plain <- plain_covariance(object, sigm)
  if (is.null(plain)) return(NextMethod())
  names <- fixed_names(object)
  covariance <- plain$covariance
  sd <- plain$sd
  factors <- list()
  if (correlation) {
    scaled <- covariance / sd / rep(sd, each = length(sd))
    diag(scaled) <- 1
    factors$correlation <- symmetric_matrix("corMatrix", scaled, names, list(), sd)
  }
  symmetric_matrix("dpoMatrix", covariance, names, factors)
}

# The covariance and the standard deviations; NULL where lme4 has something to say about them.
plain_covariance <- function(object, sigm) {
  covariance <- sigm^2 * object@pp$unsc()
  sd <- sqrt(covariance[seq(1L, by = nrow(covariance) + 1L, length.out = nrow(covariance))])
  if (length(sd) && all(is.finite(sd) & sd > 0)) list(covariance = covariance, sd = sd)
}

symmetric_matrix <- function(class, values, names, factors, sd = NULL) {
  object <- matrix_classes()[[class]]
  attributes(object) <- c(list(sd = sd)[!is.null(sd)], list(
    Dim = dim(values), Dimnames = list(names, names), x = as.numeric(values), uplo = "U", factors = factors, class = attr(object, "class")
  ))
  object
}

# Prototypes, and whether they have the slots that are filled above.
matrix_classes <- function() {
  if (is.null(cache$matrix_classes)) {
    slots <- c("x", "Dim", "Dimnames", "uplo", "factors")
    cache$matrix_classes <- list(
      dpoMatrix = methods::new(methods::getClass("dpoMatrix", where = asNamespace("Matrix"))),
      corMatrix = methods::new(methods::getClass("corMatrix", where = asNamespace("Matrix"))),
      known = setequal(methods::slotNames("dpoMatrix"), slots) && setequal(methods::slotNames("corMatrix"), c(slots, "sd"))
    )
  }
  cache$matrix_classes
}
