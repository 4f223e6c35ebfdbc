#!/bin/sh
# Builds the release tarball from the last commit; it carries its crates and installs with no network. Usage: sh tools/release.sh [folder]
set -eu
out=$(mkdir -p "${1:-.}" && cd "${1:-.}" && pwd)
cd "$(dirname "$0")/.."
[ -z "$(git status --porcelain)" ] || echo "note: there are changes that are not committed; the tarball has the last commit" >&2

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir "$work/fastlmer"
git archive HEAD | tar -x -C "$work/fastlmer"
(cd "$work/fastlmer" && Rscript --vanilla tools/unpack.R && sh tools/vendor-check.sh && ./cleanup)

cd "$out"
R CMD build "$work/fastlmer"
