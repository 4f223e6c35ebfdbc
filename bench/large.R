# Large models, each in an R process of its own: Rscript bench/large.R [output.md] [models that match this expression]
#
# Seconds of the whole call of lmer(), peak resident memory of the process and what it had before the call (R and the data), and, where
# lme4 can do it in reasonable time, its seconds and the criteria side by side. `threads` is the option fastlmer.threads.
# The phases of a call are the cross-products ("design"), the response and the search ("search"), and what R does ("rest"), each in seconds
# and as a multiple of one pass over the model's columns at the memory's speed (anyNA() of each).
arguments <- commandArgs(TRUE)

# Data are made by each process for itself, from a seed.
ratings <- function(rows, users, items) {
  set.seed(1)
  user <- sample.int(users, rows, replace = TRUE)
  # a few items are rated by many
  item <- pmin(items, 1L + as.integer(items * stats::rbeta(rows, 0.7, 2)))
  x <- rnorm(rows)
  y <- 3 + 0.2 * x + rnorm(users, sd = 0.6)[user] + rnorm(items, sd = 0.4)[item] + rnorm(rows)
  data.frame(y, x, user = factor(user), item = factor(item))
}

slopes <- function(rows, groups, integer = FALSE) {
  set.seed(1)
  g <- sample.int(groups, rows, replace = TRUE)
  x <- rnorm(rows)
  y <- 1 + 0.5 * x + rnorm(groups)[g] + 0.5 * rnorm(groups)[g] * x + rnorm(rows)
  # factor(g) would need minutes of its own
  if (!integer) g <- structure(match(g, present <- sort(unique(g))), levels = as.character(present), class = "factor")
  data.frame(y, x, g)
}

nested <- function(leaves, per_leaf) {
  set.seed(1)
  pupil <- rep(seq_len(leaves), each = per_leaf)
  class <- (pupil - 1L) %/% 25L + 1L
  school <- (class - 1L) %/% 20L + 1L
  x <- rnorm(length(pupil))
  y <- 0.3 * x + rnorm(leaves)[pupil] + rnorm(max(class), sd = 0.7)[class] + rnorm(max(school), sd = 0.5)[school] + rnorm(length(pupil))
  data.frame(y, x, pupil, class, school)
}

wide <- function(rows, columns, groups) {
  set.seed(1)
  x <- matrix(rnorm(rows * columns), rows)
  g <- factor(sample.int(groups, rows, replace = TRUE))
  list(y = drop(x %*% rnorm(columns)) + rnorm(groups)[g] + rnorm(rows), x = x, g = g)
}

fixed_factor <- function(rows, levels, groups) {
  set.seed(1)
  f <- factor(c(seq_len(levels), sample.int(levels, rows - levels, replace = TRUE)), seq_len(levels))
  g <- factor(sample.int(groups, rows, replace = TRUE))
  x <- rnorm(rows)
  data.frame(y = 0.5 * x + rnorm(levels)[f] + rnorm(groups, sd = 0.7)[g] + rnorm(rows), x, f, g)
}

model <- function(name, formula, data, lme4 = TRUE) list(name = name, formula = formula, data = data, lme4 = lme4)
models <- list(
  model("1,000,000 rows, 10,000 groups, slopes", y ~ x + (1 + x | g), quote(slopes(1e6, 1e4))),
  model("10,000,000 rows, 1,000,000 groups, slopes, g a factor", y ~ x + (1 + x | g), quote(slopes(1e7, 1e6)), lme4 = FALSE),
  model("10,000,000 rows, 1,000,000 groups, slopes, g integer", y ~ x + (1 + x | g), quote(slopes(1e7, 1e6, TRUE)), lme4 = FALSE),
  model("10,000,000 rows, 100,000 x 1,000 crossed", y ~ x + (1 | user) + (1 | item), quote(ratings(1e7, 1e5, 1e3)), lme4 = FALSE),
  model("1,000,000 rows, 20,000 x 2,000 crossed", y ~ x + (1 | user) + (1 | item), quote(ratings(1e6, 2e4, 2e3)), lme4 = FALSE),
  model("10,000,000 rows, 200,000 x 20,000 crossed", y ~ x + (1 | user) + (1 | item), quote(ratings(1e7, 2e5, 2e4)), lme4 = FALSE),
  model("3,000,000 rows, 1,000,000 pupils in classes in schools", y ~ x + (1 | school) + (1 | class) + (1 | pupil), quote(nested(1e6, 3L)), lme4 = FALSE),
  model("300,000 rows, 100,000 pupils in classes in schools", y ~ x + (1 | school) + (1 | class) + (1 | pupil), quote(nested(1e5, 3L))),
  model("50,000 rows, 500 columns, 500 groups", y ~ x + (1 | g), quote(wide(5e4, 499L, 500L))),
  model("20,000 rows, a fixed factor of 2,000 levels, 1,000 groups", y ~ x + f + (1 | g), quote(fixed_factor(2e4, 2e3, 1e3))),
  model("1,000,000 rows, a fixed factor of 2,000 levels, 10,000 groups", y ~ x + f + (1 + x | g), quote(fixed_factor(1e6, 2e3, 1e4)), lme4 = FALSE)
)
if (length(arguments) > 1L) models <- models[grepl(arguments[[2L]], vapply(models, `[[`, "", "name"))]

# Seconds of one pass over a fit's columns, of its cross-products, and of response and search.
phases <- function(fit) {
  engine <- asNamespace("fastlmer")
  record <- engine$engine_of(fit)
  threads <- engine$threads_for(nrow(record$x))
  seconds <- function(expr) system.time(expr, gcFirst = FALSE)[["elapsed"]]
  x <- if (is.list(record$x)) record$x[c("dense", "factor")] else list(record$x)
  columns <- c(x, record$codes, record$z, list(record$y, record$weights))
  invisible(gc(full = TRUE))
  pass <- min(replicate(3L, seconds(for (column in columns) anyNA(column))))
  design <- NULL
  forming <- seconds(design <- engine$engine_design(record$x, record$codes, record$nlev, record$asgn, record$z, record$weights, threads))
  arguments <- list(design, record$x, record$codes, record$z, record$weights, record$y, record$reml, NULL, list(threads = threads))
  c(pass, forming, seconds(do.call(engine$engine_fit, arguments)))
}

# Seconds, criterion, evaluations, memory before the call and peak, of one fit in a process of its own.
fit_alone <- function(package, case) {
  script <- tempfile(fileext = ".R")
  dump(c("ratings", "slopes", "nested", "wide", "fixed_factor", "phases"), script)
  code <- bquote({
    suppressMessages(library(fastlmer))
    memory <- function(what) as.numeric(sub("[^0-9]*([0-9]+).*", "\\1", grep(what, readLines("/proc/self/status"), value = TRUE))) / 1024
    invisible(fastlmer::lmer(Reaction ~ Days + (Days | Subject), sleepstudy))
    data <- .(case$data)
    invisible(gc(full = TRUE))
    before <- memory("VmRSS")
    writeLines("5", "/proc/self/clear_refs")
    lmer <- getExportedValue(.(package), "lmer")
    seconds <- system.time(fit <- suppressWarnings(lmer(.(case$formula), data)), gcFirst = FALSE)[["elapsed"]]
    peak <- memory("VmHWM")
    phases <- if (.(package) == "fastlmer") phases(fit) else c(NA, NA, NA)
    cat(format(c(seconds, -2 * as.numeric(logLik(fit)), fit@optinfo$feval, before, peak, phases), digits = 15, trim = TRUE))
  })
  cat(deparse(code), sep = "\n", file = script, append = TRUE)
  out <- suppressWarnings(system2(file.path(R.home("bin"), "Rscript"), script, stdout = TRUE, stderr = TRUE))
  values <- suppressWarnings(as.numeric(strsplit(utils::tail(out, 1L), " ")[[1L]]))
  if (length(values) != 8L || anyNA(values[1:5])) {
    message(case$name, ", ", package, ": ", paste(utils::tail(out, 3L), collapse = " "))
    values <- rep(NA_real_, 8L)
  }
  stats::setNames(as.list(values), c("seconds", "criterion", "evaluations", "before", "peak", "pass", "design", "search"))
}

output <- if (length(arguments) && nzchar(arguments[[1L]])) file(arguments[[1L]], "w") else stdout()
heads <- c(
  "model", "fastlmer, s", "evaluations", "one pass, s", "design, s (passes)", "search, s (passes)", "rest, s (passes)", "MB above the session",
  "process, MB", "lme4, s", "MB above the session", "ratio", "criterion below lme4's"
)
cat("|", paste(heads, "|"), "\n|", rep("---|", length(heads)), "\n", sep = "", file = output)
for (case in models) {
  ours <- fit_alone("fastlmer", case)
  theirs <- if (case$lme4) fit_alone("lme4", case) else ours
  in_passes <- function(seconds) sprintf("%.3f (%.0f)", seconds, seconds / ours$pass)
  cat(sprintf(
    "| %s | %.2f | %.0f | %.3f | %s | %s | %s | %.0f | %.0f |", case$name, ours$seconds, ours$evaluations, ours$pass, in_passes(ours$design),
    in_passes(ours$search), in_passes(ours$seconds - ours$design - ours$search), ours$peak - ours$before, ours$peak
  ), file = output)
  if (case$lme4) {
    cat(sprintf(" %.1f | %.0f | %.0f | %.1e |\n", theirs$seconds, theirs$peak - theirs$before, theirs$seconds / ours$seconds,
                theirs$criterion - ours$criterion), file = output)
  } else {
    cat(" | | | |\n", file = output)
  }
  flush(output)
}
