# A source of chunks: the rows of `data` in `order`, `size` at a time.
in_chunks <- function(data, size, order = seq_len(nrow(data))) {
  parts <- split(order, (seq_along(order) - 1) %/% size)
  function(i) if (i <= length(parts)) data[parts[[i]], , drop = FALSE]
}

# lmer() on `data` in memory and in chunks, both by the engine, by the same call: a list of `memory` and `stream`. Both are at the
# optimum that is found in memory, so that they may be compared to rounding, and `found` is the optimum that the stream finds.
stream_pair <- function(formula, data, ..., size = 37, order = seq_len(nrow(data))) {
  call <- match.call(expand.dots = FALSE)
  env <- parent.frame()
  fit <- function(data, ...) {
    arguments <- utils::modifyList(c(list(formula = formula, data = data), call$...), list(...))
    suppressMessages(eval(as.call(c(quote(fastlmer::lmer), arguments)), env))
  }
  memory <- fit(data)
  stay <- list(start = list(theta = memory@theta), control = lmerControl(optimizer = NULL))
  chunks <- in_chunks(data, size, order)
  list(memory = memory, stream = do.call(fit, c(list(chunks), stay)), found = fit(chunks))
}

expect_same_stream <- function(pair, tolerance = 1e-8) {
  memory <- pair$memory
  stream <- pair$stream
  expect_true(is_streamed(stream) && is_streamed(pair$found))
  cmp <- function(fit) fit@devcomp$cmp[c("ldL2", "ldRX2", "pwrss", "REML", "dev", "sigmaML", "sigmaREML")]
  expect_equal(cmp(stream), cmp(memory), tolerance = tolerance)
  criterion <- if (isREML(memory)) "REML" else "dev"
  expect_equal(pair$found@devcomp$cmp[[criterion]], memory@devcomp$cmp[[criterion]], tolerance = 1e-9)
  expect_equal(stream@devcomp$dims, memory@devcomp$dims)
  expect_identical(stream@cnms, memory@cnms)
  expect_identical(lapply(stream@flist, levels), lapply(memory@flist, levels))
  expect_identical(attr(stream@flist, "assign"), attr(memory@flist, "assign"))
  expect_equal(stream@Gp, memory@Gp)
  expect_equal(stream@u, memory@u, tolerance = 100 * tolerance)
  for (name in c("assign", "contrasts", "col.dropped")) {
    expect_equal(attr(getME(stream, "X"), name), attr(getME(memory, "X"), name), label = name)
  }
  for (accessor in list(fixef, sigma, vcov, logLik, nobs, df.residual, AIC, BIC, ngrps, isREML)) {
    expect_equal(accessor(stream), accessor(memory), tolerance = tolerance)
  }
  for (accessor in list(VarCorr, ranef, coef)) expect_equal(accessor(stream), accessor(memory), tolerance = 100 * tolerance)
}
