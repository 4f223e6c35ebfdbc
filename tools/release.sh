#!/bin/sh
# Builds the release tarball: the package with its crates inside, so that it installs with no network. Usage: sh tools/release.sh [folder]
set -eu
out=$(mkdir -p "${1:-.}" && cd "${1:-.}" && pwd)
cd "$(dirname "$0")/.."
[ -z "$(git status --porcelain)" ] || echo "note: there are changes that are not committed; the tarball has the last commit" >&2

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir "$work/fastlmer"
git archive HEAD | tar -x -C "$work/fastlmer"

# Whose code is inside, and under which terms.
mkdir -p "$work/fastlmer/inst"
{
  echo "src/rust/vendor.tar.xz holds the sources of these Rust crates, each with its authors and the text of its licence:"
  echo
  cargo tree --manifest-path "$work/fastlmer/src/rust/Cargo.toml" --locked --workspace --target all \
    --edges normal,build,dev --prefix none --format '{p} ({l}) {r}' |
    grep -v "$work" | sed 's/ (proc-macro)//; s/ (\*)$//; /^$/d' | sort -u
} > "$work/fastlmer/inst/COPYRIGHTS"

# Sorted names and a fixed time: the same crates give the same archive.
rust="$work/fastlmer/src/rust"
(cd "$rust" && cargo vendor --quiet --locked vendor)
tar -C "$rust" --sort=name --mtime='2000-01-01 00:00Z' --owner=0 --group=0 --numeric-owner --format=ustar -cJf "$rust/vendor.tar.xz" vendor
rm -rf "$rust/vendor"

cd "$out"
R CMD build "$work/fastlmer"
