#!/bin/sh
# Is src/rust/vendor.tar.xz what tools/vendor.sh makes of Cargo.lock? Needs no network; the archive is unpacked first (tools/unpack.R).
set -u
cd "$(dirname "$0")/.." || exit 1
stop() {
  printf 'fastlmer: %s: run tools/vendor.sh and commit what it writes\n' "$*" >&2
  exit 1
}
work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT

Rscript --vanilla -e 'x <- read.table("src/rust/vendor.md5"); quit(status = !identical(unname(tools::md5sum(x[[2]])), x[[1]]))' ||
  stop "one of the files in src/rust/vendor.md5 has another hash"

# Name, version and checksum of each crate, here and there.
awk -F '"' '/^name/ { name = $2 } /^version/ { version = $2 } /^checksum/ { print name "-" version, $2 }' src/rust/Cargo.lock |
  sort > "$work/lock"
for crate in src/rust/vendor/*/; do
  crate=${crate%/}
  printf '%s %s\n' "${crate##*/}" "$(sed 's/.*"package":"\([0-9a-f]*\)".*/\1/' "$crate/.cargo-checksum.json")"
done | sort > "$work/vendored"
diff "$work/lock" "$work/vendored" || stop "Cargo.lock (<) and the crates in src/rust/vendor.tar.xz (>) differ"

# No crate that a platform compiles is an empty one.
grep -l '^description = "Left out: ' src/rust/vendor/*/Cargo.toml | sed 's|.*/vendor/||; s|/Cargo.toml||' | sort > "$work/empty"
for platform in $(sed -n '/^platforms <-/,/^)/s/"\([a-z0-9_-]*\)",\{0,1\}/\1/gp' tools/vendor.R); do
  "${CARGO:-cargo}" tree --manifest-path src/rust/Cargo.toml --offline --locked --workspace --target "$platform" \
    --edges normal,build,dev --prefix none --format '{p}' |
    sed -n 's/^\([^ ]*\) v\([^ ]*\).*/\1-\2/p' | sort -u > "$work/tree"
  [ -s "$work/tree" ] || stop "cargo can't resolve the crates for $platform"
  found=$(comm -12 "$work/tree" "$work/empty")
  [ -z "$found" ] || stop "left out of the archive, but $platform compiles it:" $found
done
echo "The vendored crates match Cargo.lock"
