# The wild bootstrap of Modugno and Giannerini (2015).
wild_draws <- function(plan, hccme, aux) {
  record <- plan$record
  group <- record$codes[[outer_factor(record)]]
  fixed <- fixed_part(record)
  root <- root_weights(record)
  offset <- record$offset %||% 0
  leverage <- rowSums(qr.Q(qr(root * as.matrix(record$x)))^2)
  shrink <- pmax(1 - leverage, 1e-8)
  residuals <- (record$y - offset - fixed) / (if (hccme == "hc2") sqrt(shrink) else shrink)
  n <- length(fixed)
  number <- nlevels(group)
  function(count) columns_of(count, n, function() fixed + residuals * group_numbers(number, aux)[group])
}

# The factor in which all others are nested.
outer_factor <- function(record) {
  last <- which.min(record$nlev)
  nested <- vapply(record$codes, function(factor) is_nested(factor, record$codes[[last]]), NA)
  if (!all(nested)) fail("unsupported", "the wild bootstrap needs one grouping factor in which all others are nested")
  last
}

# Has each level of `inner` one level of `outer`?
is_nested <- function(inner, outer) {
  pairs <- unique((as.numeric(inner) - 1) * nlevels(outer) + as.numeric(outer))
  length(pairs) == nlevels(inner)
}

# Mean 0, variance 1.
group_numbers <- function(number, aux) {
  switch(aux,
    mammen = ifelse(stats::runif(number) < (sqrt(5) + 1) / (2 * sqrt(5)), (1 - sqrt(5)) / 2, (1 + sqrt(5)) / 2),
    rademacher = sample(c(-1, 1), number, replace = TRUE),
    normal = stats::rnorm(number)
  )
}
