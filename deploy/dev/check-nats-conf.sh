#!/usr/bin/env bash
# Asks nats-server itself whether deploy/nats.conf is well-formed. What the users may do is tested in servers.
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
server=${HOOKLINE_NATS_SERVER:-}
[ -n "$server" ] || server=$root/.dev/bin/nats-server
[ -x "$server" ] || server=$(command -v nats-server)
for role in INGEST WORKER PROJECTOR API OPS REPLAY OPERATOR SUBSCRIBER; do
  export "${role}_PASSWORD=for-the-check"
done
"$server" -t -c "$root/deploy/nats.conf"
