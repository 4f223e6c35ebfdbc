# What is said of a fit beyond lme4's checks: a response that leaves nothing to the random effects, and random effects that the data
# can't tell from other parts of the model. The texts are added to the messages in the fit's `optinfo`, which print() and summary() show.

# `fit$remarks` is what engine_fit() has to remark on, if anything.
remark_on <- function(fit, x, cnms, formula, frame, control) {
  remarks <- fit$remarks
  texts <- if (remarks$exact) {
    exact_fit
  } else if (control$checkConv$check.conv.singular$action != "ignore") {
    vapply(remarks$undetermined, undetermined_text, "", fit$x %||% x, cnms, formula, frame)
  }
  if (remarks$exact) {
    warn("exact_fit", exact_fit)
  } else {
    remark <- c("fastlmer_undetermined", "message", "condition")
    for (text in texts) message(structure(class = remark, list(message = paste0(text, "\n"), call = NULL)))
  }
  fit$optinfo$conv$lme4$messages <- c(fit$optinfo$conv$lme4$messages, texts)
  fit
}

exact_fit <- paste(
  "the fixed effects fit the response exactly: all variances are zero but for rounding errors,",
  "and the likelihood and what depends on it mean nothing"
)

# `place` is what engine_fit() tells of one column of a random-effects term.
undetermined_text <- function(place, x, cnms, formula, frame) {
  column <- cnms[[place$term]][place$column]
  effect <- sprintf("(%s | %s)", if (column == "(Intercept)") "1" else column, names(cnms)[place$term])
  if (place$source == "nothing") {
    return(sprintf("the random effect %s is zero in all observations: its variance is set to zero", effect))
  }
  from <- if (place$source == "residuals") "the residuals" else fixed_effects_text(place, x, formula, frame)
  sprintf("the data can't tell the random effect %s from %s: its variance is set to zero", effect, from)
}

fixed_effects_text <- function(place, x, formula, frame) {
  labels <- attr(stats::terms(bar_functions()$nobars(formula), data = frame), "term.labels")
  terms <- if (is_absorbed(x)) {
    own <- x$first - 1L + seq_len(nlevels(x$factor) - x$intercept)
    dense <- x$assign[-c(if (x$intercept) 1L, own)]
    c(dense[place$columns], if (place$absorbed) x$assign[own[1L]])
  } else {
    attr(x, "assign")[place$columns]
  }
  terms <- labels[sort(unique(terms[terms > 0L]))]
  if (!length(terms)) return("the intercept")
  paste(if (length(terms) == 1L) "the fixed effect" else "the fixed effects", paste(terms, collapse = ", "))
}
