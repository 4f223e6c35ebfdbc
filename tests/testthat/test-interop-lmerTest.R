# What lmerTest makes of the engine's fits, and what stands in front of it.

show_lmer <- c(
  "fit <- lmer(Reaction ~ Days + (Days | Subject), sleepstudy)",
  "cat(class(fit), fastlmer::is_fastlmer(fit), deparse(fit@call[[1]]), '\\n')"
)

test_that("whichever is attached last, lmer() makes lmerTest's class by the engine, and says so once", {
  skip_on_cran()
  skip_if_not_installed("lmerTest")
  out <- in_new_process(quietly("fastlmer"), "library(lmerTest)", show_lmer, show_lmer)
  expect_identical(grep("^lmerModLmerTest TRUE lmer", out), length(out) - 1:0)
  expect_length(grep("fastlmer: lmer() returns lmerTest's class of fits", out, fixed = TRUE), 1L)
  out <- in_new_process(quietly("lme4", "lmerTest"), "library(fastlmer)", show_lmer)
  expect_match(out[length(out)], "lmerModLmerTest TRUE lmer")
  expect_length(grep("fastlmer: lmer() returns lmerTest's class of fits", out, fixed = TRUE), 1L)
  out <- in_new_process(quietly("fastlmer", "afex"), show_lmer)
  expect_match(out[length(out)], "lmerModLmerTest TRUE lmer")
  out <- in_new_process(quietly("fastlmer", "lmerTest", "afex"), show_lmer)
  expect_match(out[length(out)], "lmerModLmerTest TRUE lmer")
  expect_length(out, 1L)
})

test_that("detaching either puts things back", {
  skip_on_cran()
  skip_if_not_installed("lmerTest")
  paths <- "cat(grep('fastlmer|lmerTest', search(), value = TRUE), '\\n')"
  out <- in_new_process(
    quietly("fastlmer", "lmerTest"), paths, "detach('package:lmerTest')", paths, show_lmer,
    quietly("lmerTest"), paths, show_lmer,
    "detach('package:fastlmer')", paths, "cat(identical(lmer, lmerTest::lmer), '\\n')",
    quietly("fastlmer"), paths, show_lmer,
    "detach('package:fastlmer', unload = TRUE)", paths, "cat(identical(lmer, lmerTest::lmer), '\\n')",
    "cat(length(getHook(packageEvent('lmerTest', 'attach'))), length(getHook(packageEvent('afex', 'detach'))), '\\n')"
  )
  expect_identical(trimws(out), c(
    "fastlmer:lmerTest package:lmerTest package:fastlmer", "package:fastlmer", "lmerMod TRUE lmer",
    "fastlmer:lmerTest package:lmerTest package:fastlmer", "lmerModLmerTest TRUE lmer",
    "package:lmerTest", "TRUE",
    "fastlmer:lmerTest package:fastlmer package:lmerTest", "lmerModLmerTest TRUE lmer",
    "package:lmerTest", "TRUE",
    "0 0"
  ))
})

test_that("unloading lmerTest leaves nothing in front, and its neighbours on the search path", {
  skip_on_cran()
  skip_if_not_installed("lmerTest")
  out <- in_new_process(
    quietly("fastlmer", "stats4", "lmerTest"), "before <- search()", "unloadNamespace('lmerTest')",
    "cat(setdiff(before, search()), '\\n')", show_lmer
  )
  expect_identical(trimws(out), c("fastlmer:lmerTest package:lmerTest", "lmerMod TRUE lmer"))
})

test_that("the option leaves lmerTest's lmer() alone, or makes its class always", {
  skip_on_cran()
  skip_if_not_installed("lmerTest")
  out <- in_new_process("options(fastlmer.lmerTest = FALSE)", quietly("fastlmer"), "library(lmerTest)", show_lmer)
  expect_match(out[length(out)], "lmerModLmerTest FALSE lmer")
  expect_false(any(grepl("fastlmer: lmer()", out, fixed = TRUE)))
  withr::local_options(fastlmer.lmerTest = FALSE)
  theirs <- front_lmer(Reaction ~ Days + (Days | Subject), sleepstudy, threads = 1)
  expect_false(is_fastlmer(theirs))
  expect_identical(names(theirs@call), c("", "formula", "data"))
  expect_equal(front_ranova(theirs), lmerTest::ranova(theirs))
  withr::local_options(fastlmer.lmerTest = TRUE)
  fit <- lmer(Reaction ~ Days + (Days | Subject), sleepstudy)
  expect_s4_class(fit, "lmerModLmerTest")
  expect_true(is_fastlmer(fit))
  expect_s4_class(update(fit, . ~ . - Days), "lmerModLmerTest")
  withr::local_options(fastlmer.lmerTest = "yes")
  expect_error(lmer_test_option(), "the option 'fastlmer.lmerTest' must be", class = "fastlmer_argument_error")
})

printed <- function(object) suppressMessages(capture.output(print(object)))

test_that("summary(), anova() and drop1() take lmerTest's arguments, and print what it prints", {
  skip_if_no_lmerTest()
  fit <- lmer(angle ~ recipe * temperature + (1 | recipe:replicate), cake)
  theirs <- lmerTest::as_lmerModLmerTest(fit)
  expect_identical(printed(summary(fit, ddf = "Satterthwaite")), printed(summary(theirs)))
  expect_identical(printed(summary(fit, ddf = "lme4")), printed(summary(fit)))
  for (type in list("I", "II", "III", "1", 2, 3)) {
    expect_identical(printed(anova(fit, type = type)), printed(anova(theirs, type = type)))
  }
  expect_identical(printed(anova(fit, ddf = "Satterthwaite")), printed(anova(theirs)))
  expect_identical(printed(drop1(fit, ddf = "Satterthwaite")), printed(drop1(theirs)))
  expect_identical(printed(anova(fit, ddf = "lme4")), printed(anova(fit)))
  expect_equal(drop1(fit, ddf = "lme4"), drop1(fit))
  # without the arguments they are lme4's
  smaller <- lmer(angle ~ recipe + temperature + (1 | recipe:replicate), cake)
  expect_identical(rownames(anova(fit, smaller, refit = FALSE)), c("smaller", "fit"))
  expect_identical(colnames(anova(fit)), c("npar", "Sum Sq", "Mean Sq", "F value"))
})

test_that("wrong arguments get lmerTest's words", {
  skip_if_no_lmerTest()
  fit <- lmer(Reaction ~ Days + (Days | Subject), sleepstudy)
  theirs <- lmerTest::as_lmerModLmerTest(fit)
  words <- function(expr) tryCatch(expr, error = conditionMessage)
  expect_identical(words(summary(fit, ddf = "KR2")), words(summary(theirs, ddf = "KR2")))
  expect_identical(words(anova(fit, ddf = "KR2")), words(anova(theirs, ddf = "KR2")))
  expect_identical(words(anova(fit, type = "IV")), words(anova(theirs, type = "IV")))
  expect_identical(words(drop1(fit, ddf = "KR2")), words(drop1(theirs, ddf = "KR2")))
  expect_match(words(summary(fit, ddf = "KR2")), "Satterthwaite")
})

test_that("Satterthwaite's tests do without lmerTest, and the rest says what is missing", {
  skip_on_cran()
  skip_if_not_installed("lmerTest")
  out <- in_new_process(
    quietly("fastlmer"), "fit <- lmer(Reaction ~ Days + (Days | Subject), sleepstudy)",
    "theirs <- summary(fit, ddf = 'Satterthwaite')",
    "assignInNamespace('has_lmer_test', function() FALSE, 'fastlmer')",
    "ours <- summary(fit, ddf = 'Satterthwaite')",
    "cat(all.equal(ours$coefficients, theirs$coefficients, tolerance = 1e-12), identical(ours$methTitle, theirs$methTitle), '\n')",
    "cat(grepl('Pr(>|t|)', paste(capture.output(print(ours)), collapse = ' '), fixed = TRUE), '\n')",
    "table <- anova(fit, type = 3)",
    "cat(class(table), rownames(table), sprintf('%.3f', table$DenDF), '\\n')",
    "cat(all.equal(anova(fit, ddf = 'lme4'), anova(fit)), all.equal(drop1(fit, ddf = 'Satterthwaite')$DenDF, table$DenDF), '\\n')",
    "for (ddf in c('Satterthwaite', 'Kenward-Roger')) print(anova(fit, ddf = ddf))",
    "for (ddf in c('Satterthwaite', 'Kenward-Roger')) print(drop1(fit, ddf = ddf))",
    "print(coef(summary(fit, ddf = 'Kenward-Roger')))",
    "options(fastlmer.lmerTest = TRUE)",
    "cat(tryCatch(lmer(Reaction ~ Days + (Days | Subject), sleepstudy), fastlmer_package_error = conditionMessage), '\n')"
  )
  expect_identical(trimws(out[1:4]), c("TRUE TRUE", "TRUE", "anova data.frame Days 17.000", "TRUE TRUE"))
  fit <- as_lmer_test(lmer(Reaction ~ Days + (Days | Subject), sleepstudy))
  methods <- c("Satterthwaite", "Kenward-Roger")
  tables <- c(lapply(methods, function(ddf) anova(fit, ddf = ddf)), lapply(methods, function(ddf) drop1(fit, ddf = ddf)))
  theirs <- unlist(lapply(c(tables, list(coef(summary(fit, ddf = "Kenward-Roger")))), printed))
  plain <- function(text) gsub("[^ -~]", "'", text)
  expect_identical(plain(out[4 + seq_along(theirs)]), plain(theirs))
  expect_match(out[length(out)], "the option 'fastlmer.lmerTest = TRUE' needs the package lmerTest", fixed = TRUE)
})

test_that("the functions in front give what lmerTest's give", {
  skip_if_not_installed("lmerTest")
  front <- front_functions()
  lmer <- front$lmer
  d <- transform(sleepstudy, half = factor(Days > 4))
  fit <- lmer(Reaction ~ Days + half + (Days | Subject), d)
  theirs <- lmerTest::lmer(Reaction ~ Days + half + (Days | Subject), d)
  expect_identical(as.list(fit@call)[-1], as.list(theirs@call)[-1])
  expect_identical(fit@call[[1]], quote(lmer))
  expect_true(is_fastlmer(fit))
  expect_equal(front$ranova(fit), lmerTest::ranova(theirs), tolerance = 1e-4)
  expect_equal(front$rand(fit, reduce.terms = FALSE), lmerTest::rand(theirs, reduce.terms = FALSE), tolerance = 1e-4)
  expect_equal(lmerTest::step(fit), lmerTest::step(theirs), tolerance = 1e-3, ignore_attr = TRUE)
  expect_equal(as.data.frame(lmerTest::ls_means(fit)), as.data.frame(lmerTest::ls_means(theirs)), tolerance = 1e-4)
  expect_equal(as.data.frame(lmerTest::difflsmeans(fit)), as.data.frame(lmerTest::difflsmeans(theirs)), tolerance = 1e-4)
  plain <- fastlmer::lmer(Reaction ~ Days + half + (Days | Subject), d)
  expect_equal(front$contest(plain, c(0, 1, 1)), lmerTest::contest(theirs, c(0, 1, 1)), tolerance = 1e-4)
  expect_equal(front$contest1D(plain, c(0, 1, 1)), lmerTest::contest1D(theirs, c(0, 1, 1)), tolerance = 1e-4)
  expect_equal(front$contestMD(plain, diag(3)[2:3, ]), lmerTest::contestMD(theirs, diag(3)[2:3, ]), tolerance = 1e-4)
  expect_equal(front$calcSatterth(plain, c(0, 1, 0)), lmerTest::calcSatterth(theirs, c(0, 1, 0)), tolerance = 1e-4)
  expect_equal(front$as_lmerModLmerTest(plain)@vcov_varpar, fit@vcov_varpar)
  expect_type(lmer(Reaction ~ Days + (Days | Subject), d, devFunOnly = TRUE), "closure")
  # what the engine didn't fit goes to lmerTest
  lme4s <- lme4::lmer(Reaction ~ Days + (1 | Subject), d)
  expect_equal(front$ranova(lme4s), lmerTest::ranova(lme4s))
  expect_s4_class(front$as_lmerModLmerTest(lme4s), "lmerModLmerTest")
  expect_error(front$as_lmerModLmerTest(lm(Reaction ~ Days, d)), "model not of class 'lmerMod'", fixed = TRUE)
})

test_that("fits of lmerTest's class go on through refits, updates, simulation and intervals", {
  skip_if_not_installed("lmerTest")
  lmer <- front_lmer
  fit <- lmer(Reaction ~ Days + (Days | Subject), sleepstudy)
  simulated <- simulate(fit, seed = 1)
  expect_s4_class(refit(fit, simulated[[1]]), "lmerMod")
  expect_equal(refit(fit, simulated[[1]])@theta, refit(as_plain_lmer(fit), simulated[[1]])@theta)
  updated <- update(fit, . ~ . - Days)
  expect_s4_class(updated, "lmerModLmerTest")
  expect_true(is_fastlmer(updated))
  expect_s4_class(update(fit, REML = FALSE), "lmerModLmerTest")
  boot <- bootMer(fit, fixef, nsim = 3, seed = 1)
  expect_equal(boot$t, bootMer(as_plain_lmer(fit), fixef, nsim = 3, seed = 1)$t)
  expect_equal(confint(fit, method = "Wald"), confint(as_plain_lmer(fit), method = "Wald"))
  expect_equal(as.data.frame(VarCorr(fit)), as.data.frame(VarCorr(as_plain_lmer(fit))))
  expect_equal(suppressMessages(anova(fit, updated))$Chisq, suppressMessages(anova(as_plain_lmer(fit), as_plain_lmer(updated)))$Chisq)
  file <- withr::local_tempfile()
  saveRDS(fit, file)
  expect_equal(summary(readRDS(file))$coefficients, summary(fit)$coefficients)
})

test_that("contrasts of a fit of lme4's class have its degrees of freedom without computing derivatives again", {
  skip_if_no_lmerTest()
  fit <- lmer(angle ~ recipe + temp + (1 | recipe:replicate), cake)
  theirs <- lme4::lmer(angle ~ recipe + temp + (1 | recipe:replicate), cake)
  contrast <- rbind(c(0, 1, -1, 0), c(0, 0, 0, 1))
  for (ddf in c("Satterthwaite", "Kenward-Roger")) {
    tests <- function(fit) {
      list(
        lmerTest::contestMD(fit, contrast, ddf = ddf), lmerTest::contest1D(fit, contrast[1L, ], ddf = ddf),
        lmerTest::contest(fit, contrast, ddf = ddf)
      )
    }
    expect_equal(tests(fit), tests(theirs), tolerance = 1e-4)
  }
  table <- get(".__S3MethodsTable__.", envir = asNamespace("lmerTest"))
  expect_identical(table[["contestMD.lmerMod"]], cache$methods[["lmerTest contestMD lmerMod"]]$method)
})
