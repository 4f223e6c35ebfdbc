#' Simulate responses from a linear mixed model
#'
#' Draws responses from a fitted model with new random effects, or given those of the fit. From the same seed the draws are lme4's, to
#' rounding: standard normals for the random effects of all responses, then for the residuals of all responses.
#'
#' Prior weights enter: a residual has standard deviation sigma / sqrt(weight), as the model says. lme4's `simulate()` (1.1-31 and 2.1)
#' gives all residuals standard deviation sigma. With `newdata` the weights are 1 unless the argument `weights` gives them.
#'
#' @param object a fitted linear mixed model.
#' @param nsim number of responses.
#' @param seed a seed for [set.seed()], or `NULL` to go on with R's stream.
#' @param use.u `TRUE` to keep the conditional modes of the random effects, `FALSE` to draw new effects.
#' @param re.form a formula of the random effects to keep; `NULL` keeps all, `NA` and `~0` none.
#' @param newdata,newparams,family,allow.new.levels,na.action as in [lme4::simulate.merMod()]; what they ask for is done by lme4's method.
#' @param ... `weights` (with `newdata`), and what lme4's method takes.
#' @return A data frame with a column per response, named `sim_1`, `sim_2`, ..., and the attributes `seed` (the state of R's generator
#'   before the first draw) and `na.action`.
#' @seealso [bootMer()], [refit.lmerMod()], [lme4::simulate.merMod()]
#' @examples
#' fit <- lmer(Reaction ~ Days + (Days | Subject), sleepstudy)
#' head(simulate(fit, nsim = 2, seed = 1))
#' head(simulate(fit, re.form = NULL, seed = 1)) # the same subjects again
#' @importFrom stats simulate
#' @export
simulate.lmerMod <- function(object, nsim = 1, seed = NULL, use.u = FALSE, re.form = NA, newdata = NULL, newparams = NULL,
                             family = NULL, allow.new.levels = FALSE, na.action = stats::na.pass, ...) {
  if (!is_exactly_lmer(object)) return(NextMethod())
  refuse_without_rows(object, "simulate()")
  given <- !c(use.u = missing(use.u), re.form = missing(re.form), na.action = missing(na.action))
  if (all(given[c("use.u", "re.form")])) fail("argument", "should specify only one of ", sQuote("use.u"), " and ", sQuote("re.form"))
  stopifnot((nsim <- as.integer(nsim[1L])) > 0L)
  keeps <- if (given[["use.u"]]) if (use.u) NULL else NA else re.form
  plain <- is.null(newdata) && is.null(newparams) && !...length() && (is.null(keeps) || keeps_none(keeps))
  record <- if (plain) engine_of(object)
  if (is.null(record)) {
    arguments <- list(nsim = nsim, seed = seed, newdata = newdata, newparams = newparams, allow.new.levels = allow.new.levels, ...)
    if (given[["na.action"]]) arguments$na.action <- na.action
    return(simulate_by_lme4(object, arguments, keeps))
  }
  if (!is.null(seed)) set.seed(seed)
  state <- generator_state()
  recipe <- simulation_recipe(record, object, keep = is.null(keeps))
  normals <- list(u = draw_effects(recipe, nsim), e = draw_residuals(recipe, nsim))
  as_simulated(simulated_responses(record, recipe, normals), object, state, if (given[["na.action"]]) na.action)
}

# A formula or NA that keeps no random effect, as reFormHack() and isRE() of lme4 read it.
keeps_none <- function(re.form) {
  if (inherits(re.form, "formula")) return(length(re.form) == 2L && identical(re.form[[2L]], 0))
  length(re.form) == 1L && is.na(re.form)
}

# .Random.seed, made if there is none.
generator_state <- function() {
  if (!exists(".Random.seed", envir = globalenv(), inherits = FALSE)) stats::runif(1L)
  get(".Random.seed", envir = globalenv())
}

set_generator_state <- function(state) assign(".Random.seed", state, envir = globalenv())

# What a response is drawn from: y = offset + mean + sigma (Z Lambda(theta) u + e / sqrt(w)); theta is NULL where the random effects are
# kept, which are then in the mean.
simulation_recipe <- function(record, object, keep) {
  mean <- if (keep) object@resp$mu - object@resp$offset else columns_times(record$x, record$beta)
  list(
    mean = as.numeric(mean), sigma = record$sigma, theta = if (!keep) record$theta, n = nrow(record$x),
    effects = if (keep) 0L else sum(record$nlev[record$asgn] * lengths(record$cnms)), record = record[c("flist", "cnms", "structure")]
  )
}

draw_effects <- function(recipe, count) if (recipe$effects) in_engine_order(normal_matrix(recipe$effects, count), recipe$record)

draw_residuals <- function(recipe, count) normal_matrix(recipe$n, count)

# matrix(rnorm()) would copy what may be hundreds of megabytes.
normal_matrix <- function(rows, columns) {
  normals <- stats::rnorm(rows * columns)
  dim(normals) <- c(rows, columns)
  normals
}

# The responses as engine_refit_many() and engine_simulate() take them.
recipe_responses <- function(recipe, normals) c(recipe[c("mean", "sigma", "theta")], normals)

# A matrix of responses, with the offset. `normals` holds u and e, or rng.
simulated_responses <- function(record, recipe, normals) {
  y <- engine_simulate(
    engine_pointer(record), record$x, record$codes, record$z, record$weights, recipe_responses(recipe, normals)
  )
  if (is.null(record$offset)) y else y + record$offset
}

# lme4's data frame of responses, padded where `na.action` says so.
as_simulated <- function(y, object, state, na.action) {
  frame <- object@frame
  left_out <- attr(frame, "na.action")
  if (!is.null(na.action) && !is.null(left_out)) {
    kind <- class(attr(na.action(NA), "na.action"))
    if (!identical(kind, class(left_out))) class(left_out) <- kind
  }
  columns <- lapply(seq_len(ncol(y)), function(i) as.numeric(stats::napredict(left_out, y[, i])))
  names(columns) <- paste("sim", seq_along(columns), sep = "_")
  labels <- stats::napredict(attr(frame, "na.action"), stats::setNames(numeric(nrow(y)), rownames(frame)))
  labels <- names(stats::napredict(left_out, stats::setNames(stats::na.omit(labels), rownames(frame))))
  structure(columns, class = "data.frame", row.names = labels, na.action = left_out, seed = state)
}

# lme4's own simulation, for what is beyond the engine. It knows no weights: then the residuals are drawn here, after its random effects.
simulate_by_lme4 <- function(object, arguments, keeps) {
  if (!is.null(arguments$newdata)) refuse_inner_bars(attr(object@frame, "formula"), "simulate(newdata = )")
  arguments$re.form <- keeps
  arguments <- c(list(object = object), arguments["seed"], arguments[names(arguments) != "seed"])
  if (is.null(keeps)) arguments["re.form"] <- list(NULL)
  weights <- arguments$weights %||% if (is.null(arguments$newdata)) stats::weights(object, "prior")
  arguments$weights <- NULL
  if (all(weights == 1, na.rm = TRUE) || !lme4::isLMM(object)) return(do.call(lme4::.simulateFun, arguments))
  values <- without_residuals(arguments)
  kept <- if (is.null(arguments$newdata)) stats::complete.cases(values) else rep(TRUE, nrow(values))
  weights <- weights[!is.na(weights)]
  if (length(weights) != sum(kept)) fail("argument", "'weights' has the wrong length")
  residuals <- matrix(stats::rnorm(sum(kept) * ncol(values)), ncol = ncol(values)) / sqrt(weights)
  sigma <- arguments$newparams$sigma %||% stats::sigma(object)
  values[kept, ] <- values[kept, ] + sigma * residuals
  values
}

# lme4's function can't give several responses without residuals where no random effect is left to draw; they are all the same then.
without_residuals <- function(arguments) {
  arguments$cond.sim <- FALSE
  nsim <- arguments$nsim
  tryCatch(do.call(lme4::.simulateFun, arguments), error = function(e) {
    values <- do.call(lme4::.simulateFun, utils::modifyList(arguments, list(nsim = 1L)))
    structure(rep(unclass(values), nsim), names = paste("sim", seq_len(nsim), sep = "_"), class = "data.frame",
      row.names = attr(values, "row.names"), na.action = attr(values, "na.action"), seed = attr(values, "seed"))
  })
}
