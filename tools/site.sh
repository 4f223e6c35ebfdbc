#!/bin/sh
# Builds the documentation's site to site/: reference with its examples run, articles, and the pages for contributors; then checks every
# link inside of it. Needs no network once its packages are installed.
# `sh tools/site.sh check [library]`, which tools/test.sh calls, builds it to a temporary folder and leaves the articles' code as text, for
# the tests knit the vignettes; `library` is one that has this package.
set -eu
cd "$(dirname "$0")/.."
. tools/setup.sh
setup $(description Config/Needs/website) $(description Suggests)

work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT
mkdir "$work/library" "$work/fastlmer"
if [ -n "${2:-}" ]; then
  library=$2
else
  library=$work/library
  R CMD INSTALL --library="$library" . > "$work/install.log" 2>&1 || { cat "$work/install.log"; exit 1; }
fi
if [ "${1:-}" = check ]; then
  site=$work/site
else
  site=$PWD/site
fi
rm -rf "$site"
mkdir "$site"

# A copy without what is compiled: pkgdown writes beside what it reads, and gets pages from files that lie elsewhere in the sources.
git ls-files -z -c -o --exclude-standard | xargs -0 tar -c | tar -x -C "$work/fastlmer"
cd "$work/fastlmer"
R_LIBS="$library${R_LIBS:+:$R_LIBS}" Rscript --vanilla tools/site.R "$site" "${1:-}" > "$work/log" 2>&1 || { cat "$work/log"; exit 1; }
tail -n 1 "$work/log"
