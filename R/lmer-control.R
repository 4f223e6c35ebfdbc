# What lmerControl() returns without arguments is the same at every call, unless the option of that name is set.
default_control <- function() {
  if (!is.null(getOption("lmerControl"))) return(lmerControl())
  control <- cache$control
  if (is.null(control)) cache$control <- control <- lmerControl()
  control
}

cache <- new.env(parent = emptyenv())

checked_control <- function(control) {
  if (inherits(control, "lmerControl")) return(control)
  if (!is.list(control)) fail("argument", "'control' is not a list; use lmerControl()")
  warning("passing control as list is deprecated: please use lmerControl() instead", immediate. = TRUE, call. = FALSE)
  do.call(lmerControl, control)
}

# Does the expression given as `control` name an optimizer? lmerControl(optimizer = "nloptwrap") is asked for, the same value by
# default isn't.
names_optimizer <- function(expression) {
  if (!is.call(expression)) return(FALSE)
  head <- expression[[1L]]
  if (is.call(head) && length(head) == 3L) head <- head[[3L]]
  if (!identical(head, quote(lmerControl))) return(FALSE)
  matched <- tryCatch(match.call(lmerControl, expression, expand.dots = FALSE), error = function(e) expression)
  "optimizer" %in% names(matched)
}

# Is the engine's own optimiser to run?
uses_engine <- function(control, named) {
  !named && identical(control$optimizer, "nloptwrap") && !length(control$optCtrl)
}
