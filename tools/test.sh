#!/bin/sh
# Installs what the tests need, then checks the code and runs all of them: cargo's for the engine, testthat's against the installed package.
set -u
cd "$(dirname "$0")/.." || exit 1
. tools/setup.sh
setup $(description Config/Needs/website) $(description Suggests)

# The lecture's data frames lie beside the clone, or they don't: then the tests that compare with them are skipped.
if [ -z "${FASTLMER_SHARED:-}" ] && [ -d ../shared ]; then
  FASTLMER_SHARED=$(cd ../shared && pwd)
  export FASTLMER_SHARED
fi

library=$(mktemp -d) || exit 1
trap 'rm -rf "$library"' EXIT
status=0

Rscript --vanilla tools/unpack.R || exit 1
sh tools/vendor-check.sh || status=1

sh tools/check.sh lint || status=1

# The same crates, profile and target folder as R CMD INSTALL has, so that they are compiled once.
export_r_paths
"${CARGO:-cargo}" test --release --locked --offline --workspace --manifest-path src/rust/Cargo.toml --target-dir src/rust/target || {
  echo "fastlmer: cargo test failed, see above" >&2
  status=1
}

R CMD INSTALL --library="$library" . || exit 1
NOT_CRAN=true R_LIBS="$library${R_LIBS:+:$R_LIBS}" Rscript --vanilla tools/test.R || status=1
sh tools/site.sh check "$library" || status=1
exit $status
