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

# The axis of discrete levels: their names where there is room, and none else.
levels_axis <- function(levels, axis = c("y", "x"), at_most = readable_names) {
  axis <- match.arg(axis)
  scale <- if (axis == "y") ggplot2::scale_y_discrete else ggplot2::scale_x_discrete
  if (length(levels) <= at_most) scale() else scale(breaks = NULL)
}

# Names beside the points that stand out, and nowhere else.
label_layer <- function(data, mapping, ...) {
  ggplot2::geom_text(mapping, data = data, ..., check_overlap = TRUE, show.legend = FALSE)
}
