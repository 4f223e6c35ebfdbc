# Writes into a vector in place, behind the back of whoever else holds it, as setorder(), `:=` and set() of data.table do.
skip_if_not_installed("data.table")

table_data <- function() {
  data <- sleep_data()[c("Reaction", "Days", "Subject", "number", "text", "w", "o", "half", "three")]
  data$Days <- as.numeric(data$Days)
  data.table::as.data.table(data)
}

# What a fit says of itself.
answers <- function(fit) {
  list(
    frame = lapply(as.list(model.frame(fit)), as.vector), residuals = residuals(fit), fitted = fitted(fit), weights = weights(fit),
    offset = getME(fit, "offset"), X = unname(getME(fit, "X")), flist = lapply(fit@flist, as.integer), y = getME(fit, "y"),
    simulated = simulate(fit, seed = 1), predicted = predict(fit), refitted = fixef(refit(fit)), modes = ranef(fit, condVar = FALSE)
  )
}

without_conditions <- function(expr) suppressWarnings(suppressMessages(expr))

# Every column of a table is overwritten in place.
spoil <- function(table) {
  data.table::setorderv(table, "o")
  for (name in c("Reaction", "w", "o", "Days")) data.table::set(table, i = 1:90, j = name, value = -1)
  for (name in c("Subject", "half", "three", "number")) data.table::set(table, i = 1:90, j = name, value = table[[name]][180L])
}

test_that("a fit owns its data, whatever way the columns came", {
  ways <- list(
    "the table" = identity, "subset()" = function(table) subset(table, select = names(table)),
    "within()" = function(table) within(structure(as.list(table), class = "data.frame", row.names = seq_len(180L)), z <- 1),
    "a list" = as.list, "a data frame" = function(table) structure(as.list(table), class = "data.frame", row.names = seq_len(180L)),
    "selected" = function(table) table[, names(table), with = FALSE], "dplyr" = function(table) dplyr::select(table, dplyr::everything()),
    "a tibble" = function(table) tibble::new_tibble(as.list(table), nrow = 180L)
  )
  for (way in names(ways)) {
    table <- table_data()
    control <- lmerControl(optimizer = NULL)
    fit <- lmer(Reaction ~ Days + (Days | Subject) + (1 | half), ways[[way]](table), weights = w, offset = o, control = control)
    unspoiled <- unserialize(serialize(fit, NULL))
    expected <- answers(unspoiled)
    spoil(table)
    expect_identical(answers(fit), expected, label = way)
  }
})

test_that("so does one that took lme4's way to its frame", {
  table <- table_data()
  formulas <- list(
    Reaction ~ Days + cbind(w, o) + (1 | number), Reaction ~ . - text - number + (1 | Subject) + (1 | half),
    Reaction ~ poly(Days, 2) + log(w + 1) + (w | Subject)
  )
  for (formula in formulas) {
    table <- table_data()
    fit <- without_conditions(lmer(formula, table))
    expected <- without_conditions(answers(unserialize(serialize(fit, NULL))))
    spoil(table)
    expect_identical(without_conditions(answers(fit)), expected, label = deparse(formula))
  }
})

test_that("variables of the workspace and new responses are copied as well", {
  y <- sleepstudy$Reaction + 0
  x <- sleepstudy$Days + 0
  g <- factor(as.character(sleepstudy$Subject)) # a copy, for what follows would change the data set
  spoil_vector <- function(vector) {
    data.table::set(structure(list(vector), class = "data.frame", names = "v", row.names = 1:180), i = 1:90, j = 1L, value = vector[180L])
  }
  fit <- lmer(y ~ x + (1 | g))
  new <- rev(y)
  one <- refit(fit, new)
  many <- refit(fit, cbind(new, y))
  expected <- c(answers(unserialize(serialize(fit, NULL))), list(residuals(one), model.frame(one)$y + 0))
  third <- residuals(many[[1L]])
  for (vector in list(y, x, g, new)) spoil_vector(vector)
  expect_false(identical(y, sleepstudy$Reaction))
  expect_identical(c(answers(fit), list(residuals(one), model.frame(one)$y)), expected)
  expect_identical(residuals(many[[1L]]), third)
})

test_that("columns keep their attributes", {
  columns <- list(
    1:10, factor(letters), as.Date("2024-01-01") + 0:3, as.POSIXlt("2024-01-01"), matrix(1:6, 2, dimnames = list(NULL, letters[1:3])),
    I(letters), data.frame(a = 1:3, b = letters[1:3]), c(a = 1, b = 2), list(1, "a"), ordered(c("x", "y"))
  )
  for (column in columns) expect_identical(engine_copy(column, 1L), column)
})
