# Fifty small models of psychology's shapes, whole calls of lmer(), lme4's and fastlmer's: Rscript bench/psychology.R [output.md] [folder]
# [models]
#
# Medians of the elapsed times of several calls that take turns. "Best" is the lowest criterion that lme4 reaches: with its default
# optimiser, with bobyqa to a tight tolerance, and with that from fastlmer's optimum. With a folder, each model's data are written there for
# bench/peers. `models` is an expression that names match.
suppressMessages(library(fastlmer))
arguments <- commandArgs(trailingOnly = TRUE)
here <- dirname(sub("^--file=", "", grep("^--file=", commandArgs(), value = TRUE)))
source(file.path(here, "psychology-models.R"))
source(file.path(here, "peers", "export.R"))

quietly <- function(code) suppressWarnings(suppressMessages(code))

seconds <- function(lmer, model, data) {
  begin <- as.numeric(Sys.time())
  quietly(lmer(model$formula, data, REML = model$REML))
  as.numeric(Sys.time()) - begin
}

# lme4's fit takes up to `budget` seconds in all, but at least one call; fastlmer takes three turns for each of its.
times <- function(model, data, budget = 3, most = 15L) {
  theirs <- ours <- numeric()
  while (length(theirs) < most && (length(theirs) == 0L || sum(theirs) < budget)) {
    theirs <- c(theirs, seconds(lme4::lmer, model, data))
    ours <- c(ours, replicate(3L, seconds(fastlmer::lmer, model, data)))
  }
  c(lme4 = stats::median(theirs), fastlmer = stats::median(ours))
}

criterion <- function(fit) fit@devcomp$cmp[[if (isREML(fit)) "REML" else "dev"]]

best_of_lme4 <- function(model, data, default, theta) {
  tight <- lmerControl("bobyqa", optCtrl = list(maxfun = 1e5, rhoend = 1e-8), calc.derivs = FALSE)
  polished <- function(start) criterion(quietly(lme4::lmer(model$formula, data, REML = model$REML, start = start, control = tight)))
  min(criterion(default), polished(NULL), polished(theta))
}

measure <- function(model, folder) {
  data <- model$data()
  if (!is.null(folder)) write_model(model, data, folder)
  ours <- quietly(fastlmer::lmer(model$formula, data, REML = model$REML))
  theirs <- quietly(lme4::lmer(model$formula, data, REML = model$REML))
  time <- times(model, data)
  best <- best_of_lme4(model, data, theirs, getME(ours, "theta"))
  data.frame(
    name = model$name, rows = nrow(ours@frame), thetas = length(ours@theta), REML = model$REML, lme4 = time[["lme4"]],
    fastlmer = time[["fastlmer"]], ratio = time[["lme4"]] / time[["fastlmer"]], feval_lme4 = theirs@optinfo$feval,
    feval = ours@optinfo$feval, below_default = criterion(theirs) - criterion(ours), below_best = best - criterion(ours),
    singular = isSingular(ours), engine = is_fastlmer(ours), row.names = NULL
  )
}

as_markdown <- function(table) {
  yes <- function(x) ifelse(x, "yes", "")
  worse <- table$below_best < -1e-6
  c(
    "Made by `Rscript bench/psychology.R`.", "",
    paste("| model | rows | thetas | REML | lme4, ms | fastlmer, ms | ratio | evaluations lme4 | evaluations fastlmer |",
          "criterion below lme4's | below lme4's best | singular |"),
    "|---|---|---|---|---|---|---|---|---|---|---|---|",
    sprintf("| %s | %d | %d | %s | %.2f | %.2f | %.1f | %d | %d | %.1e | %.1e%s | %s |", table$name, table$rows, table$thetas, yes(table$REML),
            1e3 * table$lme4, 1e3 * table$fastlmer, table$ratio, as.integer(table$feval_lme4), as.integer(table$feval), table$below_default,
            table$below_best, ifelse(worse, " worse", ""), paste0(yes(table$singular), ifelse(table$engine, "", " lme4's own fit"))), "",
    sprintf("Median ratio %.1f, minimum ratio %.1f (%s), maximum ratio %.1f; medians over the %d singular models %.1f, over the others %.1f.",
            stats::median(table$ratio), min(table$ratio), table$name[which.min(table$ratio)], max(table$ratio), sum(table$singular),
            stats::median(table$ratio[table$singular]), stats::median(table$ratio[!table$singular])),
    sprintf("Models where fastlmer's criterion is more than 1e-6 above lme4's best: %d. Models where lme4's default is more than 1e-6 above fastlmer's: %d.",
            sum(worse), sum(table$below_default > 1e-6)),
    sprintf("Evaluations of fastlmer: median %.0f, most %d (%s).", stats::median(table$feval), as.integer(max(table$feval)),
            table$name[which.max(table$feval)])
  )
}

models <- psychology_models()
if (length(arguments) > 2L) models <- models[grepl(arguments[[3L]], vapply(models, `[[`, "", "name"))]
folder <- if (length(arguments) > 1L && nzchar(arguments[[2L]])) arguments[[2L]]
table <- do.call(rbind, lapply(models, measure, folder = folder))
writeLines(as_markdown(table), if (length(arguments) && nzchar(arguments[[1L]])) arguments[[1L]] else stdout())
