#!/usr/bin/env bash
# Builds the last commit twice from scratch, in two folders, and compares the libraries byte for byte.
#   build_twice.sh   reads PG_CONFIG and TMPDIR
set -euo pipefail

repo=$(cd "$(dirname "$0")/.." && pwd -P)
work=$(mktemp -d "${TMPDIR:-/tmp}/pg_rfm-twice.XXXXXX")
trap 'rm -rf "$work"' EXIT
for folder in first second/one; do
	git clone -q "$repo" "$work/$folder"
	(cd "$work/$folder" && unset CARGO_TARGET_DIR MAKEFLAGS && make -s build ${PG_CONFIG:+PG_CONFIG="$PG_CONFIG"})
done
cd "$work"
sha256sum first/target/pg*/pg_rfm.so second/one/target/pg*/pg_rfm.so
cmp first/target/pg*/pg_rfm.so second/one/target/pg*/pg_rfm.so
echo 'the libraries are the same'
