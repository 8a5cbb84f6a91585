#!/usr/bin/env bash
# Copies what is published today into schemas/released/VERSION, where it stays as it is: `release-schemas.sh 1.N`. Today's files have to be those
# of the types (`make bless`), and to break no earlier release: the Makefile runs the tests of both first.
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
schemas=$root/schemas
version=${1:-}

die() { printf 'release-schemas: %s\n' "$*" >&2; exit 2; }

[[ $version =~ ^1\.(0|[1-9][0-9]*)$ ]] || die "VERSION is 1.N, such as 1.1; another major version has other subjects and types"
folder=$schemas/released/$version
[ ! -e "$folder" ] || die "$version is released: what was published is never edited, take the next number"
next=$(find "$schemas/released" -mindepth 1 -maxdepth 1 -type d | wc -l)
[ "$version" = "1.$next" ] || die "the next version is 1.$next"

work=$(mktemp -d "$schemas/released/.work.XXXXXX")
trap 'rm -rf "$work"' EXIT
cp "$schemas/json/events.v1.json" "$schemas/json/commands.v1.json" "$work/"
cp "$root/console/src/api/openapi.json" "$schemas/asyncapi.yaml" "$schemas/released/left_out.json" "$work/"
mkdir "$work/goldens"
cp -r "$schemas/goldens/events" "$schemas/goldens/commands" "$work/goldens/"
(cd "$work" && find . -type f | LC_ALL=C sort | sed 's|^\./||' | xargs sha256sum) >"$work.sums"
mv "$work.sums" "$work/SHA256SUMS"
chmod 755 "$work"
mv "$work" "$folder"
trap - EXIT
echo "schemas/released/$version is written: $(wc -l <"$folder/SHA256SUMS") files" >&2
