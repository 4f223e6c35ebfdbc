#!/bin/sh
# Writes COVERAGE.md: the share of the lines that the tests run, file by file, of the R code, the glue and the engine. Takes a quarter of
# an hour or more. Needs covr, and llvm's tools of the version that rustc has.
set -eu
cd "$(dirname "$0")/.."
. tools/setup.sh
setup $(description Suggests) covr jsonlite

llvm=$("${RUSTC:-rustc}" --version --verbose | sed -n 's/^LLVM version: \([0-9]*\).*/\1/p')
tool() { # one of llvm's, from rustup's component llvm-tools or from Debian's package
  for found in "$("${RUSTC:-rustc}" --print target-libdir)/../bin/$1" "$1-$llvm"; do
    have "$found" && printf '%s\n' "$found" && return
  done
  return 1
}
tool llvm-cov > /dev/null || { have apt-get && apt_install "llvm-$llvm"; } || true
cov=$(tool llvm-cov) && profdata=$(tool llvm-profdata) ||
  stop "llvm-cov and llvm-profdata of version $llvm are needed: rustup component add llvm-tools"

if [ -z "${FASTLMER_SHARED:-}" ] && [ -d ../shared ]; then
  FASTLMER_SHARED=$(cd ../shared && pwd)
  export FASTLMER_SHARED
fi
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
Rscript --vanilla tools/unpack.R
export_r_paths

# Our own crates only are measured; the others stay as they were compiled.
printf '#!/bin/sh\nexec "$@" -C instrument-coverage\n' > "$work/rustc"
chmod +x "$work/rustc"
RUSTC_WORKSPACE_WRAPPER="$work/rustc"
LLVM_PROFILE_FILE="$work/%p-%m.profraw"
export RUSTC_WORKSPACE_WRAPPER LLVM_PROFILE_FILE

# cargo says in JSON where the tests' programs are.
"${CARGO:-cargo}" test --release --locked --offline --workspace --manifest-path src/rust/Cargo.toml --target-dir src/rust/target \
  --message-format json > "$work/tests.json"
# The linker takes the part of the library that writes the profile only if it is asked for.
Rscript --vanilla -e 'args <- commandArgs(TRUE)
  options(covr.flags = c(LDFLAGS = "-Wl,-u,__llvm_profile_runtime"))
  covered <- covr::package_coverage(type = "tests", quiet = FALSE, clean = FALSE, install_path = args[1L])
  saveRDS(covr::tally_coverage(covered), args[2L])' "$work/library" "$work/r.rds"

"$profdata" merge -sparse "$work"/*.profraw -o "$work/profile"
"$cov" export -summary-only -instr-profile "$work/profile" --ignore-filename-regex '/(vendor|tests|rustc|library)/' \
  "$work/library/fastlmer/libs/fastlmer.so" \
  $(sed -n 's/.*"executable":"\([^"]*\)".*/-object \1/p' "$work/tests.json" | sort -u) > "$work/rust.json"
Rscript --vanilla tools/coverage.R "$work/r.rds" "$work/rust.json" > COVERAGE.md
