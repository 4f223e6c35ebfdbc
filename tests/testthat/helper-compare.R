# The value of an expression, and the texts of the conditions it signals on the way.
with_conditions <- function(expr) {
  texts <- new.env()
  texts$of <- character()
  keep <- function(kind, restart) {
    function(condition) {
      texts$of <- c(texts$of, paste0(kind, ": ", conditionMessage(condition)))
      invokeRestart(restart)
    }
  }
  value <- tryCatch(
    withCallingHandlers(expr, warning = keep("warning", "muffleWarning"), message = keep("message", "muffleMessage")),
    error = function(e) {
      texts$of <- c(texts$of, paste0("error: ", conditionMessage(e)))
      NULL
    }
  )
  list(value = value, conditions = texts$of)
}

# Fits of one call, written without a function's name: both(formula, data, ...).
#   ours     by fastlmer
#   theirs   by lme4, whose default optimiser stops at about four digits of theta
#   there    by lme4 at our theta, so that everything may be compared to rounding
both <- function(...) {
  call <- sys.call()
  env <- parent.frame()
  fit_by <- function(lmer, ...) {
    call[[1L]] <- lmer
    with_conditions(eval(as.call(c(as.list(call), ...)), env))
  }
  ours <- fit_by(quote(fastlmer::lmer))
  theirs <- fit_by(quote(lme4::lmer))
  call$start <- call$control <- NULL
  there <- if (!is.null(ours$value)) {
    fit_by(quote(lme4::lmer), start = list(ours$value@theta), control = list(lmerControl(optimizer = NULL)))$value
  }
  list(ours = ours, theirs = theirs, there = there)
}

# The same conditions, an optimum not worse than lme4's, and the same object at it, slot by slot and as lme4's accessors show it.
expect_same_fit <- function(fits, tolerance = 1e-7) {
  expect_identical(fits$ours$conditions, fits$theirs$conditions)
  ours <- fits$ours$value
  there <- fits$there
  expect_true(is_fastlmer(ours))
  criterion <- if (lme4::isREML(ours)) "REML" else "dev"
  excess <- ours@devcomp$cmp[[criterion]] - fits$theirs$value@devcomp$cmp[[criterion]]
  expect_lt(excess, max(1e-6, 1e-13 * nobs(ours)))
  for (slot in setdiff(methods::slotNames("lmerMod"), c("pp", "resp", "call", "optinfo"))) {
    expect_equal(methods::slot(ours, slot), methods::slot(there, slot), tolerance = tolerance, label = slot)
  }
  # lme4 2.x has more, and keeps it outside the slots
  for (name in c("upper", "reCovs")) expect_equal(attr(ours, name), attr(there, name), tolerance = tolerance, label = name)
  expect_equal(ours@call$formula, there@call$formula)
  for (accessor in list(fixef, ranef, vcov, VarCorr, fitted, residuals, logLik, terms, model.frame, nobs, df.residual, weights)) {
    expect_equal(accessor(ours), accessor(there), tolerance = tolerance)
  }
}

# Data of which the columns go through most of the front end.
sleep_data <- function() {
  data <- lme4::sleepstudy
  day <- data$Days
  data$w <- 0.5 + (day * 7) %% 5 / 4
  data$o <- sin(day)
  data$with_na <- replace(day, c(3, 50), NA)
  data$three <- factor(day %% 3)
  data$late <- day > 4
  data$text <- as.character(data$Subject)
  data$number <- as.integer(data$text)
  data$unused <- factor(data$Subject, levels = c("none", levels(data$Subject)))
  data$half <- factor(as.integer(data$Subject) %% 6)
  data
}
