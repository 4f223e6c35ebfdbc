# lmerTest at the engine's speed. A fit of its class `lmerModLmerTest` is lme4's object with four more slots, which lmerTest finds by
# numerical derivatives that call lme4 some hundred times; here the engine fills them (infer-satterthwaite.R), and everything that lmerTest
# does with such a fit follows.
#
# lmerTest's lmer() isn't generic, nor is what makes its class of a fit. Where lmerTest is attached, or afex, which exports lmerTest's
# lmer(), an environment of that purpose stands in front of it on the search path with functions of ours of the same names; nothing of
# theirs is changed, and it goes when lmerTest or this package is detached.

front_name <- "fastlmer:lmerTest"

#' Fits and tests of package lmerTest
#'
#' Package lmerTest gives linear mixed models p-values: its `lmer()` returns a fit of class `lmerModLmerTest`, and `summary()`, `anova()`,
#' `ranova()`, `drop1()`, `step()`, `contest()` and `ls_means()` of such a fit make tests with degrees of freedom by Satterthwaite's or by
#' Kenward and Roger's method. The engine computes what lmerTest needs for this, exactly and some hundred times as fast.
#'
#' @section With lmerTest attached:
#' Where lmerTest is attached, before or after this package, `lmer()` at the prompt returns a fit of lmerTest's class that the engine made,
#' and says so once. So do `as_lmerModLmerTest()`, `ranova()`, `rand()`, `contest()`, `contest1D()`, `contestMD()` and `calcSatterth()` take
#' a fit of this package's without computing it again. These functions stand in front of lmerTest's on the search path, in an entry
#' `"fastlmer:lmerTest"`; nothing in lmerTest is changed, and detaching or unloading either package takes the entry away. Package afex
#' exports lmerTest's `lmer()`, and gets the same treatment. What is written `lmerTest::lmer()` is lmerTest's own, as slow as ever, and so
#' is what other packages call inside of them.
#'
#' @section Without:
#' `summary(fit, ddf = )` of a fit by [lmer()] adds degrees of freedom and p-values to the table of the fixed effects, and `anova(fit,
#' type = , ddf = )` and `drop1(fit, ddf = )` test terms, by the three types of SAS. They are what lmerTest returns, which needn't be
#' installed for them. Without these arguments they are lme4's. Of data that come in chunks,
#' `anova()` has the types that don't need the rows: II and III where no term contains another and factors have treatment contrasts.
#'
#' @section Options:
#' `options(fastlmer.lmerTest = )` decides what [lmer()] returns:
#' * `"attached"`, the default: lme4's class `lmerMod`; where lmerTest is attached, `lmer()` at the prompt returns lmerTest's class.
#' * `TRUE`: always lmerTest's class, also by `fastlmer::lmer()`.
#' * `FALSE`: always `lmerMod` by this package's `lmer()`; the functions that lmerTest and afex have attached are left alone.
#'
#' @section Where the two differ:
#' The derivatives are exact (for large crossed models the second ones are differences of the exact gradient), so that degrees of freedom
#' agree with lmerTest's to about five digits and are nearer the truth. Directions in which the likelihood is flat are left out as
#' lmerTest does, judged in units that don't depend on those of the predictors: with predictors in units of 1e6, say, lmerTest takes
#' curvature for rounding or the reverse. A fit that was changed by hand, so that its fixed effects don't belong to its theta, goes to
#' lmerTest's own way.
#' @references
#' Satterthwaite FE (1946). An approximate distribution of estimates of variance components. *Biometrics Bulletin* 2, 110-114.
#' \doi{10.2307/3002019}
#'
#' Fai AHT, Cornelius PL (1996). Approximate F-tests of multiple degree of freedom hypotheses in generalized least squares analyses of
#' unbalanced split-plot experiments. *Journal of Statistical Computation and Simulation* 54, 363-378. \doi{10.1080/00949659608811740}
#'
#' Kuznetsova A, Brockhoff PB, Christensen RHB (2017). lmerTest package: tests in linear mixed effects models. *Journal of Statistical
#' Software* 82(13). \doi{10.18637/jss.v082.i13}
#' @seealso [lmer()], [fastlmer-differences]
#' @examples
#' fit <- lmer(Reaction ~ Days + (Days | Subject), sleepstudy)
#' summary(fit, ddf = "Satterthwaite")
#'
#' if (requireNamespace("lmerTest", quietly = TRUE)) {
#'   anova(fit, type = "III", ddf = "Satterthwaite")
#'   old <- options(fastlmer.lmerTest = TRUE)
#'   print(class(lmer(Reaction ~ Days + (Days | Subject), sleepstudy)))
#'   options(old)
#' }
#' @name fastlmer-lmerTest
NULL

# What the option says: "attached", TRUE or FALSE.
lmer_test_option <- function() {
  value <- getOption("fastlmer.lmerTest", "attached")
  if (isTRUE(value) || isFALSE(value) || identical(value, "attached")) return(value)
  fail("argument", "the option 'fastlmer.lmerTest' must be \"attached\", TRUE or FALSE")
}

has_lmer_test <- function() requireNamespace("lmerTest", quietly = TRUE)

require_lmer_test <- function(what) {
  if (!has_lmer_test()) fail("package", what, " needs the package lmerTest: install.packages(\"lmerTest\")")
}

# A fit as one of lmerTest's class: by the engine, or by lmerTest's own numerical derivatives where the engine can't.
as_lmer_test <- function(fit) {
  if (methods::is(fit, "lmerModLmerTest")) return(fit)
  with_test_slots(fit) %||% lmerTest::as_lmerModLmerTest(fit)
}

# A new fit, of the class that the option `fastlmer.lmerTest` asks for.
of_asked_class <- function(fit) {
  if (!isTRUE(getOption("fastlmer.lmerTest")) || !isS4(fit)) return(fit)
  require_lmer_test("the option 'fastlmer.lmerTest = TRUE'")
  as_lmer_test(fit)
}

# NULL where the engine doesn't take the fit, or lmerTest's class has slots that aren't known here.
with_test_slots <- function(fit) {
  prototype <- test_prototype()
  parts <- if (!is.null(prototype)) satterthwaite_parts(fit)
  if (is.null(parts)) return(NULL)
  slots <- attributes(fit)
  attributes(prototype) <- c(slots[names(slots) != "class"], parts, list(sigma = stats::sigma(fit), class = attr(prototype, "class")))
  prototype
}

test_prototype <- function() {
  if (is.null(cache$test_prototype)) {
    class <- methods::getClass("lmerModLmerTest", where = asNamespace("lmerTest"))
    own <- setdiff(names(class@slots), names(methods::getClass("lmerMod", where = asNamespace("lme4"))@slots))
    cache$test_prototype <- list(if (setequal(own, c("vcov_varpar", "Jac_list", "vcov_beta", "sigma"))) methods::new(class))
  }
  cache$test_prototype[[1L]]
}

# The object without lmerTest's slots.
as_plain_lmer <- function(fit) if (methods::is(fit, "lmerModLmerTest")) methods::as(fit, "lmerMod") else fit

# ---- In front of lmerTest's functions ----

# As lmerTest's: the same arguments and call, and its class.
front_lmer <- function(formula, data = NULL, REML = TRUE, control = lmerControl(), start = NULL, verbose = 0L, subset, weights, na.action,
                       offset, contrasts = NULL, devFunOnly = FALSE, threads = NULL) {
  call <- match.call()
  ours <- call
  ours[[1L]] <- quote(fastlmer::lmer)
  call$threads <- NULL
  fit <- if (is_in_front()) eval(ours, parent.frame()) else call_lmer_test("lmer", call, parent.frame())
  if (!isS4(fit)) return(fit)
  fit <- as_lmer_test(fit)
  fit@call <- call
  fit
}

# The option may change while lmerTest is attached.
is_in_front <- function() !isFALSE(lmer_test_option())

front_as_lmerModLmerTest <- function(model, ...) {
  fit <- if (is_in_front() && !...length() && is_exactly_lmer(model)) with_test_slots(as_plain_lmer(model))
  if (is.null(fit)) call_lmer_test("as_lmerModLmerTest", match.call(), parent.frame()) else fit
}

# Models that differ in their random effects are compared by their likelihoods, which need none of lmerTest's slots.
front_ranova <- function(model, reduce.terms = TRUE, ...) {
  call <- match.call()
  caller <- parent.frame()
  if (is_in_front() && is_fastlmer(model)) {
    call$model <- quote(.model)
    caller <- list2env(list(.model = as_plain_lmer(model)), parent = caller)
  }
  call_lmer_test("ranova", call, caller)
}

# lmerTest's function of a fit, which is first made one of its class.
front_of <- function(name) {
  force(name)
  function(model, ...) {
    if (is_in_front() && is_fastlmer(model)) model <- as_lmer_test(model)
    getExportedValue("lmerTest", name)(model, ...)
  }
}

# The method for lmerMod of lmerTest's generic for contrasts.
contest_method <- function(name) {
  force(name)
  function(model, ...) {
    tested <- if (is_fastlmer(model) && is_exactly_lmer(model)) with_test_slots(model)
    if (is.null(tested)) their_method("lmerTest", name)(model, ...) else getExportedValue("lmerTest", name)(tested, ...)
  }
}

call_lmer_test <- function(name, call, caller) {
  call[[1L]] <- call("::", quote(lmerTest), as.name(name))
  eval(call, caller)
}

front_functions <- function() {
  tests <- c("contest", "contest1D", "contestMD", "calcSatterth")
  c(
    list(lmer = front_lmer, as_lmerModLmerTest = front_as_lmerModLmerTest, ranova = front_ranova, rand = front_ranova),
    stats::setNames(lapply(tests, front_of), tests)
  )
}

# ---- On the search path ----

# Packages that export lmerTest's functions, and are attached.
test_packages <- c("lmerTest", "afex")

# Puts the functions in front that lmerTest or afex have there, or takes the entry away. `without` is a package that is being detached.
update_front <- function(without = NULL) {
  remove_front()
  attached <- setdiff(intersect(paste0("package:", test_packages), search()), paste0("package:", without))
  if (!length(attached) || isFALSE(lmer_test_option()) || !"package:fastlmer" %in% search()) return(invisible())
  functions <- front_functions()
  exported <- unlist(lapply(attached, function(package) {
    names <- intersect(names(functions), ls(as.environment(package)))
    Filter(function(name) identical(get(name, envir = as.environment(package)), getExportedValue("lmerTest", name)), names)
  }))
  functions <- functions[intersect(names(functions), exported)]
  if (!length(functions)) return(invisible())
  attach_front(functions)
  if ("lmer" %in% names(functions)) announce_front(attached)
}

# (attach() by another name: R CMD check takes it for one that a user should know of.)
attach_front <- function(functions) {
  environment <- get("attach", envir = baseenv())(NULL, pos = 2L, name = front_name, warn.conflicts = FALSE)
  list2env(functions, envir = environment)
  lockEnvironment(environment, bindings = TRUE)
}

remove_front <- function() {
  while (front_name %in% search()) detach(front_name, character.only = TRUE)
}

announce_front <- function(attached) {
  if (isTRUE(cache$announced)) return(invisible())
  cache$announced <- TRUE
  packageStartupMessage(
    "fastlmer: lmer() returns ", if ("package:lmerTest" %in% attached) "lmerTest's" else "afex's", " class of fits, made by the engine ",
    "(options(fastlmer.lmerTest = FALSE) leaves ", sub("package:", "", attached[[1L]]), "'s own alone)"
  )
}

# While a package is being detached R knows the place on the search path that it will take away. The entry in front has to stay until then.
after_detach <- function(package) {
  frames <- sys.frames()
  for (i in rev(seq_along(frames))) {
    if (identical(sys.function(i), base::detach)) {
      later <- as.call(list(function() try(update_front(package), silent = TRUE)))
      return(invisible(do.call(base::on.exit, list(later, add = TRUE), envir = frames[[i]])))
    }
  }
  update_front(package)
}

# Nothing is loaded for it: the events are asked for by names of packages. Others call lmerTest's contestMD() for each row that they
# predict; of a fit that isn't of its class lmerTest computes derivatives each time.
watch_lmer_test <- function() {
  for (name in c("contest", "contest1D", "contestMD")) {
    register_when_loaded("lmerTest", name, "lmerMod", contest_method(name), replace = TRUE)
  }
  for (package in test_packages) {
    at_event(package, "attach", function(...) update_front())
    at_event(package, "detach", function(package, ...) after_detach(package))
  }
}
