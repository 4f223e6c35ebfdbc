# Kenward and Roger's inference by the engine, and by lme4 with pbkrtest: Rscript bench/kenward.R [output.md] [models], where `models` is a
# regular expression that names have to match.
#
# Each side is a process of its own that loads its packages first. Every call is of a fit that was just made, so that nothing is remembered
# from the last one; the fit isn't timed. What takes less than half a second is run five times, and its fastest run is what counts. A model
# that pbkrtest's n x n matrices have no room or time for is computed by fastlmer alone.

crossed <- function(subjects, items) {
  set.seed(1)
  data <- expand.grid(item = factor(seq_len(items)), subj = factor(seq_len(subjects)))
  n <- nrow(data)
  data$A <- factor(ifelse((as.integer(data$subj) + as.integer(data$item)) %% 2 == 0, "a1", "a2"))
  a <- as.numeric(data$A == "a2")
  data$y <- 10 + a + rnorm(subjects, sd = 2)[data$subj] + rnorm(subjects)[data$subj] * a + rnorm(items)[data$item] + rnorm(n, sd = 3)
  data
}

growth <- function(groups, times) {
  set.seed(2)
  data <- data.frame(g = factor(rep(seq_len(groups), each = times)), x = rep_len(seq_len(times) - 1, groups * times))
  data$A <- factor(rep(c("a1", "a2"), length.out = groups))[data$g]
  data$y <- rnorm(groups)[data$g] + 0.5 * rnorm(groups)[data$g] * data$x + rnorm(nrow(data))
  data
}

models <- list(
  "sleepstudy, `Days | Subject`" = list(quote(lmer(Reaction ~ Days + (Days | Subject), sleepstudy)), . ~ . - Days, ~Days),
  "cake, `recipe * temperature + (1 | recipe:replicate)`" =
    list(quote(lmer(angle ~ recipe * temperature + (1 | recipe:replicate), cake)), . ~ . - recipe:temperature, ~recipe),
  "1,200 rows crossed, `A + (A | subj) + (A | item)`" =
    list(quote(lmer(y ~ A + (A | subj) + (A | item), crossed(40, 30))), . ~ . - A, ~A),
  "3,000 rows crossed, `A + (1 | subj) + (1 | item)`" =
    list(quote(lmer(y ~ A + (1 | subj) + (1 | item), crossed(60, 50))), . ~ . - A, ~A),
  "6,000 rows crossed, `A + (A | subj) + (A | item)`" =
    list(quote(lmer(y ~ A + (A | subj) + (A | item), crossed(100, 60))), . ~ . - A, ~A, alone = TRUE),
  "1,000,000 rows, 100,000 groups, `A * x + (x | g)`" =
    list(quote(lmer(y ~ A * x + (x | g), growth(1e5, 10))), . ~ . - A:x, ~A, alone = TRUE),
  "InstEval, `service * dept + (1 | s) + (1 | d)`" =
    list(quote(lmer(y ~ service * dept + (1 | s) + (1 | d), InstEval)), . ~ . - service:dept, ~service, alone = TRUE)
)

calls <- alist(
  "vcovAdj()" = pbkrtest::vcovAdj(fit),
  "KRmodcomp()" = pbkrtest::KRmodcomp(fit, small),
  "emmeans()" = as.data.frame(emmeans::emmeans(fit, means, lmer.df = "kenward-roger")),
  "car: Anova(test = \"F\")" = car::Anova(fit, test.statistic = "F")
)

# Seconds of one call: a vector like `calls`.
seconds_of_model <- function(model) {
  here <- globalenv()
  data <- model[[1L]][[3L]]
  here$data <- eval(data, here)
  fit_call <- model[[1L]]
  fit_call[[3L]] <- quote(data)
  here$means <- model[[3L]]
  fit_anew <- function() {
    here$fit <- suppressWarnings(eval(fit_call, here))
    gc(FALSE)
  }
  fit_anew()
  here$small <- suppressWarnings(update(here$fit, model[[2L]]))
  once <- function(call) {
    fit_anew()
    system.time(suppressWarnings(suppressMessages(eval(call, here))), gcFirst = FALSE)[["elapsed"]]
  }
  vapply(calls, function(call) {
    seconds <- once(call)
    if (seconds < 0.5) min(seconds, vapply(1:4, function(i) once(call), 0)) else seconds
  }, 0)
}

arguments <- commandArgs(TRUE)
if (length(arguments) > 1L && arguments[[1L]] == "side") {
  suppressPackageStartupMessages(library(arguments[[2L]], character.only = TRUE))
  for (name in c("pbkrtest", "emmeans", "car")) loadNamespace(name)
  emmeans::emm_options(pbkrtest.limit = Inf)
  seconds <- seconds_of_model(models[[arguments[[3L]]]])
  peak <- grep("VmHWM", readLines("/proc/self/status"), value = TRUE)
  saveRDS(c(seconds, peak = as.numeric(gsub("[^0-9]", "", peak)) / 1e6), arguments[[4L]])
  quit(save = "no")
}

script <- sub("^--file=", "", grep("^--file=", commandArgs(), value = TRUE))
side <- function(package, model) {
  file <- tempfile(fileext = ".rds")
  system2(file.path(R.home("bin"), "Rscript"), shQuote(c(script, "side", package, model, file)))
  readRDS(file)
}
wanted <- grep(if (length(arguments) > 1L) arguments[[2L]] else ".", names(models), value = TRUE)
rows <- vapply(wanted, function(name) {
  ours <- side("fastlmer", name)
  theirs <- if (isTRUE(models[[name]]$alone)) NA * ours else side("lme4", name)
  cell <- function(i) {
    if (is.na(theirs[[i]])) sprintf("%.3f", ours[[i]]) else sprintf("%.2f / %.3f = %.0f", theirs[[i]], ours[[i]], theirs[[i]] / ours[[i]])
  }
  cells <- vapply(seq_along(calls), cell, "")
  memory <- if (is.na(theirs[["peak"]])) sprintf("%.2f", ours[["peak"]]) else sprintf("%.2f / %.2f", theirs[["peak"]], ours[["peak"]])
  sprintf("| %s | %s | %s |", gsub("|", "\\|", name, fixed = TRUE), paste(cells, collapse = " | "), memory)
}, "")
header <- c(paste0("| model | ", paste(names(calls), collapse = " | "), " | peak memory (GB) |"), strrep("|---", length(calls) + 2L))
notes <- "Seconds of lme4 with pbkrtest / of fastlmer = the ratio; a single number is fastlmer's where the other side wasn't run."
writeLines(c(notes, "", header[[1L]], paste0(header[[2L]], "|"), rows), if (length(arguments)) arguments[[1L]] else stdout())
