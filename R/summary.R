# The summary of a fit by the engine: the object that lme4 makes, from lme4's own accessors. It asks for the covariance of the fixed effects
# once, from vcov.lmerMod(), where lme4 converts it twice; that is nine tenths of lme4's time.
#' @export
#' @noRd
summary.lmerMod <- function(object, correlation = NULL, use.hessian = NULL, ..., ddf = c("Satterthwaite", "Kenward-Roger", "lme4")) {
  if (!missing(ddf) && is_tested_here(object)) {
    ddf <- match.arg(ddf)
    # lme4 doesn't take NULL for the correlation's default
    without <- function(object, ...) {
      if (is.null(correlation)) return(summary(object, use.hessian = use.hessian, ...))
      summary(object, correlation = correlation, use.hessian = use.hessian, ...)
    }
    return(if (ddf == "lme4") without(object, ...) else summary_with_df(object, without, ddf, ...))
  }
  streamed <- is_streamed(object)
  # lme4 2.x's summary has more in it; it asks for residuals, which a fit of data in chunks doesn't have.
  plain <- (is.null(use.hessian) || identical(use.hessian, FALSE)) && !...length() && is_fastlmer(object) && (streamed || !has_structures())
  if (!plain || is.null(plain_covariance(object, stats::sigma(object)))) return(NextMethod())
  asked <- correlation
  dims <- object@devcomp$dims
  beta <- fixef(object)
  if (is.null(correlation)) correlation <- length(beta) <= getOption("lme4.summary.cor.max")
  covariance <- vcov(object, correlation = correlation)
  likelihood <- lme4::llikAIC(object)
  summary <- structure(list(
    methTitle = lme4::methTitle(dims), objClass = class(object), devcomp = object@devcomp, isLmer = TRUE, useScale = TRUE,
    logLik = likelihood$logLik, family = NULL, link = NULL, ngrps = lme4::ngrps(object),
    coefficients = coefficient_table(beta, covariance), sigma = stats::sigma(object), vcov = covariance, varcor = VarCorr(object),
    AICtab = likelihood$AICtab, call = object@call,
    residuals = if (streamed) numeric() else stats::residuals(object, "pearson", scaled = TRUE),
    fitMsgs = without_columns(object, fit_messages(object)), optinfo = object@optinfo
  ), class = c(if (streamed) "summary_without_rows", "summary.merMod"))
  if (has_structures()) summary$corrSet <- if (is.null(asked)) NA else asked
  summary
}

# lmerTest's summary, also where it isn't installed.
summary_with_df <- function(object, summarise, ddf, ...) {
  if (has_lmer_test()) return(summarise(as_lmer_test(object), ..., ddf = ddf))
  tests <- own_tests(object, ddf, "summary")
  summary <- summarise(object, ...)
  estimate <- summary$coefficients[, "Estimate"]
  own <- tests$coefficients()
  t <- estimate / own$error
  p_value <- 2 * stats::pt(abs(t), own$df, lower.tail = FALSE)
  summary$coefficients <- cbind(Estimate = estimate, `Std. Error` = own$error, df = own$df, `t value` = t, `Pr(>|t|)` = p_value)
  summary$methTitle <- paste0(summary$methTitle, ". t-tests use ", tests$name, " method")
  summary
}

coefficient_table <- function(beta, covariance) {
  p <- length(beta)
  error <- sqrt(covariance@x[(seq_len(p) - 1L) * p + seq_len(p)])
  matrix(c(beta, error, beta / error), p, 3L, dimnames = list(names(beta), c("Estimate", "Std. Error", "t value")))
}
