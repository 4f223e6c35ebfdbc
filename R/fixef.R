#' @importFrom lme4 fixef
#' @export
#' @noRd
fixef.lmerMod <- function(object, add.dropped = FALSE, ...) {
  if (add.dropped) return(NextMethod())
  beta <- object@beta
  names(beta) <- fixed_names(object)
  beta
}
