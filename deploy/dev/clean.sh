#!/usr/bin/env bash
# Removes what `make setup` and `make run` left: .dev and .hookline, with Postgres data that had to live elsewhere.
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)

if [ -d "$root/.hookline" ]; then
  # A running `up` holds these locks; its data is not ours to take away.
  notes=$(find "$root/.hookline" -maxdepth 2 -name data-is-in)
  for folder in "$root"/.hookline/* $([ -z "$notes" ] || cat $notes); do
    lock=$folder/lock
    if [ -e "$lock" ] && command -v flock >/dev/null 2>&1 && ! flock -n "$lock" true; then
      echo "hookline is running here ($lock is held): stop it first" >&2
      exit 1
    fi
  done
  while IFS= read -r note; do
    elsewhere=$(cat "$note")
    case "$elsewhere" in
      /var/tmp/hookline-*/*) echo "not removing odd folder $elsewhere" >&2 ;;
      /var/tmp/hookline-*) rm -rf -- "$elsewhere" ;;
      *) echo "not removing odd folder $elsewhere" >&2 ;;
    esac
  done < <(find "$root/.hookline" -maxdepth 2 -name data-is-in)
fi
rm -rf -- "$root/.hookline" "$root/.dev"
