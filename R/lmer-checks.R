# lme4's checks of the input. Each is first asked cheaply whether it could have anything to say; only then lme4's own function
# runs, with its own words.

# TRUE when none of lFormula()'s checks of the random-effects terms can fire, whatever their level of severity.
passes_checks <- function(terms, n, control) {
  levels <- level_numbers(terms$flist)
  effects <- levels[attr(terms$flist, "assign")] * lengths(terms$cnms)
  (identical(control, default_control()$checkControl) || plain_levels(control)) &&
    all(levels > 1L) && all(levels < n) && all(effects < n) &&
    (control$check.nlev.gtreq.5 == "ignore" || all(levels >= 5L))
}

plain_levels <- function(control) {
  names <- c("check.nobs.vs.nlev", "check.nlev.gtreq.5", "check.nlev.gtr.1", "check.nobs.vs.nRE", "check.formula.LHS")
  identical(control$check.nobs.vs.rankZ, "ignore") && is.null(control$autoscale) && all(lengths(control[names]) == 1L) &&
    all(unlist(control[names]) %in% c("ignore", "message", "warning", "stop"))
}

# Drops aliased columns of X and looks at their scales, as lme4 does and says. `design` holds the cross-products of all columns.
check_fixed <- function(parts, control) {
  # An error says that X hasn't full rank; what that means is for lme4's check to say.
  parts$design <- tryCatch(new_design(parts), fastlmer_engine_error = function(e) if (is_final(e)) stop(e))
  rank <- control$checkControl$check.rankX %||% "message+drop.cols"
  if (rank != "ignore" && (is.null(parts$design) || !all(engine_rank_margin(parts$design) > 1e-5))) {
    if (is_absorbed(parts$x)) {
      return(check_fixed(with_all_columns(parts, "fixed-effect model matrix is rank deficient; to say which columns can go "), control))
    }
    p <- ncol(parts$x)
    parts$x <- drop_aliased(parts$x, rank)
    if (ncol(parts$x) < p) parts$design <- NULL
  }
  severity <- scale_severity(control$checkControl)
  if (severity == "ignore") {
    if (is_absorbed(parts$x)) parts$x["msgScaleX"] <- list(NULL)
    return(parts)
  }
  if (severity == "none") {
    if (!is_absorbed(parts$x) && is.null(attr(parts$x, "msgScaleX"))) attr(parts$x, "msgScaleX") <- character()
    return(parts)
  }
  if (is_absorbed(parts$x)) parts <- with_all_columns(parts, "to check the columns' scales ")
  parts$x <- check_scale(parts$x, severity)
  # What lme4 does to the columns it rescales is its own affair.
  if (is.null(attr(parts$x, "scaled:scale"))) parts
}

with_all_columns <- function(parts, purpose) {
  parts$x <- tryCatch(as.matrix(parts$x), error = function(e) fail("unsupported", purpose, sub("^this ", "lmer() ", conditionMessage(e))))
  parts$design <- NULL
  parts
}

# How lme4's check of the predictors' scales is to be made. Its warning, which is the default, is about what very different scales do to
# lme4's optimiser; the engine centres and scales the columns itself, and the warning would be a false alarm.
scale_severity <- function(checks) {
  severity <- checks$check.scaleX %||% "warning"
  if (severity == "warning") "none" else severity
}

# A response, weights or offset that aren't simply finite numbers: lme4's mkRespMod() accepts or refuses them.
checked_response <- function(frame) {
  response <- stats::model.response(frame)
  if (is.matrix(response) && ncol(response) > 1L) {
    fail("data", "can't handle matrix-valued responses: consider using refit()")
  }
  made <- lme4::mkRespMod(frame, REML = 0L)
  if (length(made$y) != nrow(frame)) fail("data", "the response must have one value per observation")
  if (any(made$weights == 0)) {
    fail("data", "zero weights make the likelihood zero: leave these observations out by 'subset'")
  }
  if (!all(is.finite(made$weights))) fail("data", "NA/NaN/Inf in 'weights'")
  if (!all(is.finite(made$offset))) fail("data", "NA/NaN/Inf in 'offset'")
  list(y = made$y + 0, weights = made$weights + 0, offset = made$offset + 0)
}

# model.matrix() takes the bits of a 64-bit integer for those of a double.
has_int64 <- function(frame) any(vapply(frame, is_int64, NA))

is_int64 <- function(column) is.object(column) && inherits(column, "integer64")

refuse_int64 <- function(frame, formula) {
  groups <- lapply(bar_functions()$findbars(formula[[length(formula)]]), function(bar) all.vars(bar[[3L]]))
  wide <- setdiff(names(frame)[vapply(frame, is_int64, NA)], unlist(groups))
  if (length(wide)) {
    fail("data", "64-bit integers can't enter a model matrix: use as.numeric() on ", paste(sQuote(wide), collapse = ", "))
  }
}
