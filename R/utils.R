`%||%` <- function(x, y) if (is.null(x)) y else x

check_share <- function(value, name) {
  if (!is.numeric(value) || length(value) != 1L || is.na(value) || value <= 0 || value >= 1) {
    fail("argument", sprintf("'%s' must be a number between 0 and 1", name))
  }
}

# "1,000,000".
with_commas <- function(number) format(number, big.mark = ",", scientific = FALSE, trim = TRUE)
