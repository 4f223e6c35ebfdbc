# A mixed-model formula in its parts: a list of
#   formula    with `||` expanded
#   bars       the random-effects terms `x | g`, in order
#   diagonal   per term: are its columns independent, as in `diag(x | g)`?
#   combined   all variables as a sum, `fixed` without the bars, `random` with the bars' variables alone
# NULL for a formula that the fast front end doesn't take: lme4's own then answers.
split_formula <- function(formula) {
  names <- all.names(formula)
  if (!inherits(formula, "formula") || length(formula) != 3L || "." %in% names) return(NULL)
  if ("||" %in% names && splits_double_bars()) formula[[3L]] <- without_double_bars(formula[[3L]])
  parts <- take_apart(formula[[3L]]) %||% take_apart_by_lme4(formula[[3L]])
  if (!length(parts$bars)) return(NULL)
  list(
    formula = formula, bars = parts$bars, diagonal = parts$diagonal,
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

# For a sum of terms without bars and of terms `(x | g)`, `us(x | g)` and `diag(x | g)`; NULL for anything that has to be expanded first.
take_apart <- function(right) {
  head <- if (is.call(right)) right[[1L]]
  if (identical(head, quote(`+`)) && length(right) == 3L) {
    left <- take_apart(right[[2L]])
    last <- if (!is.null(left)) take_apart(right[[3L]])
    if (is.null(last)) return(NULL)
    return(list(
      bars = c(left$bars, last$bars), diagonal = c(left$diagonal, last$diagonal), combined = call("+", left$combined, last$combined),
      fixed = if (is.null(left$fixed)) last$fixed else if (is.null(last$fixed)) left$fixed else call("+", left$fixed, last$fixed)
    ))
  }
  term <- if (!is.null(head)) random_term(right, head)
  if (!is.null(term) && !has_bar(term$bar[[2L]]) && !has_bar(term$bar[[3L]]) && !"/" %in% all.names(term$bar[[3L]])) {
    return(list(bars = list(term$bar), diagonal = term$diagonal, combined = bar_as_sum(term$bar), fixed = NULL))
  }
  if (identical(head, quote(`(`)) && has_bar(right)) {
    # a sum of such terms in parentheses, as `||` makes it
    inside <- take_apart(right[[2L]])
    if (is.null(inside) || !is.null(inside$fixed)) return(NULL)
    inside$combined <- call("(", inside$combined)
    return(inside)
  }
  if (has_bar(right)) return(NULL)
  list(bars = NULL, combined = right, fixed = right)
}

# What a term in parentheses, `us()` or `diag()` has in it: a bar, and whether its columns are independent. NULL for any other term.
random_term <- function(term, head) {
  plain <- identical(head, quote(`(`))
  if (!plain && !is_unstructured(term, head) && !is_diagonal(term, head)) return(NULL)
  bar <- term[[2L]]
  if (is.call(bar) && identical(bar[[1L]], quote(`|`))) return(list(bar = bar, diagonal = !plain && identical(head, quote(diag))))
  if (plain && is.call(bar) && identical(bar[[1L]], quote(`||`)) && !splits_double_bars()) {
    return(list(bar = call("|", bar[[2L]], bar[[3L]]), diagonal = TRUE))
  }
}

# lme4 2.x has `us()` and `diag()` for unstructured and for independent effects. (An lme4 without them looks for functions of these names.)
is_unstructured <- function(term, head) identical(head, quote(us)) && length(term) == 2L && has_structures()

is_diagonal <- function(term, head) {
  plain <- identical(head, quote(diag)) && (length(term) == 2L || (length(term) == 3L && identical(term$hom, FALSE)))
  plain && has_structures()
}

# By lme4's functions, with `/` and bars inside products.
take_apart_by_lme4 <- function(right) {
  masked <- mask_inner_bars(right)
  right <- masked$term
  if (!bars_are_plain(right) || any(c("||", "us", "diag") %in% all.names(right))) return(NULL)
  bar <- bar_functions()
  bars <- bar$findbars(right)
  parts <- list(bars = bars, diagonal = logical(length(bars)), combined = bar$subbars(right), fixed = bar$nobars(right))
  if (length(masked$hidden)) unmask_bars(parts, masked$hidden) else parts
}

# The functions that take a formula's bars apart moved from lme4 to reformulas, and newer versions of lme4 warn when theirs are
# called: use reformulas' where lme4 has loaded it.
bar_functions <- function() {
  from <- if (isNamespaceLoaded("reformulas")) "reformulas" else "lme4"
  mget(c("findbars", "nobars", "subbars"), envir = asNamespace(from))
}

# lme4 2.x takes `||` for diag() where this option says so.
splits_double_bars <- function() {
  !has_structures() || identical(getOption("lme4.doublevert.default", "split"), "split")
}

# `(1 + x || g)` is `((1 | g) + (0 + x | g))`, a term for each term of the left side, as lme4 writes them.
without_double_bars <- function(term) {
  if (!is.call(term)) return(term)
  if (identical(term[[1L]], quote(`||`))) return(separate_bars(term) %||% term)
  if (!is_operator(term[[1L]])) return(term)
  term[-1L] <- lapply(as.list(term)[-1L], without_double_bars)
  term
}

# NULL where there is nothing to separate.
separate_bars <- function(bar) {
  left <- stats::terms(eval(call("~", bar[[2L]])))
  columns <- attr(left, "term.labels")
  group <- deparse(bar[[3L]])
  if (!length(columns) || length(group) != 1L) return(NULL)
  terms <- c(if (attr(left, "intercept")) "1", paste0("0+", columns))
  str2lang(paste0("(", paste0(terms, "|", group, collapse = ")+("), ")"))
}

# Do bars occur only as terms of the sum? `cs(1 + x | g)` and its like are lme4's structured covariances.
bars_are_plain <- function(term) {
  if (!is.call(term)) return(TRUE)
  head <- term[[1L]]
  if (is_operator(head)) return(all(vapply(as.list(term)[-1L], bars_are_plain, NA)))
  if (is_bar(head)) return(!has_bar(term[[2L]]) && !has_bar(term[[3L]]))
  if (is_unstructured(term, head) || is_diagonal(term, head)) return(bars_are_plain(term[[2L]]))
  !has_bar(term)
}

# Is a term of the sum one of lme4's covariance structures that the engine doesn't have? The whole model is lme4's then.
has_other_structure <- function(formula) {
  inherits(formula, "formula") && has_structures() && any(c("cs", "ar1", "diag") %in% all.names(formula)) &&
    is_other_structure(formula[[length(formula)]])
}

is_other_structure <- function(term) {
  if (!is.call(term)) return(FALSE)
  head <- term[[1L]]
  if (is_operator(head)) return(any(vapply(as.list(term)[-1L], is_other_structure, NA)))
  structured <- identical(head, quote(cs)) || identical(head, quote(ar1)) || (identical(head, quote(diag)) && !is_diagonal(term, head))
  structured && length(term) > 1L && is.call(term[[2L]]) && is_bar(term[[2L]][[1L]])
}

is_operator <- function(head) is.name(head) && as.character(head) %in% c("+", "-", "(", "*", ":", "/", "^", "%in%")

is_bar <- function(head) identical(head, quote(`|`)) || identical(head, quote(`||`))

# Has a term a bar of random effects? Below any other function than a formula's operators and lme4's structures a bar is R's own.
has_bar <- function(term) {
  if (!is.call(term)) return(FALSE)
  head <- term[[1L]]
  if (is_bar(head)) return(TRUE)
  if (is_operator(head) || is_structure(head)) for (part in as.list(term)[-1L]) if (has_bar(part)) return(TRUE)
  FALSE
}

# R's own bars, as in I(a > 7 | b < 2), out of sight of lme4's functions, which take every bar for that of a random-effects term: a list of
# the expression with a name in place of each call that has one, and these calls by their names.
mask_inner_bars <- function(term, hidden = list()) {
  if (!is.call(term) || !any(c("|", "||") %in% all.names(term))) return(list(term = term, hidden = hidden))
  head <- term[[1L]]
  if (!is_bar(head) && !is_operator(head) && !is_structure(head)) {
    name <- paste0(".hidden_", length(hidden) + 1L)
    return(list(term = as.name(name), hidden = c(hidden, stats::setNames(list(term), name))))
  }
  for (i in seq_along(term)[-1L]) {
    masked <- mask_inner_bars(term[[i]], hidden)
    term[[i]] <- masked$term
    hidden <- masked$hidden
  }
  list(term = term, hidden = hidden)
}

unmask_bars <- function(parts, hidden) {
  if (is.list(parts)) return(lapply(parts, unmask_bars, hidden))
  if (!is.call(parts) && !is.name(parts)) return(parts)
  if (inherits(parts, "formula")) return(with_right_side(parts, unmask_bars(parts[[3L]], hidden)))
  do.call(substitute, list(parts, hidden))
}

is_structure <- function(head) is.name(head) && as.character(head) %in% c("us", "diag", "cs", "ar1") && has_structures()

# Has an expression bars that are R's own?
has_inner_bar <- function(term) length(mask_inner_bars(term)$hidden) > 0L

# lme4's functions would take such a bar for that of a random-effects term, silently where both sides are variables.
refuse_inner_bars <- function(formula, what = "this model") {
  hidden <- if (is.call(formula)) mask_inner_bars(formula[[length(formula)]])$hidden
  if (length(hidden)) {
    fail("unsupported", what, " goes to lme4, which takes the bar in ", sQuote(deparse1(hidden[[1L]])), " for a random-effects term: ",
      "compute that variable in the data")
  }
}

# The fixed and the random part of a fit's formula where a function in it has a bar of its own; lme4's method otherwise.
#' @importFrom stats formula
#' @export
#' @noRd
formula.lmerMod <- function(x, fixed.only = FALSE, random.only = FALSE, ...) {
  whole <- attr(x@frame, "formula")
  if (!(fixed.only || random.only) || is.null(whole) || !has_inner_bar(whole[[length(whole)]])) return(NextMethod())
  if (fixed.only && random.only) fail("argument", "'fixed.only' and 'random.only' can't both be TRUE")
  parts <- split_formula(whole)
  if (fixed.only) return(parts$fixed)
  with_right_side(whole, Reduce(function(left, right) call("+", left, right), lapply(parts$bars, function(bar) call("(", bar))))
}
