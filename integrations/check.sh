#!/usr/bin/env bash
# What other programs make of the extension, in the PostgreSQL that the environment names: `make integrations`.
# A check whose packages cannot be installed is skipped and says so.
set -euo pipefail
cd "$(dirname "$0")"

for check in */check.sh; do
	status=0
	"$check" || status=$?
	case $status in
	0) printf 'passed: %s\n' "${check%/*}" ;;
	3) ;; # has said why it is skipped
	*) printf 'failed: %s\n' "${check%/*}" >&2; exit 1 ;;
	esac
done
