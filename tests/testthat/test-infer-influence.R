# Estimates of the fit without some rows: of the same columns, by a call that is written out.
expect_refits <- function(call, groups, check = NULL, data = sleep_data()) {
  env <- list2env(list(data = data), parent = parent.frame())
  fit <- suppressMessages(eval(call, env))
  found <- if (is.null(groups)) influence(fit) else influence(fit, groups)
  labels <- if (is.null(groups)) row.names(data) else as.character(data[[groups]])
  at <- found$groups
  expect_identical(rownames(found[[2L]]), unique(labels))
  for (label in check %||% unique(labels)) {
    env$data <- data[labels != label, , drop = FALSE]
    rest <- suppressMessages(eval(call, env))
    estimates <- found[[sprintf("fixed.effects[-%s]", at)]][label, , drop = FALSE]
    expect_equal(estimates, t(fixef(rest)), ignore_attr = "dimnames", tolerance = 1e-5, label = paste("fixed effects without", label))
    variances <- c(sigma(rest)^2, unlist(lapply(VarCorr(rest), function(v) v[lower.tri(v, diag = TRUE)])))
    own <- found[[sprintf("var.cov.comps[-%s]", at)]][label, ]
    expect_lt(max(abs(own - variances)), 1e-5 * max(variances), label = paste("variances without", label))
    expect_equal(found[[sprintf("vcov[-%s]", at)]][[label]], as.matrix(vcov(rest)), tolerance = 1e-4, ignore_attr = TRUE)
  }
  expect_true(all(found$converged))
  invisible(found)
}

test_that("by group and by observation the estimates are those of fits without it", {
  rows <- c("1", "57", "180")
  expect_refits(quote(lmer(Reaction ~ Days + (Days | Subject), data)), "Subject")
  expect_refits(quote(lmer(Reaction ~ Days + (Days | Subject), data, REML = FALSE)), NULL, rows)
  expect_refits(quote(lmer(Reaction ~ Days + (Days | Subject), data, weights = w)), "Subject", c("308", "372"))
  expect_refits(quote(lmer(Reaction ~ Days + (Days | Subject), data, weights = w, offset = o)), NULL, rows)
  expect_refits(quote(lmer(Reaction ~ Days + offset(o) + (Days || Subject), data)), "Subject", c("308", "372"))
  expect_refits(quote(lmer(Reaction ~ 0 + three + (1 | Subject) + (0 + Days | Subject), data)), NULL, rows)
})

test_that("so they are for nested, crossed and singular models", {
  expect_refits(quote(lmer(strength ~ 1 + (1 | batch) + (1 | sample), data)), "sample", c("A:a", "J:c"), lme4::Pastes)
  expect_refits(quote(lmer(strength ~ 1 + (1 | batch) + (1 | sample), data)), "batch", data = lme4::Pastes)
  expect_refits(quote(lmer(diameter ~ 1 + (1 | plate) + (1 | sample), data)), "plate", c("a", "m"), lme4::Penicillin)
  expect_refits(quote(lmer(diameter ~ 1 + (1 | plate) + (1 | sample), data)), "sample", data = lme4::Penicillin)
  expect_refits(quote(lmer(angle ~ recipe * temperature + (1 | recipe:replicate), data)), "replicate", c("1", "9"), lme4::cake)
  expect_refits(quote(lmer(Yield ~ 1 + (1 | Batch), data)), "Batch", data = lme4::Dyestuff2)
  expect_refits(quote(lmer(Yield ~ 1 + (1 | Batch), data)), NULL, c("3", "30"), lme4::Dyestuff2)
})

test_that("the object is lme4's", {
  for (groups in list("Subject", NULL)) {
    some <- droplevels(sleepstudy[1:50, ])
    a <- do.call(influence, c(list(lmer(Reaction ~ Days + (1 | Subject), some)), groups))
    theirs <- lme4::lmer(Reaction ~ Days + (1 | Subject), some)
    b <- do.call(lme4_internal("influence.merMod"), c(list(theirs), groups, list(data = some)))
    expect_identical(names(a), names(b))
    expect_identical(class(a), class(b))
    expect_identical(a$deleted, b$deleted)
    for (name in setdiff(names(b), c("converged", "function.evals"))) expect_equal(a[[name]], b[[name]], tolerance = 1e-3, label = name)
    expect_identical(names(a$converged), names(b$converged))
    expect_identical(names(a$function.evals), names(b$function.evals))
    expect_equal(cooks.distance(a), cooks.distance(b), tolerance = 1e-3)
    expect_equal(dfbetas(a), dfbetas(b), tolerance = 1e-3)
    expect_identical(dimnames(dfbeta(a, "var.cov")), dimnames(dfbeta(b, "var.cov")))
  }
})

test_that("names of variances are lme4's for several terms", {
  a <- influence(lmer(diameter ~ 1 + (1 | plate) + (1 | sample), Penicillin), "sample")
  expect_identical(names(a$var.cov.comps), c("sigma^2", "plate:v[(Intercept)]", "sample:v[(Intercept)]"))
  b <- influence(lmer(Reaction ~ Days + (Days | Subject), sleepstudy), "Subject")
  expect_identical(names(b$var.cov.comps), c("sigma^2", "v[(Intercept)]", "C[Days,(Intercept)]", "v[Days]"))
})

test_that("a treatment that only the deleted group has leaves NA", {
  data <- sleep_data()
  data$arm <- factor(ifelse(data$Subject == "308", "only", ifelse(data$three == "1", "a", "b")), levels = c("a", "b", "only"))
  fit <- lmer(Reaction ~ arm + Days + (1 | Subject), data)
  found <- influence(fit, "Subject")
  expect_identical(names(which(is.na(found[[2L]]["308", ]))), "armonly")
  expect_identical(sum(is.na(found[[2L]])), 1L)
  rest <- lmer(Reaction ~ arm + Days + (1 | Subject), droplevels(data[data$Subject != "308", ]))
  expect_equal(found[[2L]]["308", c(1, 2, 4)], fixef(rest), tolerance = 1e-6)
  expect_equal(found[["vcov[-Subject]"]][["308"]][c(1, 2, 4), c(1, 2, 4)], as.matrix(vcov(rest)), tolerance = 1e-5, ignore_attr = TRUE)
  expect_true(all(is.na(found[["vcov[-Subject]"]][["308"]]["armonly", ])))
})

test_that("rows with missing values are listed with the fit's own estimates, as in lme4", {
  data <- sleep_data()
  fit <- lmer(Reaction ~ with_na + (1 | Subject), data)
  found <- influence(fit)
  missing <- row.names(data)[is.na(data$with_na)]
  expect_gt(length(missing), 0)
  expect_identical(found$deleted, row.names(data))
  expect_equal(dfbeta(found)[missing, ], 0 * dfbeta(found)[missing, ], tolerance = 1e-6)
  expect_refits(quote(lmer(Reaction ~ with_na + (1 | Subject), data)), "Subject", c("308", "372"))
  expect_refits(quote(lmer(Reaction ~ with_na + (1 | Subject), data)), NULL, c("2", "100"))
})

test_that("only the fit's own rows are left out one by one, where it has a subset", {
  fit <- lmer(Reaction ~ Days + (1 | Subject), sleepstudy, subset = Days > 1)
  found <- influence(fit)
  expect_identical(found$deleted, row.names(sleepstudy)[sleepstudy$Days > 1])
  rest <- lmer(Reaction ~ Days + (1 | Subject), sleepstudy[-3, ], subset = Days > 1)
  expect_equal(found[[2L]]["3", ], fixef(rest), tolerance = 1e-6)
})

test_that("an absorbed factor is none the less a fixed effect", {
  data <- withr::with_seed(1, hundred_effects())
  absorbed <- lmer(y ~ f + (1 | g), data)
  expect_false(is.null(engine_mark(absorbed)$absorbed))
  found <- influence(absorbed, "g")
  for (label in c("1", "40")) {
    rest <- lmer(y ~ f + (1 | g), data[data$g != label, ])
    expect_equal(found[[2L]][label, ], fixef(rest), tolerance = 1e-5)
    expect_equal(found[["vcov[-g]"]][[label]], as.matrix(vcov(rest)), tolerance = 1e-4, ignore_attr = TRUE)
  }
  # without a level its coefficient is NA, without the base the last one is the base
  by_level <- influence(absorbed, "f")
  expect_identical(names(which(is.na(by_level[[2L]]["7", ]))), "f7")
  rest <- lmer(y ~ f + (1 | g), droplevels(data[data$f != "7", ]))
  expect_equal(by_level[[2L]]["7", names(fixef(rest))], fixef(rest), tolerance = 1e-5)
  expect_identical(names(which(is.na(by_level[[2L]]["1", ]))), "f100")
  data$f <- stats::relevel(data$f, "100")
  rest <- lmer(y ~ f + (1 | g), droplevels(data[data$f != "1", ]))
  expect_equal(by_level[[2L]]["1", names(fixef(rest))], fixef(rest), tolerance = 1e-5)
})

test_that("any number of threads gives the same bits", {
  fit <- lmer(Reaction ~ Days + (Days | Subject), sleepstudy)
  crossed <- lmer(diameter ~ 1 + (1 | plate) + (1 | sample), Penicillin)
  expect_identical(influence(fit, threads = 1), influence(fit, threads = 3))
  expect_identical(influence(crossed, "plate", threads = 1), influence(crossed, "plate", ncores = 2))
})

test_that("pieces between which a bar moves give the same", {
  moved <- new.env()
  bar <- list(set = function(done) moved$to <- c(moved$to, done), close = function() moved$closed <- TRUE)
  work <- function(first, last) {
    Sys.sleep(0.005)
    list(numbers = first:last, squares = rbind(first:last, (first:last)^2))
  }
  expect_identical(in_pieces(180L, "Refits", work, watched = TRUE, bar = bar), work(1L, 180L))
  expect_gt(length(moved$to), 1)
  expect_identical(moved$to[length(moved$to)], 180L)
  expect_true(moved$closed)
})

test_that("a part of the deletions gives their part of the results", {
  fit <- lmer(Reaction ~ Days + (Days | Subject), sleepstudy)
  record <- engine_of(fit)
  deletions <- deletions_of(fit, NULL, NULL, globalenv())
  whole <- refit_without(record, deletions, 1000, 1L)
  pieces <- withr::with_options(list(fastlmer.progress = TRUE), in_pieces(180L, "Refits", function(first, last) {
    own <- deletions
    own$labels <- own$labels[first:last]
    own$codes <- ifelse(own$codes %in% first:last, own$codes - first + 1L, 0L)
    refit_without(record, own, 1000, 1L)
  }, watched = TRUE, bar = list(set = identity, close = function() NULL)))
  expect_identical(pieces, whole)
})

test_that("fits of others are taken or go their own way", {
  theirs <- lme4::lmer(Reaction ~ Days + (Days | Subject), sleepstudy)
  ours <- lmer(Reaction ~ Days + (Days | Subject), sleepstudy)
  expect_equal(influence(theirs, "Subject")[[2L]], influence(ours, "Subject")[[2L]], tolerance = 1e-6)
  counts <- glmer(cbind(incidence, size - incidence) ~ period + (1 | herd), lme4::cbpp, family = binomial)
  expect_warning(lme4s <- influence(counts, do.coef = FALSE), "hat matrix")
  expect_identical(class(lme4s), "influence.merMod")
})

test_that("arguments of lme4's are taken and nonsense is refused", {
  fit <- lmer(Reaction ~ Days + (Days | Subject), sleepstudy)
  expect_identical(influence(fit, do.coef = FALSE), structure(list(hat = hatvalues(fit)), class = "influence.merMod"))
  expect_warning(influence(fit, "Subject", unknown = 1), "disregarded additional arguments", fixed = TRUE)
  expect_no_warning(influence(fit, "Subject", parallel = "snow", ncpus = 2))
  expect_false(all(influence(fit, "Subject", maxfun = 1, start = c(3, 0, 3))$converged))
  expect_equal(influence(fit, "Subject", start = list(theta = c(1, 0, 1)))[[2L]], influence(fit, "Subject")[[2L]], tolerance = 1e-6)
  expect_error(influence(fit, maxfun = 0), "'maxfun' must be", class = "fastlmer_argument_error")
  expect_error(influence(fit, threads = 0), "'threads' must be", class = "fastlmer_argument_error")
  expect_error(influence(fit, start = c(1, 2)), class = "error")
})

test_that("fits of data in chunks keep no rows", {
  fit <- lmer(Reaction ~ Days + (1 | Subject), in_chunks(sleepstudy, 50))
  expect_error(influence(fit), "needs the rows", class = "fastlmer_unsupported_error")
  expect_error(hatvalues(fit), "needs the rows", class = "fastlmer_unsupported_error")
  expect_error(cooks.distance(fit), "needs the rows", class = "fastlmer_unsupported_error")
  expect_error(rstudent(fit), "needs the rows", class = "fastlmer_unsupported_error")
})

test_that("what can't be fitted is NA, with a warning", {
  data <- data.frame(y = c(1, 2, 4, 3, 5), x = c(1, 2, 3, 4, 6), g = factor(c(1, 1, 1, 2, 2)))
  fit <- suppressMessages(lmer(y ~ x + (1 | g), data))
  expect_warning(found <- influence(fit, "g"), "can't be fitted", class = "fastlmer_failed_deletions")
  expect_identical(unname(found$converged), c(FALSE, TRUE))
  expect_true(all(is.na(found[[2L]]["1", ])) && !anyNA(found[[2L]]["2", ]))
})

test_that("plots of other packages take it", {
  skip_if_not_installed("car")
  withr::local_pdf(NULL)
  fit <- lmer(Reaction ~ Days + (Days | Subject), sleepstudy)
  found <- influence(fit, "Subject")
  expect_null(car::infIndexPlot(found, vars = c("dfbeta", "dfbetas", "var.cov.comps", "cookd")))
  one <- influence(lmer(Yield ~ 1 + (1 | Batch), Dyestuff), "Batch")
  expect_null(car::infIndexPlot(one, vars = c("dfbeta", "dfbetas", "cookd")))
  expect_s3_class(car::influencePlot(fit), "data.frame")
})

test_that("performance finds outliers by it", {
  skip_if_not_installed("performance")
  fit <- lmer(Reaction ~ Days + (Days | Subject), sleepstudy)
  outliers <- performance::check_outliers(fit, method = "cook")
  expect_length(outliers, 180)
  expect_equal(attr(outliers, "data")$Distance_Cook %||% attr(outliers, "data")$Cook, unname(cooks.distance(fit)), tolerance = 1e-10)
})
