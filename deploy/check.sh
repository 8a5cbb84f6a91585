#!/usr/bin/env bash
# Checks what is installed from this folder, without a cluster, a container engine or a network. A check whose tool is missing is left out with a
# notice; `deploy/dev/setup.sh --deploy` fetches the tools. `make lint` calls this.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
tools=$here/../.dev/deploy
PATH=$tools/bin:$PATH
export PYTHONPATH=$tools/python PYTHONDONTWRITEBYTECODE=1
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$here"
failed=0

fail() { printf 'deploy: %s\n' "$*" >&2; failed=1; }
notice() { printf 'notice: %s is not here; %s\n' "$1" "$2"; }
have() { command -v "$1" >/dev/null 2>&1; }
module() { python3 -c "import $1" >/dev/null 2>&1; }
# A page of output only where something is wrong.
quietly() { "$@" >"$work/out" 2>&1 || { cat "$work/out" >&2; return 1; }; }

alerts() {
  cmp -s prometheus/alerts.yml helm/hookline/files/alerts.yml || fail "helm/hookline/files/alerts.yml is not prometheus/alerts.yml: copy it"
  local name page
  while read -r name; do
    for how in fires 'stays quiet'; do
      grep -q "name: $name $how" prometheus/alerts_test.yml || fail "prometheus/alerts_test.yml: no test that $name $how"
    done
  done < <(sed -n 's/.*- alert: //p' prometheus/alerts.yml)
  [ "$(grep -c 'alert: ' prometheus/alerts.yml)" = "$(grep -c 'runbook_url: ' prometheus/alerts.yml)" ] || fail "an alert has no runbook_url"
  while read -r page; do
    [ -f "../$page" ] || fail "prometheus/alerts.yml: $page is missing"
  done < <(sed -n 's/.*runbook_url: //p' prometheus/alerts.yml)
  if have promtool; then
    quietly promtool check rules prometheus/alerts.yml || fail "prometheus/alerts.yml"
    quietly promtool check config --syntax-only compose/prometheus.yml || fail "compose/prometheus.yml"
    (cd prometheus && quietly promtool test rules alerts_test.yml) || fail "prometheus/alerts_test.yml"
  else
    notice promtool "alerts are not tested"
  fi
}

dashboards() {
  grafana/make.py --check || failed=1
}

# Resources of Kubernetes itself on standard output; those of operators are left out, as their schemas are not here.
own_kinds() {
  python3 - "$1" <<'PYTHON'
import sys, yaml
for document in yaml.safe_load_all(open(sys.argv[1])):
    if document and document["apiVersion"].split("/")[0] not in ("keda.sh", "monitoring.coreos.com"):
        print("---\n" + yaml.safe_dump(document))
PYTHON
}

# The groups of the rendered PrometheusRule are rules as promtool reads them.
rules_of() {
  python3 - "$1" <<'PYTHON'
import sys, yaml
for document in yaml.safe_load_all(open(sys.argv[1])):
    if document and document["kind"] == "PrometheusRule":
        print(yaml.safe_dump(document["spec"]))
PYTHON
}

chart() {
  have helm || { notice helm "the chart is not checked"; return; }
  local values name wrong
  for values in helm/hookline/ci/*.yaml; do
    name=$work/$(basename "$values")
    quietly helm lint --strict --quiet helm/hookline -f "$values" || fail "helm lint with $values"
    helm template release helm/hookline -f "$values" >"$name" || { fail "helm template with $values"; continue; }
    module kubernetes_validate && module yaml || continue
    own_kinds "$name" >"$name.own.yaml"
    quietly python3 -m kubernetes_validate --strict --quiet "$name.own.yaml" || fail "$values makes what Kubernetes refuses"
    rules_of "$name" >"$name.rules.yaml"
    if have promtool && [ -s "$name.rules.yaml" ]; then
      quietly promtool check rules "$name.rules.yaml" || fail "$values makes rules that Prometheus refuses"
    fi
  done
  module kubernetes_validate || notice kubernetes-validate "what the chart makes is not checked"
  for wrong in roles.worker.replicas=9 config.NATS_URL=x scaling.enabled=true ingress.enabled=true preStopSeconds=0 nonsense=1; do
    ! helm template release helm/hookline --set "$wrong" >/dev/null 2>&1 || fail "the chart takes $wrong, which its schema should refuse"
  done
}

image() {
  local hadolint=$tools/python/bin/hadolint
  [ -x "$hadolint" ] || hadolint=$(command -v hadolint) || { notice hadolint "the Dockerfile is not checked"; return; }
  quietly "$hadolint" Dockerfile || fail "Dockerfile"
}

scripts() {
  local script
  for script in check.sh compose/*.sh dev/*.sh debian/*; do
    bash -n "$script" || fail "$script"
  done
}

compose() {
  module check_jsonschema || { notice check-jsonschema "compose.yaml is not checked"; return; }
  quietly python3 -m check_jsonschema --builtin-schema vendor.compose-spec compose.yaml || fail "compose.yaml"
  # Every secret that a service names is made by the script.
  have openssl || { notice openssl "compose/secrets.sh is not tried"; return; }
  local secret
  SECRETS=$work/secrets META_APP_SECRETS=main=x quietly compose/secrets.sh || fail "compose/secrets.sh"
  while read -r secret; do
    [ -s "$work/secrets/$secret" ] || fail "compose/secrets.sh does not make $secret"
  done < <(sed -n 's|.*{ file: compose/secrets/\(.*\) }|\1|p' compose.yaml)
}

units() {
  have systemd-analyze || { notice systemd-analyze "the units are not checked"; return; }
  local unit
  for unit in systemd/*.service; do
    # The program need not be installed here.
    sed 's|^ExecStart=/usr/bin/hookline.*|ExecStart=/bin/true|' "$unit" >"$work/$(basename "$unit")"
  done
  # Other units of this machine may have faults of their own. A line that is not understood is a remark, and no exit code.
  systemd-analyze verify --man=no "$work"/*.service >"$work/out" 2>&1 || true
  ! grep hookline- "$work/out" >&2 || fail "systemd units"
}

scripts
if have python3; then
  alerts; dashboards; chart; image; compose
else
  notice python3 "only scripts and units are checked"
fi
units
[ "$failed" = 0 ] && echo "deploy: all checks that could be made passed (deploy/dev/setup.sh --deploy fetches tools)"
exit "$failed"
