#!/usr/bin/env bash
# Builds, checks and tests the console: `console.sh build|lint|test|types`. Finds Node >= 20.19 with npm, or fetches it into .dev/node as
# nats-server is fetched. Does nothing that is done: packages are installed when package-lock.json has changed, the console is built when a
# source has.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$(cd "$here/../.." && pwd)
say() { printf 'console: %s\n' "$*" >&2; }
die() { say "$@"; exit 1; }

# shellcheck source=deploy/dev/node.sh
. "$here/node.sh"

build() {
  if [ -f dist/index.html ] && [ -z "$(find src index.html vite.config.ts svelte.config.js package-lock.json -newer dist/index.html -print -quit)" ]; then
    return
  fi
  say "building"
  node_modules/.bin/vite build --logLevel warn >&2
}

need_node
cd "$root/console"
install_packages console
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
