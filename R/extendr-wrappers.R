# Written by tools/document.sh from src/rust/src/lib.rs; don't edit by hand.
# nolint start

#' Cross-products of a design, as an external pointer.
#' @noRd
engine_design <- function(x, codes, nlev, asgn, z, weights, threads) engine_value(.Call(wrap__engine_design, x, codes, nlev, asgn, z, weights, threads))

#' Is an external pointer empty, as it is after readRDS()?
#' @noRd
engine_is_nil <- function(pointer) engine_value(.Call(wrap__engine_is_nil, pointer))

#' Per column of x what earlier columns leave of it, relative to its own length.
#' @noRd
engine_rank_margin <- function(design) engine_value(.Call(wrap__engine_rank_margin, design))

#' The levels of an integer vector without missing values, in ascending order, and per element the number of its level, from 1.
#' @noRd
engine_number_levels <- function(x) engine_value(.Call(wrap__engine_number_levels, x))

#' The fit of one response, or with the option `fixed` the solution at `start`.
#' @noRd
engine_fit <- function(design, x, codes, z, weights, y, reml, start, options) engine_value(.Call(wrap__engine_fit, design, x, codes, z, weights, y, reml, start, options))

#' The same for a response that is there as cross-products only: without fitted values.
#' @noRd
engine_fit_response <- function(design, response, reml, start, options) engine_value(.Call(wrap__engine_fit_response, design, response, reml, start, options))

#' RX and the unscaled covariance of all fixed effects of a model with an absorbed factor, at theta.
#' @noRd
engine_fixed_factor <- function(design, x, codes, z, weights, theta, threads) engine_value(.Call(wrap__engine_fixed_factor, design, x, codes, z, weights, theta, threads))

#' Cross-products of a response, as an external pointer.
#' @noRd
engine_response <- function(design, x, codes, z, weights, y, threads) engine_value(.Call(wrap__engine_response, design, x, codes, z, weights, y, threads))

#' Deviance or REML criterion at theta.
#' @noRd
engine_criterion <- function(design, response, theta, reml) engine_value(.Call(wrap__engine_criterion, design, response, theta, reml))

#' Refits of many responses, given or simulated.
#' @noRd
engine_refit_many <- function(design, x, codes, z, weights, responses, reml, start, options) engine_value(.Call(wrap__engine_refit_many, design, x, codes, z, weights, responses, reml, start, options))

#' Simulated responses, a matrix with one column each.
#' @noRd
engine_simulate <- function(design, x, codes, z, weights, responses) engine_value(.Call(wrap__engine_simulate, design, x, codes, z, weights, responses))

#' Conditional variances of the random effects in units of the residual variance, K x K x levels per grouping factor.
#' @noRd
engine_condvar <- function(design, theta, threads) engine_value(.Call(wrap__engine_condvar, design, theta, threads))

#' Quantiles of the standard normal distribution.
#' @noRd
engine_normal_quantile <- function(p) engine_value(.Call(wrap__engine_normal_quantile, p))

#' Probabilities that a standard normal variable is below `z`.
#' @noRd
engine_normal_cdf <- function(z) engine_value(.Call(wrap__engine_normal_cdf, z))

#' Probabilities that a chi-squared variable is above `x`.
#' @noRd
engine_chi_squared_tail <- function(x, df) engine_value(.Call(wrap__engine_chi_squared_tail, x, df))

#' Fails on purpose, by an error or a panic, so that the tests see what a user would see.
#' @noRd
engine_fail <- function(text, panic) engine_value(.Call(wrap__engine_fail, text, panic))

#' Has R fail at the `count`-th piece of memory that it is asked for from now on; 0 for none.
#' @noRd
engine_fail_allocation <- function(count) engine_value(.Call(wrap__engine_fail_allocation, count))

#' The engine's version, and the machine as it sees it: processor, its vector instructions, and memory in bytes (NULL where unknown).
#' @noRd
engine_about <- function() engine_value(.Call(wrap__engine_about))

#' A copy of a vector with its attributes, or of a list's elements with theirs (the list's own are shared), in memory of its own.
#' @noRd
engine_copy <- function(object, threads) engine_value(.Call(wrap__engine_copy, object, threads))

#' A matrix of numbers with `n` rows from numeric vectors; one of a single value is a constant column.
#' @noRd
engine_side_by_side <- function(columns, n, threads) engine_value(.Call(wrap__engine_side_by_side, columns, n, threads))

#' Hat values at theta.
#' @noRd
engine_hat_values <- function(design, x, codes, z, weights, theta, threads) engine_value(.Call(wrap__engine_hat_values, design, x, codes, z, weights, theta, threads))

#' Refits without the rows of each deletion: `deletion` has for every row the number of the one that leaves it out, from 1, or 0.
#' @noRd
engine_influence <- function(design, x, codes, z, weights, y, reml, start, deletion, count, options) engine_value(.Call(wrap__engine_influence, design, x, codes, z, weights, y, reml, start, deletion, count, options))

#' The adjustment at theta: `state`, an external pointer, and the fixed effects' covariance matrix in units of the residual variance,
#' as it is and adjusted.
#' @noRd
engine_kr <- function(design, theta, threads) engine_value(.Call(wrap__engine_kr, design, theta, threads))

#' Is there nothing behind the pointer, as after readRDS()?
#' @noRd
engine_kr_is_nil <- function(state) engine_value(.Call(wrap__engine_kr_is_nil, state))

#' Derivatives of the fixed effects' precision in each covariance parameter, and the parameters' covariance, for a residual variance of 1.
#' @noRd
engine_kr_parameters <- function(state) engine_value(.Call(wrap__engine_kr_parameters, state))

#' About how many multiplications the adjustment takes.
#' @noRd
engine_kr_work <- function(design) engine_value(.Call(wrap__engine_kr_work, design))

#' What degrees of freedom are made of, in coordinates in which the fixed effects' covariance is the identity: `root`, a row for each
#' fixed effect; `p`, a column for each covariance parameter's derivative; `w`, these parameters' covariance.
#' @noRd
engine_kr_values <- function(state) engine_value(.Call(wrap__engine_kr_values, state))

#' Tests of hypotheses, whose rows stand one after the other in `l` (one column of a matrix each); `estimates` are what they are about in
#' units of the residual standard deviation. All together, or each row on its own.
#' @noRd
engine_kr_test <- function(state, l, estimates, together) engine_value(.Call(wrap__engine_kr_test, state, l, estimates, together))

#' The factorisation of a model at theta, as an external pointer.
#' @noRd
engine_predictor <- function(design, theta, threads) engine_value(.Call(wrap__engine_predictor, design, theta, threads))

#' Is a predictor's external pointer empty, as it is after readRDS()?
#' @noRd
engine_predictor_is_nil <- function(pointer) engine_value(.Call(wrap__engine_predictor_is_nil, pointer))

#' Variances of the linear predictors of new rows, in units of the residual variance. `x` is NULL where the fixed effects are left out,
#' an element of `z` where that term is; `levels` are those of an absorbed factor, or NULL; a code of 0 is a level that the fit hasn't seen.
#' @noRd
engine_prediction_variances <- function(design, predictor, n, x, levels, codes, z, threads) engine_value(.Call(wrap__engine_prediction_variances, design, predictor, n, x, levels, codes, z, threads))

#' Cross-products of no rows, as an external pointer. `constant` is the place of each term's constant column, or 0.
#' @noRd
engine_products <- function(factor, k, constant) engine_value(.Call(wrap__engine_products, factor, k, constant))

#' Adds the rows of a chunk. `v` has the raw columns after the constant one.
#' @noRd
engine_products_add <- function(products, columns, v, y, weights, codes, levels, z) engine_value(.Call(wrap__engine_products_add, products, columns, v, y, weights, codes, levels, z))

#' Adds what another accumulator has saved.
#' @noRd
engine_products_merge <- function(products, saved) engine_value(.Call(wrap__engine_products_merge, products, saved))

#' The cross-products as a list of plain vectors.
#' @noRd
engine_products_save <- function(products) engine_value(.Call(wrap__engine_products_save, products))

#' An external pointer to what was saved.
#' @noRd
engine_products_load <- function(saved) engine_value(.Call(wrap__engine_products_load, saved))

#' R with R'R = X'WX (rows of zeros for aliased columns), and for the columns of X = V C what earlier ones don't explain and standard deviations.
#' @noRd
engine_products_summary <- function(products, columns) engine_value(.Call(wrap__engine_products_summary, products, columns))

#' Design and response of the model with X = V C and these terms and levels, in their order. Uses the cross-products up.
#' @noRd
engine_products_model <- function(products, columns, terms, levels) engine_value(.Call(wrap__engine_products_model, products, columns, terms, levels))

#' Profiles of the parameters `which` (from 1: elements of theta, sigma, fixed effects) by maximum likelihood.
#' @noRd
engine_profile <- function(design, response, which, start, zetas, options) engine_value(.Call(wrap__engine_profile, design, response, which, start, zetas, options))

#' The asymptotic covariance of theta and sigma, and the derivatives of the fixed effects' covariance in theta.
#' @noRd
engine_satterthwaite <- function(design, response, reml, theta, threads) engine_value(.Call(wrap__engine_satterthwaite, design, response, reml, theta, threads))

#' Calls `callback(done, total, evaluations)` now and then while the engine computes, until it is called with NULL. The function must not
#' fail.
#' @noRd
engine_watch <- function(callback) engine_value(.Call(wrap__engine_watch, callback))
# nolint end
