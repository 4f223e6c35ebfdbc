#!/bin/sh
# Installs what is missing, then fastlmer itself, and runs the worked example in tools/demo.R.
set -eu
cd "$(dirname "$0")/.."
. tools/setup.sh
setup boot ggeffects ggplot2

# Into R's first library where one may write there, otherwise into the user's own, which R finds by itself from then on.
library=$(Rscript --vanilla -e '
  library <- .libPaths()[1]
  if (file.access(library, 2) != 0) {
    library <- strsplit(Sys.getenv("R_LIBS_USER"), .Platform$path.sep)[[1]][1]
    dir.create(library, recursive = TRUE, showWarnings = FALSE)
  }
  cat(library)')
R CMD INSTALL --library="$library" .

mkdir -p demo-output
Rscript --vanilla tools/demo.R demo-output
