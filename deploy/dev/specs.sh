#!/usr/bin/env bash
# Checks what is published for others to read by the programs that they read it with: OpenAPI by Redocly's linter and spectral, AsyncAPI by its
# parser, the JSON Schemas and golden messages by ajv (strict) and Python's jsonschema. The programs are installed into .dev/specs, from lock
# files, when those have changed.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$(cd "$here/../.." && pwd)
home=$root/.dev/specs

say() { printf 'specs: %s\n' "$*" >&2; }
die() { say "$@"; exit 1; }

# shellcheck source=node.sh
. "$here/node.sh"

# Another Python needs other wheels.
install_python() {
  local stamp=$home/python/.hookline-lock want
  want=$(python3 --version && cat "$here/specs/requirements.txt")
  if [ -f "$stamp" ] && [ "$(cat "$stamp")" = "$want" ]; then return; fi
  say "installing jsonschema"
  rm -rf "$home/python"
  python3 -m pip --disable-pip-version-check install --quiet --no-deps --only-binary=:all: --require-hashes --target "$home/python" \
    -r "$here/specs/requirements.txt" >&2 || die "pip could not install deploy/dev/specs/requirements.txt (its words are above)"
  printf '%s\n' "$want" >"$stamp"
}

need_node
mkdir -p "$home"
cp "$here/specs/package.json" "$here/specs/package-lock.json" "$home/"
cd "$home"
install_packages deploy/dev/specs
python3 -m pip --version >/dev/null 2>&1 || die "install Python 3 with pip: the schemas are checked by its jsonschema, too"
install_python
node "$here/specs/check.mjs" "$root"
PYTHONPATH=$home/python python3 -W error "$here/specs/check.py" "$root/schemas"
