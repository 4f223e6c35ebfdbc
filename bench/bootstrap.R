# Whole calls of fastlmer beside lme4's, on one machine in one run: Rscript bench/bootstrap.R [output.md] [rows matching this expression]
#
# Each package runs in an R process of its own (lme4's functions would find fastlmer's methods), and the two take turns. Medians of several
# runs. Where lme4 would take minutes it does a part of the replicates, and its time is scaled up; the table says so.
arguments <- commandArgs(trailingOnly = TRUE)

# A row: the call, how often it is run, how many replicates (n) fastlmer does and lme4 does, and the ratio to reach.
row <- function(work, call, n, n_lme4, target, repeats = 5L, options = list()) {
  list(work = work, call = call, n = n, n_lme4 = n_lme4, target = target, repeats = repeats, options = options)
}

rows <- list(
  row("bootMer, fixef, one thread", quote(bootMer(sleep, fixef, n)), 1000, 100, 250, options = list(fastlmer.threads = 1)),
  row("bootMer, fixef, two threads", quote(bootMer(sleep, fixef, n)), 1000, 100, 400, options = list(fastlmer.threads = 2)),
  row("bootMer, VarCorr and fixef, as R code on each fit", quote(bootMer(sleep, varcorr, n)), 1000, 100, 20,
    options = list(fastlmer.vocabulary = FALSE, fastlmer.threads = 1)),
  row("bootMer, VarCorr and fixef, recognised", quote(bootMer(sleep, varcorr, n)), 1000, 100, 20, options = list(fastlmer.threads = 1)),
  row("bootMer, predict at 10 rows", quote(bootMer(sleep, line, n)), 1000, 100, 60, options = list(fastlmer.threads = 1)),
  row("refit, one response", quote(for (i in seq_len(n)) refit(sleep, y)), 1000, 50, 60),
  row("bootMer, InstEval, fixef", quote(bootMer(insteval(), fixef, n)), 20, 1, 25, repeats = 1L, options = list(fastlmer.threads = 2)),
  row("confint, boot, 500 replicates", quote(confint(sleep, method = "boot", nsim = n, quiet = TRUE)), 500, 100, 100),
  row("refit, 10,000 responses, 200 rows, 20 groups", quote(refit_all(n)), 10000, 200, 200, repeats = 3L)
)

# Run in each process.
setup <- function(package, paths) {
  .libPaths(paths)
  suppressMessages(library(package, character.only = TRUE))
  fits <- new.env()
  globals <- list(
    sleep = lmer(Reaction ~ Days + (Days | Subject), sleepstudy),
    days = data.frame(Days = 0:9), y = sleepstudy$Reaction + sin(1:180) * 20,
    varcorr = function(f) {
      v <- as.data.frame(VarCorr(f))
      c(fixef(f)[["Days"]], v$sdcor[1] / sigma(f))
    },
    line = function(f) predict(f, newdata = days, re.form = NA),
    # fitted when first asked for
    insteval = function() {
      if (is.null(fits$insteval)) assign("insteval", lmer(y ~ service + (1 | s) + (1 | d), InstEval), envir = fits)
      fits$insteval
    },
    refit_all = function(n) {
      responses <- many_responses[, seq_len(n)]
      if (package == "fastlmer") as.data.frame(refit(many_fit, responses)) else for (i in seq_len(n)) refit(many_fit, responses[, i])
    }
  )
  set.seed(1)
  many <- data.frame(x = rnorm(200), g = gl(20, 10))
  globals$many_responses <- matrix(rnorm(200 * 10000), 200) + 0.7 * rnorm(20)[many$g] + 0.5 * rnorm(20)[many$g] * many$x +
    outer(many$x, rnorm(10000))
  many$y <- globals$many_responses[, 1L]
  globals$many_fit <- lmer(y ~ x + (x | g), many)
  list2env(globals, globalenv())
  for (name in c("line", "varcorr", "refit_all")) assign(name, `environment<-`(get(name, globalenv()), globalenv()), globalenv())
  assign("package", package, globalenv())
  NULL
}

seconds <- function(call, n, options) {
  options(utils::modifyList(list(fastlmer.vocabulary = TRUE, fastlmer.threads = 2), options))
  assign("n", n, globalenv())
  suppressWarnings(suppressMessages(insteval_first(call)))
  set.seed(1)
  gc()
  suppressWarnings(suppressMessages(system.time(eval(call, globalenv()))[["elapsed"]]))
}

# Its fit isn't part of the bootstrap.
insteval_first <- function(call) if ("insteval" %in% all.names(call)) get("insteval", globalenv())()

measure <- function(row, workers) {
  ask <- function(worker, n) parallel::clusterCall(workers[worker], seconds, row$call, n, row$options)[[1L]]
  times <- replicate(row$repeats, c(ask(1L, row$n), ask(2L, row$n_lme4) * row$n / row$n_lme4))
  medians <- apply(times, 1L, stats::median)
  per_call <- if (startsWith(row$work, "refit, one")) row$n else 1
  data.frame(work = row$work, fastlmer = medians[1L] / per_call, lme4 = medians[2L] / per_call, ratio = medians[2L] / medians[1L],
    target = row$target, part = if (row$n_lme4 < row$n && per_call == 1) sprintf("%d of %d", row$n_lme4, row$n) else "")
}

as_markdown <- function(table) {
  c(
    "| work | fastlmer, s | lme4, s | ratio | to reach | replicates that lme4 did |", "|---|---|---|---|---|---|",
    sprintf("| %s | %.5f | %.4f | %.0f | %d | %s |", table$work, table$fastlmer, table$lme4, table$ratio, as.integer(table$target), table$part)
  )
}

if (length(arguments) > 1L) rows <- rows[grepl(arguments[[2L]], vapply(rows, `[[`, "", "work"))]
workers <- parallel::makePSOCKcluster(2L)
parallel::clusterExport(workers, "insteval_first")
for (i in 1:2) parallel::clusterCall(workers[i], setup, c("fastlmer", "lme4")[i], .libPaths())
table <- do.call(rbind, lapply(rows, measure, workers = workers))
parallel::stopCluster(workers)
writeLines(as_markdown(table), if (length(arguments)) arguments[[1L]] else stdout())
