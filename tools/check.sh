#!/bin/sh
# What a machine can say of the code in less than a minute, once everything is compiled: formatting, lints, documentation, the layer
# test and the fast tests. `sh tools/check.sh lint` leaves the tests out; tools/test.sh calls it so before it runs all of them.
# A tool that isn't there and that apt doesn't have is skipped, and named. Two cores are enough: R's work and Rust's go side by side, and
# tools/test.R runs two halves of the fast tests at once.
set -u
cd "$(dirname "$0")/.." || exit 1
. tools/setup.sh
setup testthat
setup_lints

work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT
status=0
failed() {
  echo "fastlmer: $1, see above" >&2
  status=1
}

Rscript --vanilla tools/unpack.R || exit 1
export_r_paths
# The same crates, profile and target folder as R CMD INSTALL and the tests have. $1 is cargo's command, the rest its own arguments.
rust() {
  command=$1
  shift
  "${CARGO:-cargo}" "$command" --quiet --release --locked --offline --manifest-path src/rust/Cargo.toml --target-dir src/rust/target "$@"
}

# R's lints, and where there are tests to run the package, take one core for as long as Rust's take another.
if [ -z "$(missing_r_packages lintr)" ]; then
  lint() { Rscript --vanilla tools/lint.R; }
else
  lint() { echo "skipped: no lintr"; }
fi
lint > "$work/lintr" 2>&1 &
lintr=$!

if have_cargo fmt; then
  "${CARGO:-cargo}" fmt --all --check --manifest-path src/rust/Cargo.toml || failed "cargo fmt would change the code"
else
  echo "skipped: no rustfmt"
fi
if have_cargo clippy; then
  rust clippy --workspace --all-targets -- -D warnings || failed "clippy has something to say"
else
  echo "skipped: no clippy"
fi
RUSTDOCFLAGS="-D warnings" rust doc --workspace --no-deps --document-private-items || failed "cargo doc has something to say"

if [ "${1:-}" != lint ]; then
  rust test --workspace --lib --test layers > "$work/cargo" 2>&1 &
  cargo=$!
  # Compiled to bytecode ahead of its use the package takes four times as long to install, and the tests as long as without.
  R CMD INSTALL --no-docs --no-test-load --no-byte-compile --library="$work" . > "$work/install" 2>&1 || { cat "$work/install"; exit 1; }
  wait "$cargo" || { cat "$work/cargo"; failed "cargo test failed"; }
  NOT_CRAN=true R_LIBS="$work${R_LIBS:+:$R_LIBS}" Rscript --vanilla tools/test.R fast > "$work/tests" 2>&1 || failed "a test failed"
  [ $status = 0 ] && tail -n 1 "$work/tests" || cat "$work/tests"
fi

wait "$lintr" || failed "lintr has something to say"
cat "$work/lintr"
[ $status != 0 ] || echo "checked: nothing to complain of"
exit $status
