# A mixed-model formula in its parts. The four functions that take a formula's bars apart moved from lme4 to reformulas, and
# newer versions of lme4 warn when theirs are called: use reformulas' where lme4 has loaded it.
bar_functions <- function() {
  from <- if (isNamespaceLoaded("reformulas")) "reformulas" else "lme4"
  mget(c("expandDoubleVerts", "findbars", "nobars", "subbars"), envir = asNamespace(from))
}

# NULL for a formula that the fast front end doesn't take: lme4's own then answers.
split_formula <- function(formula) {
  if (!inherits(formula, "formula") || length(formula) != 3L) return(NULL)
  if (!bars_are_plain(formula[[3L]]) || "." %in% all.vars(formula)) return(NULL)
  bar <- bar_functions()
  right <- bar$expandDoubleVerts(formula[[3L]])
  bars <- bar$findbars(right)
  if (!length(bars)) return(NULL)
  formula[[3L]] <- right
  list(
    formula = formula,
    bars = bars,
    combined = with_right_side(formula, bar$subbars(right)),
    fixed = with_right_side(formula, bar$nobars(right)),
    random = with_right_side(formula, bar$subbars(sum_of_bars(bars)))
  )
}

with_right_side <- function(formula, right) {
  formula[[3L]] <- right
  formula
}

sum_of_bars <- function(bars) {
  Reduce(function(left, right) call("+", left, call("(", right)), bars[-1L], call("(", bars[[1L]]))
}

# Do bars occur only as terms of the sum? `cs(1 + x | g)` and its like are lme4's structured covariances.
bars_are_plain <- function(term) {
  if (!is.call(term)) return(TRUE)
  head <- term[[1L]]
  if (is.name(head) && as.character(head) %in% c("+", "-", "(", "*", ":", "/", "^", "%in%")) {
    return(all(vapply(as.list(term)[-1L], bars_are_plain, NA)))
  }
  if (is_bar(head)) return(!has_bar(term[[2L]]) && !has_bar(term[[3L]]))
  !has_bar(term)
}

is_bar <- function(head) identical(head, quote(`|`)) || identical(head, quote(`||`))

has_bar <- function(term) any(c("|", "||") %in% all.names(term))
