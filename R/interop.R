# What is done when this package is loaded, attached, detached and unloaded, for the sake of others: see interop-<package>.R.

.onLoad <- function(libname, pkgname) {
  watch_lmer_test()
}

.onAttach <- function(libname, pkgname) {
  if (any(paste0("package:", test_packages) %in% search())) update_front()
}

.onDetach <- function(libpath) {
  if (front_name %in% search()) after_detach("fastlmer")
}

.onUnload <- function(libpath) {
  unwatch_lmer_test()
}
