# Writes insteval.csv: lme4's optimum for the models of InstEval whole, which takes lme4 about a minute each.
# Run in tests/testthat: Rscript reference/insteval.R
library(lme4)
for (file in list.files(".", "^helper-(compare|models|optimum)\\.R$")) source(file)

optimum <- function(model, reml) {
  call <- comparison_models()[[model]]
  call$REML <- reml
  call$control <- quote(lmerControl(optimizer = best_of, calc.derivs = FALSE))
  fit <- eval(call)
  data.frame(
    model = model, reml = reml, criterion = sprintf("%.17g", fit@devcomp$cmp[[if (reml) "REML" else "dev"]]),
    theta = paste(sprintf("%.17g", fit@theta), collapse = " "), lme4 = as.character(packageVersion("lme4"))
  )
}

rows <- subset(comparison_rows(), grepl("^InstEval:", model))
utils::write.csv(do.call(rbind, Map(optimum, rows$model, rows$reml)), "reference/insteval.csv", row.names = FALSE)
