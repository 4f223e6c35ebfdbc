# The data of some levels with the lines of no, partial and complete pooling: see autoplot.lmerMod().

# More levels are drawn where they are asked for; more rows of a level aren't.
most_panels <- 12L
most_rows_of_level <- 200L

pooling_data <- function(object, group = NULL, levels = NULL, predictor = NULL) {
  group <- checked_group(object, group)
  estimates <- level_estimates(object, group)
  shown <- shown_levels(estimates, levels)
  variables <- predictor_variables(object, group)
  predictor <- checked_predictor(predictor, variables)
  record <- engine_of(object)
  response <- record$y
  of_levels <- lapply(shown, rows_of_level, estimates, variables$values[[predictor %||% ""]])
  points <- do.call(rbind, lapply(of_levels, `[[`, "points"))
  # an offset that varies within a level is no part of the lines
  offset <- offset_of_levels(object, lapply(of_levels, `[[`, "rows"))
  points$y <- response[points$row]
  if (!is.null(record$offset)) points$y <- points$y - record$offset[points$row] + offset[match(points$level, shown)]
  lines <- pooling_lines(object, estimates, shown, variables$values, predictor, lapply(of_levels, `[[`, "rows"))
  data <- rbind(points[c("level", "kind", "x", "y")], lines)
  data$level <- factor(estimates$levels[data$level], estimates$levels[shown])
  data$kind <- factor(data$kind, c("data", pooling_kinds))
  structure(data, group = group, predictor = predictor, thinned = nrow(points) < sum(estimates$rows[shown]))
}

# The levels that are drawn: evenly from the lowest to the highest of the first effect.
shown_levels <- function(estimates, levels) {
  if (!is.null(levels)) return(chosen_numbers(as.character(levels), estimates$levels, "levels"))
  count <- length(estimates$levels)
  if (count <= 20L) return(seq_len(count))
  sort_order <- order(estimates$partial[, 1L])
  sort_order[round(seq(1, count, length.out = most_panels))]
}

# The model's variables with their values in the rows of the fit; which of them are predictors, and not part of a grouping factor; which are
# in a random-effects term of `group`.
predictor_variables <- function(object, group) {
  split <- prediction_recipe(object)$split
  own <- all.vars(str2lang(group_text(split, group)))
  random <- unique(unlist(lapply(split$bars, function(bar) if (group_name(bar[[3L]]) == group) all.vars(bar[[2L]]))))
  others <- unique(unlist(lapply(split$bars, function(bar) all.vars(bar[[2L]]))))
  groups <- unique(unlist(lapply(split$bars, function(bar) all.vars(bar[[3L]]))))
  fixed <- all.vars(split$fixed[[3L]])
  names <- setdiff(c(random, fixed, others), c(own, all.vars(split$fixed[[2L]])))
  values <- lapply(stats::setNames(nm = union(names, groups)), model_variable, object)
  list(values = values, predictors = setdiff(names, groups), random = random)
}

group_text <- function(split, group) {
  bar <- Filter(function(bar) group_name(bar[[3L]]) == group, split$bars)[[1L]]
  deparse1(bar[[3L]])
}

# A variable in the rows of the fit, from its frame or, where that has a function of it only, from the data.
model_variable <- function(name, object) {
  frame <- object@frame
  if (name %in% names(frame)) return(frame[[name]])
  data <- data_of_call(object, environment(stats::formula(object)))
  at <- if (name %in% names(data)) match(row.names(frame), row.names(data))
  if (is.null(at) || anyNA(at)) {
    fail("unsupported", sprintf(
      "the picture needs the variable '%s', which the fit keeps only in a function of it, and its data aren't found", name
    ))
  }
  data[[name]][at]
}

# By default a number whose effect varies between levels, else another number, else another variable; NULL where there is none.
checked_predictor <- function(predictor, variables) {
  known <- variables$predictors
  if (!is.null(predictor)) {
    if (!length(known)) fail("argument", "'predictor' must be left out: the model has no predictor that varies within levels")
    return(one_choice(predictor, known, "predictor"))
  }
  number <- vapply(variables$values[known], is.numeric, NA)
  random <- known %in% variables$random
  found <- c(known[random & number], known[number], known[random], known)
  if (length(found)) found[[1L]]
}

# A level's rows, and as points those that are drawn, of many every so many; without a predictor they are counted.
rows_of_level <- function(level, estimates, predictor) {
  rows <- which(estimates$codes == level)
  x <- if (is.null(predictor)) seq_along(rows) else predictor[rows]
  kept <- if (length(rows) <= most_rows_of_level) seq_along(rows) else round(seq(1, length(rows), length.out = most_rows_of_level))
  list(rows = rows, points = data.frame(level = level, kind = "data", x = x[kept], row = rows[kept]))
}

# Three lines for each level, over all values of the predictor; the level's own over its own values only, for beyond them its rows say
# nothing.
pooling_lines <- function(object, estimates, shown, values, predictor, rows) {
  x <- if (!is.null(predictor)) values[[predictor]]
  every <- if (is.null(x)) c(1, max(lengths(rows))) else points_along(x[unlist(rows)])
  own <- lapply(rows, function(rows) if (is.null(x)) c(1, length(rows)) else points_along(x[rows]))
  grid <- c(rep(list(every), length(shown)), own)
  at <- rep(seq_along(grid), lengths(grid))
  level <- rep(shown, 2L)[at]
  new <- rows_of_grid(values, rep(rows, 2L), at)
  if (!is.null(predictor)) new[[predictor]] <- unlist_as(grid, x)
  complete <- average_line(object, new) + offset_of_levels(object, rows)[(at - 1L) %% length(shown) + 1L]
  z <- columns_of_group(object, new, estimates)
  shift <- function(kind) rowSums(z * (estimates[[kind]][level, , drop = FALSE] - rep(estimates$complete, each = length(level))))
  all <- at <= length(shown)
  line <- function(kind, y, part) data.frame(level = level, kind = kind, x = unlist_as(grid, x), y = y)[part, ]
  lines <- rbind(
    line("no pooling", complete + shift("no"), !all), line("partial pooling", complete + shift("partial"), all),
    line("complete pooling", complete, all)
  )
  lines[!is.na(lines$y), ]
}

# Where lines have points: of numbers evenly over their range, of other variables at each value.
points_along <- function(x, number = 41L) {
  if (is.numeric(x)) return(seq(min(x), max(x), length.out = number))
  if (is.factor(x)) factor(levels(x)[sort(unique(as.integer(x)))], levels(x)) else sort(unique(x))
}

# Values of one kind in one vector, as `like` has them.
unlist_as <- function(values, like) {
  if (is.factor(like)) return(factor(unlist(lapply(values, as.character)), levels(like), ordered = is.ordered(like)))
  do.call(c, values)
}

# Each level's variables as they usually are there: numbers by their mean, others by their most frequent value; a row for each place.
rows_of_grid <- function(values, rows, at) {
  usual <- lapply(values, function(value) {
    one <- lapply(rows, function(rows) {
      part <- value[rows]
      if (is.numeric(part)) mean(part) else part[which.max(tabulate(match(part, part)))]
    })
    unlist_as(one, value)[at]
  })
  as.data.frame(usual, optional = TRUE, stringsAsFactors = FALSE)
}

average_line <- function(object, new) columns_times(of_new_rows(object, new, new_fixed_columns), object@beta)

offset_of_levels <- function(object, rows) {
  offset <- engine_of(object)$offset
  if (is.null(offset)) numeric(length(rows)) else vapply(rows, function(rows) mean(offset[rows]), 0)
}

# The columns of the factor's effects in new rows, as level_estimates() has them.
columns_of_group <- function(object, new, estimates) {
  effects <- of_new_rows(object, new, function(source, object) {
    bars <- Filter(function(bar) group_name(bar[[3L]]) == estimates$group, source$recipe$split$bars)
    new_effects(source, object, bars, TRUE, FALSE)
  })
  own <- which(names(object@cnms) == estimates$group)
  z <- do.call(cbind, lapply(effects[own], `[[`, "z"))
  z[, match(estimates$effects, unlist(object@cnms[own])), drop = FALSE]
}

of_new_rows <- function(object, new, columns) {
  tryCatch(columns(new_variables(object, new), object), fastlmer_not_ours = function(e) {
    fail("unsupported", "the lines can't be drawn for this formula: draw predict(fit, newdata) of rows of your own")
  })
}

pooling_picture <- function(object, group = NULL, levels = NULL, predictor = NULL) {
  data <- pooling_data(object, group, levels, predictor)
  group <- attr(data, "group")
  predictor <- attr(data, "predictor")
  number <- length(unique(object@flist[[group]]))
  points <- data[data$kind == "data", ]
  aes <- ggplot2::aes
  .data <- ggplot2::.data
  ggplot2::ggplot(data, aes(.data$x, .data$y)) +
    ggplot2::geom_point(data = points, size = if (nrow(points) <= 500L) 1.2 else 0.6, alpha = 0.6) +
    ggplot2::geom_line(
      aes(colour = .data$kind, linetype = .data$kind, group = factor(.data$kind, rev(pooling_kinds))), data = data[data$kind != "data", ],
      linewidth = 0.7
    ) +
    ggplot2::facet_wrap(~level) + ggplot2::guides(x = ggplot2::guide_axis(check.overlap = TRUE)) +
    ggplot2::scale_colour_manual(NULL, values = pooling_colours, breaks = pooling_kinds) +
    ggplot2::scale_linetype_manual(NULL, values = stats::setNames(c("42", "solid", "13"), pooling_kinds), breaks = pooling_kinds) +
    ggplot2::labs(
      x = if (is.null(predictor)) "Number of the observation" else name_with_unit(predictor, object@frame[[predictor]]),
      y = name_with_unit(names(object@frame)[1L], object@frame[[1L]]), title = paste("Pooling in the levels of", group),
      subtitle = "Each level's data, with its own line, the model's and the average one",
      caption = caption_of(pooling_notes(data, object, levels, number, predictor))
    )
}

pooling_notes <- function(data, object, levels, number, predictor) {
  shown <- nlevels(data$level)
  own <- length(unique(data$level[data$kind == "no pooling"]))
  others <- setdiff(predictor_variables(object, attr(data, "group"))$predictors, predictor)
  c(
    if (is.null(levels) && shown < number) {
      sprintf("%d of %s levels, evenly from the lowest to the highest.", shown, with_commas(number))
    },
    if (own < shown) paste(counted(shown - own, "level has", "levels have"), "no line of its own: its rows don't determine it."),
    if (length(others)) "Lines: at each level's mean or most frequent value of the other predictors.",
    if (!is.null(engine_of(object, response = TRUE)$offset)) "Data and lines have their level's mean offset.",
    if (attr(data, "thinned")) sprintf("At most %d rows of a level are drawn.", most_rows_of_level)
  )
}
