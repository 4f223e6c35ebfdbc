#' fastlmer: fast linear mixed models in place of lme4
#'
#' Load fastlmer instead of lme4 and call [lmer()] as ever: formula, arguments, messages and the object are lme4's own, and the
#' numerical work is done by an engine written in Rust.
#'
#' @section With other packages:
#' lme4 is attached behind fastlmer, so its data sets, `glmer()`, `nlmer()` and every helper are there, and a later `library(lme4)`
#' changes nothing. Which `lmer()` a script gets depends on what was attached last:
#'
#' | attached, in this order | `lmer()` is | the fit |
#' |---|---|---|
#' | fastlmer; fastlmer, lme4; lme4, fastlmer | fastlmer's | `lmerMod`, by the engine |
#' | tidyverse and fastlmer, in either order | fastlmer's | `lmerMod`, by the engine |
#' | lmerTest or afex and fastlmer, in either order | fastlmer's | `lmerModLmerTest`, by the engine |
#'
#' So scripts that attach lmerTest have its p-values at the engine's speed, and `options(fastlmer.lmerTest = FALSE)` leaves lmerTest's
#' own `lmer()` alone: see [fastlmer-lmerTest]. (`library(tidyr)` after fastlmer puts its own `expand()` in front, as it does with lme4.)
#' [is_fastlmer()] tells whether the engine made a fit. fastlmer's methods also serve linear mixed models that lme4 or lmerTest fitted.
#'
#' A fit can be saved and opened in a session that has lme4 only.
#'
#' @seealso [lmer()], [fastlmer-differences], [fastlmer-options]
#' @aliases show,lmerMod-method
#' @keywords internal
#' @importFrom Matrix drop0
#' @importFrom lme4 lmerControl
#' @importFrom lme4 ranef
#' @useDynLib fastlmer, .registration = TRUE
"_PACKAGE"

#' Where fastlmer and lme4 differ
#'
#' `lmer()` has lme4's arguments, and its result lme4's class and contents. This page lists what is different.
#'
#' @section The optimum:
#' * By default the engine's own optimiser runs, with exact first and second derivatives. Its fits agree with lme4's where lme4 is at
#'   the optimum, to the digits that lme4's optimiser reaches (about four), and have the better criterion where lme4 stops early.
#' * lme4's convergence warnings are judged by the exact derivatives, and by a Hessian that doesn't depend on the units of the
#'   predictors. So "Model failed to converge with max|grad|" and "Model is nearly unidentifiable: ... Rescale variables?" appear only
#'   where they are true; with checks of your own in `lmerControl(check.conv.* = )` lme4's run as they are.
#' * `fit@@optinfo` names lme4's default optimizer, `"nloptwrap"`, because lme4's functions look it up; `feval` counts the engine's
#'   evaluations, `message` is the engine's, and `derivs` holds the exact gradient and the Hessian at the optimum. The Hessian is exact for
#'   one grouping factor, and for several with few effects between them; for large crossed models it is the average information, the mean
#'   of the observed and the expected second derivatives (Gilmour, Thompson and Cullis 1995, \doi{10.2307/2533274}), which can be some per
#'   cent off.
#' * lme4's warning "Some predictor variables are on very different scales: consider rescaling" isn't given by default: the engine scales
#'   the columns itself, and predictors in units from 1e-6 to 1e6 give the same model. Every other value of `lmerControl(check.scaleX = )`
#'   is honoured.
#' * "boundary (singular) fit" is said where a variance is zero, or nearly so beside the residual variance, for predictors of unit size.
#'   lme4 looks at theta, which is tiny for a predictor in large units; so does its `isSingular()`.
#' * A variance that the likelihood doesn't determine is zero: by REML that of a factor that is a fixed effect too, of one that the fixed
#'   effects nest in, or of one with a single level; and that of a factor with a level for each row. A message of class
#'   `fastlmer_undetermined` says which term the data can't tell from what. lme4 leaves it, and with it standard errors, near where its
#'   optimizer started. (`check.conv.singular = "ignore"` turns the message off.)
#' * A response that the fixed effects fit exactly has variances of zero, and a warning of class `fastlmer_exact_fit`. lme4 optimises the
#'   likelihood of the rounding errors.
#' * Where the random effects can fit the response all but exactly the likelihood may have no maximum: it rises as the residual variance
#'   goes to zero, until rounding hides it. A warning of class `fastlmer_not_converged` says so. lme4 ends wherever its optimizer does,
#'   often with a warning that names no cause.
#'   Short of that the last steps of a search are led by the gradient: where the residual standard deviation is a millionth of the random
#'   effects', theta of a balanced one-way layout is within 1e-4 of its closed form, lme4's by 1 percent off.
#' * `lmer()` has the further argument `threads`, after lme4's.
#' * An optimizer that you name in `lmerControl(optimizer = )`, or any `optCtrl`, is used, on the engine's criterion. Naming has to be
#'   seen: `lmerControl(optimizer = "nloptwrap")` inside the call counts, the same control object under a variable's name is taken for
#'   the default.
#'
#' @section Checks of the input:
#' * Infinite values in the random-effects model matrix, and infinite weights or offsets, are an error.
#' * Zero weights are an error. lme4 takes them and returns its starting values, for its criterion is infinite everywhere; leave such
#'   observations out by `subset`.
#' * Starting values that aren't finite are an error.
#' * Columns of 64-bit integers (package bit64) are an error in the fixed effects and in the columns of random effects, where
#'   [model.matrix()] would take their bits for something else. They are accepted as grouping factors.
#' * `weights` and `offset` no longer leave a variable of that name in the formula's environment.
#' * `data`, `subset`, `weights` and `offset` are evaluated once. lme4 evaluates them several times, so that of `data = d[sample(nrow(d)),
#'   ]` its frame, model matrix and groups have each another order.
#' * A fit keeps its own copy of the columns it uses. lme4's frame shares them with the data, and changes with these where a package writes
#'   in place (`:=`, `set()` and `setorder()` of data.table).
#' * A bar inside a function, as in `I(a > 7 | b < 2)`, is R's own; lme4 takes it for a random-effects term.
#'
#' @section Refits, simulation and bootstrap:
#' * `refit()` finds the exact REML fit of a new response. In lme4 1.1-31 `refit()` of a REML fit optimises another criterion (newer
#'   versions don't), so its bootstraps of REML fits differ from ours in the variances and in intervals for the fixed effects.
#' * `refit()` of a linear mixed model takes a matrix or list of several responses, and optimises by the engine whatever optimizer made the
#'   fit. A response may have as many values as the fit has observations, also where rows with missing values were left out.
#' * `simulate()` divides the residual standard deviation by the square root of the prior weights; lme4 (1.1-31 and 2.1) ignores them. The
#'   draws before that are lme4's.
#' * `predict()` and `simulate()` for new data evaluate the fit's argument `offset` in them, as [predict.lm()] does, or stop; lme4 leaves
#'   the offset out. (An `offset()` in the formula is taken by both.)
#' * `predict()` has the arguments `se.fit`, `interval`, `level`, `df`, `weights` and `method` with every version of lme4. Where `se.fit` of
#'   lme4 2.x takes the effects of levels that the fit hasn't seen for known to be zero, their variance is in ours. Of two terms of one
#'   grouping factor with a column in common, as in `(a | g) + (b | g)`, each has its own effects; lme4 predicts new data with the first
#'   term's for both. With a formula as `re.form`, factors in the terms that it leaves out needn't be in the new data.
#' * What the engine recomputes are the linear mixed models of lme4's and lmerTest's `lmer()`, exactly of their classes and with a Z,
#'   Lambda, weights and offset that are those of their terms. Other fits (blme's, gamm4's, of lme4's modular functions with another `Zt`)
#'   go to their own package's methods or lme4's.
#' * [update()] of a fit by the engine runs this package's `lmer()`, also inside packages that import lme4, and the variables of its new
#'   arguments are looked up where it is called before they are where the formula was written. Of a model that [refit()] gave another
#'   response it fits the old one, as in lme4, and says so in a warning of class `fastlmer_refitted_update`.
#' * [allFit()] doesn't build the model again for each optimizer, and takes the data of the fit, not what now has their name. The
#'   derivatives that its fits, and those by an optimizer that you name, are checked by are exact; lme4's are differences.
#' * `simulate()` and `bootMer()` with `re.form = NULL` don't look the data up again, so they also work where lme4 doesn't find
#'   them or forgets the `subset`.
#' * `bootMer()` and `confint(method = "boot")` have the further arguments `rng`, `threads` and `call.env`, and `parallel = "future"` with
#'   every version of lme4. `confint()` of a bootstrap has the further `type = "shortest"`. `confint(method = "boot")` takes `signames` and
#'   `oldNames` with every version, and its `boot.scale = "vcov"` works (lme4 2.1 stops). Where `FUN` is recognised (see [bootMer()]),
#'   `parallel = "multicore"` and `"snow"` start no processes: the engine's threads do the work.
#'
#' @section Tests:
#' * `summary()`, `anova()` and `drop1()` of a fit take lmerTest's arguments `ddf` and `type`, and with lmerTest attached `lmer()` returns
#'   its class of fits: see [fastlmer-lmerTest], also for where the degrees of freedom differ from lmerTest's.
#' * Kenward and Roger's inference of a fit by the engine is exact and doesn't grow with the rows: [vcov_kr()], [test_kr()], and by way of
#'   methods that are registered when those packages are loaded pbkrtest's `vcovAdj()`, `KRmodcomp()`, `SATmodcomp()` and `get_Lb_ddf()`,
#'   what asks them (car's `Anova(test = "F")`, lmerTest, afex), emmeans and parameters. emmeans' limits of rows, and its need of pbkrtest
#'   and lmerTest, are gone unless the computation would take minutes. `parameters::ci(method = "kenward")` and what is written
#'   `pbkrtest::vcovAdj.lmerMod()` are as slow as ever.
#' * With prior weights the residual variance of a row is sigma squared over its weight; pbkrtest takes all rows for alike, and its adjusted
#'   covariances of weighted fits are some per cent off. Of a fit by maximum likelihood all that Kenward and Roger's tests are made of is
#'   that of its fit by REML; `pbkrtest::get_Lb_ddf()` takes the unadjusted covariance from the fit that it is given.
#' * Variances that the data can't tell from others, or from the fixed effects, are left out of the information in units that don't depend
#'   on those of the predictors.
#'
#' @section Influence:
#' * [influence()][influence.lmerMod()] neither evaluates the call again nor looks its data up: it works for fits made inside functions, and
#'   for `groups` that name grouping factors which the formula makes, as `"cask:batch"`. Its refits are exact; lme4's stop where its
#'   optimizer does. They keep the fit's `subset`, in whose place lme4 puts the deletion.
#' * Of several names in `groups` each combination that occurs is a group. lme4 takes every row of the data for a group of its own.
#' * Where a deletion leaves a column of the fixed effects a combination of earlier ones its coefficient is `NA`; lme4's coefficients then
#'   stand in the wrong columns. `dfbetas()` also works for a single fixed effect: the object has then a class in front of lme4's.
#' * `rstandard()` of a fit is what lme4 calls its `rstudent()`. `cooks.distance()` takes the rank of the fixed effects from the fit.
#' * [convergence()] is a report of ours. `performance::check_convergence()` of a fit by the engine is judged by exact derivatives.
#'
#' @section Pictures:
#' * `ggplot2::autoplot()` of a fit has [types][autoplot.lmerMod]; `ggplot2::fortify(fit)` and so `ggplot(fit)` are lme4's, which has the
#'   method but doesn't register it, so that with lme4 alone current versions of R don't find it. `plot(fit)` stays lme4's.
#' * Where random effects are cells and fixed effects contrasts, as in `y ~ f + (0 + f | g)`, `coef()` adds what has the same name. The
#'   pictures of pooling have the cells' means for the average.
#'
#' @section Profiles:
#' * [profile()][profile.lmerMod()] and [confint()][confint.lmerMod()] have other points than lme4's: among them are the ends of the
#'   intervals, which aren't interpolated. `delta` is the largest distance of points in zeta. The arguments `optimizer`, `control`, `cl` and
#'   `devmatchtol` do nothing.
#' * Prior weights are in all likelihoods. lme4 1.1-31 leaves them out of those of the fixed effects' profiles, which are then wrong:
#'   with `weights = rep(2, 180)` on sleepstudy that of `Days` is 0.07 wide, not 6.2.
#' * Singular fits have profiles, and intervals that end at the boundary; lme4 stops on many. A correlation with effects that don't vary is
#'   given as zero, where lme4 has `NaN`, and its interval is from -1 to 1.
#' * The unit of a predictor changes nothing but the unit of the interval.
#' * `confint(level = )` beyond the confidence region of `alphamax` goes on until there; lme4 gives the parameter's bounds.
#' * Fits of data in chunks have profiles. With an absorbed factor all columns are profiled, or those of `which`.
#'
#' @section What lme4 does:
#' These go to `lme4::lmer()` with your call, and [is_fastlmer()] is `FALSE` for the result: `devFunOnly = TRUE`; a formula without a
#' response; columns rescaled by `check.scaleX`; observations whose grouping factor is missing (`na.action = na.pass`); a response
#' with which the engine finds no criterion; the structured covariances of lme4 2.x (`cs()`, `ar1()`, `diag(hom = TRUE)`; `us()` and
#' `diag()` are the engine's). `glmer()` and `nlmer()` are lme4's.
#' @name fastlmer-differences
NULL
