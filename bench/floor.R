# The calls that cost R's own overhead more than arithmetic, fastlmer beside lme4 in one run: Rscript bench/floor.R [output.md] [rows
# matching this expression]
#
# Each package runs in an R process of its own (lme4's functions would find fastlmer's methods), and the two take turns, several times
# each. What is printed is the median of the user times of a call, for the elapsed time of so short a call is that of the machine's other
# work. Data: sleepstudy, `Days | Subject`; InstEval, `service + (1 | s) + (1 | d)`; and made ones, of which the table says the rows and
# groups.
arguments <- commandArgs(trailingOnly = TRUE)

# A row: the call, how often fastlmer and lme4 make it in one turn, and how many turns they take.
row <- function(work, call, n = 100L, n_lme4 = 10L, turns = 5L) list(work = work, call = call, n = n, n_lme4 = n_lme4, turns = turns)

rows <- list(
  row("lmer()", quote(lmer(Reaction ~ Days + (Days | Subject), sleepstudy))),
  row("refit(), one response", quote(refit(sleep, y)), 500L),
  row("refitML()", quote(refitML(sleep)), 500L),
  row("update(), another formula", quote(update(sleep, . ~ . - Days))),
  row("summary()", quote(summary(sleep))),
  row("print(summary())", quote(capture.output(print(summary(sleep))))),
  row("predict(), one new row", quote(predict(sleep, one))),
  row("predict(), one new row, re.form = NA", quote(predict(sleep, one, re.form = NA))),
  row("predict()", quote(predict(sleep)), 500L, 500L),
  row("ranef()", quote(ranef(sleep))),
  row("ranef(), InstEval, the first time", quote(ranef(insteval())), 1L, 1L, 1L),
  row("ranef(), InstEval, again", quote(ranef(insteval())), 1L, 1L, 1L),
  row("VarCorr()", quote(VarCorr(sleep)), 500L, 500L),
  row("as.data.frame(VarCorr())", quote(as.data.frame(VarCorr(sleep)))),
  row("vcov()", quote(vcov(sleep)), 500L),
  row("fixef()", quote(fixef(sleep)), 2000L, 2000L),
  row("logLik()", quote(logLik(sleep)), 500L, 500L),
  row("AIC()", quote(AIC(sleep)), 500L, 500L),
  row("fitted()", quote(fitted(sleep)), 500L, 500L),
  row("residuals()", quote(residuals(sleep)), 500L, 500L),
  row("broom.mixed::tidy()", quote(broom.mixed::tidy(sleep)), 10L, 10L),
  row("lmer(), 1,000,000 rows, 10,000 groups", quote(lmer(y ~ x + (1 + x | g), million())), 1L, 1L, 1L),
  row("the same, g integer", quote(lmer(y ~ x + (1 + x | g), million_integer())), 1L, 1L, 1L)
)

# Run in each process. What takes long to make is made when it is first asked for.
setup <- function(package, paths) {
  .libPaths(paths)
  suppressMessages(library(package, character.only = TRUE))
  suppressMessages(loadNamespace("broom.mixed"))
  later <- function(name, expression) delayedAssign(name, eval(expression, globalenv()), assign.env = globalenv())
  later("insteval_fit", quote(lmer(y ~ service + (1 | s) + (1 | d), InstEval)))
  later("million_data", quote({
    set.seed(1)
    g <- factor(sample(1e4, 1e6, replace = TRUE))
    x <- rnorm(1e6)
    data.frame(y = 1 + 0.5 * x + rnorm(1e4)[g] + 0.5 * rnorm(1e4)[g] * x + rnorm(1e6), x = x, g = g)
  }))
  later("million_integer_data", quote(transform(million_data, g = as.integer(g))))
  later("sleep", quote(lmer(Reaction ~ Days + (Days | Subject), sleepstudy)))
  later("y", quote(sleepstudy$Reaction + sin(1:180) * 20))
  later("one", quote(data.frame(Days = 3, Subject = "308")))
  globals <- list(
    insteval = function() insteval_fit, million = function() million_data, million_integer = function() million_integer_data
  )
  list2env(lapply(globals, `environment<-`, globalenv()), globalenv())
  NULL
}

# User seconds of one call. The first, which loads and makes what later ones find, isn't counted unless it takes long.
seconds <- function(call, n, warm) {
  for (name in c("insteval_fit", "million_data", "million_integer_data")) {
    if (sub("_[a-z]*$", "", name) %in% all.names(call)) get(name, globalenv())
  }
  quietly <- function(expression) suppressWarnings(suppressMessages(expression))
  if (warm) quietly(eval(call, globalenv()))
  f <- eval(bquote(function() for (i in seq_len(.(n))) .(call)), globalenv())
  gc()
  quietly(system.time(f(), gcFirst = FALSE)[["user.self"]]) / n
}

measure <- function(row, workers) {
  ask <- function(worker, n) parallel::clusterCall(workers[worker], seconds, row$call, n, n > 1L)[[1L]]
  medians <- apply(replicate(row$turns, c(ask(1L, row$n), ask(2L, row$n_lme4))), 1L, stats::median)
  data.frame(work = row$work, fastlmer = medians[1L] * 1000, lme4 = medians[2L] * 1000, ratio = medians[2L] / medians[1L])
}

as_markdown <- function(table) {
  c(
    "| call | lme4 (ms) | fastlmer (ms) | ratio |", "|---|---|---|---|",
    sprintf("| %s | %.3f | %.3f | %.1f |", table$work, table$lme4, table$fastlmer, table$ratio)
  )
}

if (length(arguments) > 1L) rows <- rows[grepl(arguments[[2L]], vapply(rows, `[[`, "", "work"))]
workers <- parallel::makePSOCKcluster(2L)
for (i in 1:2) parallel::clusterCall(workers[i], setup, c("fastlmer", "lme4")[i], .libPaths())
table <- do.call(rbind, lapply(rows, measure, workers = workers))
parallel::stopCluster(workers)
writeLines(as_markdown(table), if (length(arguments)) arguments[[1L]] else stdout())
