#!/usr/bin/env bash
# Builds the library of a version that does not exist, for the tests of upgrades: the sources of this checkout with
# tests/installation/next_version.patch.
#   next_version.sh VERSION   prints the path of the library; reads PG_CONFIG and TARGET, the build folder
set -euo pipefail
cd "$(dirname "$0")/../.."

version=$1 folder=$TARGET/next sources=$TARGET/next/sources
rm -rf "$sources"
mkdir -p "$sources"
git ls-files -z | tar -c --null -T - | tar -x -C "$sources"
patch -s -p1 -d "$sources" <tests/installation/next_version.patch
sed -i '/^name = "pg_rfm"$/{n;s/^version = .*/version = "'"$version"'"/}' "$sources/Cargo.toml" "$sources/Cargo.lock"
CARGO_TARGET_DIR=$folder make -s -C "$sources" build PG_CONFIG="$PG_CONFIG" >&2
ls "$folder/pg$("$PG_CONFIG" --version | sed -E 's/^PostgreSQL ([0-9]+).*/\1/')/pg_rfm.so"
