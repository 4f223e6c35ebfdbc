# Run by configure: refuses a missing or too old cargo or rustc, and writes src/Makevars from src/Makevars.in.

requirements <- read.dcf("DESCRIPTION", fields = "SystemRequirements")[[1]]
needed <- sub(".*rustc \\(>= ([0-9.]+)\\).*", "\\1", requirements)

refuse <- function(what) {
  message(
    "\nfastlmer: ", what, "\n",
    "fastlmer compiles Rust code and needs cargo and rustc ", needed, " or newer.\n",
    " - Debian 12: apt-get install cargo-web rustc-web  (its packages 'cargo' and 'rustc' are too old)\n",
    " - newer Debian or Ubuntu: apt-get install cargo rustc\n",
    " - Fedora: dnf install cargo\n",
    " - Homebrew: brew install rust\n",
    " - anywhere else: install with rustup, see https://www.rust-lang.org/tools/install\n",
    "Then install fastlmer again. A cargo that is not on the PATH can be named by the environment variable CARGO.\n"
  )
  quit(save = "no", status = 1)
}

version_of <- function(tool) {
  out <- tryCatch(
    suppressWarnings(system2(tool, "--version", stdout = TRUE, stderr = TRUE)),
    error = function(e) character()
  )
  found <- grep("^(cargo|rustc) [0-9]+\\.[0-9]+\\.[0-9]+", out, value = TRUE)
  if (length(found) == 0) NULL else sub("^[a-z]+ ([0-9]+\\.[0-9]+\\.[0-9]+).*", "\\1", found[[1]])
}

# rustup's folder may be missing from a PATH that was set elsewhere (RStudio, a cron job).
windows <- .Platform$OS.type == "windows"
rustup <- file.path(if (windows) Sys.getenv("USERPROFILE") else path.expand("~"), ".cargo", "bin")
path <- strsplit(Sys.getenv("PATH"), .Platform$path.sep, fixed = TRUE)[[1]]
if (!rustup %in% path) Sys.setenv(PATH = paste(c(rustup, path), collapse = .Platform$path.sep))

tools <- c(CARGO = Sys.getenv("CARGO", "cargo"), RUSTC = Sys.getenv("RUSTC", "rustc"))
for (tool in tools) {
  version <- version_of(tool)
  if (is.null(version)) refuse(paste0("no '", tool, "' was found."))
  if (package_version(version) < needed) refuse(paste0("'", tool, "' is version ", version, ", which is too old."))
  message("Using ", tool, " ", version)
}

source("tools/unpack.R")

# What R CMD build made is installed on at most two cores, as CRAN asks, writes nothing outside its own folder and leaves nothing behind. In
# a clone all cores are used, and what was compiled stays for the next time.
packaged <- !is.na(read.dcf("DESCRIPTION", fields = "Packaged")[[1]])
if (packaged) dir.create("src/rust/cargo-home", showWarnings = FALSE)

# On Linux the library's own symbols stay inside, and code that nothing reaches is left out: a third of the size.
values <- c(
  gsub("\\", "/", Sys.which(tools), fixed = TRUE) |> setNames(names(tools)),
  CARGO_HOME = if (packaged) 'CARGO_HOME="`pwd`/rust/cargo-home"' else "",
  CARGO_FLAGS = paste("--release --locked --offline", if (packaged) "-j 2"),
  LINK = if (R.version$os == "linux-gnu") "-Wl,--gc-sections,--exclude-libs,ALL,--strip-debug" else "",
  AFTER = if (packaged) "rm -rf $(RUST_TARGET) ../.cargo rust/vendor rust/cargo-home" else ":"
)
makevars <- if (windows) "src/Makevars.win" else "src/Makevars"
text <- readLines(paste0(makevars, ".in"))
for (name in names(values)) text <- gsub(paste0("@", name, "@"), values[[name]], text, fixed = TRUE)
out <- file(makevars, "wb")
writeLines(text, out, sep = "\n")
close(out)
