# The models of the comparison with lme4 (test-comparison.R, bench/comparison.R). A model is a call without `REML`; its variables
# are in comparison_data(). `new` names the grouping variables that get an unknown level in predict()'s new data.
comparison_models <- function() {
  list(
    "sleepstudy: 1 | S" = quote(lmer(Reaction ~ Days + (1 | Subject), sleepstudy)),
    "sleepstudy: 0 + Days | S" = quote(lmer(Reaction ~ Days + (0 + Days | Subject), sleepstudy)),
    "sleepstudy: Days | S" = quote(lmer(Reaction ~ Days + (Days | Subject), sleepstudy)),
    "sleepstudy: Days || S" = quote(lmer(Reaction ~ Days + (Days || Subject), sleepstudy)),
    "sleepstudy: 1 | S + 0 + Days | S" = quote(lmer(Reaction ~ Days + (1 | Subject) + (0 + Days | Subject), sleepstudy)),
    "sleepstudy: I(Days^2) + Days | S" = quote(lmer(Reaction ~ Days + I(Days^2) + (I(Days^2) + Days | Subject), sleepstudy)),
    "sleepstudy: factor(Days)" = quote(lmer(Reaction ~ factor(Days) + (Days | Subject), sleepstudy)),
    "sleepstudy: weights" = quote(lmer(Reaction ~ Days + (Days | Subject), sleep, weights = w)),
    "sleepstudy: offset argument" = quote(lmer(Reaction ~ Days + (Days | Subject), sleep, offset = o)),
    "sleepstudy: offset term" = quote(lmer(Reaction ~ Days + offset(o) + (Days | Subject), sleep)),
    "sleepstudy: subset" = quote(lmer(Reaction ~ Days + (Days | Subject), sleepstudy, subset = Days > 1)),
    "sleepstudy: NA rows" = quote(lmer(Reaction ~ with_na + (with_na | Subject), sleep)),
    "sleepstudy: NA rows, na.exclude" = quote(lmer(Reaction ~ with_na + (1 | Subject), sleep, na.action = na.exclude)),
    "sleepstudy: sum contrasts" = quote(lmer(Reaction ~ three * late + (1 | Subject), sleep, contrasts = list(three = "contr.sum"))),
    "sleepstudy: Helmert contrasts" = quote(lmer(Reaction ~ three + (1 | Subject), sleep, contrasts = list(three = contr.helmert))),
    "sleepstudy: ordered factor" = quote(lmer(Reaction ~ ordered(Days) + (1 | Subject), sleepstudy)),
    "sleepstudy: polynomials" = quote(lmer(Reaction ~ poly(Days, 3) + (poly(Days, 2) | Subject), sleepstudy)),
    "sleepstudy: 0 + Days" = quote(lmer(Reaction ~ 0 + Days + (Days | Subject), sleepstudy)),
    "sleepstudy: intercept only" = quote(lmer(Reaction ~ 1 + (Days | Subject), sleepstudy)),
    "sleepstudy: aliased column" = quote(lmer(Reaction ~ Days + I(2 * Days) + (Days | Subject), sleepstudy)),
    "sleepstudy: empty cell" = quote(lmer(Reaction ~ three * late + (1 | Subject), sleep, subset = !(three == "1" & late))),
    "sleepstudy: mean 1e8" = quote(lmer(far ~ Days + (Days | Subject), sleep)),
    "sleepstudy: time stamps" =
      # the warning of lme4 that this turns off is not given by fastlmer
      quote(lmer(Reaction ~ stamp + (1 | Subject), sleep, control = lmerControl(check.scaleX = "ignore"))),
    "Dyestuff" = quote(lmer(Yield ~ 1 + (1 | Batch), Dyestuff)),
    "Dyestuff2 (singular)" = quote(lmer(Yield ~ 1 + (1 | Batch), Dyestuff2)),
    "Penicillin, crossed" = quote(lmer(diameter ~ 1 + (1 | plate) + (1 | sample), Penicillin)),
    "Pastes: batch/cask" = quote(lmer(strength ~ 1 + (1 | batch / cask), Pastes)),
    "Pastes: batch + batch:cask" = quote(lmer(strength ~ 1 + (1 | batch) + (1 | batch:cask), Pastes)),
    "Pastes: batch + sample" = quote(lmer(strength ~ 1 + (1 | batch) + (1 | sample), Pastes)),
    "cake: recipe:replicate" = quote(lmer(angle ~ recipe * temperature + (1 | recipe:replicate), cake)),
    "cake: slope" = quote(lmer(angle ~ recipe * temperature + (temp | recipe:replicate), cake)),
    "Arabidopsis: reg/popu/gen" =
      quote(lmer(log(total.fruits + 1) ~ nutrient * amd + factor(rack) + status + (1 | reg / popu / gen), Arabidopsis)),
    "grouseticks: YEAR/LOCATION/BROOD" = quote(lmer(log(TICKS + 1) ~ cHEIGHT + (1 | YEAR / LOCATION / BROOD), grouseticks)),
    "grouseticks: BROOD + LOCATION" = quote(lmer(log(TICKS + 1) ~ YEAR + cHEIGHT + (1 | BROOD) + (1 | LOCATION), grouseticks)),
    "100 fixed effects" = quote(lmer(y ~ f + (1 | g), hundred)),
    "four correlated effects" = quote(lmer(y ~ a + b + c + (a + b + c | g), four)),
    "VerbAgg: id + item" = quote(lmer(score ~ (Anger + Gender + btype + situ)^2 + (1 | id) + (1 | item), verbs)),
    "VerbAgg: situ | id" = quote(lmer(score ~ Anger + Gender + btype + situ + (situ | id) + (1 | item), verbs)),
    "InstEval, a tenth: service | d" = quote(lmer(y ~ service + (1 | s) + (service | d), tenth)),
    "InstEval: s + d" = quote(lmer(y ~ service + (1 | s) + (1 | d), InstEval)),
    "InstEval: service * dept + s + d" = quote(lmer(y ~ service * dept + (1 | s) + (1 | d), InstEval)),
    "InstEval: s + d + dept" = quote(lmer(y ~ service + (1 | s) + (1 | d) + (1 | dept), InstEval))
  )
}

# lme4 and fastlmer, REML and ML: one row each.
comparison_rows <- function() {
  models <- names(comparison_models())
  expand.grid(reml = c(TRUE, FALSE), model = models, stringsAsFactors = FALSE)[c("model", "reml")]
}

# The data frames that are not lme4's own.
comparison_data <- function() {
  sleep <- sleep_data()
  sleep$far <- sleep$Reaction + 1e8
  sleep$stamp <- 1.6e9 + 86400 * sleep$Days
  verbs <- lme4::VerbAgg
  verbs$score <- as.numeric(verbs$resp)
  students <- levels(lme4::InstEval$s)
  tenth <- lme4::InstEval[lme4::InstEval$s %in% students[seq(1, length(students), by = 10)], ]
  list2env(list(
    sleep = sleep, verbs = verbs, tenth = droplevels(tenth),
    hundred = withr::with_seed(1, hundred_effects()), four = withr::with_seed(2, four_effects())
  ), parent = globalenv())
}

hundred_effects <- function() {
  data <- data.frame(f = factor(rep(1:100, each = 12)), g = factor(rep(1:40, 30)))
  data$y <- stats::rnorm(100)[data$f] + stats::rnorm(40, sd = 0.7)[data$g] + stats::rnorm(nrow(data))
  data
}

four_effects <- function() {
  n <- 1500
  data <- data.frame(a = stats::rnorm(n), b = stats::runif(n), c = stats::rbinom(n, 1, 0.5), g = factor(rep_len(1:75, n)))
  factor <- matrix(c(1, 0.5, -0.3, 0.2, 0, 0.8, 0.3, 0.1, 0, 0, 0.9, -0.4, 0, 0, 0, 0.6), 4)
  effects <- matrix(stats::rnorm(4 * 75), 75) %*% t(factor)
  data$y <- 2 + rowSums(cbind(1, data$a, data$b, data$c) * effects[data$g, ]) + stats::rnorm(n)
  data
}
