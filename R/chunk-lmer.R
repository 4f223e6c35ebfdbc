# lmer() for data in chunks: the cross-products are formed in one pass, and the fit has no rows.

lmer_of_stream <- function(formula, data, call, REML, control, named, start, verbose, na.action, contrasts, threads) {
  if (!inherits(formula, "formula")) formula <- stats::as.formula(formula)
  products <- if (is_cross_products(data)) products_for(data, call) else products_of_call(formula, data, call, na.action, contrasts)
  parts <- parts_of_products(products, formula, control, contrasts %||% products$request$contrasts)
  parts$threads <- threads
  fit_stream(parts, REML, control, named, start, verbose, call)
}

products_of_call <- function(formula, data, call, na.action, contrasts) {
  extras <- as.list(call)[intersect(c("subset", "weights", "offset"), names(call))]
  products_of_source(chunk_source(data), stream_request(formula, extras, na.action, contrasts, NULL))
}

products_for <- function(products, call) {
  given <- intersect(c("subset", "weights", "offset", "na.action"), names(call))
  if (length(given)) {
    fail("argument", "'", given[1L], "' belongs to the rows: give it to cross_products(), which has seen them")
  }
  products
}

fit_stream <- function(parts, REML, control, named, start, verbose, call) {
  if (!lme4_classes()$pp_is_known) fail("unsupported", "data in chunks can't be fitted with this version of lme4")
  fit <- tryCatch(find_optimum(parts, REML, control, named, start, as.integer(verbose)), fastlmer_engine_error = function(e) {
    if (is_final(e)) stop(e)
    fail("data", conditionMessage(e), " (is the response the same everywhere, or fitted exactly?)")
  })
  call$formula <- parts$formula
  n <- parts$n
  parts$dims <- dimensions(fit, parts)
  counts <- c(N = n, n = n, nmp = n - ncol(parts$x))
  if (n > .Machine$integer.max) storage.mode(parts$dims) <- "double" else storage.mode(counts) <- "integer"
  parts$dims[names(counts)] <- counts
  object <- new_lmermod(fit, parts, call)
  mark <- engine_mark(object)
  # What it takes to make the external pointers again, after readRDS() or for another criterion.
  assign("stream", parts$stream, envir = mark$cache)
  withhold_workspace(mark)
  object
}

# lme4's C++ objects end the process when they are made without rows: what would make them is an error. (Such a function has to work
# where only lme4 is installed, too.)
withhold_workspace <- function(mark) {
  refuse <- function(...) {
    stop("this needs the rows of the data (or matrices made of them), and a fit of data in chunks doesn't keep them", call. = FALSE)
  }
  environment(refuse) <- mark
  for (name in c("workspace", "engine_ptr", "transposed_model_matrix")) assign(name, refuse, envir = mark)
  for (env in list(mark$pp, mark$resp)) {
    for (name in c("ptr", "initializePtr", "copy")) assign(name, refuse, envir = env)
  }
}

# The parts of a model as lmer-parts.R makes them of rows, without rows; `n` is their number, `design` and `response` are
# the engine's.
parts_of_products <- function(products, formula, control, contrasts) {
  recipe <- products$recipe
  if (is.null(recipe)) fail("data", "0 (non-NA) cases")
  split <- split_formula(formula)
  if (is.null(split)) fail("unsupported", "for data in chunks the formula needs a response and random-effects terms such as (1 | g)")
  bars <- check_part(split, products)
  products <- without_unused_levels(products, split, bars)
  effects <- stream_effects(split, bars, products)
  check_groups(effects, recipe$n, control$checkControl)
  pointer <- engine_products_load(products$saved)
  columns <- design_columns(products$saved$columns, stats::terms(split$fixed), recipe$kinds, contrasts)
  columns <- check_stream_columns(pointer, columns, control$checkControl)
  stream <- list(saved = products$saved, columns = columns$c, terms = effects$terms, levels = effects$order)
  c(
    list(frame = stream_frame(products, split), formula = split$formula, x = columns$x, n = recipe$n),
    effects[c("flist", "cnms", "z", "structure")], list(y = numeric(), stream = stream), stream_model(stream, pointer)
  )
}

# External pointers to design and response.
stream_model <- function(stream, pointer = engine_products_load(stream$saved)) {
  engine_products_model(pointer, stream$columns, stream$terms, stream$levels)
}

# Which of the cross-products' random-effects terms the formula has. Everything in it must be among what was added up.
check_part <- function(split, products) {
  parts <- products$request$parts
  if (!identical(split$formula[[2L]], parts$formula[[2L]])) fail("data", "the cross-products have another response")
  labels <- attr(stats::terms(split$fixed), "term.labels")
  absent <- setdiff(labels, attr(stats::terms(parts$fixed), "term.labels"))
  text <- function(parts) paste0(ifelse(parts$diagonal, "diag(", "("), vapply(parts$bars, deparse1, ""), ")")
  bars <- match(text(split), text(parts))
  absent <- c(absent, text(split)[is.na(bars)])
  if (length(absent)) fail("data", "the cross-products don't have the term ", paste(absent, collapse = ", "))
  offsets <- function(terms) vapply(as.list(attr(terms, "variables"))[-1L][attr(terms, "offset")], deparse1, "")
  if (!identical(offsets(stats::terms(split$fixed)), offsets(stats::terms(parts$fixed)))) {
    fail("data", "the cross-products have another offset")
  }
  bars
}

# Grouping factors with their levels and terms with their columns' names, in lme4's order; `terms` and `order` are what the engine needs
# to put its own in this order. `bars` says which of the products' bars those of the formula are.
stream_effects <- function(split, bars, products) {
  recipe <- products$recipe
  expressions <- lapply(split$bars, `[[`, 3L)
  names <- vapply(expressions, group_name, "")
  sorted <- lapply(stats::setNames(recipe$groups, recipe$groups), function(group) {
    at <- match(group, names)
    saved <- products$saved$factors[[match(group, recipe$groups)]]$levels
    if (is.na(at)) list(order = seq_along(saved)) else group_levels(saved, interaction_parts(expressions[[at]]), recipe$types)
  })
  numbers <- lengths(lapply(sorted[names], `[[`, "order"), use.names = FALSE)
  order <- if (any(diff(numbers) > 0L)) rev(order(numbers)) else seq_along(names)
  names <- names[order]
  places <- lapply(bars[order], function(bar) which(recipe$block == bar))
  cnms <- lapply(places, function(place) unlist(recipe$cnms[place], use.names = FALSE))
  names(cnms) <- names
  flist <- lapply(sorted[unique(names)], function(group) factor(character(), levels = group$labels))
  attr(flist, "assign") <- match(names, names(flist))
  z <- lapply(unname(cnms), function(names) if (!identical(names, "(Intercept)")) matrix(0, 0L, length(names)))
  effects <- split_diagonal(list(flist = flist, cnms = cnms, z = z), split$diagonal[order])
  c(effects, list(terms = unlist(places), order = unname(lapply(sorted, `[[`, "order"))))
}

# lme4's checks of the grouping factors, in its words.
check_groups <- function(effects, n, control) {
  if (passes_checks(effects, n, control)) return(invisible())
  # which counts the levels in use
  in_use <- lapply(effects$flist, function(group) factor(levels(group), levels(group)))
  check_level_counts(in_use, n, control)
  # of independent effects lme4 looks at the levels only
  if (!is.null(effects$structure)) return(invisible())
  sizes <- level_numbers(effects$flist)[attr(effects$flist, "assign")] * lengths(effects$cnms)
  shapes <- lapply(sizes, function(size) Matrix::sparseMatrix(i = integer(), j = integer(), dims = c(size, n)))
  names(shapes) <- vapply(seq_along(sizes), function(i) {
    paste(paste(effects$cnms[[i]], collapse = " + "), names(effects$cnms)[i], sep = " | ")
  }, "")
  if (any(sizes >= n)) check_effect_counts(shapes, n, control)
}

# Drops aliased columns and looks at the columns' scales by lme4's functions, on a small matrix with the same cross-product or with
# the same standard deviations.
check_stream_columns <- function(pointer, columns, control) {
  p <- ncol(columns$x)
  if (!p) return(columns)
  summary <- engine_products_summary(pointer, columns$c)
  refuse_collinear(columns$x, summary$share)
  kept <- rep(TRUE, p)
  messages <- list()
  rank <- control$check.rankX %||% "message+drop.cols"
  # A cautious look first, as in check_fixed().
  if (rank != "ignore" && any(abs(diag(summary$root)) <= 1e-5 * sqrt(colSums(summary$root^2)))) {
    root <- structure(summary$root, dimnames = list(NULL, colnames(columns$x)), assign = attr(columns$x, "assign"))
    reduced <- drop_aliased(root, rank)
    kept <- colnames(root) %in% colnames(reduced)
    messages <- attributes(reduced)
    messages <- messages[intersect(c("msgRankdrop", "col.dropped"), names(messages))]
  }
  x <- structure(
    columns$x[, kept, drop = FALSE], assign = attr(columns$x, "assign")[kept], contrasts = attr(columns$x, "contrasts")
  )
  for (name in names(messages)) attr(x, name) <- messages[[name]]
  list(c = columns$c[, kept, drop = FALSE], x = check_stream_scale(x, summary$sd[kept & !columns$indicator], control))
}

# Squares have half the digits: what isn't quite a combination of other columns would be one, or nearly, in cross-products. lme4, which has
# the rows, keeps such columns.
refuse_collinear <- function(x, share, least = 1e-9) {
  near <- colnames(x)[which(share > 0 & share < least)]
  if (length(near)) {
    fail("data", sprintf(
      paste0(
        "the column '%s' is all but a combination of other columns, which cross-products can't tell apart: subtract a number near its ",
        "mean from each numeric variable that is far from zero, as in I(x - 1000)"
      ),
      near[1L]
    ))
  }
}

# `sd` are the standard deviations of the columns that aren't indicators.
check_stream_scale <- function(x, sd, control) {
  severity <- scale_severity(control)
  if (severity == "ignore") return(x)
  if (grepl("rescale", severity)) {
    fail("unsupported", "columns of data that come in chunks can't be rescaled: use another 'check.scaleX' in lmerControl()")
  }
  attr(x, "msgScaleX") <- character()
  if (severity == "none" || !length(sd)) return(x)
  attr(x, "msgScaleX") <- attr(check_scale(outer(c(-1, 0, 1), sd), severity), "msgScaleX")
  x
}

# The frame without rows, with factors as the whole data's frame would have them and lme4's notes.
stream_frame <- function(products, split) {
  recipe <- products$recipe
  terms <- stats::terms(split$combined)
  names <- variable_names(terms)
  extra <- setdiff(names(recipe$frame), variable_names(attr(recipe$frame, "terms")))
  frame <- recipe$frame[c(names, extra)]
  for (name in names) {
    kind <- recipe$kinds[[name]]
    if (!is.null(kind) && !kind$kind %in% c("number", "matrix") && !kind$logical) {
      frame[[name]] <- factor(character(), levels = used_levels_of(kind, name), ordered = kind$ordered)
    } else if (!is.null(recipe$types[[name]]) && (is.factor(frame[[name]]) || is.character(frame[[name]]))) {
      frame[[name]] <- factor(character(), levels = grouping_levels(name, products))
    }
  }
  attr(terms, "predvars") <- attr(terms, "variables")
  attr(terms, "dataClasses") <- attr(attr(recipe$frame, "terms"), "dataClasses")[c(names, extra)]
  attr(frame, "terms") <- terms
  attr(frame, "terms") <- frame_terms(frame, split)
  attr(frame, "formula") <- split$formula
  attr(frame, "offset") <- products$request$extras$offset
  frame
}

# The levels of a variable that is a grouping factor or part of one.
grouping_levels <- function(name, products) {
  bars <- products$request$parts$bars
  variables <- lapply(bars, function(bar) interaction_parts(bar[[3L]]))
  bar <- which(vapply(variables, function(parts) name %in% parts, NA))[1L]
  group <- match(group_name(bars[[bar]][[3L]]), products$recipe$groups)
  names <- products$saved$factors[[group]]$levels
  if (length(variables[[bar]]) > 1L) {
    pieces <- strsplit(names, separator, fixed = TRUE)
    at <- match(name, variables[[bar]])
    names <- unique(vapply(pieces, function(piece) c(piece, "")[min(at, length(piece) + 1L)], ""))
  }
  ranked <- ranked_names(names, products$recipe$types[[name]])
  ranked$labels[order(ranked$rank)]
}
