# Sourced by tools/test.sh, tools/check.sh and tools/demo.sh, from the root of the repository: finds what is missing and installs it by apt;
# where there is no apt it says what to install and stops. Call `setup <R packages>`.
# It may set CARGO and RUSTC, where a distribution's new enough cargo goes by a name of its own.

stop() {
  printf 'fastlmer: %s\n' "$*" >&2
  exit 1
}

have() { command -v "$1" > /dev/null 2>&1; }

description() { # the packages in a field of DESCRIPTION, without versions and without R and its own packages
  awk -v field="$1" '
    /^[A-Za-z@\/]+:/ { inside = index($0, field ":") == 1; sub(/^[^:]*:/, "") }
    inside { gsub(/\([^)]*\)/, ""); gsub(/,/, " "); print }' DESCRIPTION |
    tr -s ' ' '\n' | grep -v -x -E 'R|graphics|grDevices|methods|parallel|stats|tools|utils|'
}

# Rust ------------------------------------------------------------------------------------------------------------------

rust_needed=$(sed -n 's/.*rustc (>= \([0-9.]*\)).*/\1/p' DESCRIPTION)

new_enough() { # new_enough <cargo or rustc>: it runs, and its version is the one needed or a newer one
  found=$("$1" --version 2> /dev/null | awk 'NR == 1 { print $2 }')
  [ -n "$found" ] && printf '%s\n%s\n' "$rust_needed" "$found" | sort -V -C
}

have_rust() { new_enough "${CARGO:-cargo}" && new_enough "${RUSTC:-rustc}"; }

candidate() { # the version apt would install, or nothing
  LC_ALL=C apt-cache policy "$1" 2> /dev/null | awk '$1 == "Candidate:" && $2 != "(none)" { print $2 }'
}

rust_packages() { # the first pair of packages that is new enough: plain, Debian's -web, or Ubuntu's with a version in its name
  versioned=$(apt-cache --names-only search '^cargo-1\.[0-9]+$' | awk '{ sub(/^cargo/, "", $1); print $1 }' | sort -V)
  for suffix in '' -web $versioned; do
    version=$(candidate "cargo$suffix")
    [ -n "$version" ] && dpkg --compare-versions "$version" ge "$rust_needed" || continue
    printf 'cargo%s rustc%s\n' "$suffix" "$suffix"
    return
  done
  return 1
}

# What R CMD INSTALL has set where it calls cargo: with other values the same crates would be compiled again, and again there.
export_r_paths() {
  R_HOME=${R_HOME:-$(R RHOME)}
  R_INCLUDE_DIR=${R_INCLUDE_DIR:-$(R CMD printenv R_INCLUDE_DIR)}
  export R_HOME R_INCLUDE_DIR
}

# apt -------------------------------------------------------------------------------------------------------------------

as_root() {
  if [ "$(id -u)" = 0 ]; then "$@"
  elif have sudo; then sudo "$@"
  else stop "root is needed to run: $*"
  fi
}

# Another apt may be at work, the daily one of a machine that has just started for instance: ten minutes for it to end.
apt_get() { as_root env LC_ALL=C DEBIAN_FRONTEND=noninteractive apt-get -q -o DPkg::Lock::Timeout=600 "$@"; }

apt_update() {
  [ -z "${apt_is_updated:-}" ] || return 0
  tries=120
  until said=$(apt_get update 2>&1); do # that option is for dpkg's lock only, not for the one of apt's lists
    case "$tries $said" in
      '0 '*) break ;;
      *'Could not get lock'*) tries=$((tries - 1)) && sleep 5 ;;
      *) break ;;
    esac
  done
  printf '%s\n' "$said"
  apt_is_updated=yes
}

apt_install() {
  [ $# -gt 0 ] || return 0
  printf 'fastlmer: installing by apt: %s\n' "$*"
  for package in "$@"; do
    [ -n "$(candidate "$package")" ] || { apt_update; break; }
  done
  apt_get -y --no-install-recommends install "$@" || {
    apt_update # the lists may name files that are gone
    apt_get -y --no-install-recommends install "$@"
  }
}

# All together ----------------------------------------------------------------------------------------------------------

missing_r_packages() { # of those given, the ones that R doesn't find; all of them where there is no R
  if have Rscript; then
    Rscript --vanilla -e 'for (p in commandArgs(TRUE)) if (!nzchar(system.file(package = p))) cat(p, "\n")' "$@"
  else
    printf '%s\n' "$@"
  fi
}

setup() {
  case ":$PATH:" in *":$HOME/.cargo/bin:"*) ;; *) PATH="$HOME/.cargo/bin:$PATH" ;; esac
  r_packages=$(missing_r_packages $(description Depends) $(description Imports) "$@")
  tools=
  have R && have Rscript || tools="$tools r-base-core"
  have cc && have make || tools="$tools gcc make libc6-dev"
  if have apt-get; then
    for package in $r_packages; do
      tools="$tools r-cran-$(printf '%s' "$package" | tr '[:upper:]' '[:lower:]')"
    done
    case " $* " in *" rmarkdown "*) have pandoc || tools="$tools pandoc" ;; esac
    if ! have_rust; then
      rust=$(rust_packages) || { apt_update; rust=$(rust_packages) || rust=; }
      tools="$tools $rust"
    fi
    apt_install $tools
    case "${rust:-}" in
      cargo-1.*)
        CARGO=${rust%% *} RUSTC=${rust##* }
        export CARGO RUSTC
        ;;
    esac
  else
    [ -z "$tools" ] || stop "install these first, there is no apt here to do it: R (with Rscript), a C compiler, make"
    [ -z "$r_packages" ] || stop "install these R packages first:" $r_packages
  fi
  have_rust || stop "cargo and rustc $rust_needed or newer are needed; install them with rustup (https://www.rust-lang.org/tools/install)"
  Rscript --vanilla -e 'if (getRversion() < "4.2") quit(status = 1)' || stop "R 4.2 or newer is needed"
  missing=$(missing_r_packages $(description Depends) $(description Imports) "$@")
  [ -z "$missing" ] || stop "these R packages are still missing:" $missing
}

# What tools/check.sh is the better for: lintr, and the rustfmt and clippy that belong to apt's cargo. Nobody needs them, so that one which
# apt doesn't have is no error.
setup_lints() {
  have apt-get || return 0
  lints=
  [ -z "$(missing_r_packages lintr)" ] || lints=r-cran-lintr
  cargo=$(dpkg-query -S "$(command -v "${CARGO:-cargo}")" 2> /dev/null) && cargo=${cargo%%:*} || cargo=
  case "$cargo" in
    cargo*)
      have_cargo fmt || lints="$lints rustfmt${cargo#cargo}"
      have_cargo clippy || lints="$lints rust${cargo#cargo}-clippy"
      ;;
  esac
  for package in $lints; do
    [ -n "$(candidate "$package")" ] || apt_update
    [ -z "$(candidate "$package")" ] || (apt_install "$package") || :
  done
}

have_cargo() { "${CARGO:-cargo}" "$1" --version > /dev/null 2>&1; } # have_cargo <one of cargo's commands>
