#!/usr/bin/env bash
# Makes the secrets of compose.yaml in deploy/compose/secrets, once: what is there stays.
# Give the app's secret and name: META_APP_SECRETS='main=…' deploy/compose/secrets.sh
# Other servers than those of compose: NATS_AT=host:port POSTGRES_AT=host:port/database.
set -euo pipefail
folder=${SECRETS:-$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)/secrets}
nats=${NATS_AT:-nats:4222}
postgres=${POSTGRES_AT:-postgres:5432/hookline}
mkdir -p "$folder"
chmod 700 "$folder"

# Letters first: a password of digits only would be a number for nats-server.
random() { printf 'h%s' "$(openssl rand -hex 20)"; }
# Containers run as another user, and the folder is closed.
keep() { [ -s "$folder/$1" ] || { printf '%s\n' "$2" >"$folder/$1"; chmod 644 "$folder/$1"; }; }

for role in worker projector api operator; do
  keep "postgres_$role" "$(random)"
  keep "database_url_$role" "postgres://hookline_$role:$(cat "$folder/postgres_$role")@$postgres"
done
keep postgres_admin "$(random)"
keep database_url_admin "postgres://postgres:$(cat "$folder/postgres_admin")@$postgres"

for role in ingest worker projector api ops replay operator subscriber; do
  keep "nats_$role" "$(random)"
  keep "nats_url_$role" "nats://$role:$(cat "$folder/nats_$role")@$nats"
done
# nats-server reads its passwords from the environment.
keep nats.env "$(for role in ingest worker projector api ops replay operator subscriber; do
  printf '%s_PASSWORD=%s\n' "${role^^}" "$(cat "$folder/nats_$role")"
done)"

keep encryption_key "$(openssl rand -hex 32)"
keep api_tokens "admin=$(random):admin"
keep meta_verify_tokens "$(random)"
if [ -n "${META_APP_SECRETS:-}" ]; then
  keep meta_app_secrets "$META_APP_SECRETS"
elif [ ! -s "$folder/meta_app_secrets" ]; then
  keep meta_app_secrets "main=$(random)"
  echo "secrets: no META_APP_SECRETS given, so $folder/meta_app_secrets is random: write name=secret of your app into it" >&2
fi
keep grafana_admin "$(random)"
echo "secrets: ready in $folder" >&2
