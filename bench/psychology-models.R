# Fifty small models of the shapes that psychology fits, each a list of name, formula, REML and a function that makes its data.
#
# Data are simulated with a seed per model; predictors are numeric and sum-coded (-0.5, 0.5) where they have two levels. Maximal models are
# mostly singular in practice, so most simulations give the interactions little or no variance between subjects and items.

# Effects of `levels` subjects or items: a column per standard deviation, correlated by 0.3.
effects_of <- function(levels, sds) {
  correlation <- matrix(0.3, length(sds), length(sds))
  diag(correlation) <- 1
  matrix(stats::rnorm(levels * length(sds)), levels) %*% chol(correlation) %*% diag(sds, length(sds))
}

# A share of the rows goes missing: none, or so many at random.
drop_rows <- function(data, share) {
  if (share == 0) return(data)
  data[sort(sample(nrow(data), round((1 - share) * nrow(data)))), , drop = FALSE]
}

# Subjects crossed with items in a 2 x 2 design. In a Latin square each subject sees each item in one condition, otherwise in all four.
# `group` is between subjects and within items, `frequency` between items, `x` varies from trial to trial, `condition` is a factor.
crossed <- function(seed, subjects, items, square = TRUE, missing = 0, by_subject = c(1, 0.4, 0.2, 0), by_item = c(0.6, 0.2, 0, 0)) {
  set.seed(seed)
  data <- expand.grid(cell = if (square) 1L else 1:4, item = seq_len(items), subject = seq_len(subjects))
  if (square) data$cell <- (data$item + data$subject) %% 4L + 1L
  data$A <- ifelse(data$cell %% 2L == 0L, 0.5, -0.5)
  data$B <- ifelse(data$cell > 2L, 0.5, -0.5)
  data$group <- ifelse((data$subject - 1L) %/% 4L %% 2L == 0L, 0.5, -0.5)
  data$frequency <- stats::rnorm(items)[data$item]
  data$x <- stats::rnorm(nrow(data))
  data$condition <- factor(c("low", "middle", "high"))[(data$item + data$subject) %% 3L + 1L]
  within <- cbind(1, data$A, data$B, data$A * data$B)
  data$y <- 6 + 0.3 * data$A + 0.1 * data$B + 0.2 * data$A * data$B + 0.2 * data$group + 0.1 * data$frequency + 0.1 * data$x +
    rowSums(within * effects_of(subjects, by_subject)[data$subject, ]) + rowSums(within * effects_of(items, by_item)[data$item, ]) +
    0.2 * stats::rnorm(subjects)[data$subject] * data$x + stats::rnorm(nrow(data))
  data$subject <- factor(data$subject)
  data$item <- factor(data$item)
  drop_rows(data, missing)
}

# Trials of a 2 x 2 design within subjects, without items.
trials <- function(seed, subjects, per_cell, by_subject = c(1, 0.5, 0.3, 0.2)) {
  set.seed(seed)
  data <- expand.grid(trial = seq_len(per_cell), A = c(-0.5, 0.5), B = c(-0.5, 0.5), subject = gl(subjects, 1))
  data$y <- 0.4 * data$A + rowSums(cbind(1, data$A, data$B, data$A * data$B) * effects_of(subjects, by_subject)[data$subject, ]) +
    stats::rnorm(nrow(data), sd = 2)
  data
}

# Growth curves: waves of one person; people who drop out stay away.
growth <- function(seed, people, waves, dropout = FALSE, sds = c(2, 0.5, 0.03)) {
  set.seed(seed)
  data <- expand.grid(time = seq_len(waves) - 1, id = seq_len(people))
  data$group <- ifelse(data$id %% 2L == 0L, 0.5, -0.5)
  data$y <- 20 + data$time * (1 + 0.3 * data$group) - 0.02 * data$time^2 +
    rowSums(cbind(1, data$time, data$time^2) * effects_of(people, sds)[data$id, ]) + stats::rnorm(nrow(data), sd = 1.5)
  if (dropout) data <- data[data$time < sample(2:waves, people, replace = TRUE)[data$id], ]
  data$id <- factor(data$id)
  data
}

# Diaries: many occasions of one person, with predictors that vary from occasion to occasion; some prompts stay unanswered.
diary <- function(seed, people, occasions, sds = c(1, 0.3, 0.2, 0.1)) {
  set.seed(seed)
  data <- expand.grid(occasion = seq_len(occasions), id = gl(people, 1))
  predictors <- matrix(stats::rnorm(3 * nrow(data)), ncol = 3L, dimnames = list(NULL, c("stress", "sleep", "contact")))
  data <- cbind(data, predictors)
  data$y <- 4 - 0.3 * data$stress + rowSums(cbind(1, predictors) * effects_of(people, sds)[data$id, ]) + stats::rnorm(nrow(data))
  drop_rows(data, 0.25)
}

# Pupils in classes in schools, of unequal size, measured at `waves` times; `secondary` crosses `school`.
schools <- function(seed, schools, classes, pupils, waves = 1L) {
  set.seed(seed)
  data <- drop_rows(expand.grid(pupil = seq_len(pupils), class = seq_len(classes), school = seq_len(schools)), 0.2)
  data$class <- (data$school - 1L) * classes + data$class
  data$pupil <- seq_len(nrow(data))
  data$ses <- stats::rnorm(nrow(data)) + stats::rnorm(schools, sd = 0.5)[data$school]
  data$secondary <- sample(max(4L, schools %/% 2L), nrow(data), replace = TRUE)
  data$ability <- 50 + 2 * data$ses + stats::rnorm(schools, sd = 2)[data$school] + stats::rnorm(schools, sd = 0.7)[data$school] * data$ses +
    stats::rnorm(schools * classes, sd = 1.5)[data$class] + stats::rnorm(schools)[data$secondary] + stats::rnorm(nrow(data), sd = 5)
  data <- data[rep(seq_len(nrow(data)), each = waves), ]
  data$time <- rep_len(seq_len(waves) - 1, nrow(data))
  data$y <- data$ability + data$time * (1 + stats::rnorm(max(data$pupil), sd = 0.5)[data$pupil]) + stats::rnorm(nrow(data), sd = 2)
  for (factor in c("pupil", "class", "school", "secondary")) data[[factor]] <- factor(data[[factor]])
  data
}

# `data` is evaluated when it is asked for.
psychology_model <- function(name, formula, data, REML = TRUE) {
  data <- substitute(data)
  home <- parent.frame()
  list(name = name, formula = formula, REML = REML, data = function() eval(data, home))
}

psychology_models <- function() {
  m <- psychology_model
  list(
    # random intercepts
    m("intercepts, 10 x 12", y ~ A + (1 | subject) + (1 | item), crossed(1, 10, 12)),
    m("intercepts, 30 x 24", y ~ A * B + (1 | subject) + (1 | item), crossed(2, 30, 24)),
    m("intercepts, 40 x 40, ML", y ~ A * B + group + (1 | subject) + (1 | item), crossed(3, 40, 40), REML = FALSE),
    m("intercepts, 80 x 60", y ~ A * B + frequency + (1 | subject) + (1 | item), crossed(4, 80, 60)),
    m("intercepts, 40 x 40, 30 % missing", y ~ A * B + (1 | subject) + (1 | item), crossed(5, 40, 40, missing = 0.3)),
    # one predictor within
    m("A by subject, 20 x 16", y ~ A + (A | subject) + (1 | item), crossed(6, 20, 16)),
    m("A by both, 30 x 24", y ~ A + (A | subject) + (A | item), crossed(7, 30, 24)),
    m("A by both, 30 x 24, ML", y ~ A + (A | subject) + (A | item), crossed(8, 30, 24), REML = FALSE),
    m("A by both, zero correlations, 30 x 24", y ~ A + (A || subject) + (A || item), crossed(9, 30, 24)),
    m("A and group, 40 x 32", y ~ A * group + (A | subject) + (A * group | item), crossed(10, 40, 32)),
    m("A and frequency, 40 x 32", y ~ A * frequency + (A * frequency | subject) + (A | item), crossed(11, 40, 32)),
    m("x by both, 40 x 32", y ~ x + (x | subject) + (x | item), crossed(12, 40, 32)),
    m("x by both, 40 x 32, 25 % missing, ML", y ~ x + (x | subject) + (x | item), crossed(13, 40, 32, missing = 0.25), REML = FALSE),
    m("two terms by subject, 30 x 24", y ~ A + B + (A | subject) + (0 + B | subject) + (1 | item), crossed(14, 30, 24)),
    m("factor of three levels, 36 x 30", y ~ condition + (condition | subject) + (condition | item), crossed(15, 36, 30)),
    # 2 x 2 within, maximal
    m("maximal, 10 x 8, all cells", y ~ A * B + (A * B | subject) + (A * B | item), crossed(16, 10, 8, square = FALSE)),
    m("maximal, 12 x 16", y ~ A * B + (A * B | subject) + (A * B | item), crossed(17, 12, 16)),
    m("maximal, 24 x 24", y ~ A * B + (A * B | subject) + (A * B | item), crossed(18, 24, 24)),
    m("maximal, 24 x 24, ML", y ~ A * B + (A * B | subject) + (A * B | item), crossed(19, 24, 24), REML = FALSE),
    m("maximal, 40 x 32", y ~ A * B + (A * B | subject) + (A * B | item), crossed(20, 40, 32)),
    m("maximal, 40 x 32, 20 % missing", y ~ A * B + (A * B | subject) + (A * B | item), crossed(21, 40, 32, missing = 0.2)),
    m("maximal, 60 x 40", y ~ A * B + (A * B | subject) + (A * B | item), crossed(22, 60, 40)),
    m("maximal, 80 x 60", y ~ A * B + (A * B | subject) + (A * B | item), crossed(23, 80, 60)),
    m("maximal, 20 x 16, all cells", y ~ A * B + (A * B | subject) + (A * B | item), crossed(24, 20, 16, square = FALSE)),
    m("maximal, 40 x 20, all cells, no zero variance", y ~ A * B + (A * B | subject) + (A * B | item),
      crossed(25, 40, 20, square = FALSE, by_subject = c(1, 0.6, 0.5, 0.6), by_item = c(0.7, 0.5, 0.4, 0.5))),
    m("maximal, 30 x 24, no slope varies", y ~ A * B + (A * B | subject) + (A * B | item),
      crossed(26, 30, 24, by_subject = c(1, 0, 0, 0), by_item = c(0.5, 0, 0, 0))),
    m("maximal with group, 40 x 32", y ~ A * B * group + (A * B | subject) + (A * B | item), crossed(27, 40, 32)),
    m("maximal, zero correlations, 24 x 24", y ~ A * B + (A * B || subject) + (A * B || item), crossed(28, 24, 24)),
    m("maximal, zero correlations, 60 x 40", y ~ A * B + (A * B || subject) + (A * B || item), crossed(29, 60, 40)),
    m("maximal by subject, A by item, 40 x 32", y ~ A * B + (A * B | subject) + (A | item), crossed(30, 40, 32)),
    m("main effects by both, 40 x 32", y ~ A * B + (A + B | subject) + (A + B | item), crossed(31, 40, 32)),
    # within subjects only
    m("trials, 10 subjects", y ~ A * B + (A * B | subject), trials(32, 10, 10)),
    m("trials, 24 subjects", y ~ A * B + (A * B | subject), trials(33, 24, 20)),
    m("trials, 24 subjects, ML", y ~ A * B + (A * B | subject), trials(34, 24, 20, by_subject = c(1, 0.4, 0.1, 0)), REML = FALSE),
    m("trials, zero correlations, 40 subjects", y ~ A * B + (A * B || subject), trials(35, 40, 12)),
    # longitudinal
    m("growth, 10 x 6", y ~ time + (time | id), growth(36, 10, 6)),
    m("growth, 100 x 5", y ~ time + (time | id), growth(37, 100, 5)),
    m("growth by group, 200 x 4, dropout", y ~ time * group + (time | id), growth(38, 200, 4, dropout = TRUE)),
    m("quadratic growth, 80 x 8", y ~ time + I(time^2) + (time + I(time^2) | id), growth(39, 80, 8)),
    m("growth, zero correlation, 100 x 5, ML", y ~ time + (time || id), growth(40, 100, 5), REML = FALSE),
    m("diary, 60 x 50", y ~ stress + (stress | id), diary(41, 60, 50)),
    m("diary, three slopes, 60 x 50", y ~ stress + sleep + contact + (stress + sleep + contact | id), diary(42, 60, 50)),
    # nested and cross-classified
    m("pupils in classes in schools", y ~ ses + (1 | school / class), schools(43, 20, 3, 20)),
    m("ses by school, classes in schools", y ~ ses + (ses | school) + (1 | school:class), schools(44, 40, 3, 20)),
    m("waves of pupils in schools", y ~ time + ses + (time | pupil) + (1 | class) + (1 | school), schools(45, 15, 3, 15, waves = 4L)),
    m("primary crossed with secondary schools", y ~ ses + (1 | school) + (1 | secondary), schools(46, 40, 1, 20)),
    # lme4's own
    m("sleepstudy", Reaction ~ Days + (Days | Subject), lme4::sleepstudy),
    m("Penicillin", diameter ~ 1 + (1 | plate) + (1 | sample), lme4::Penicillin),
    m("cake", angle ~ recipe * temperature + (1 | recipe:replicate), lme4::cake),
    m("Dyestuff2", Yield ~ 1 + (1 | Batch), lme4::Dyestuff2)
  )
}
