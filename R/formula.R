# A mixed-model formula in its parts: a list of
#   formula    with `||` expanded
#   bars       the random-effects terms `x | g`, in order
#   combined   all variables as a sum, `fixed` without the bars, `random` with the bars' variables alone
# NULL for a formula that the fast front end doesn't take: lme4's own then answers.
split_formula <- function(formula) {
  if (!inherits(formula, "formula") || length(formula) != 3L || "." %in% all.names(formula)) return(NULL)
  parts <- take_apart(formula[[3L]]) %||% take_apart_by_lme4(formula[[3L]])
  if (!length(parts$bars)) return(NULL)
  formula[[3L]] <- parts$right
  list(
    formula = formula, bars = parts$bars,
    combined = with_right_side(formula, parts$combined),
    fixed = with_right_side(formula, parts$fixed %||% 1),
    random = with_right_side(formula, Reduce(function(left, right) call("+", left, right), lapply(parts$bars, bar_as_sum)))
  )
}

with_right_side <- function(formula, right) {
  formula[[3L]] <- right
  formula
}

bar_as_sum <- function(bar) call("(", call("+", bar[[2L]], bar[[3L]]))

# For a sum of terms without bars and of terms `(x | g)`; NULL for anything that has to be expanded first.
take_apart <- function(right) {
  head <- if (is.call(right)) right[[1L]]
  if (identical(head, quote(`+`)) && length(right) == 3L) {
    left <- take_apart(right[[2L]])
    last <- if (!is.null(left)) take_apart(right[[3L]])
    if (is.null(last)) return(NULL)
    return(list(
      right = right, bars = c(left$bars, last$bars), combined = call("+", left$combined, last$combined),
      fixed = if (is.null(left$fixed)) last$fixed else if (is.null(last$fixed)) left$fixed else call("+", left$fixed, last$fixed)
    ))
  }
  inner <- if (identical(head, quote(`(`))) right[[2L]]
  if (is.call(inner) && identical(inner[[1L]], quote(`|`)) && !has_bar(inner[-1L]) && !"/" %in% all.names(inner[[3L]])) {
    return(list(right = right, bars = list(inner), combined = bar_as_sum(inner), fixed = NULL))
  }
  if (has_bar(right)) return(NULL)
  list(right = right, bars = NULL, combined = right, fixed = right)
}

# By lme4's functions, with `||`, `/` and bars inside products. What `||` means to an lme4 with structured covariances is for its
# lFormula() to say.
take_apart_by_lme4 <- function(right) {
  if (!bars_are_plain(right) || ("||" %in% all.names(right) && has_structures())) return(NULL)
  bar <- bar_functions()
  right <- bar$expandDoubleVerts(right)
  list(right = right, bars = bar$findbars(right), combined = bar$subbars(right), fixed = bar$nobars(right))
}

# The functions that take a formula's bars apart moved from lme4 to reformulas, and newer versions of lme4 warn when theirs are
# called: use reformulas' where lme4 has loaded it.
bar_functions <- function() {
  from <- if (isNamespaceLoaded("reformulas")) "reformulas" else "lme4"
  mget(c("expandDoubleVerts", "findbars", "nobars", "subbars"), envir = asNamespace(from))
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

has_bar <- function(term) is.call(term) && any(c("|", "||") %in% all.names(term))
