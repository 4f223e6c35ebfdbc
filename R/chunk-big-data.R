#' Data that don't fit in memory
#'
#' `lmer()` reads its data once, and needs no more of them than their cross-products. So `data` may also be a source of chunks: a function
#' that returns one data frame after the other, a table or query of a database, or Arrow and Parquet files. Only one chunk is in memory
#' at a time, beside cross-products whose size depends on the numbers of levels and columns, not on the number of rows.
#'
#' @section Sources:
#' * **A function** with one argument is called with 1, 2, 3, ... and returns that chunk, a function without arguments returns the next one
#'   at every call. A chunk is a data frame; one without rows is skipped, `NULL` is the end. A function of the first kind can be read
#'   again, by another [lmer()] or by [update()].
#' * **A database table or query**: `dplyr::tbl()` of package dbplyr, on whatever DBI connects to. The query is sent once, with the columns
#'   that the model needs, and fetched as many rows at a time as the option `fastlmer.chunk` says (100,000). Filter, join and
#'   compute columns by dplyr's verbs first: the database does it.
#' * **Arrow**: `arrow::open_dataset()` (Parquet, CSV or Feather files), Arrow tables, dplyr queries on them, and record batch readers, one
#'   record batch at a time.
#' * **Cross-products** that were formed before: see [cross_products()].
#'
#' Run in our tests are functions, SQLite through dbplyr, and a stand-in for arrow's record batch reader. Real Arrow data sets and DuckDB
#' have tests too, which run where these packages are installed. Spark tables are refused.
#'
#' @section The model:
#' The fit is that of all rows together, to rounding, for any chunks in any order. Rows with missing values are left out. Weights, offset
#' and subset are expressions in the chunks' columns. Columns are centred as they come and the response is replaced by what a regression
#' leaves of it, so that time stamps and means of 1e8 cost no digits.
#'
#' What a row contributes must not depend on other rows, which may not be there:
#' * Expressions in the formula may use functions that look at one row at a time, such as `log(x)`, `I(x^2)` or `x > 2`. Others
#'   (`poly()` without `raw = TRUE`, `scale()`, `ns()`, functions of your own) are an error: compute such columns in the chunks or in the
#'   database.
#' * A factor in the fixed effects must have the same levels in all chunks. The levels of text are its values in all chunks, sorted as
#'   by [factor()]; so are those of `factor(x)`. Levels that don't occur are dropped.
#' * The levels of a factor in the columns of random effects, as `f` in `(f | g)`, must be known before the first chunk: a factor, or
#'   text with its levels in `cross_products(levels = )`.
#' * Grouping factors may be text, numbers, or factors, with new levels in any chunk; `a:b` and `a/b` as usual.
#'
#' @section The fit:
#' It is an object of lme4's class as always, and has fixed and random effects, variances, standard errors, likelihoods and tests:
#' `summary()`, `fixef()`, `ranef()`, `VarCorr()`, `vcov()`, `anova()`, `AIC()`, `predict(newdata = )`, `profile()`, `confint()` and the
#' packages that use them. It has no rows, so that `fitted()`, `residuals()`, `simulate()`, `refit()` and `bootMer()` are errors, and
#' `weights()` is `NULL`.
#' Predict chunk by chunk instead; residuals are the chunk's response minus these predictions. What other packages compute of the model
#' matrix (`performance::icc()`, say) is missing, and what needs new data (emmeans) takes a chunk by its argument `data`. Where a saved fit
#' is opened, fastlmer has to be loaded: lme4 alone would count no observations.
#'
#' @section Several workers, a cluster, Spark:
#' Cross-products add up. Each worker forms those of its part by [cross_products()], they are sent back, and `c()` adds them:
#'
#' ```r
#' library(future.apply)
#' plan(multisession)
#' parts <- list.files("measurements", full.names = TRUE)
#' sums <- future_lapply(parts, function(part) cross_products(y ~ x + (x | id), arrow::open_dataset(part)))
#' fit <- lmer(y ~ x + (x | id), data = do.call(c, sums))
#' ```
#'
#' The same parts give the same bits, however many workers there are; other parts agree to rounding.
#'
#' A table on Spark (sparklyr's `tbl_spark`) can't be `data`, for its rows don't come in pieces as those of other databases do. Write it
#' by `sparklyr::spark_write_parquet()` and open that folder by `arrow::open_dataset()`, or `dplyr::collect()` it. Where the
#' cluster's nodes have R and fastlmer, `sparklyr::spark_apply()` may run `cross_products()` on each partition and return it
#' serialised; that has not been tried.
#'
#' A model without some of the terms needs no other pass: `lmer()` takes cross-products of a larger model too (rows that
#' miss a value of any of its variables are left out).
#'
#' @section Limits:
#' * In memory are the cross-products: for each level of a grouping factor about as many numbers as it has random effects times all
#'   columns, and a block for each pair of levels of two factors that meet.
#' * Columns of the fixed effects that are combinations of others are dropped with lme4's message. Columns that are so to five digits but
#'   not altogether (products with a variable far from zero, as a year's in seconds) are an error: subtract a number near its mean.
#' * With random effects that explain all but a share of 1e-10 of the response's variance, digits of the residual variance are lost.
#' @examples
#' # a function: chunk i, NULL after the last
#' chunks <- function(i) if (i <= 4) sleepstudy[45 * (i - 1) + 1:45, ]
#' fit <- lmer(Reaction ~ Days + (Days | Subject), data = chunks)
#' summary(fit)
#'
#' # predictions and residuals, chunk by chunk
#' first <- chunks(1)
#' head(first$Reaction - predict(fit, newdata = first))
#'
#' # a database table, 50 rows at a time
#' if (requireNamespace("RSQLite", quietly = TRUE) && requireNamespace("dbplyr", quietly = TRUE)) {
#'   connection <- DBI::dbConnect(RSQLite::SQLite(), ":memory:")
#'   rows <- transform(sleepstudy, Subject = as.character(Subject))
#'   DBI::dbWriteTable(connection, "sleepstudy", rows)
#'   old <- options(fastlmer.chunk = 50)
#'   print(lmer(Reaction ~ Days + (Days | Subject), data = dplyr::tbl(connection, "sleepstudy")))
#'   options(old)
#'   DBI::dbDisconnect(connection)
#' }
#'
#' # workers form the cross-products of their parts (here one after the other)
#' parts <- lapply(1:4, function(i) cross_products(Reaction ~ Days + (Days | Subject), chunks(i)))
#' lmer(Reaction ~ Days + (Days | Subject), data = do.call(c, parts))
#' @seealso [cross_products()], [lmer()]
#' @name fastlmer-big-data
NULL
