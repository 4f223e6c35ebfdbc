#!/bin/sh
# Everything about the peers in one command: sh bench/peers/run.sh [large] [output folder]
#
# Needs R with fastlmer installed, cargo, and Python with its venv module. Data and the virtual environment go to a temporary folder that is
# removed at the end; the tables go to the output folder (the current one unless named). `large` adds 10,000,000 rows in 1,000,000
# groups, for which 16 GB of memory should be free.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
large=
if [ "${1:-}" = large ]; then large=large; shift; fi
output=${1:-.}
mkdir -p "$output"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

Rscript -e 'if (!requireNamespace("fastlmer", quietly = TRUE)) stop("install fastlmer first: R CMD INSTALL .")'
if ! python3 -m venv "$work/venv"; then
  echo "Python's venv module is missing. On Debian and Ubuntu: apt-get install python3-venv" >&2
  exit 1
fi
"$work/venv/bin/pip" install --quiet mixedlm==1.3.0

# shellcheck disable=SC2086 # no argument where it is empty
Rscript "$here/data.R" "$work/data" $large
# Called outside the clone, whose .cargo/config.toml has the package's own crates and no others.
(cd / && cargo build --release --quiet --locked --manifest-path "$here/Cargo.toml")

for set in psychology reference; do
  memory=$(test $set = reference && echo memory || true)
  # shellcheck disable=SC2086
  "$here/target/release/peers" "$work/data/$set" $memory > "$output/engines-$set.md"
  Rscript "$here/calls.R" "$work/data/$set" "$work/venv/bin/python" > "$output/calls-$set.md"
done

for table in engines-psychology engines-reference calls-psychology calls-reference; do
  printf '\n## %s\n\n' $table
  cat "$output/$table.md"
done
