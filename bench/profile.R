# Profiles with lme4 and with fastlmer: Rscript bench/profile.R [output.md] [calls], where `calls` is a regular expression that names
# have to match.
#
# lme4 stops on some profiles of singular fits, and on InstEval its profile takes hours: there one parameter is timed, or none.

folder <- dirname(sub("^--file=", "", grep("^--file=", commandArgs(), value = TRUE)))
source(file.path(folder, "crossed.R"))
source(file.path(folder, "beside.R"))

maximal <- y ~ A * B + (A | subj) + (A | item)
ratings <- y ~ service + (1 | s) + (1 | d)
cases <- list(
  list(name = "sleepstudy, `Days + (Days | Subject)`: profile()", data = "sleepstudy", formula = Reaction ~ Days + (Days | Subject),
    call = quote(profile(m))),
  list(name = "sleepstudy: confint()", data = "sleepstudy", formula = Reaction ~ Days + (Days | Subject), call = quote(confint(m, quiet = TRUE))),
  list(name = "sleepstudy: the fixed effects", data = "sleepstudy", formula = Reaction ~ Days + (Days | Subject),
    call = quote(profile(m, which = "beta_"))),
  list(name = "Penicillin, crossed: profile()", data = "Penicillin", formula = diameter ~ 1 + (1 | plate) + (1 | sample),
    call = quote(profile(m))),
  list(name = "cake, 18 fixed effects: profile()", data = "cake", formula = angle ~ recipe * temperature + (1 | recipe:replicate),
    call = quote(profile(m))),
  list(name = "3,000 rows, `A + (1 | subj) + (1 | item)`: profile()", data = "crossed()", formula = y ~ A + (1 | subj) + (1 | item),
    call = quote(profile(m))),
  list(name = "3,000 rows, maximal model: confint()", data = "crossed()", formula = maximal, call = quote(confint(m, quiet = TRUE))),
  list(name = "3,000 rows, maximal model: profile()", data = "crossed()", formula = maximal, call = quote(profile(m)), lme4 = NA),
  list(name = "3,000 rows, maximal model: sigma's profile", data = "crossed()", formula = maximal, call = quote(profile(m, which = 7)),
    lme4 = NA),
  list(name = "InstEval, `service + (1 | s) + (1 | d)`: interval of a fixed effect", data = "InstEval", formula = ratings,
    call = quote(confint(m, "service1", quiet = TRUE)), lme4 = NA),
  list(name = "InstEval: confint()", data = "InstEval", formula = ratings, call = quote(confint(m, quiet = TRUE)), lme4 = NA),
  list(name = "InstEval: profile()", data = "InstEval", formula = ratings, call = quote(profile(m)), lme4 = NA)
)
compare_cases(file.path(folder, "profile.R"), cases)
