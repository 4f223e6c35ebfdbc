#!/bin/sh
# Writes src/rust/vendor.tar.xz, the crates that the package is compiled from, with inst/AUTHORS and the hashes in src/rust/vendor.md5.
# Run it after a change of dependencies in a Cargo.toml; all that it writes is committed. It needs the crate registry, GNU tar, xz and
# R with jsonlite.
set -eu
cd "$(dirname "$0")/.."
case ":$PATH:" in *":$HOME/.cargo/bin:"*) ;; *) PATH="$HOME/.cargo/bin:$PATH" ;; esac

# Outside the clone, where nothing tells cargo to use the crates that are vendored already.
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
(cd src/rust && tar -c --exclude=./target --exclude=./vendor --exclude='./vendor.*' --exclude=./cargo-home .) | tar -x -C "$work"

(cd "$work" && "${CARGO:-cargo}" metadata --format-version 1 > all.json) # puts into Cargo.lock what a Cargo.toml newly asks for
(cd "$work" && "${CARGO:-cargo}" vendor --quiet --locked --versioned-dirs vendor > /dev/null)
Rscript --vanilla tools/vendor.R "$work"
find "$work/vendor" -type d -empty -delete

# Sorted names, a fixed time and one thread: the same crates give the same archive.
tar -C "$work" --sort=name --mtime='2000-01-01 00:00Z' --owner=0 --group=0 --numeric-owner --mode=u=rwX,go=rX --format=ustar -c vendor |
  xz --compress -9 --extreme --threads=1 > src/rust/vendor.tar.xz
cp "$work/Cargo.lock" src/rust/Cargo.lock
mkdir -p inst
cp "$work/AUTHORS" inst/AUTHORS
md5sum src/rust/vendor.tar.xz inst/AUTHORS tools/vendor.sh tools/vendor.R > src/rust/vendor.md5

Rscript --vanilla tools/unpack.R
sh tools/vendor-check.sh
ls -l src/rust/vendor.tar.xz
