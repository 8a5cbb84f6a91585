#!/usr/bin/env bash
# Removes what `make setup` and `make run` left: .dev and .hookline, with Postgres data that had to live elsewhere.
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)

folders=()
for folder in "$root"/.hookline/*/; do
  [ -d "$folder" ] || continue
  folders+=("${folder%/}")
  if [ -f "$folder/data-is-in" ]; then
    elsewhere=$(cat "$folder/data-is-in")
    # Written by hookline, but anybody could have edited it.
    if [[ $elsewhere =~ ^/var/tmp/hookline-[0-9a-f]{16}$ ]]; then
      folders+=("$elsewhere")
    else
      echo "leaving $elsewhere alone: it is no folder hookline would make" >&2
    fi
  fi
done

# A running `up` holds these locks; its data is not ours to take away.
for folder in ${folders[@]+"${folders[@]}"}; do
  if [ -e "$folder/lock" ] && command -v flock >/dev/null 2>&1 && ! flock -n "$folder/lock" true; then
    echo "hookline is running here ($folder/lock is held): stop it first" >&2
    exit 1
  fi
done
rm -rf -- ${folders[@]+"${folders[@]}"} "$root/.hookline" "$root/.dev"
