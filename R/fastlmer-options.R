#' Options
#'
#' What can be set by [options()] for a session, with its default.
#'
#' | option | default | what it does |
#' |---|---|---|
#' | `fastlmer.threads` | all cores up to 8 | threads that large models, batches of refits and bootstraps are computed on, see [lmer()] |
#' | `fastlmer.lmerTest` | `"attached"` | when `lmer()` returns lmerTest's class: `TRUE` always, `FALSE` never, see [fastlmer-lmerTest] |
#' | `fastlmer.progress` | `TRUE` | whether what takes longer than two seconds shows a bar in an interactive session with package cli |
#' | `fastlmer.vocabulary` | `TRUE` | whether [bootMer()] recognises statistics that it can compute for all replicates at once |
#' | `fastlmer.chunk` | `1e5` | rows that are read at a time from data that come in pieces, see [fastlmer-big-data] |
#' | `fastlmer.strict` | `FALSE` | for tests: an error within this package is shown, where lme4's way would have been taken instead |
#'
#' Two environment variables count as well: `EXTENDR_BACKTRACE=true`, set before the package is loaded, shows where in the engine an error
#' came from, and where `_R_CHECK_LIMIT_CORES_` is set, as `R CMD check` does, two threads are the most that are taken by default.
#' [fastlmer_sitrep()] shows what is set.
#' @seealso [fastlmer_sitrep()], [lmer()], [fastlmer-differences]
#' @examples
#' old <- options(fastlmer.threads = 2)
#' lmer(Reaction ~ Days + (Days | Subject), sleepstudy)
#' options(old)
#' @name fastlmer-options
NULL
