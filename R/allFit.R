#' Refit a model with all optimizers
#'
#' lme4's [lme4::allFit()] on the engine's criterion: every optimizer of the table runs, from lme4's starting values and with lme4's
#' settings, but the model is neither built nor differenced again, for the engine has its criterion and its derivatives. Fits by other
#' functions, and with `parallel`, go to lme4 as they are; the data of a fit that was made inside a function are found there too (lme4's own
#' looks for them where the formula was written, and for its settings elsewhere, and stops where no single place has both).
#'
#' @param object a fitted model.
#' @param meth.tab,data,verbose,show.meth.tab,maxfun,parallel,ncpus,cl,catch.errs,start_from_mle as in [lme4::allFit()]; versions of lme4
#'   before 2.0 don't know `start_from_mle` and `parallel = "future"`.
#' @return An object of lme4's class `allFit`.
#' @seealso [lme4::allFit()]
#' @examples
#' fit <- lmer(Reaction ~ Days + (Days | Subject), sleepstudy)
#' all <- allFit(fit, verbose = FALSE)
#' summary(all)$llik
#' @export
allFit <- function(object, meth.tab = NULL, data = NULL, verbose = TRUE, show.meth.tab = FALSE, maxfun = 1e5,
                   parallel = c("no", "multicore", "snow", "future"), ncpus = getOption("allFit.ncpus", 1L), cl = NULL, catch.errs = TRUE,
                   start_from_mle = TRUE) {
  call <- match.call()
  caller <- parent.frame()
  call[[1L]] <- quote(lme4::allFit)
  if (missing(object) || !is_updated_here(object)) return(eval(call, caller))
  record <- if (!show.meth.tab && identical(parallel[[1L]], "no")) engine_of(object)
  if (is.null(record)) {
    call$object <- with_variables_of(caller, object)
    fits <- eval(call, caller)
    if (inherits(fits, "allFit")) attr(fits, "fit") <- object
    return(fits)
  }
  table <- lme4::allFit(object, meth.tab = meth.tab, show.meth.tab = TRUE)
  stopifnot(length(dm <- dim(table)) == 2, dm[1] >= 1, dm[2] >= 2, is.character(table[, "optimizer"]), is.character(table[, "method"]))
  names <- gsub("\\.$", "", paste(table[, "optimizer"], table[, "method"], sep = "."))
  plan <- list(object = object, record = record, given = given_control(object, caller), maxfun = maxfun)
  if (has_start_from_mle() && start_from_mle) plan$start <- record$theta
  # with `verbose` each optimizer is printed
  progress <- progress_bar(if (verbose) "off" else "none", list(), length(names), "Optimizers")
  on.exit(progress$close())
  fits <- lapply(seq_along(names), function(i) {
    if (verbose) cat(names[i], ": ")
    fit <- timed_fit(plan, table[i, "optimizer"], table[i, "method"], catch.errs)
    if (verbose) cat(if (inherits(fit, "error")) "[failed]\n" else "[OK]\n")
    progress$set(i)
    fit
  })
  structure(stats::setNames(fits, names), class = "allFit", fit = object, sessionInfo = utils::sessionInfo(), data = data)
}

# The control of the fit's call; NULL where it has none. (A name in it may be the caller's.)
given_control <- function(object, caller) {
  control <- object@call$control
  if (is.null(control)) return(NULL)
  tryCatch(eval(control, environment(stats::formula(object))), error = function(e) eval(control, caller))
}

# lme4's settings for one optimizer: what the fit's control says, its `optCtrl` as far as the optimizer knows it, the limit of evaluations.
optimizer_control <- function(given, optimizer, method, maxfun) {
  limits <- optimizer_limits()
  settings <- as.list(given$optCtrl)
  if (optimizer %in% names(limits$most)) settings[[limits$most[[optimizer]]]] <- maxfun
  if (optimizer == "optimx") settings$method <- method
  if (optimizer == "nloptwrap") settings$algorithm <- method
  known <- limits$known[[optimizer]]
  if (!is.null(known)) settings <- settings[intersect(names(settings), known)]
  if (!length(settings)) names(settings) <- NULL
  control <- if (is.null(given)) lmerControl() else given
  control$optimizer <- optimizer
  control$optCtrl <- settings
  control
}

timed_fit <- function(plan, optimizer, method, catch) {
  control <- optimizer_control(plan$given, unname(optimizer), unname(method), plan$maxfun)
  run <- function() fit_by_optimizer(plan, control)
  # system.time() would first collect garbage, which takes longer than the fit
  time <- system.time(fit <- if (catch) tryCatch(run(), error = identity) else run(), gcFirst = FALSE)
  attr(fit, "optCtrl") <- control$optCtrl
  attr(fit, "time") <- time
  fit
}

# The fit of the model in a record by the optimizer that `control` names. Its call finds that control again, for update().
fit_by_optimizer <- function(plan, control) {
  object <- plan$object
  record <- plan$record
  formula <- attr(object@frame, "formula")
  environment(formula) <- list2env(list(ctrl = control, pars = plan$start), parent = environment(formula))
  attr(object@frame, "formula") <- formula
  call <- object@call
  call$formula <- formula
  call$control <- quote(ctrl)
  if (!is.null(plan$start)) call$start <- quote(pars)
  if (is_streamed(object)) return(fit_stream(stream_parts(object), record$reml, control, TRUE, plan$start, 0L, call))
  parts <- parts_of_record(record, object@frame, object)
  problem <- list(
    parts = parts, reml = record$reml, y = response_of_record(record),
    design = engine_pointer(record), lower = theta_lower(lengths(record$cnms))
  )
  fit <- optimise_by_user(problem, control, plan$start, 0L)
  fit[c("design", "lower", "reml")] <- problem[c("design", "lower", "reml")]
  new_lmermod(fit, parts, call)
}

# The fit, with what its call names and the formula's environment doesn't have, as the caller has it.
with_variables_of <- function(caller, object) {
  formula <- stats::formula(object)
  place <- environment(formula)
  names <- unique(unlist(lapply(as.list(object@call)[-1L], all.vars)))
  names <- Filter(function(name) !exists(name, envir = place) && exists(name, envir = caller), setdiff(names, all.vars(formula)))
  if (!length(names)) return(object)
  environment(formula) <- list2env(mget(names, envir = caller, inherits = TRUE), parent = place)
  attr(object@frame, "formula") <- object@call$formula <- formula
  object
}
