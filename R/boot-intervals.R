#' Bootstrap confidence intervals of every kind
#'
#' Percentile, basic, normal, studentised, BCa and shortest intervals from the replicates of [bootMer()], [boot_resample()] or
#' [boot::boot()].
#'
#' With t0 the estimate, t* the replicates and a = (1 - level) / 2, the limits are: *percentile*, the a and 1 - a quantiles of t*; *basic*,
#' 2 t0 minus the 1 - a and a quantiles; *normal*, t0 minus the bootstrap's bias plus and minus the normal quantile times its standard
#' deviation; *studentised*, t0 minus the standard error of t0 times the 1 - a and a quantiles of (t* - t0) / its standard error; *BCa*,
#' percentile limits at levels corrected for the median bias of t* and for acceleration, which is estimated by leaving out one group at a
#' time; *shortest*, the narrowest interval that holds at least `level` of the replicates (the first of them, where there are several): the
#' limits that MixedModels.jl calls shortest coverage intervals. Quantiles are interpolated on the normal scale, as [boot::boot.ci()]
#' does. Replicates that failed are left out.
#'
#' @param boot a bootstrap.
#' @param type which intervals.
#' @param level confidence level.
#' @param index which statistics: numbers or names.
#' @param se for `"stud"`: which statistics are the standard errors of those in `index`, so `FUN` has to return both.
#' @param fit for `"bca"`: the fit that was bootstrapped.
#' @param group for `"bca"`: the grouping factor of which one level at a time is left out; by default the one with the fewest levels.
#' @return A data frame of class `boot_intervals` with a row per statistic and kind: `term`, `type`, `level`, `estimate`, `std.error`,
#'   `conf.low`, `conf.high`.
#' @references Davison, A. C. and Hinkley, D. V. (1997) *Bootstrap Methods and Their Application*, chapter 5. Cambridge University Press.
#'
#'   Efron, B. (1987) Better bootstrap confidence intervals. *Journal of the American Statistical Association* 82, 171-185.
#'   \doi{10.1080/01621459.1987.10478410}
#' @seealso `confint()` of a bootstrap for a matrix of percentile, basic, normal or shortest intervals; [boot_resample()], [bootMer()],
#'   [boot::boot.ci()]
#' @examples
#' fit <- lmer(Reaction ~ Days + (Days | Subject), sleepstudy)
#' boot <- bootMer(fit, fixef, nsim = 200, seed = 1)
#' boot_intervals(boot)
#' boot_intervals(boot, "bca", fit = fit)
#'
#' with_errors <- function(f) c(fixef(f), se = sqrt(diag(vcov(f))))
#' boot_intervals(bootMer(fit, with_errors, nsim = 100, seed = 1), "stud", index = 1:2, se = 3:4)
#' @export
boot_intervals <- function(boot, type = c("perc", "basic", "norm"), level = 0.95, index = NULL, se = NULL, fit = NULL, group = NULL) {
  type <- match.arg(type, c("perc", "basic", "norm", "stud", "bca", "shortest"), several.ok = TRUE)
  if (!inherits(boot, "boot")) fail("argument", "'boot' must be a bootstrap")
  position <- statistic_numbers(index %||% seq_along(boot$t0), boot)
  errors <- if ("stud" %in% type) statistic_numbers(se %||% fail("argument", "type = \"stud\" needs 'se'"), boot)
  if (!is.null(errors) && length(errors) != length(position)) fail("argument", "'se' must have the length of 'index'")
  acceleration <- if ("bca" %in% type) accelerations(boot, fit, group)[position]
  rows <- lapply(seq_along(position), function(i) {
    at <- position[i]
    t <- boot$t[, at]
    t <- t[is.finite(t)]
    limits <- lapply(type, function(kind) {
      switch(kind,
        perc = quantiles_of(t, tail_levels(level)),
        basic = 2 * boot$t0[[at]] - rev(quantiles_of(t, tail_levels(level))),
        norm = 2 * boot$t0[[at]] - mean(t) + engine_normal_quantile(tail_levels(level)) * stats::sd(t),
        stud = studentised(boot, at, errors[i], level),
        bca = quantiles_of(t, bca_levels(t, boot$t0[[at]], acceleration[i], level)),
        shortest = shortest_of(t, level)
      )
    })
    limits <- do.call(rbind, limits)
    data.frame(
      term = names(boot$t0)[at] %||% paste0("t", at), type = type, level = level, estimate = boot$t0[[at]], std.error = stats::sd(t),
      conf.low = limits[, 1L], conf.high = limits[, 2L]
    )
  })
  structure(do.call(rbind, rows), class = c("boot_intervals", "data.frame"))
}

statistic_numbers <- function(index, boot) {
  names <- names(boot$t0)
  number <- if (is.character(index)) match(index, names) else index
  unknown <- index[!number %in% seq_along(boot$t0)]
  if (length(unknown)) {
    fail("argument", "no statistic is called or numbered ", paste(sQuote(unknown), collapse = ", "), "; there are ", length(boot$t0),
      if (!is.null(names)) paste0(": ", paste(sQuote(names), collapse = ", ")))
  }
  as.integer(number)
}

tail_levels <- function(level) c((1 - level) / 2, (1 + level) / 2)

# Order statistics k / (R + 1), interpolated on the normal scale (Davison and Hinkley 1997, equation 5.8).
quantiles_of <- function(t, levels) {
  t <- sort(t)
  size <- length(t)
  vapply(levels, function(level) {
    at <- (size + 1) * level
    k <- floor(at)
    if (k < 1 || k >= size) return(t[min(max(k, 1), size)])
    if (at == k) return(t[k])
    normal <- engine_normal_quantile(c(level, k / (size + 1), (k + 1) / (size + 1)))
    t[k] + (normal[1L] - normal[2L]) / (normal[3L] - normal[2L]) * (t[k + 1L] - t[k])
  }, 0)
}

# The narrowest stretch of the ordered replicates with at least `level` of them.
shortest_of <- function(t, level) {
  t <- sort(t)
  held <- ceiling(level * length(t) * (1 - 1e-12))
  first <- which.min(t[held:length(t)] - t[seq_len(length(t) - held + 1L)])
  t[c(first, first + held - 1L)]
}

studentised <- function(boot, at, error, level) {
  z <- (boot$t[, at] - boot$t0[[at]]) / boot$t[, error]
  boot$t0[[at]] - boot$t0[[error]] * rev(quantiles_of(z[is.finite(z)], tail_levels(level)))
}

bca_levels <- function(t, t0, acceleration, level) {
  bias <- engine_normal_quantile(mean(t < t0))
  z <- bias + engine_normal_quantile(tail_levels(level))
  engine_normal_cdf(bias + z / (1 - acceleration * z))
}

# From the jackknife by groups (Davison and Hinkley 1997, equation 5.23).
accelerations <- function(boot, fit, group) {
  record <- if (!is.null(fit)) engine_of(fit)
  if (is.null(record)) fail("argument", "type = \"bca\" needs 'fit', the linear mixed model that was bootstrapped")
  factor <- if (is.null(group)) which.min(record$nlev) else match(group, names(record$flist))
  if (is.na(factor)) fail("argument", "'group' must be a grouping factor of 'fit': ", paste(sQuote(names(record$flist)), collapse = ", "))
  plan <- list(x = as_engine_fit(fit, record), record = record, control = default_control())
  values <- vapply(seq_len(record$nlev[factor]), function(level) {
    rows <- which(as.integer(record$codes[[factor]]) != level)
    cases <- list(rows = rows, labels = lapply(record$codes, function(codes) as.integer(codes)[rows]))
    suppressWarnings(suppressMessages(as.numeric(boot$statistic(case_fit(plan, cases)))))
  }, numeric(length(boot$t0)))
  values <- matrix(values, length(boot$t0))
  away <- rowMeans(values) - values
  rowSums(away^3) / (6 * rowSums(away^2)^1.5)
}
