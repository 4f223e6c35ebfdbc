# Lays out the crates of src/rust/vendor.tar.xz in src/rust/vendor and has every cargo that is called inside the package use them: all
# builds then share what is compiled. Run by configure, tools/test.sh and tools/document.sh from the root of the package; does nothing
# when the archive is the one that is laid out already. R unpacks it itself, for not every machine has xz.
local({
  archive <- "src/rust/vendor.tar.xz"
  mark <- "src/rust/vendor/.unpacked"
  hash <- unname(tools::md5sum(archive))
  if (!file.exists(mark) || !identical(readLines(mark), hash)) {
    unlink("src/rust/vendor", recursive = TRUE)
    untar(archive, exdir = "src/rust", tar = "internal")
    writeLines(hash, mark)
  }
  dir.create(".cargo", showWarnings = FALSE)
  config <- c("[source.crates-io]", "replace-with = \"vendored\"", "", "[source.vendored]", "directory = \"src/rust/vendor\"")
  file <- ".cargo/config.toml"
  if (!file.exists(file) || !identical(readLines(file), config)) writeLines(config, file)
})
