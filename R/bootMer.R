#' Model-based bootstrap of linear mixed models
#'
#' `bootMer()` takes what lme4's takes and returns what it returns: it simulates responses from the fit, refits the model to each and
#' computes `FUN` of each refit. The refits are done by the engine, all of them in a few calls.
#'
#' @section The statistic:
#' `FUN` may be any R function of a fit. It is then run on a fit of each replicate, which is made without fitting again. A function made
#' of the following is recognised and computed for all replicates at once, which is some ten to a hundred times faster:
#' `fixef(f)`, `sigma(f)`, `getME(f, "theta")` (`"beta"`, `"sigma"`), `VarCorr(f)` with `[[`, `attr(, "stddev")`,
#' `attr(, "correlation")`, `as.data.frame(VarCorr(f))` and its columns, `ranef(f)` and its parts, `predict(f, newdata = nd, re.form = )`,
#' `logLik(f)`, `deviance(f)`, `REMLcrit(f)`, `AIC(f)`, `BIC(f)`, `isSingular(f)`; indexing, `c()`, `unlist()`, `unname()`, `setNames()`
#' and the like; arithmetic, `sqrt()`, `exp()`, `log()`, `sum()`, `mean()`, `max()` ...; assignments to local variables; calls of functions
#' of your own made of the same. What is computed that way is compared with `FUN(x)` first; `options(fastlmer.vocabulary = FALSE)` switches
#' it off.
#'
#' @section Random numbers:
#' With `rng = "R"` the responses are those that `simulate(x, nsim)` draws from the same seed, in lme4 as here, and a `FUN` that draws
#' random numbers finds R's generator where lme4 leaves it. With `rng = "pcg64"` every replicate has a stream of its own (of the generator
#' PCG64) given by the seed and its number: the result is the same for any number of threads, chunks and worker processes, and
#' responses are never all in memory; `seed` is one whole number, drawn from R's generator when it is `NULL`.
#'
#' @section Differences from lme4:
#' Each replicate is the exact (RE)ML fit of its response. In lme4 1.1-31 `refit()` of a REML fit optimises another criterion (newer
#' versions don't), so there the estimates of variances differ. Residuals are drawn with standard deviation sigma / sqrt(weight).
#' Anything but a linear mixed model goes to [lme4::bootMer()].
#'
#' @param x a fitted linear mixed model.
#' @param FUN a function of a fit that returns a numeric vector.
#' @param nsim number of replicates.
#' @param seed a seed for [set.seed()], or `NULL`. As in lme4 it resets the session's random numbers, which go on from there: in a loop
#'   that simulates data sets leave it out, or give each a seed of its own, for with the same one all data sets after the first are alike.
#'   (With `rng = "pcg64"` a seed leaves R's generator alone.)
#' @param use.u `TRUE` to keep the conditional modes of the random effects, `FALSE` to draw new ones.
#' @param re.form a formula of the random effects to keep, instead of `use.u`, as for [simulate.lmerMod()].
#' @param type `"parametric"`, or `"semiparametric"` (with `use.u = TRUE`): residuals are resampled. [boot_resample()] has more.
#' @param verbose `TRUE` to print each replicate.
#' @param .progress `"none"`, or lme4's `"txt"`, `"tk"`, `"win"`; `"cli"` for a bar with the time that is left. With `"none"` an interactive
#'   session with the package cli shows that bar for what takes longer than two seconds; `options(fastlmer.progress = FALSE)`
#'   switches it off.
#' @param PBargs arguments of the progress bar.
#' @param parallel,ncpus,cl where `FUN` runs: `"no"` in this process, `"multicore"` or `"snow"` in `ncpus` processes or on the cluster `cl`,
#'   `"future"` on the current [future::plan()]. With `rng = "pcg64"` the workers also draw and refit.
#' @param call.env where `control` of the fit's call is looked up.
#' @param rng where random numbers come from: R's generator, or the engine's.
#' @param threads threads that refit; the option `fastlmer.threads` if it is set, else the number of cores, at most 8. Results don't depend
#'   on it.
#' @return An object of class `c("bootMer", "boot")`, as lme4's: `t0` is `FUN(x)`, `t` has a row per replicate; the functions of package
#'   boot, `print()`, `plot()`, `confint()`, `as.data.frame()` take it. How many replicates failed, and what they said, is in its attributes
#'   `bootFail`, `boot.fail.msgs` and `boot.all.msgs`. An attribute that lme4's doesn't have, `singular`, has the numbers of the replicates
#'   whose fit is singular, see [isSingular()]. [autoplot()][autoplot.boot] draws it all.
#' @references Davison, A. C. and Hinkley, D. V. (1997) *Bootstrap Methods and Their Application*. Cambridge University Press.
#' @seealso [boot_resample()] for other kinds of bootstrap, [confint.lmerMod()], [boot_lrt()], [lme4::bootMer()]
#' @examples
#' fit <- lmer(Reaction ~ Days + (Days | Subject), sleepstudy)
#' boot <- bootMer(fit, fixef, nsim = 200, seed = 1)
#' boot
#' confint(boot)
#'
#' # standard deviations and correlation; a prediction with its band
#' bootMer(fit, function(f) as.data.frame(VarCorr(f))$sdcor, nsim = 100, seed = 1)
#' days <- data.frame(Days = 0:9)
#' lines <- bootMer(fit, function(f) predict(f, newdata = days, re.form = NA), nsim = 100, seed = 1)
#' apply(lines$t, 2, quantile, c(0.025, 0.975))
#' @export
bootMer <- function(x, FUN, nsim = 1, seed = NULL, use.u = FALSE, re.form = NA, type = c("parametric", "semiparametric"),
                    verbose = FALSE, .progress = "none", PBargs = list(), parallel = c("no", "multicore", "snow", "future"),
                    ncpus = getOption("boot.ncpus", 1L), cl = NULL, call.env = parent.frame(), rng = c("R", "pcg64"),
                    threads = default_threads()) {
  call <- match.call()
  refuse_without_rows(x, "bootMer()")
  record <- engine_of(x)
  if (is.null(record)) return(boot_by_lme4(call, parent.frame()))
  stopifnot((nsim <- as.integer(nsim[1L])) > 0L)
  if (missing(parallel)) parallel <- getOption("boot.parallel", "no")
  parallel <- match.arg(parallel, c("no", "multicore", "snow", "future"))
  FUN <- match.fun(FUN)
  type <- match.arg(type)
  rng <- match.arg(rng)
  keep <- if (missing(re.form)) if (use.u) NULL else NA else re.form
  if (type == "semiparametric") check_semiparametric(use.u, !missing(re.form))
  if (rng == "pcg64") seed <- pcg_seed(seed)
  draws <- list(rng = rng, seed = seed, keep = keep, type = type, after = 0)
  workers <- worker_plan(parallel, ncpus, cl)
  if (workers$count > 1L && .progress != "none") {
    message("progress bar disabled for parallel operations")
    .progress <- "off"
  }
  plan <- list(record = record, FUN = FUN, nsim = nsim, threads = threads, verbose = verbose, control = call_control(x, call.env))
  run_bootstrap(x, plan, draws, workers, progress_bar(.progress, PBargs, nsim), call)
}

# The bootstrap by simulated responses; `draws` says what they are drawn with, and with the engine's generator how many came before.
run_bootstrap <- function(x, plan, draws, workers, progress, call) {
  if (draws$rng == "R" && !is.null(draws$seed)) set.seed(draws$seed)
  state <- generator_state()
  plan$t0 <- plan$FUN(x)
  if (!is.numeric(plan$t0)) stop("bootMer currently only handles functions that return numeric vectors")
  plan$draws <- !identical(state, generator_state())
  plan$x <- as_engine_fit(x, plan$record)
  plan$statistic <- vectorised_statistic(plan$FUN, plan$x, plan$record, plan$t0)
  plan$pieces <- if (progress$shown) 25L else 1L
  plan$after <- draws$after
  result <- run_replicates(plan, response_source(plan, draws$type, draws$keep, draws$rng, draws$seed), workers, progress)
  boot <- new_bootmer(x, plan, result, call, if (draws$rng == "R") generator_state() else draws$seed)
  if (draws$rng == "pcg64") {
    attr(boot, "draws") <- list(
      keep = is.null(draws$keep), streams = data.frame(seed = draws$seed, first = draws$after + 1, count = plan$nsim)
    )
  }
  boot
}

boot_by_lme4 <- function(call, caller) {
  call[[1L]] <- quote(lme4::bootMer)
  call$rng <- call$threads <- NULL
  eval(call, caller)
}

check_semiparametric <- function(use.u, re.form) {
  if (re.form) fail("unsupported", sQuote("re.form"), " cannot be used with semiparametric bootstrapping")
  if (!use.u) fail("unsupported", "semiparametric bootstrapping with use.u=FALSE not yet implemented")
}

pcg_seed <- function(seed) {
  if (is.null(seed)) return(sample.int(.Machine$integer.max, 1L))
  seed <- as.numeric(seed)
  if (length(seed) != 1L || !is.finite(seed) || seed != round(seed)) fail("argument", "'seed' must be one whole number")
  seed
}

# The convergence checks that the original call asked for.
call_control <- function(x, caller) {
  given <- x@call$control
  control <- if (!is.null(given)) tryCatch(eval(given, caller), error = function(e) NULL)
  if (inherits(control, "lmerControl")) control else default_control()
}

# The same fit as an object of ours, where lme4 made it.
as_engine_fit <- function(x, record) {
  if (is_fastlmer(x)) return(x)
  fit <- solve_response(record, list(fixed = TRUE))
  fit$optinfo <- x@optinfo
  new_lmermod(fit, parts_of_record(record, x@frame, x), x@call)
}

new_bootmer <- function(x, plan, result, call, seed, sim = "parametric", ran.gen = "simulate(<lmerMod>, 1, *)") {
  messages <- lapply(result$conditions, function(texts) table(trimws(texts)))
  names(messages) <- paste0("factory-", names(messages))
  failed <- sum(messages[["factory-error"]])
  if (failed > 0L) warn("failed_replicates", "some bootstrap runs failed (", failed, "/", plan$nsim, ")")
  t <- result$t
  # NULL for a matrix, whose own names say nothing here
  colnames(t) <- names(plan$t0)
  structure(
    list(
      t0 = plan$t0, t = t, R = plan$nsim, data = stats::model.frame(x), seed = seed, statistic = plan$FUN, sim = sim, call = call,
      ran.gen = ran.gen, mle = list(beta = lme4::getME(x, "beta"), theta = lme4::getME(x, "theta"), sigma = stats::sigma(x))
    ),
    class = c("bootMer", "boot"), bootFail = failed, boot.fail.msgs = if (failed > 0L) messages[["factory-error"]],
    boot.all.msgs = messages, boot_type = "boot", singular = result$singular
  )
}
