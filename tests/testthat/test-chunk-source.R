sleep <- sleep_data()
sleep$Subject <- as.character(sleep$Subject)
sleep$three <- as.character(sleep$three)
memory <- lmer(Reaction ~ Days * three + (Days | Subject), sleep)

# A table of a database in memory, and how many columns were asked for.
local_table <- function(data, env = parent.frame()) {
  for (package in c("DBI", "RSQLite", "dbplyr", "dplyr")) skip_if_not_installed(package)
  connection <- DBI::dbConnect(RSQLite::SQLite(), ":memory:")
  withr::defer(DBI::dbDisconnect(connection), envir = env)
  DBI::dbWriteTable(connection, "sleep", data)
  dplyr::tbl(connection, "sleep")
}

test_that("a database table is read in chunks", {
  table <- local_table(sleep)
  expect_true(is_stream(table))
  for (size in c(7, 180, 1e5)) {
    withr::local_options(fastlmer.chunk = size)
    fit <- lmer(Reaction ~ Days * three + (Days | Subject), table)
    expect_true(is_streamed(fit))
    expect_equal(fixef(fit), fixef(memory), tolerance = 1e-6)
    expect_equal(REMLcrit(fit), REMLcrit(memory))
    expect_equal(ranef(fit), ranef(memory), tolerance = 1e-4)
  }
})

test_that("the database's own verbs come before the fit", {
  table <- local_table(sleep)
  query <- dplyr::mutate(dplyr::filter(table, Days > 1), twice = 2 * Days)
  fit <- lmer(Reaction ~ twice + (1 | Subject), query, weights = w)
  expect_equal(fixef(fit), fixef(lmer(Reaction ~ twice + (1 | Subject), transform(subset(sleep, Days > 1), twice = 2 * Days), weights = w)))
  expect_equal(nobs(fit), 144)
})

test_that("only the needed columns are read, and missing values are left out", {
  table <- local_table(sleep)
  source <- database_source(table)
  pass <- source$open(c("Reaction", "Days"))
  expect_named(pass$next_chunk(), c("Reaction", "Days"))
  pass$close()
  fit <- lmer(Reaction ~ with_na + (1 | Subject), table)
  expect_equal(nobs(fit), 178)
  expect_error(lmer(Reaction ~ nowhere + (1 | Subject), table), "object 'nowhere' not found")
})

test_that("an error on the way leaves no open result", {
  table <- local_table(sleep)
  withr::local_options(fastlmer.chunk = 10)
  expect_no_warning(expect_error(lmer(Reaction ~ log(Days) + (1 | Subject), table), "NA/NaN/Inf in 'X'"))
  expect_no_warning(lmer(Reaction ~ Days + (1 | Subject), table))
})

test_that("the chunk size must be a number of rows", {
  withr::local_options(fastlmer.chunk = "many")
  expect_error(cross_products(Reaction ~ Days + (1 | Subject), sleep), "'fastlmer.chunk' must be a number of rows")
})

test_that("Arrow data are read in batches", {
  skip_if_not_installed("arrow")
  skip_if_not_installed("dplyr")
  folder <- withr::local_tempdir()
  arrow::write_dataset(sleep, folder, partitioning = "late")
  for (data in list(arrow::open_dataset(folder), arrow::arrow_table(sleep), dplyr::filter(arrow::open_dataset(folder), Days >= 0))) {
    expect_equal(fixef(lmer(Reaction ~ Days * three + (Days | Subject), data)), fixef(memory), tolerance = 1e-6)
  }
})

# What arrow's reader looks like from outside: a schema with names, and batches until NULL.
test_that("a record batch reader is asked for one batch after the other", {
  state <- new.env()
  state$at <- 0
  read <- function() {
    state$at <- state$at + 1
    if (state$at <= 5) sleep[36 * (state$at - 1) + 1:36, ]
  }
  reader <- structure(list(schema = list(names = names(sleep)), read_next_batch = read), class = c("RecordBatchReader", "R6"))
  expect_equal(fixef(lmer(Reaction ~ Days * three + (Days | Subject), reader)), fixef(memory), tolerance = 1e-6)
})

test_that("DuckDB tables are read in chunks", {
  for (package in c("DBI", "duckdb", "dbplyr", "dplyr")) skip_if_not_installed(package)
  connection <- DBI::dbConnect(duckdb::duckdb())
  withr::defer(DBI::dbDisconnect(connection, shutdown = TRUE))
  DBI::dbWriteTable(connection, "sleep", sleep)
  withr::local_options(fastlmer.chunk = 50)
  expect_equal(fixef(lmer(Reaction ~ Days * three + (Days | Subject), dplyr::tbl(connection, "sleep"))), fixef(memory), tolerance = 1e-6)
})

test_that("other sources are refused", {
  expect_error(cross_products(Reaction ~ Days + (1 | Subject), 1:3), "'data' must be a data frame, a function")
})

test_that("functions of R that the name of a missing data set finds are lme4's to refuse", {
  formula <- Reaction ~ Days + (1 | Subject)
  for (data in list(t, c, mean, date, stats::df, stats::sigma, sum, getwd, lme4::ranef, function(a, b) a)) {
    ours <- tryCatch(lmer(formula, data = data), error = identity)
    lme4s <- tryCatch(lme4::lmer(formula, data = data), error = identity)
    expect_identical(conditionMessage(ours), conditionMessage(lme4s))
    expect_identical(conditionCall(ours), conditionCall(lme4s))
  }
  # a function of the user's is asked for chunks, whatever it returns
  expect_error(lmer(formula, function(i) 1), "a chunk must be a data frame")
  from_a_package <- local(function(i) if (i == 1L) lme4::sleepstudy, envir = new.env(parent = asNamespace("stats")))
  expect_equal(fixef(lmer(formula, from_a_package)), fixef(lmer(formula, sleepstudy)), tolerance = 1e-8)
})

test_that("a Spark table is refused with what to do instead", {
  table <- structure(list(), class = c("tbl_spark", "tbl_sql", "tbl_lazy", "tbl"))
  expect_error(lmer(Reaction ~ Days + (1 | Subject), table), "Spark table .*spark_write_parquet.*open_dataset")
  expect_error(cross_products(Reaction ~ Days + (1 | Subject), table), "Spark table")
})
