# What is done when this package is loaded, attached, detached and unloaded, for the sake of others: see interop-<package>.R.

.onLoad <- function(libname, pkgname) {
  hook_into_confint()
  watch_lmer_test()
  hook_into_parameters()
  hook_into_performance()
  hook_into_pbkrtest()
  hook_into_emmeans()
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
    if (isNamespaceLoaded(method$package)) remove_method(method)
  }
}

# Calls `hook(package, path)` at an event ("onLoad", "attach", "detach") of a package, until this package is unloaded.
at_event <- function(package, event, hook) {
  name <- packageEvent(package, event)
  cache$hooks[[name]] <- TRUE
  setHook(name, structure(hook, class = "fastlmer_hook"))
}

# Registers an S3 method for another package's generic now or when that package is loaded, where it has such a generic. A method of its own
# is only replaced, in the table where R looks for methods, if `replace` says so; it is kept for fits that aren't ours (their_method()) and
# put back when this package is unloaded. (R looks first where a generic is called, so that calls within the package go to its own.)
register_when_loaded <- function(package, generic, class, method, replace = FALSE) {
  method <- list(package = package, generic = generic, class = class, method = method)
  register <- function(...) add_method(method, replace)
  if (isNamespaceLoaded(package)) register()
  at_event(package, "onLoad", register)
}

add_method <- function(method, replace) {
  namespace <- asNamespace(method$package)
  if (!is.function(get0(method$generic, envir = namespace))) return(invisible())
  theirs <- utils::getS3method(method$generic, method$class, optional = TRUE, envir = namespace)
  if (!is.null(theirs) && (!replace || identical(theirs, method$method))) return(invisible())
  registerS3method(method$generic, method$class, method$method, envir = namespace)
  method["theirs"] <- list(theirs)
  cache$methods[[method_key(method$package, method$generic, method$class)]] <- method
}

remove_method <- function(method) {
  home <- environment(get(method$generic, envir = asNamespace(method$package)))
  table <- get0(".__S3MethodsTable__.", envir = topenv(home), inherits = FALSE)
  name <- paste(method$generic, method$class, sep = ".")
  cache$methods[[method_key(method$package, method$generic, method$class)]] <- NULL
  if (!is.environment(table) || !identical(table[[name]], method$method)) return(invisible())
  if (is.null(method$theirs)) rm(list = name, envir = table) else assign(name, method$theirs, envir = table)
}

method_key <- function(package, generic, class) paste(package, generic, class)

# The method that ours stands for, for another class or fit: of that class, else of the nearest that it inherits from.
their_method <- function(package, generic, class = "lmerMod", inherited = "merMod") {
  theirs <- cache$methods[[method_key(package, generic, class)]]$theirs
  theirs %||% utils::getS3method(generic, inherited, envir = asNamespace(package))
}
