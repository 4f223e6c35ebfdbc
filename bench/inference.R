# Do tests and intervals hold what they promise? Rscript bench/inference.R [output.md] [data sets] [replicates]
#
# Data are simulated from known parameters of three designs, small ones. Counted is how often 95 % intervals cover: of parameters, by the
# profile likelihood and by the parametric bootstrap (percentiles), and of new responses of rows in the data and of new groups; and how
# often tests of a coefficient that is zero reject at 5 %, by Satterthwaite's and by Kenward and Roger's degrees of freedom, beside the
# test that takes t for normal. "Error" is two binomial standard errors of a share that is as promised.
suppressMessages(library(fastlmer))
arguments <- commandArgs(trailingOnly = TRUE)
sets <- if (length(arguments) > 1L) as.integer(arguments[[2L]]) else 1000L
replicates <- if (length(arguments) > 2L) as.integer(arguments[[3L]]) else 199L

# Each has its rows, formula and true parameters (`beta`, `theta`, `sigma`); `null` names coefficients that are zero, `new` are rows of a
# group that isn't in the data.
designs <- list(
  list(
    name = "10 subjects x 5 days, slopes",
    rows = expand.grid(day = 0:4, subject = gl(10, 1)),
    more = function(rows) transform(rows, old = as.numeric(as.integer(subject) > 5)),
    formula = y ~ day + old + (day | subject), beta = c(250, 0, 0), theta = c(1, 0.1, 0.3), sigma = 25, null = c("day", "old"),
    new = list(subject = "new")
  ),
  list(
    name = "12 subjects x 8 items, crossed",
    rows = expand.grid(item = gl(8, 1), subject = gl(12, 1)),
    more = function(rows) {
      transform(rows, a = ifelse((as.integer(item) + as.integer(subject)) %% 2 == 0, 0.5, -0.5), b = as.numeric(as.integer(item) > 4))
    },
    formula = y ~ a + b + (1 | subject) + (1 | item), beta = c(5, 0, 0), theta = c(0.7, 0.5), sigma = 1, null = c("a", "b"),
    new = list(subject = "new", item = "new")
  ),
  list(
    name = "8 schools, unbalanced classes, nested",
    rows = data.frame(class = factor(rep(1:20, rep(3:7, 4)))),
    more = function(rows) {
      school <- c(1, 1, 1, 2, 2, 3, 3, 3, 3, 4, 4, 5, 5, 6, 6, 6, 7, 7, 8, 8)[as.integer(rows$class)]
      transform(rows, school = factor(school), type = as.numeric(school %% 2), z = as.numeric(seq_along(school) %% 3))
    },
    formula = y ~ type + z + (1 | school) + (1 | class), beta = c(50, 0, 0), theta = c(0.4, 0.6), sigma = 8, null = c("type", "z"),
    new = list(school = "new", class = "new")
  )
)

# The limits cover the values: for each row of a table of limits.
covers <- function(limits, values) values >= limits[, 1L] & values <= limits[, 2L]

# One response, and a further one of some rows and of a new group, from the true parameters: with the random effects that were drawn.
draw <- function(design) {
  data <- design$rows
  b <- drop(design$lambda %*% rnorm(ncol(design$lambda))) * design$sigma
  mean <- drop(design$x %*% design$beta)
  known <- mean + drop(design$z %*% b)
  data$y <- known + rnorm(nrow(data), sd = design$sigma)
  rows <- sample(nrow(data), 2L)
  fresh <- drop(design$lambda %*% rnorm(ncol(design$lambda))) * design$sigma
  list(
    data = data, rows = rows, again = known[rows] + rnorm(2L, sd = design$sigma),
    fresh = (mean + drop(design$z %*% fresh))[rows] + rnorm(2L, sd = design$sigma)
  )
}

prepared <- function(design) {
  design$rows <- design$more(design$rows)
  design$rows$y <- rnorm(nrow(design$rows))
  shape <- suppressMessages(lmer(design$formula, design$rows))
  design$x <- getME(shape, "X")
  design$z <- getME(shape, "Z")
  lambda <- getME(shape, "Lambda")
  lambda@x <- design$theta[getME(shape, "Lind")]
  design$lambda <- lambda
  # in the order of the intervals: standard deviations and correlations, sigma, coefficients
  design$truth <- c(true_sds(design, lengths(shape@cnms)), design$sigma, design$beta)
  design
}

# In the order of the profile: by columns of the covariance's lower triangle.
true_sds <- function(design, columns) {
  last <- cumsum(columns * (columns + 1) / 2)
  unlist(lapply(seq_along(columns), function(term) {
    k <- columns[[term]]
    factor <- matrix(0, k, k)
    size <- k * (k + 1) / 2
    factor[lower.tri(factor, diag = TRUE)] <- design$theta[last[[term]] - size + seq_len(size)] * design$sigma
    covariance <- tcrossprod(factor)
    values <- cov2cor(covariance)
    diag(values) <- sqrt(diag(covariance))
    values[lower.tri(values, diag = TRUE)]
  }))
}

one_set <- function(design, seed) {
  set.seed(seed)
  drawn <- draw(design)
  fit <- suppressMessages(suppressWarnings(lmer(design$formula, drawn$data)))
  quietly <- function(value) suppressMessages(suppressWarnings(value))
  profile <- quietly(confint(fit, quiet = TRUE))
  boot <- quietly(confint(fit, method = "boot", nsim = replicates, seed = seed, rng = "pcg64", quiet = TRUE))
  rows <- drawn$data[drawn$rows, ]
  predicted <- quietly(predict(fit, rows, interval = "prediction"))[, 2:3]
  fresh <- rows
  for (name in names(design$new)) fresh[[name]] <- design$new[[name]]
  predicted_fresh <- quietly(predict(fit, fresh, interval = "prediction", allow.new.levels = TRUE))[, 2:3]
  satterthwaite <- quietly(coef(summary(fit, ddf = "Satterthwaite")))[design$null, ]
  kr <- vapply(design$null, function(name) {
    contrast <- rbind(as.numeric(names(fixef(fit)) == name))
    test_kr(fit, contrast)[["p.value"]][[1L]]
  }, 0)
  c(
    stats::setNames(covers(profile, design$truth), paste("profile:", rownames(profile))),
    stats::setNames(covers(boot, design$truth), paste("bootstrap:", rownames(boot))),
    "new response of a row" = mean(covers(predicted, drawn$again)),
    "response of a new group" = mean(covers(predicted_fresh, drawn$fresh)),
    stats::setNames(satterthwaite[, "Pr(>|t|)"] < 0.05, paste("Satterthwaite:", design$null)),
    stats::setNames(kr < 0.05, paste("Kenward-Roger:", design$null)),
    stats::setNames(abs(satterthwaite[, "t value"]) > qnorm(0.975), paste("normal:", design$null))
  )
}

table <- do.call(rbind, lapply(designs, function(design) {
  design <- prepared(design)
  shares <- vapply(seq_len(sets), function(i) one_set(design, i), one_set(design, 1L))
  is_test <- grepl("^(Satterthwaite|Kenward-Roger|normal):", rownames(shares))
  promised <- ifelse(is_test, 0.05, 0.95)
  data.frame(
    design = design$name, what = rownames(shares), promised = promised, found = rowMeans(shares, na.rm = TRUE),
    error = 2 * sqrt(promised * (1 - promised) / sets), missing = rowSums(is.na(shares))
  )
}))
writeLines(c(
  sprintf("%d data sets, %d bootstrap replicates.\n", sets, replicates),
  "| design | what | promised | found | error | missing |", "|---|---|---|---|---|---|",
  sprintf("| %s | %s | %.2f | %.3f | %.3f | %d |", table$design, table$what, table$promised, table$found, table$error, table$missing)
), if (length(arguments)) arguments[[1L]] else stdout())
