#!/bin/sh
# What a machine can say of the code in less than a minute, once everything is compiled: formatting, lints, documentation, the layer
# test and the fast tests. `sh tools/check.sh lint` leaves the tests out; tools/test.sh calls it so before it runs all of them.
# A tool that isn't there and that apt doesn't have is skipped, and named.
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
R_HOME=${R_HOME:-$(R RHOME)}
export R_HOME
# The same crates, profile and target folder as R CMD INSTALL and the tests have. $1 is cargo's command, the rest its own arguments.
rust() {
  command=$1
  shift
  "${CARGO:-cargo}" "$command" --quiet --release --locked --offline --manifest-path src/rust/Cargo.toml --target-dir src/rust/target "$@"
}

# R's lints take one core for as long as Rust's take another.
if [ -z "$(missing_r_packages lintr)" ]; then
  Rscript --vanilla tools/lint.R > "$work/lintr" 2>&1 &
  lintr=$!
else
  echo "skipped: no lintr"
  lintr=
fi

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
  rust test --workspace --lib --test layers || failed "cargo test failed"
  R CMD INSTALL --no-docs --no-test-load --library="$work" . > "$work/install" 2>&1 || { cat "$work/install"; exit 1; }
  NOT_CRAN=true R_LIBS="$work${R_LIBS:+:$R_LIBS}" Rscript --vanilla tools/test.R fast || failed "a test failed"
fi

if [ -n "$lintr" ]; then
  wait "$lintr" || { cat "$work/lintr"; failed "lintr has something to say"; }
fi
[ $status != 0 ] || echo "checked: nothing to complain of"
exit $status
