# What all pictures have in common. A picture is two functions: one that computes a data frame (fortify() returns it) and one that draws it
# (autoplot()). None sets a theme: the user's own holds, and `+` adds to it.

# Okabe and Ito's colours, told apart by people who see colours differently (https://jfly.uni-koeln.de/color/).
picture_colours <- c(
  blue = "#0072B2", orange = "#D55E00", green = "#009E73", grey = "#777777", purple = "#CC79A7", yellow = "#E69F00", sky = "#56B4E9"
)

# Above so many levels, names on an axis or beside a point can't be read: they are left out.
readable_names <- 80L

# `what`: "a bootstrap", "a profile".
needs_ggplot2 <- function(what) {
  if (!requireNamespace("ggplot2", quietly = TRUE)) {
    fail("package", "the picture of ", what, " needs the package ggplot2: install.packages(\"ggplot2\")")
  }
}

# The axis of discrete levels, with names where there is room. Each panel with levels of its own has its own room.
levels_axis <- function(axis = c("y", "x"), ..., at_most = readable_names) {
  scale <- if (match.arg(axis) == "y") ggplot2::scale_y_discrete else ggplot2::scale_x_discrete
  scale(..., breaks = function(levels) named_levels(levels, at_most))
}

# Those of an axis's levels that are named: all, of more than half of what is readable every second from the last on, and of more none.
named_levels <- function(levels, at_most = readable_names) {
  count <- length(levels)
  if (count > at_most || !count) return(character())
  rev(rev(levels)[seq.int(1L, count, by = if (2L * count > at_most) 2L else 1L)])
}

# Names beside the points that stand out, and nowhere else.
label_layer <- function(data, mapping, ...) {
  ggplot2::geom_text(mapping, data = data, ..., check_overlap = TRUE, show.legend = FALSE)
}

# One of the pictures or pieces that an argument may name; `what` is the argument.
one_choice <- function(value, choices, what) {
  if (is.character(value) && length(value) == 1L && value %in% choices) return(value)
  fail("argument", "'", what, "' must be one of ", paste0("\"", choices, "\"", collapse = ", "))
}

# The numbers of those of `names` that are asked for by number or by name; all by default.
chosen_numbers <- function(chosen, names, what) {
  if (is.null(chosen)) return(seq_along(names))
  numbers <- if (is.character(chosen)) match(chosen, names) else match(chosen, seq_along(names))
  if (!length(chosen) || anyNA(numbers)) {
    shown <- if (length(names) <= 20L) names else c(names[1:20], "...")
    fail("argument", "'", what, "' must be numbers up to ", length(names), " or names among ", paste(sQuote(shown, FALSE), collapse = ", "))
  }
  numbers
}

# What a parameter of a mixed model is, in words: lme4's `sd_Days|Subject` and `cor_Days.(Intercept)|Subject`. Other names stay.
parameter_words <- function(names) {
  names <- sub("^sd_(.*)\\|([^|]*)$", "SD of \\1 by \\2", names)
  names <- sub("^var_(.*)\\|([^|]*)$", "variance of \\1 by \\2", names)
  names <- sub("^(cor|cov)_(.*)\\.(\\(Intercept\\)|[^.]*)\\|([^|]*)$", "\\1. of \\2 and \\3 by \\4", names)
  names <- sub("^(.sigma|sigma)$", "residual SD (sigma)", names)
  sub("^.sigmasq$", "residual variance", names)
}

# How many letters have room above each of so many facets, where `letters` fit beside each other.
facet_width <- function(facets, letters = 80L) letters %/% ggplot2::wrap_dims(facets)[[2L]]

# Names above facets, in words and in lines of up to `width` letters; a word that is too long is cut after a mark in it.
facet_words <- function(width = 22L) {
  ggplot2::as_labeller(function(names) vapply(parameter_words(names), in_lines, "", width = width, USE.NAMES = FALSE))
}

# Numbers below facets, which don't touch each other.
sparse_axis <- function(facets) {
  ggplot2::scale_x_continuous(n.breaks = if (facets > 9L) 3 else 4, guide = ggplot2::guide_axis(check.overlap = TRUE))
}

in_lines <- function(text, width) {
  words <- strsplit(text, " ", fixed = TRUE)[[1L]]
  pieces <- lapply(words, function(word) {
    if (nchar(word) <= width) return(word)
    marks <- strsplit(gsub("([:._|,/])", "\\1 ", word), " ", fixed = TRUE)[[1L]]
    Reduce(function(lines, mark) {
      last <- length(lines)
      if (last && nchar(lines[last]) + nchar(mark) <= width) replace(lines, last, paste0(lines[last], mark)) else c(lines, mark)
    }, marks, character())
  })
  paste(strwrap(paste(unlist(pieces), collapse = " "), width + 1L), collapse = "\n")
}

# "1,000 replicates".
counted <- function(number, one, several = paste0(one, "s")) {
  paste(with_commas(number), if (number == 1) one else several)
}

percent_of <- function(share, digits = 2L) paste(format(100 * share, digits = digits, scientific = FALSE, trim = TRUE), "%")

# A variable's name, or its attribute `label`, with its attribute `units`, for a slope those of the response per those of the variable.
name_with_unit <- function(name, values = NULL, per = NULL) {
  text <- function(attribute, values) {
    value <- attr(values, attribute, exact = TRUE)
    if (!is.null(value)) paste(as.character(value), collapse = " ")
  }
  unit <- paste(c(text("units", values), text("units", per)), collapse = " per ")
  paste0(text("label", values) %||% name, if (nzchar(unit)) paste0(" (", unit, ")"))
}

# Sentences below a picture, in lines that a picture of usual width has room for; NULL for none.
caption_of <- function(..., width = 80L) {
  text <- paste(c(...), collapse = " ")
  if (nzchar(text)) paste(strwrap(text, width), collapse = "\n")
}
