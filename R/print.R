# lme4 prints its own objects; where a factor of the fixed effects was absorbed, without forming X for its attributes.

#' @export
#' @noRd
print.lmerMod <- function(x, ...) without_columns(x, NextMethod())

#' @importFrom methods show
#' @exportMethod show
#' @noRd
methods::setMethod("show", "lmerMod", function(object) print(object))
