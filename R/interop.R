# What is done when this package is loaded, attached, detached and unloaded, for the sake of others: see interop-<package>.R.

.onLoad <- function(libname, pkgname) {
  watch_lmer_test()
  hook_into_parameters()
  hook_into_performance()
}

.onAttach <- function(libname, pkgname) {
  if (any(paste0("package:", test_packages) %in% search())) update_front()
}

.onDetach <- function(libpath) {
  if (front_name %in% search()) after_detach("fastlmer")
}

.onUnload <- function(libpath) {
  remove_front()
  for (event in names(cache$hooks)) {
    setHook(event, Filter(function(hook) !inherits(hook, "fastlmer_hook"), getHook(event)), action = "replace")
  }
  for (method in cache$methods) {
    if (isNamespaceLoaded(method$package)) remove_method(asNamespace(method$package), method$generic, method$class)
  }
}

# Calls `hook(package, path)` at an event ("onLoad", "attach", "detach") of a package, until this package is unloaded.
at_event <- function(package, event, hook) {
  name <- packageEvent(package, event)
  cache$hooks[[name]] <- TRUE
  setHook(name, structure(hook, class = "fastlmer_hook"))
}

# Registers an S3 method for another package's generic now or when that package is loaded, where it has such a generic and no such method
# of its own.
register_when_loaded <- function(package, generic, class, method) {
  register <- function(...) {
    namespace <- asNamespace(package)
    if (!is.function(get0(generic, envir = namespace))) return()
    if (!is.null(utils::getS3method(generic, class, optional = TRUE, envir = namespace))) return()
    registerS3method(generic, class, method, envir = namespace)
    cache$methods <- c(cache$methods, list(list(package = package, generic = generic, class = class)))
  }
  if (isNamespaceLoaded(package)) register()
  at_event(package, "onLoad", register)
}

remove_method <- function(namespace, generic, class) {
  home <- environment(get(generic, envir = namespace))
  table <- get0(".__S3MethodsTable__.", envir = topenv(home), inherits = FALSE)
  name <- paste(generic, class, sep = ".")
  if (is.environment(table) && exists(name, envir = table, inherits = FALSE)) rm(list = name, envir = table)
}
