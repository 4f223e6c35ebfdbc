# allFit(), and what selects terms, with lme4 and with fastlmer: Rscript bench/allfit.R [output.md] [calls], where `calls` is a regular
# expression that names have to match.

folder <- dirname(sub("^--file=", "", grep("^--file=", commandArgs(), value = TRUE)))
source(file.path(folder, "crossed.R"))
source(file.path(folder, "beside.R"))

maximal <- y ~ A * B + (A | subj) + (A | item)
cases <- list(
  list(name = "sleepstudy, `Days + (Days | Subject)`: allFit()", data = "sleepstudy", formula = Reaction ~ Days + (Days | Subject),
    call = quote(allFit(m, verbose = FALSE))),
  list(name = "3,000 rows, maximal model: allFit()", data = "crossed()", formula = maximal, call = quote(allFit(m, verbose = FALSE))),
  list(name = "InstEval, `service + (1 | s) + (1 | d)`: two optimizers", data = "InstEval", formula = y ~ service + (1 | s) + (1 | d),
    call = quote(allFit(m, cbind(optimizer = c("bobyqa", "nloptwrap"), method = c("", "NLOPT_LN_BOBYQA")), verbose = FALSE))),
  list(name = "3,000 rows, maximal model: drop1(test = \"Chisq\")", data = "crossed()", formula = maximal,
    call = quote(drop1(m, test = "Chisq"))),
  list(name = "3,000 rows: update() and anova() of three models", data = "crossed()", formula = maximal,
    call = quote(anova(m, update(m, . ~ . - A:B), update(m, . ~ . - A:B - B)))),
  list(name = "3,000 rows, with lmerTest attached: lmer() and step()", data = "crossed()", formula = maximal,
    call = quote({
      library(lmerTest)
      step(lmer(y ~ A * B + (A | subj) + (A | item), data))
    }))
)
compare_cases(file.path(folder, "allfit.R"), cases)
