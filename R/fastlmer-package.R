#' fastlmer: fast linear mixed models in place of lme4
#'
#' Load fastlmer instead of lme4 and call [lmer()] as ever: formula, arguments, messages and the object are lme4's own, and the
#' numerical work is done by an engine written in Rust.
#'
#' @keywords internal
#' @useDynLib fastlmer, .registration = TRUE
"_PACKAGE"
