#' Refit a model with all optimizers
#'
#' lme4's [lme4::allFit()], which also finds the data of a fit that was made inside a function. lme4's own looks for them where the
#' formula was written, and for its settings elsewhere, and stops where no single place has both. The optimizers run on the engine's
#' criterion; fits by other functions go to lme4 as they are.
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
  call$object <- with_variables_of(caller, object)
  fits <- eval(call, caller)
  if (inherits(fits, "allFit")) attr(fits, "fit") <- object
  fits
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
