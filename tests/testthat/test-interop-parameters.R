test_that("model_parameters() takes Satterthwaite's degrees of freedom from the engine", {
  skip_if_not_installed("lmerTest")
  skip_if_not_installed("parameters")
  fit <- lmer(Reaction ~ Days + (Days | Subject), sleepstudy)
  tested <- as_lmer_test(fit)
  arguments <- list(ci_method = "satterthwaite", effects = "fixed", ci = c(0.9, 0.95))
  table <- function(fit) as.data.frame(do.call(parameters::model_parameters, c(list(fit), arguments)))
  expect_equal(table(tested), table(fit), tolerance = 1e-6, ignore_attr = TRUE)
  expect_equal(table(fit)$df_error, c(17, 17), tolerance = 1e-6)
  expect_equal(as.numeric(insight::get_df(fit, type = "satterthwaite")), c(17, 17), tolerance = 1e-6)
  skip_if_no_lmerTest()
  expect_equal(table(fit), table(lme4::lmer(Reaction ~ Days + (Days | Subject), sleepstudy)), tolerance = 1e-4, ignore_attr = TRUE)
  skip_if_not("dof_satterthwaite" %in% getNamespaceExports("parameters"))
  expect_identical(getS3method("dof_satterthwaite", "lmerModLmerTest", envir = asNamespace("parameters")), satterthwaite_of_parameters)
  expect_equal(parameters::dof_satterthwaite(tested), satterthwaite_df(satterthwaite_parts(fit)))
})

test_that("predictions of marginaleffects have the degrees of freedom of their rows, and its derivatives", {
  skip_if_not_installed("insight")
  fit <- lmer(angle ~ recipe * temp + (1 | recipe:replicate), cake)
  theirs <- lme4::lmer(angle ~ recipe * temp + (1 | recipe:replicate), cake)
  rows <- cake[c(1, 50, 120, 270), ]
  df <- function(fit, type) as.numeric(insight::get_df(fit, data = rows, type = type, df_per_obs = TRUE))
  x <- model.matrix(~ recipe * temp, rows)
  each <- function(test) vapply(1:4, function(i) test(x[i, , drop = FALSE]), 0)
  expect_equal(df(fit, "kenward-roger"), each(function(row) test_kr(fit, row)$ddf), tolerance = 1e-8)
  parts <- satterthwaite_parts(fit)
  expect_equal(df(fit, "satterthwaite"), each(function(row) satterthwaite_df_of(row, parts)), tolerance = 1e-8)
  # it changes the slot `beta` and predicts
  jacobian <- function(fit) {
    vapply(seq_along(fit@beta), function(j) {
      other <- fit
      other@beta[j] <- other@beta[j] + 1
      predict(other, newdata = rows, type = "response", re.form = NA) - predict(fit, newdata = rows, type = "response", re.form = NA)
    }, numeric(4))
  }
  expect_equal(jacobian(fit), unname(x), tolerance = 1e-10, ignore_attr = TRUE)
  expect_equal(jacobian(fit), jacobian(theirs), tolerance = 1e-10)
  adjusted <- function(fit) as.matrix(insight::get_varcov(fit, vcov = "kenward-roger"))
  expect_equal(adjusted(fit), adjusted(theirs), tolerance = 1e-5, ignore_attr = TRUE)
  skip_if_no_lmerTest()
  expect_equal(df(fit, "satterthwaite"), df(theirs, "satterthwaite"), tolerance = 1e-4)
  expect_equal(df(fit, "kenward-roger"), df(theirs, "kenward-roger"), tolerance = 1e-5)
})

test_that("it is registered in whatever order packages are loaded, and gone with this one", {
  skip_on_cran()
  skip_if_not_installed("parameters")
  skip_if_not("dof_satterthwaite" %in% getNamespaceExports("parameters"))
  registered <- "cat(!is.null(getS3method('dof_satterthwaite', 'lmerModLmerTest', TRUE, asNamespace('parameters'))), '\\n')"
  load <- sprintf("suppressPackageStartupMessages(loadNamespace('%s'))", c("fastlmer", "parameters"))
  for (order in list(1:2, 2:1)) {
    out <- in_new_process("invisible({", load[order], "})", registered, "unloadNamespace('fastlmer')", registered,
      "cat(length(getHook(packageEvent('parameters', 'onLoad'))), '\\n')")
    expect_identical(trimws(out), c("TRUE", "FALSE", "0"))
  }
})

test_that("Kenward and Roger's tables are those of parameters' own matrices", {
  skip_if_not_installed("parameters")
  loadNamespace("parameters")
  fit <- lmer(angle ~ recipe + temperature + (1 | recipe:replicate), cake)
  own <- function(expr) {
    methods <- Filter(function(method) method$package %in% c("parameters", "insight", "bayestestR"), cache$methods)
    lapply(methods, remove_method)
    on.exit(lapply(methods, add_method, replace = TRUE))
    force(expr)
  }
  answers <- list(
    function() as.data.frame(parameters::model_parameters(fit, ci_method = "kenward", effects = "fixed")),
    function() attributes(parameters::model_parameters(fit, ci_method = "kenward", effects = "fixed"))$ci_method,
    function() as.data.frame(parameters::model_parameters(fit, ci_method = "kr", p_adjust = "holm", effects = "fixed")),
    function() as.numeric(parameters::degrees_of_freedom(fit, method = "kenward")),
    function() as.data.frame(parameters::standard_error(fit, method = "kenward")),
    function() as.data.frame(parameters::p_value(fit, method = "kenward")),
    function() as.data.frame(parameters::p_value(fit)),
    function() as.data.frame(parameters::standard_error(fit)),
    function() parameters::degrees_of_freedom(fit)
  )
  for (answer in answers) expect_equal(answer(), own(answer()), tolerance = 1e-6)
  expect_equal(
    as.numeric(insight::get_df(fit, type = "kenward")), as.numeric(own(insight::get_df(fit, type = "kenward"))), tolerance = 1e-6
  )
})
