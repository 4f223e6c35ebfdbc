# Models for tests of their fixed effects, and lmerTest's answers for the same estimates.

tested_models <- function() {
  models <- comparison_models()
  c(models[c(
    "sleepstudy: 1 | S", "sleepstudy: Days | S", "sleepstudy: Days || S", "sleepstudy: 1 | S + 0 + Days | S", "sleepstudy: factor(Days)",
    "sleepstudy: weights", "sleepstudy: offset argument", "sleepstudy: offset term", "sleepstudy: subset", "sleepstudy: NA rows",
    "sleepstudy: sum contrasts", "sleepstudy: Helmert contrasts", "sleepstudy: ordered factor", "sleepstudy: polynomials",
    "sleepstudy: 0 + Days", "sleepstudy: intercept only", "sleepstudy: aliased column", "sleepstudy: empty cell", "Dyestuff2 (singular)",
    "Penicillin, crossed", "Pastes: batch/cask", "Pastes: batch + sample", "cake: recipe:replicate", "cake: slope",
    "four correlated effects"
  )], list(
    "Penicillin, crossed by plate and sample" = quote(lmer(diameter ~ plate + (1 | sample), Penicillin)),
    "one of two factors singular" = quote(lmer(Reaction ~ Days + (1 | Subject) + (1 | three), sleep))
  ))
}

# Our fit, and lmerTest's class of it by lmerTest's own numerical derivatives.
both_tests <- function(call, reml = TRUE) {
  call$REML <- reml
  fit <- suppressMessages(eval(call, comparison_data()))
  list(ours = suppressWarnings(as_lmer_test(fit)), theirs = suppressMessages(suppressWarnings(eval_theirs(fit))))
}

# lmerTest looks for the data where the formula was written or where it is called.
eval_theirs <- function(fit) eval(quote(lmerTest::as_lmerModLmerTest(fit)), list2env(list(fit = fit), parent = comparison_data()))
