#' Pictures of an optimum
#'
#' The criterion that the fit minimises (the deviance, or the REML criterion), along lines through the optimum: either along each element of
#' theta with the others held, or along the eigenvectors of the Hessian. Beside it is the parabola that gradient and Hessian describe. Where
#' both are near each other the optimum is as regular as standard errors by a Hessian suppose; where the curve is flat the data say little
#' about that direction, and where it falls the fit isn't at the optimum.
#'
#' A line ends at the boundary (a standard deviation of zero or a correlation of 1 or -1; dotted), or where the parabola is above the
#' optimum by 4, or where the data say so little that three standard deviations of the effect (three of the residuals, if these are larger)
#' come first. 41 points of a line are evaluated by the engine, each as much work as one evaluation of the fit.
#'
#' @param object,model,x a report by [convergence()].
#' @param along `"theta"`, or `"eigen"` for the eigenvectors, the flattest direction first. Their Hessian is that of the report's
#'   `eigenvalues`: elements of theta are counted in standard deviations of their effects. Such a direction is named by those one or two
#'   that it is mostly made of.
#' @param which numbers or names of the elements of theta, or numbers of the eigenvectors; by default the first twelve.
#' @param data,... not used.
#' @return `autoplot()` and `plot()` return a ggplot. Its data, which `fortify()` returns, have a row per point: `direction`, a factor;
#'   `step`, the element of theta, or the distance from the optimum along an eigenvector; `rise`, the criterion above the fit's;
#'   `quadratic`, the parabola; `boundary`, is it on the boundary? The attribute `directions` is a matrix with the change of theta for
#'   a step of one, a column per direction.
#' @section Errors:
#' Of class `fastlmer_argument_error` where `along` or `which` have no meaning, and for a report that was made without the model's record.
#' @references
#' Bates, Maechler, Bolker and Walker (2015) Fitting linear mixed-effects models using lme4. Journal of Statistical Software 67(1),
#' \doi{10.18637/jss.v067.i01}, section 3, for the criterion as a function of theta.
#' @seealso [convergence()], [profile.lmerMod()] for intervals, where all other parameters are at their best
#' @examples
#' report <- convergence(lmer(Reaction ~ Days + (Days | Subject), sleepstudy))
#' if (requireNamespace("ggplot2")) {
#'   ggplot2::autoplot(report)
#'   ggplot2::autoplot(report, "eigen")
#' }
#' @exportS3Method ggplot2::autoplot
autoplot.convergence <- function(object, along = "theta", which = NULL, ...) {
  needs_ggplot2("a report of convergence")
  data <- fortify.convergence(object, along = along, which = which)
  lines <- rbind(
    data.frame(data[c("direction", "step")], rise = data$rise, line = "criterion"),
    data.frame(data[c("direction", "step")], rise = data$quadratic, line = "parabola by the Hessian")
  )
  lines <- lines[is.finite(lines$rise), ]
  aes <- ggplot2::aes
  .data <- ggplot2::.data
  name <- if (object$REML) "REML criterion" else "Deviance"
  number <- nrow(object$parameters)
  width <- if (nlevels(data$direction) > 2L) 16L else 26L
  ggplot2::ggplot(data, aes(.data$step, .data$rise)) +
    boundary_layers(data) +
    ggplot2::geom_line(aes(colour = .data$line, linetype = .data$line), data = lines, linewidth = 0.8) +
    ggplot2::geom_point(data = optimum_of_lines(data), size = 2) +
    ggplot2::facet_wrap(~direction, scales = "free_x", labeller = facet_words(width)) +
    ggplot2::scale_x_continuous(n.breaks = 4, guide = ggplot2::guide_axis(check.overlap = TRUE)) +
    ggplot2::scale_colour_manual(NULL, values = unname(picture_colours[c("blue", "orange")])) +
    ggplot2::scale_linetype_manual(NULL, values = c("solid", "dashed")) +
    ggplot2::coord_cartesian(ylim = c(min(0, data$rise), 1.5 * highest_rise)) +
    ggplot2::labs(
      x = if (along == "theta") "Element of theta (relative to the residual SD)" else "Distance from the optimum",
      y = paste(name, "above the fit's"), title = "The criterion around the optimum",
      subtitle = if (along == "theta") "Along each element of theta, others held" else "Along the Hessian's eigenvectors, flattest first",
      caption = caption_of(
        if (any(data$boundary)) "Dotted: the boundary (no variance, or a correlation of 1 or -1).",
        if (is.null(which) && number > nlevels(data$direction)) sprintf("The first %d of %d.", nlevels(data$direction), number),
        if (!object$converged) sprintf("Not converged: a search lowers the criterion by %s.", format(object$decrease, digits = 3))
      )
    )
}

#' @rdname autoplot.convergence
#' @export
plot.convergence <- function(x, ...) autoplot.convergence(x, ...)

#' @rdname autoplot.convergence
#' @exportS3Method ggplot2::fortify
fortify.convergence <- function(model, data, along = "theta", which = NULL, ...) {
  along <- one_choice(along, c("theta", "eigen"), "along")
  record <- attr(model, "model")$record
  if (is.null(record)) fail("argument", "'object' must be a report by convergence(), which has the model with it")
  lines <- lines_through_optimum(model, record, along, which)
  points <- do.call(rbind, lapply(lines, points_on_line, model))
  points$direction <- factor(points$direction, unique(points$direction))
  theta <- lapply(lines, function(line) record$theta + outer(line$by, line$t))
  points$rise <- criterion_at(record, do.call(cbind, theta)) - model$criterion
  attr(points, "directions") <- vapply(lines, `[[`, record$theta, "by")
  points
}

# As high as the parabola is drawn.
highest_rise <- 4

# Lines theta + t * by, each a list of
#   name, by, t
#   at         what is on the axis where t is zero
#   boundary   for each t: is a standard deviation zero there?
lines_through_optimum <- function(report, record, along, which, most = 12L) {
  theta <- record$theta
  reach <- 3 * theta_reach(record)
  directions <- if (along == "theta") theta_lines(report, which) else eigen_lines(report, record, which)
  if (is.null(which)) directions <- utils::head(directions, most)
  variance <- record$lower == 0
  lapply(directions, function(line) {
    curvature <- if (all(is.finite(report$Hessian))) drop(line$by %*% report$Hessian %*% line$by) else 0
    moved <- line$by != 0
    most <- min(abs(reach[moved] / line$by[moved]))
    end <- if (curvature > 0) min(sqrt(2 * highest_rise / curvature), most) else most
    zeros <- -(theta / line$by)[variance & moved]
    ends <- c(max(-end, zeros[zeros < 0]), min(end, zeros[zeros > 0]))
    # What is zero can only grow. (Where one would fall as another grows, the criterion is the same for both signs.)
    growing <- sign(line$by[variance & moved & theta == 0])
    if (length(growing) && all(growing == growing[1L])) ends[if (growing[1L] > 0) 1L else 2L] <- 0
    steps <- seq(ends[1L], ends[2L], length.out = 41L)
    t <- sort(c(steps[abs(steps) > 1e-9 * diff(ends)], 0))
    c(line, list(t = t, boundary = t %in% zeros))
  })
}

# How far an element of theta may be moved: its effect's relative standard deviation, or that of the residuals if it is larger.
theta_reach <- function(record) {
  places <- theta_places(record)
  size <- column_sizes(record)[cbind(places$term, places$row)]
  vapply(seq_along(record$theta), function(i) {
    row <- places$term == places$term[i] & places$row == places$row[i]
    max(sqrt(sum(record$theta[row]^2)), 1 / size[i])
  }, 0)
}

theta_lines <- function(report, which) {
  names <- theta_words(report$parameters)
  numbers <- chosen_theta(which, report$parameters$parameter)
  lapply(numbers, function(i) list(name = names[i], by = as.numeric(seq_along(names) == i), at = report$parameters$theta[i]))
}

chosen_theta <- function(which, names) if (is.null(which)) seq_along(names) else chosen_numbers(which, names, "which")

eigen_lines <- function(report, record, which) {
  if (!all(is.finite(report$Hessian))) fail("argument", "'along' must be \"theta\": the Hessian at this fit isn't known")
  unit <- theta_units(record)
  parts <- eigen(report$Hessian * unit * rep(unit, each = length(unit)), symmetric = TRUE)
  names <- theta_words(report$parameters)
  order <- rev(seq_along(unit))
  chosen <- chosen_theta(which, paste("direction", seq_along(unit)))
  lapply(chosen, function(i) {
    vector <- parts$vectors[, order[i]]
    vector <- vector * sign(vector[which.max(abs(vector))])
    main <- utils::head(order(-abs(vector)), 2L)
    main <- names[main[abs(vector[main]) >= 0.5]]
    list(name = paste0(i, ": ", if (length(main)) paste(main, collapse = " and ") else "of many"), by = vector * unit, at = 0)
  })
}

# "Intercept" for what its standard deviation is made of, "Days with Intercept" for what makes two effects correlated; where there are
# several terms, with the grouping factor.
theta_words <- function(parameters) {
  word <- function(effects) sub("(Intercept)", "Intercept", effects, fixed = TRUE)
  with <- ifelse(parameters$row == parameters$column, "", paste(" with", word(parameters$column)))
  term <- if (length(unique(parameters$term)) > 1L) paste0(parameters$term, ": ") else ""
  make.unique(paste0(term, word(parameters$row), with), sep = " ")
}

points_on_line <- function(line, report) {
  slope <- sum(report$gradient * line$by)
  curvature <- drop(line$by %*% report$Hessian %*% line$by)
  data.frame(
    direction = line$name, step = line$at + line$t, rise = NA_real_, quadratic = slope * line$t + curvature * line$t^2 / 2,
    boundary = line$boundary
  )
}

# The criterion at each column of a matrix.
criterion_at <- function(record, theta) {
  products <- products_of_record(record)
  one <- function(i) engine_criterion(products$design, products$response, theta[, i], record$reml)
  in_pieces(ncol(theta), "Evaluations", function(first, last) list(rise = vapply(first:last, one, 0)))$rise
}

boundary_layers <- function(data) {
  bounds <- data[data$boundary, ]
  .data <- ggplot2::.data
  if (nrow(bounds)) ggplot2::geom_vline(ggplot2::aes(xintercept = .data$step), data = bounds, linetype = "dotted")
}

# Where the fit is.
optimum_of_lines <- function(data) {
  at <- vapply(split(seq_len(nrow(data)), data$direction), function(rows) {
    rows[which.min(abs(data$quadratic[rows]) + abs(data$rise[rows]))]
  }, 1L)
  data[at, ]
}
