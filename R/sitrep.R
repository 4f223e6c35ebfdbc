#' A report for bug reports
#'
#' What somebody needs to know who is to reproduce what you see: versions, processor, threads and memory, which `lmer()` a script gets, what
#' the installed lme4 switches on or off, options that were set, and the packages that work together with fits.
#'
#' @param fit a fit to report on as well: its size, who made it and its criterion.
#' @return A list of class `fastlmer_sitrep`, to be printed, with elements
#'   \item{versions}{named character vector: fastlmer, its engine, R, the platform, lme4, Matrix, BLAS}
#'   \item{machine}{list: `processor`, its vector `instructions`, `cores`, `memory` that is available in bytes (`NA` where unknown)}
#'   \item{threads}{number of threads that large models are computed on}
#'   \item{lmer}{list: `from`, where the `lmer()` at the prompt comes from; `class`, of its fits; `engine`, whether the engine makes them}
#'   \item{lme4}{named logical vector: what depends on lme4's version}
#'   \item{options}{list of the options of [fastlmer-options] that are set}
#'   \item{packages}{data frame of other packages: `package`, `version` (`NA` where not installed), `loaded`, and the number of `methods`
#'     for fits of linear mixed models that fastlmer has registered there}
#'   \item{fit}{`NULL`, or a list on `fit`}
#' @seealso [fastlmer-options], [convergence()] for the optimum of a fit
#' @examples
#' fastlmer_sitrep()
#' fastlmer_sitrep(lmer(Reaction ~ Days + (Days | Subject), sleepstudy))
#' @export
fastlmer_sitrep <- function(fit = NULL) {
  if (!is.null(fit) && !methods::is(fit, "merMod")) fail("argument", "'fit' must be a fit by lmer(), or be left out")
  about <- engine_about()
  structure(
    class = "fastlmer_sitrep",
    list(
      versions = versions_in_use(about$version), machine = machine_in_use(about), threads = default_threads(), lmer = lmer_at_prompt(),
      lme4 = switched_by_lme4(), options = options_set(), packages = partner_packages(), fit = if (!is.null(fit)) facts_of_fit(fit)
    )
  )
}

versions_in_use <- function(engine) {
  blas <- utils::sessionInfo()$BLAS
  c(
    fastlmer = version_of("fastlmer"), engine = engine, R = as.character(getRversion()), platform = R.version$platform,
    lme4 = version_of("lme4"), Matrix = version_of("Matrix"), BLAS = if (length(blas) && nzchar(blas)) basename(blas) else "R's own"
  )
}

# As its authors write it; NA where it isn't installed.
version_of <- function(package) suppressWarnings(utils::packageDescription(package, fields = "Version"))

machine_in_use <- function(about) {
  list(
    processor = about$processor, instructions = strsplit(about$instructions, " ", fixed = TRUE)[[1L]],
    cores = parallel::detectCores(), memory = about$memory %||% NA_real_
  )
}

# The function that a script's `lmer(...)` calls, as the search path is now.
lmer_at_prompt <- function() {
  found <- utils::find("lmer", mode = "function")
  if (!length(found)) return(list(from = NA_character_, class = NA_character_, engine = FALSE))
  from <- found[[1L]]
  front <- from == front_name
  ours <- from == "package:fastlmer" || front && is_in_front()
  test_class <- front || from %in% paste0("package:", test_packages) || ours && isTRUE(lmer_test_option())
  list(from = from, class = if (test_class) "lmerModLmerTest" else "lmerMod", engine = ours)
}

# What is done as the installed lme4 does it, for its versions differ.
switched_by_lme4 <- function() {
  rules <- convergence_rules()
  c(
    "structured covariances: us(), diag(), cs(), ar1()" = has_structures(),
    "confint(signames = ), standard deviations first" = has_signames(),
    "allFit(start_from_mle = )" = has_start_from_mle(),
    "derivatives of singular fits are left out" = rules$none_if_singular,
    "tolerance of singular fits is an option" = !is.null(rules$singular_tolerance)
  )
}

options_set <- function() {
  all <- options()
  all[startsWith(names(all), "fastlmer.")]
}

# Packages that take a fit further, or that long work asks for.
known_partners <- c(
  "lmerTest", "pbkrtest", "emmeans", "car", "afex", "parameters", "performance", "insight", "broom.mixed", "ggeffects", "boot", "ggplot2",
  "cli"
)

partner_packages <- function() {
  version <- vapply(known_partners, version_of, "")
  registered <- vapply(cache$methods, function(method) method$package, "")
  data.frame(
    package = known_partners, version = unname(version), loaded = known_partners %in% loadedNamespaces(),
    methods = vapply(known_partners, function(package) sum(registered == package), 1L, USE.NAMES = FALSE)
  )
}

facts_of_fit <- function(fit) {
  dims <- fit@devcomp$dims
  list(
    call = fit@call, class = class(fit)[[1L]], engine = is_fastlmer(fit), usable = !is.null(engine_of(fit, response = FALSE)),
    rows = dims[["n"]], columns = dims[["p"]], effects = dims[["q"]], theta = dims[["nth"]],
    levels = vapply(fit@flist, nlevels, 1L),
    criterion = if (dims[["REML"]] > 0L) c(REML = fit@devcomp$cmp[["REML"]]) else c(deviance = fit@devcomp$cmp[["dev"]]),
    singular = lme4::isSingular(fit), messages = fit_messages(fit)
  )
}

#' @export
#' @noRd
print.fastlmer_sitrep <- function(x, ...) {
  cat(format(x, ...), sep = "\n")
  invisible(x)
}

#' @export
#' @noRd
format.fastlmer_sitrep <- function(x, ...) {
  v <- x$versions
  c(
    line_of("fastlmer", v[["fastlmer"]], " with engine ", v[["engine"]]),
    line_of("R", v[["R"]], " on ", v[["platform"]], ", BLAS: ", v[["BLAS"]]),
    line_of("lme4", v[["lme4"]], ", Matrix ", v[["Matrix"]]),
    line_of("machine", format_machine(x$machine)),
    line_of("threads", x$threads, " (models below 20,000 rows: 1)"),
    line_of("lmer()", format_lmer(x$lmer)),
    line_of("options", format_options(x$options)),
    "by lme4's version", paste0("  ", ifelse(x$lme4, "yes", "no "), "  ", names(x$lme4)),
    "other packages", format_packages(x$packages),
    if (!is.null(x$fit)) format_fit(x$fit)
  )
}

line_of <- function(name, ...) paste0(formatC(name, width = -10L), ...)

format_machine <- function(machine) {
  memory <- if (is.na(machine$memory)) "memory unknown" else sprintf("%.1f GB of memory available", machine$memory / 1e9)
  paste0(paste(c(machine$processor, machine$instructions), collapse = " "), ", ", machine$cores, " cores, ", memory)
}

format_lmer <- function(lmer) {
  if (is.na(lmer$from)) return("not on the search path: library(fastlmer) attaches it")
  by <- if (lmer$engine) "made by the engine" else "not made by the engine: call library(fastlmer) last, or fastlmer::lmer()"
  paste0("of ", lmer$from, ", fits of class ", lmer$class, ", ", by)
}

format_options <- function(options) {
  if (!length(options)) return("none set: see ?\"fastlmer-options\"")
  paste0(names(options), " = ", vapply(options, function(value) paste(deparse(value), collapse = " "), ""), collapse = ", ")
}

format_packages <- function(packages) {
  version <- ifelse(is.na(packages$version), "not installed", packages$version)
  methods <- ifelse(packages$methods > 0L, paste("methods of fastlmer's:", packages$methods), "")
  loaded <- ifelse(packages$loaded, "loaded  ", "        ")
  lines <- paste0("  ", formatC(packages$package, width = -12L), formatC(version, width = -14L), loaded)
  trimws(paste0(lines, methods), "right")
}

format_fit <- function(fit) {
  who <- if (fit$engine) "made by the engine" else if (fit$usable) "not made by the engine, which can take it" else "not the engine's"
  c(
    line_of("fit", paste(trimws(deparse(fit$call)), collapse = " ")),
    line_of("", "class ", fit$class, ", ", who),
    line_of(
      "", with_commas(fit$rows), " rows, ", with_commas(fit$columns), " fixed effects, ", with_commas(fit$effects), " random effects (",
      paste0(names(fit$levels), ": ", with_commas(fit$levels), " levels", collapse = ", "), "), ", fit$theta, " variance parameters"
    ),
    line_of("", names(fit$criterion), " criterion ", format(fit$criterion[[1L]], digits = 10L), if (fit$singular) ", singular"),
    if (length(fit$messages)) line_of("", fit$messages)
  )
}
