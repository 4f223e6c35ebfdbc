# Methods for other packages' generics come and go with the packages, whichever is loaded first.

# What a fresh session prints.
in_session <- function(...) {
  skip_on_cran()
  lines <- vapply(substitute(list(...))[-1L], function(line) paste(deparse(line), collapse = "\n"), "")
  script <- withr::local_tempfile(lines = lines, fileext = ".R")
  suppressWarnings(system2(file.path(R.home("bin"), "Rscript"), c("--vanilla", script), stdout = TRUE, stderr = TRUE))
}

# Prints whether the method for vcovAdj() is ours.
probe <- quote(ours <- function() {
  method <- get("vcovAdj.lmerMod", envir = get(".__S3MethodsTable__.", envir = asNamespace("pbkrtest")))
  cat("ours:", identical(environmentName(environment(method)), "fastlmer"), "\n")
})
paths <- bquote(.libPaths(.(.libPaths())))
of <- function(lines) grep("^ours:", lines, value = TRUE)

test_that("loading order does not matter, and unloading leaves nothing behind", {
  skip_if_not_installed("pbkrtest")
  session <- function(...) of(eval(bquote(in_session(.(paths), .(probe), ...))))
  expect_equal(session(loadNamespace("pbkrtest"), loadNamespace("fastlmer"), ours()), "ours: TRUE ")
  expect_equal(session(loadNamespace("fastlmer"), loadNamespace("pbkrtest"), ours()), "ours: TRUE ")
  expect_equal(
    session(
      loadNamespace("pbkrtest"), before <- getHook(packageEvent("pbkrtest", "onLoad")), loadNamespace("fastlmer"), ours(),
      unloadNamespace("fastlmer"), ours(),
      cat("ours:", identical(before, getHook(packageEvent("pbkrtest", "onLoad"))), "\n"),
      loadNamespace("fastlmer"), ours()
    ),
    c("ours: TRUE ", "ours: FALSE ", "ours: TRUE ", "ours: TRUE ")
  )
  expect_equal(
    session(
      loadNamespace("fastlmer"), loadNamespace("pbkrtest"), unloadNamespace("pbkrtest"), loadNamespace("pbkrtest"), ours(),
      unloadNamespace("fastlmer"), ours()
    ),
    c("ours: TRUE ", "ours: FALSE ")
  )
})

test_that("what a version of a package does not have is passed over, and its own methods are kept", {
  skip_if_not_installed("pbkrtest")
  loadNamespace("pbkrtest")
  absent <- list(package = "pbkrtest", generic = "no_such_generic", class = "lmerMod", method = identity)
  before <- names(cache$methods)
  add_method(absent, replace = TRUE)
  expect_identical(names(cache$methods), before)
  expect_identical(environment(their_method("pbkrtest", "vcovAdj")), asNamespace("pbkrtest"))
})
