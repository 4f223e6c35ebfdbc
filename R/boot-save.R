#' Save the replicates of a bootstrap, and restore them
#'
#' A bootstrap's replicates took time to compute; all else that its result holds is in the fit or written in the call. `save_replicates()`
#' writes the replicates to a small file, without the data; `restore_replicates()` makes the whole result of it and the fit again, in a
#' later session or on another machine. A fit with other estimates than the one that was bootstrapped is refused.
#'
#' The statistic is saved as its text; where it uses variables of its surroundings, give it again as `FUN`.
#'
#' @param boot a result of [bootMer()] or [boot_resample()].
#' @param file name of a file.
#' @param digits `"double"`, or `"single"` for half the size: seven digits of each replicate.
#' @param fit the fit that was bootstrapped: the same model of the same data.
#' @param FUN the statistic; by default what was saved, looked up from the global environment.
#' @return `save_replicates()`: the name of the file, invisibly. `restore_replicates()`: the result as it was.
#' @seealso [more_replicates()] to go on with what was restored
#' @examples
#' fit <- lmer(Reaction ~ Days + (Days | Subject), sleepstudy)
#' boot <- bootMer(fit, fixef, nsim = 100, seed = 1, rng = "pcg64")
#' file <- tempfile(fileext = ".rds")
#' save_replicates(boot, file)
#' identical(restore_replicates(file, fit)$t, boot$t)
#' unlink(file)
#' @export
save_replicates <- function(boot, file, digits = c("double", "single")) {
  if (!inherits(boot, "bootMer")) fail("argument", "'boot' must be a result of bootMer() or boot_resample()")
  digits <- match.arg(digits)
  t <- boot$t
  kept <- c("t0", "R", "seed", "sim", "call", "ran.gen", "mle", "resampling")
  attributes <- attributes(boot)
  saved <- list(
    format = replicates_format, parts = unclass(boot)[intersect(kept, names(boot))],
    attributes = attributes[setdiff(names(attributes), c("names", "class"))], class = class(boot), size = dim(t), columns = colnames(t),
    missing = which(is.na(t)), t = writeBin(as.double(t), raw(), size = if (digits == "double") 8L else 4L, endian = "little"),
    digits = digits, statistic = deparse(boot$statistic, control = c("keepNA", "keepInteger", "digits17"))
  )
  # a formula or a call in it would bring its surroundings along
  saved$parts$call <- deparse(boot$call)
  saveRDS(saved, file, compress = "xz")
  invisible(file)
}

replicates_format <- "fastlmer replicates 1"

#' @rdname save_replicates
#' @export
restore_replicates <- function(file, fit, FUN = NULL) {
  saved <- tryCatch(readRDS(file), error = function(e) fail("data", sprintf("'%s' can't be read: %s", file, conditionMessage(e))))
  if (!is.list(saved) || !identical(saved$format, replicates_format)) {
    fail("data", sprintf("'%s' isn't a file of save_replicates()", file))
  }
  if (missing(fit) || !methods::is(fit, "merMod")) fail("argument", "'fit' must be the model that was bootstrapped")
  parts <- saved$parts
  if (!same_estimates(parts$mle, estimates_of(fit))) {
    fail("argument", "'fit' isn't the model that was bootstrapped: its estimates differ from those in the file")
  }
  t <- readBin(saved$t, "double", prod(saved$size), size = if (saved$digits == "double") 8L else 4L, endian = "little")
  t[saved$missing] <- NA_real_
  dim(t) <- saved$size
  colnames(t) <- saved$columns
  statistic <- if (is.null(FUN)) saved_statistic(saved$statistic) else match.fun(FUN)
  if (!is.null(FUN) && !isTRUE(all.equal(as.numeric(statistic(fit)), as.numeric(parts$t0), tolerance = 1e-8))) {
    fail("argument", "'FUN' isn't the statistic that was bootstrapped: its value for the fit differs from that in the file")
  }
  boot <- list(
    t0 = parts$t0, t = t, R = parts$R, data = stats::model.frame(fit), seed = parts$seed, statistic = statistic, sim = parts$sim,
    call = str2lang(paste(parts$call, collapse = "\n")), ran.gen = parts$ran.gen, mle = parts$mle
  )
  boot$resampling <- parts$resampling
  attributes(boot) <- c(list(names = names(boot), class = saved$class), saved$attributes)
  boot
}

# A function of its text: this package's and lme4's functions are found, and what the user has.
saved_statistic <- function(text) {
  tryCatch(eval(str2lang(paste(text, collapse = "\n")), globalenv()), error = function(e) NULL)
}
