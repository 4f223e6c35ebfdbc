# Writes the data of bench/peers: Rscript bench/peers/data.R <folder> [large]
#
# <folder>/psychology holds the models of bench/psychology-models.R, <folder>/reference the large and the well-known ones; with `large`
# also 10,000,000 rows in 1,000,000 groups. See bench/peers/export.R for the files.
arguments <- commandArgs(trailingOnly = TRUE)
here <- dirname(sub("^--file=", "", grep("^--file=", commandArgs(), value = TRUE)))
source(file.path(here, "export.R"))
source(file.path(here, "..", "psychology-models.R"))

groups_with_slopes <- function(rows, groups) {
  set.seed(1)
  g <- factor(c(seq_len(groups), sample(groups, rows - groups, replace = TRUE)))
  x <- stats::rnorm(rows)
  data.frame(y = 1 + 0.5 * x + stats::rnorm(groups)[g] + 0.5 * stats::rnorm(groups)[g] * x + stats::rnorm(rows), x, g)
}

reference_models <- function(large) {
  m <- psychology_model
  models <- list(
    m("sleepstudy", Reaction ~ Days + (Days | Subject), lme4::sleepstudy),
    m("InstEval two factors", y ~ service * dept + (1 | s) + (1 | d), lme4::InstEval, REML = FALSE),
    m("InstEval three factors", y ~ service + (1 | s) + (1 | d) + (1 | dept), lme4::InstEval, REML = FALSE),
    m("million rows", y ~ x + (1 + x | g), groups_with_slopes(1e6, 1e4))
  )
  if (large) c(models, list(m("ten million rows", y ~ x + (1 + x | g), groups_with_slopes(1e7, 1e6)))) else models
}

write_all <- function(models, folder) {
  for (model in models) {
    data <- model$data()
    # A table of ten million rows as text would be for nobody.
    write_model(model, data, folder, csv = nrow(data) < 5e6)
  }
}

write_all(psychology_models(), file.path(arguments[[1L]], "psychology"))
write_all(reference_models("large" %in% arguments), file.path(arguments[[1L]], "reference"))
