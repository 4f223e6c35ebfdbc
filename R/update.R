# update() of a fit by the engine fits by our lmer(), whoever asks: lme4's method evaluates the call where the formula was written, and in a
# package that imports lme4 `lmer` is lme4's there. Everything else is lme4's way: the call, and where it is evaluated. lmerTest's fits, and
# those whose call names another function, are updated by theirs.
#' @importFrom stats update
#' @export
#' @noRd
update.lmerMod <- function(object, formula., ..., evaluate = TRUE) {
  if (!is_updated_here(object)) return(NextMethod())
  call <- stats::getCall(object)
  extras <- match.call(expand.dots = FALSE)$...
  if (!missing(formula.)) call$formula <- stats::update.formula(stats::formula(object), formula.)
  for (name in intersect(names(extras), names(call))) call[[name]] <- extras[[name]]
  call <- as.call(c(as.list(call), extras[!names(extras) %in% names(call)]))
  places <- list(with_callers_variables(extras, environment(stats::formula(object)), parent.frame()), sys.frames()[[1L]], parent.frame())
  # model.frame() evaluates these where the formula was written
  if (any(names(extras) %in% frame_arguments)) environment(call$formula) <- places[[1L]]
  keeps_response <- !"data" %in% names(extras) && identical(call$formula[[2L]], stats::formula(object)[[2L]])
  if (!evaluate) {
    if (keeps_response && is_refitted(object)) warn_of_old_response(object, response_of_call(call, places[[1L]]))
    return(evaluable_call(call, places[[1L]]))
  }
  fit <- evaluate_call(call, places)
  if (keeps_response && is_refitted(object) && methods::is(fit, "lmerMod")) {
    warn_of_old_response(object, get("y", envir = attr(fit@resp, ".xData")))
  }
  fit
}

is_updated_here <- function(object) {
  if (!isS4(object) || !identical(as.character(class(object)), "lmerMod") || !is_fastlmer(object)) return(FALSE)
  head <- object@call[[1L]]
  identical(head, quote(lmer)) || identical(head, quote(fastlmer::lmer)) || identical(head, lmer)
}

# Where the formula was written, with the variables of the new arguments as the caller has them: allFit() and functions of the user's have
# `control` and the like as local variables. (lme4 would take another variable of that name first.)
with_callers_variables <- function(extras, place, caller) {
  names <- unlist(lapply(extras, all.vars))
  names <- names[vapply(names, exists, NA, envir = caller)]
  if (!length(names) || identical(place, caller)) place else list2env(mget(names, envir = caller, inherits = TRUE), parent = place)
}

# The first place where the call can be evaluated, by our lmer(). The fit's call reads as it did.
evaluate_call <- function(call, places) {
  head <- call[[1L]]
  call[[1L]] <- quote(fastlmer::lmer)
  fit <- tryCatch(eval(call, places[[1L]]), error = function(e) {
    tryCatch(eval(call, places[[2L]]), error = function(e) eval(call, places[[3L]]))
  })
  if (isS4(fit)) fit@call[[1L]] <- head
  fit
}

# A call that somebody else will evaluate in `place`, as drop1() does: by name, where `lmer` isn't ours there.
evaluable_call <- function(call, place) {
  if (is.name(call[[1L]]) && !identical(get0("lmer", envir = place, mode = "function"), lmer)) call[[1L]] <- quote(fastlmer::lmer)
  call
}

# Was the fit made by refit() with a response of its own?
is_refitted <- function(object) isTRUE(engine_mark(object)$cache$refitted)

# The response that a call would fit; NULL where that can't be told without fitting.
response_of_call <- function(call, place) {
  tryCatch(eval(call$formula[[2L]], eval(call$data, place), place), error = function(e) NULL)
}

warn_of_old_response <- function(object, y) {
  own <- get("y", envir = attr(object@resp, ".xData"))
  if (is.null(y) || (length(y) == length(own) && isTRUE(all.equal(as.numeric(y), own, tolerance = 1e-12)))) return(invisible())
  warn("refitted_update", paste(
    "update() fits the response that the model's call names, not the one that refit() was given:",
    "use refit(update(...), newresp) on the model as it was first fitted, or put the new response into the data"
  ))
}
