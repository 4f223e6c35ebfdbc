test_that("model_parameters() takes Satterthwaite's degrees of freedom from a fit of lmerTest's class", {
  skip_if_not_installed("lmerTest")
  skip_if_not_installed("parameters")
  fit <- lmer(Reaction ~ Days + (Days | Subject), sleepstudy)
  tested <- as_lmer_test(fit)
  arguments <- list(ci_method = "satterthwaite", effects = "fixed")
  table <- function(fit) as.data.frame(do.call(parameters::model_parameters, c(list(fit), arguments)))
  expect_equal(table(tested), table(fit), tolerance = 1e-6, ignore_attr = TRUE)
  skip_if_not("dof_satterthwaite" %in% getNamespaceExports("parameters"))
  expect_identical(getS3method("dof_satterthwaite", "lmerModLmerTest", envir = asNamespace("parameters")), satterthwaite_of_parameters)
  expect_equal(parameters::dof_satterthwaite(tested), satterthwaite_df(satterthwaite_parts(fit)))
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
    methods <- Filter(function(method) method$package %in% c("parameters", "insight"), cache$methods)
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
