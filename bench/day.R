# A user's day after the fit: 31 things that people do with a model, with lme4 and the packages around it, and with fastlmer in lme4's
# place: Rscript bench/day.R [output.md] [calls], where `calls` is a regular expression that names have to match. Then those of them that
# lme4 finishes within minutes on InstEval, 73,421 rows and 4,100 levels.
#
# Each side is a process of its own that loads its packages first, so that only the calls are timed. What takes less than half a second is
# run again, three times, and its fastest run is what counts. The scripts are the same but for the library() call.

folder <- dirname(sub("^--file=", "", grep("^--file=", commandArgs(), value = TRUE)))
source(file.path(folder, "crossed.R"))
source(file.path(folder, "beside.R"))

# `m` is the maximal model, `sl` one with two random intercepts.
calls <- alist(
  "lmer() x 5" = for (i in 1:5) lmer(y ~ A * B + (A | subj) + (A | item), data),
  "summary() x 20" = for (i in 1:20) capture.output(print(summary(m))),
  "anova() of two models" = anova(m, sl),
  "drop1()" = drop1(m, test = "Chisq"),
  "confint(method = \"Wald\")" = confint(m, method = "Wald"),
  "confint() by profile, two random intercepts" = confint(sl, quiet = TRUE),
  "confint() by profile, maximal model" = confint(m, quiet = TRUE),
  "confint(method = \"boot\", nsim = 100)" = confint(sl, method = "boot", nsim = 100, quiet = TRUE),
  "ranef(condVar = TRUE) x 5" = for (i in 1:5) ranef(m, condVar = TRUE),
  "predict() of 10 new rows x 20" = for (i in 1:20) predict(m, newdata = data[1:10, ]),
  "simulate(nsim = 100)" = simulate(m, nsim = 100, seed = 1),
  "update() x 5" = for (i in 1:5) update(m, . ~ . - A:B),
  "allFit()" = allFit(m, verbose = FALSE),
  "rePCA()" = rePCA(m),
  "influence() by subject, Cook's distances" = cooks.distance(influence(m, groups = "subj")),
  "cooks.distance() by row" = cooks.distance(m),
  "car: Anova(test = \"F\")" = car::Anova(sl, test = "F"),
  "pbkrtest: KRmodcomp()" = pbkrtest::KRmodcomp(sl, no_a),
  "pbkrtest: PBmodcomp(nsim = 100)" = pbkrtest::PBmodcomp(sl, no_a, nsim = 100, seed = 1),
  "emmeans, Satterthwaite" = print(emmeans::emmeans(m, ~A, lmer.df = "satterthwaite")),
  "emmeans, Kenward-Roger" = print(emmeans::emmeans(sl, ~A, lmer.df = "kenward-roger")),
  "ggeffects: ggpredict()" = ggeffects::ggpredict(m, c("A", "B")),
  "effects: allEffects()" = effects::allEffects(m),
  "broom.mixed: tidy()" = broom.mixed::tidy(m, conf.int = TRUE),
  "broom.mixed: augment()" = broom.mixed::augment(m),
  "performance: r2()" = performance::r2(m),
  "performance: icc()" = performance::icc(m),
  "parameters: model_parameters()" = parameters::model_parameters(m),
  "performance: check_convergence()" = performance::check_convergence(m),
  "lmerTest: summary()" = print(summary(as_lmerModLmerTest(m))),
  "lmerTest: ranova()" = ranova(as_lmerModLmerTest(m))
)

# The same on InstEval, but for what takes lme4 hours.
large <- alist(
  "InstEval: lmer()" = lmer(y ~ service + (1 | s) + (1 | d), InstEval),
  "InstEval: summary()" = capture.output(print(summary(ie))),
  "InstEval: anova() of two models" = anova(ie, no_service),
  "InstEval: drop1()" = drop1(ie, test = "Chisq"),
  "InstEval: confint(method = \"boot\", nsim = 5)" = confint(ie, method = "boot", nsim = 5, quiet = TRUE),
  "InstEval: ranef(condVar = TRUE)" = ranef(ie, condVar = TRUE),
  "InstEval: predict() of 10 new rows" = predict(ie, newdata = InstEval[1:10, ]),
  "InstEval: simulate(nsim = 10)" = simulate(ie, nsim = 10, seed = 1),
  "InstEval: update()" = update(ie, . ~ . - service),
  "InstEval: broom.mixed: tidy()" = broom.mixed::tidy(ie, conf.int = TRUE),
  "InstEval: performance: r2()" = performance::r2(ie),
  "InstEval: emmeans, Satterthwaite" = print(emmeans::emmeans(ie, ~service, lmer.df = "satterthwaite"))
)

# Seconds of each call in this process, and what failed.
seconds_of_calls <- function(package, wanted) {
  suppressPackageStartupMessages(library(package, character.only = TRUE))
  packages <- c("lmerTest", "pbkrtest", "car", "emmeans", "ggeffects", "effects", "broom.mixed", "performance", "parameters")
  for (name in packages) loadNamespace(name)
  emmeans::emm_options(pbkrtest.limit = 1e5, lmerTest.limit = 1e5)
  # in the workspace, as a user has them: update() and influence() look there for the data
  here <- globalenv()
  here$data <- crossed()
  eval(quote({
    m <- lmer(y ~ A * B + (A | subj) + (A | item), data)
    sl <- lmer(y ~ A + (1 | subj) + (1 | item), data)
    no_a <- lmer(y ~ 1 + (1 | subj) + (1 | item), data)
    ie <- lmer(y ~ service + (1 | s) + (1 | d), InstEval)
    no_service <- lmer(y ~ 1 + (1 | s) + (1 | d), InstEval)
  }), here)
  calls <- c(calls, large)
  wanted <- calls[grep(wanted, names(calls))]
  last <- grepl("^lmerTest", names(wanted))
  before <- vapply(wanted[!last], fastest, 0, here)
  suppressMessages(library(lmerTest)) # only now: with it attached lmer() would make fits of its class
  c(before, vapply(wanted[last], fastest, 0, here))
}

fastest <- function(call, here) {
  once <- function() {
    gc(FALSE)
    system.time(capture.output(suppressMessages(suppressWarnings(invisible(eval(call, here))))), gcFirst = FALSE)[["elapsed"]]
  }
  tryCatch({
    seconds <- once()
    if (seconds < 0.5) min(seconds, vapply(1:3, function(i) once(), 0)) else seconds
  }, error = function(e) {
    message(deparse1(call), ": ", conditionMessage(e))
    NA_real_
  })
}

arguments <- commandArgs(TRUE)
if (length(arguments) > 1L && arguments[[1L]] == "side") {
  saveRDS(seconds_of_calls(arguments[[2L]], arguments[[3L]]), arguments[[4L]])
  quit(save = "no")
}

wanted <- if (length(arguments) > 1L) arguments[[2L]] else "."
script <- file.path(folder, "day.R")
ours <- run_side(script, "fastlmer", wanted)
theirs <- run_side(script, "lme4", wanted)
total <- function(label, these) {
  sprintf("| **%s** | %.1f | %.2f | %.0f |", label, sum(theirs[these]), sum(ours[these]), sum(theirs[these]) / sum(ours[these]))
}
is_large <- names(ours) %in% names(large)
rows <- c(
  "| call | lme4 (s) | fastlmer (s) | ratio |", "|---|---|---|---|",
  sprintf("| %s | %.3f | %.3f | %.1f |", names(ours), theirs, ours, theirs / ours),
  if (any(!is_large)) total(paste("all", sum(!is_large), "on 3,000 rows"), !is_large), if (any(is_large)) total("all on InstEval", is_large)
)
writeLines(rows, if (length(arguments)) arguments[[1L]] else stdout())
