# Run by tools/vendor.sh with a folder that holds the cargo workspace, vendor/ as `cargo vendor` made it and all.json, cargo's metadata.
# Makes the crates in vendor/ small and writes AUTHORS. What no platform below compiles is left out:
#  - a crate that is in no platform's tree keeps its manifest, which Cargo.lock needs, and an empty library in place of its code;
#  - a module behind a feature that is switched on nowhere, or behind cfg(test);
#  - tests, benchmarks, examples, documentation and their data.
# Licences stay. What rustc sees of a crate that is compiled is what its author published.

platforms <- c(
  "x86_64-unknown-linux-gnu", "aarch64-unknown-linux-gnu", "x86_64-pc-windows-gnu", "x86_64-apple-darwin", "aarch64-apple-darwin"
)
work <- normalizePath(commandArgs(TRUE)[1])
cargo <- function(...) {
  out <- system2(Sys.getenv("CARGO", "cargo"), c(..., "--locked", "--manifest-path", file.path(work, "Cargo.toml")), stdout = TRUE)
  if (!is.null(attr(out, "status"))) stop("cargo failed")
  out
}

# Which crates and features are compiled ----------------------------------------------------------------------------------

# One line for each crate and set of its features that a build for the platform compiles: "name version" and "feature,feature".
tree <- function(platform) {
  lines <- cargo(
    "tree", "--workspace", "--target", platform, "--edges", "normal,build,dev", "--prefix", "none", "--format", shQuote("{p}|{f}")
  )
  lines <- unique(sub(" \\(\\*\\)$", "", lines[nzchar(lines)]))
  data.frame(crate = sub("^([^ ]+) v([^ |]+).*", "\\1 \\2", lines), features = sub(".*\\|", "", lines))
}

# cargo tree takes this machine for the one that compiles, so build scripts and procedural macros, which run where the compiler runs,
# are followed again as on the platform itself, with every dependency that the lock file has for them.
compiled_there <- function(platform, tree) {
  metadata <- jsonlite::fromJSON(
    paste(cargo("metadata", "--format-version", "1", "--filter-platform", platform), collapse = "\n"),
    simplifyVector = FALSE
  )
  name <- vapply(metadata$packages, function(p) paste(p$name, p$version), "")
  names(name) <- vapply(metadata$packages, `[[`, "", "id")
  edges <- do.call(rbind, lapply(metadata$resolve$nodes, function(node) {
    do.call(rbind, lapply(node$deps, function(dep) {
      kinds <- vapply(dep$dep_kinds, function(kind) kind$kind %||% "normal", "")
      data.frame(from = name[[node$id]], to = name[[dep$pkg]], build = "build" %in% kinds)
    }))
  }))
  is_macro <- vapply(metadata$packages, function(p) "proc-macro" %in% unlist(lapply(p$targets, `[[`, "kind")), NA)
  found <- tree$crate
  hosts <- intersect(c(name[is_macro], edges$to[edges$build & edges$from %in% found]), found)
  while (length(hosts) > 0) {
    found <- union(found, hosts)
    hosts <- setdiff(edges$to[edges$from %in% hosts], found)
  }
  found
}

`%||%` <- function(x, y) if (is.null(x)) y else x

trees <- lapply(platforms, tree)
compiled <- unique(unlist(Map(compiled_there, platforms, trees)))
active <- do.call(rbind, trees)
active <- lapply(split(active$features, active$crate), function(f) unique(unlist(strsplit(f, ","))))

# Manifests ---------------------------------------------------------------------------------------------------------------

# The lines of a manifest by section; published manifests are in cargo's own normal form. A line in a multi-line string is no header.
sections <- function(path) {
  lines <- readLines(path, encoding = "UTF-8")
  quotes <- vapply(gregexpr("\"\"\"|'''", lines), function(at) sum(at > 0), 0L)
  outside <- c(0, cumsum(quotes)[-length(lines)]) %% 2 == 0
  header <- outside & grepl("^\\[", lines)
  split(lines, factor(cumsum(header), 0:sum(header))) |> setNames(c("", gsub("^\\[+|\\]+$", "", lines[header])))
}

write_manifest <- function(path, sections, drop) {
  writeLines(enc2utf8(unlist(sections[!grepl(drop, names(sections))], use.names = FALSE)), path, useBytes = TRUE)
}

not_built <- "^(bench|example|test|bin|badges)$"

# Files -------------------------------------------------------------------------------------------------------------------

is_licence <- function(files) grepl("(licen[cs]e|copying|copyright|notice|authors)[^/]*$", files, ignore.case = TRUE)

set_aside <- function(files) {
  top <- grepl("^(tests?|test[-_]data|benches|bench|examples|docs?|ci|fuzz|fixtures|assets)/", files)
  hidden <- grepl("^\\.|/\\.", files)
  other <- grepl("\\.(md|orig|sh|py|html|png|svg|yml|txt|gz|mtx)$", files)
  top | hidden | other | grepl("(^|/)(Cargo\\.lock|Makefile|(rustfmt|clippy|rust-toolchain|bors)\\.toml)$", files)
}

source_lines <- function(crate, file) readLines(file.path(crate, file), warn = FALSE, encoding = "UTF-8")

# The files that the source of another names: include!("x"), include_str!("x"), #[path = "x"].
named_by <- function(crate, file) {
  text <- source_lines(crate, file)
  found <- unlist(regmatches(text, gregexpr("(include(_str|_bytes)?!\\(\\s*|\\[path\\s*=\\s*)\"[^\"]+\"", text, useBytes = TRUE)))
  paths <- file.path(dirname(file), sub(".*?\"([^\"]+)\"", "\\1", found))
  there <- file.exists(file.path(crate, paths))
  root <- paste0(normalizePath(crate), "/")
  sub(root, "", normalizePath(file.path(crate, paths[there])), fixed = TRUE)
}

# The modules that no build has: `#[cfg(feature = "x")]` or `#[cfg(test)]` in the line above `mod name;`, x switched on nowhere. rustc
# doesn't look for the file of such a module. A module that the same file declares twice is kept.
absent_modules <- function(crate, file, features) {
  text <- source_lines(crate, file)
  declared <- grep("^\\s*(pub(\\([a-z]+\\))? )?mod [A-Za-z0-9_]+;", text, useBytes = TRUE)
  declared <- declared[declared > 1]
  if (length(declared) == 0) return(character())
  above <- text[declared - 1]
  feature <- ifelse(grepl("^\\s*#\\[cfg\\(feature = \"[^\"]+\"\\)\\]\\s*$", above), sub(".*\"([^\"]+)\".*", "\\1", above), NA)
  absent <- grepl("^\\s*#\\[cfg\\(test\\)\\]\\s*$", above) | (!is.na(feature) & !feature %in% features)
  module <- sub(".*mod ([A-Za-z0-9_]+);.*", "\\1", text[declared])
  module <- setdiff(module[absent], module[!absent])
  folder <- if (basename(file) %in% c("lib.rs", "mod.rs", "main.rs")) dirname(file) else sub("\\.rs$", "", file)
  if (length(module) > 0) file.path(folder, module) else character()
}

# `features` is NULL for a crate that is in no tree but was followed on its platform: its modules all stay.
prune <- function(crate, features) {
  files <- list.files(crate, recursive = TRUE, all.files = TRUE)
  rust <- function(files) grep("\\.rs$", files, value = TRUE)
  kept <- files[!set_aside(files) | is_licence(files)]
  if (!is.null(features)) {
    absent <- unlist(lapply(rust(kept), absent_modules, crate = crate, features = features))
    kept <- kept[!(sub("\\.rs$", "", kept) %in% absent | Reduce(`|`, lapply(absent, function(m) startsWith(kept, paste0(m, "/"))), FALSE))]
  }
  repeat {
    more <- setdiff(intersect(unlist(lapply(rust(kept), named_by, crate = crate)), files), kept)
    if (length(more) == 0) break
    kept <- c(kept, more)
  }
  unlink(file.path(crate, setdiff(files, kept)))
  manifest <- file.path(crate, "Cargo.toml")
  write_manifest(manifest, sections(manifest), not_built)
}

hollow <- function(crate, package) {
  manifest <- sections(file.path(crate, "Cargo.toml"))
  unlink(crate, recursive = TRUE)
  dir.create(file.path(crate, "src"), recursive = TRUE)
  head <- c(
    "[package]", sprintf("name = \"%s\"", package$name), sprintf("version = \"%s\"", package$version),
    sprintf("edition = \"%s\"", package$edition), "description = \"Left out: no supported platform compiles this crate\"", "",
    if ("proc-macro" %in% unlist(lapply(package$targets, `[[`, "kind"))) c("[lib]", "proc-macro = true", "")
  )
  needed_by_lock <- grepl("^(features|((dev|build)-)?dependencies|target)", names(manifest))
  write_manifest(file.path(crate, "Cargo.toml"), c(package = list(head), manifest[needed_by_lock]), not_built)
  writeLines(
    "compile_error!(\"fastlmer carries the code of this crate for no platform: it is made for Linux, macOS and Windows (gnu)\");",
    file.path(crate, "src/lib.rs")
  )
}

# The published crate's hash, which cargo compares with Cargo.lock's; it would compare those of the files, too, were they listed.
checksum <- function(crate) {
  sub(".*\"package\":\"([0-9a-f]+)\".*", "\\1", paste(readLines(file.path(crate, ".cargo-checksum.json"), warn = FALSE), collapse = ""))
}

write_checksum <- function(crate, hash) {
  writeLines(sprintf("{\"files\":{},\"package\":\"%s\"}", hash), file.path(crate, ".cargo-checksum.json"))
}

# Authors -----------------------------------------------------------------------------------------------------------------

copyright_lines <- function(crate) {
  files <- list.files(crate, recursive = TRUE)
  text <- trimws(unlist(lapply(files[is_licence(files) & !grepl("\\.rs$", files)], source_lines, crate = crate)))
  unique(text[grepl("^copyright .*[0-9]{4}|^copyright \\(c\\) .*[a-z]", text, ignore.case = TRUE)])
}

authors_of <- function(crate, package) {
  who <- c(sub(" *<>$", "", unlist(package$authors)), copyright_lines(crate))
  if (length(who) == 0) who <- "its contributors"
  c(paste0(package$name, " ", package$version, " (", package$license, ")"), paste0("  ", c(who, package$repository)), "")
}

# All together ------------------------------------------------------------------------------------------------------------

packages <- jsonlite::fromJSON(file.path(work, "all.json"), simplifyVector = FALSE)$packages
packages <- Filter(function(p) !is.null(p$source), packages)
setwd(file.path(work, "vendor"))
authors <- lapply(packages, function(package) {
  name <- paste(package$name, package$version)
  crate <- paste0(package$name, "-", package$version)
  hash <- checksum(crate)
  if (name %in% compiled) prune(crate, active[[name]]) else hollow(crate, package)
  write_checksum(crate, hash)
  if (name %in% compiled) authors_of(crate, package)
})
writeLines(enc2utf8(c(
  "The authors of the Rust crates whose sources are in src/rust/vendor.tar.xz, with the licence of each (its text is beside the sources):",
  "", unlist(authors)
)), file.path(work, "AUTHORS"), useBytes = TRUE)
cat(sum(lengths(authors) > 0), "crates, and", sum(lengths(authors) == 0), "that no platform compiles\n")
