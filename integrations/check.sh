#!/usr/bin/env bash
# What other programs make of the extension, in the PostgreSQL that the environment names: `make integrations`.
# A check whose packages cannot be installed is skipped and says so.
#   check.sh [FOLDER...]   default: all of them
set -euo pipefail
cd "$(dirname "$0")"

[ $# -gt 0 ] || set -- */
for folder in "${@%/}"; do
	status=0
	"$folder/check.sh" || status=$?
	case $status in
	0) printf 'passed: %s\n' "$folder" ;;
	3) ;; # has said why it is skipped
	*) printf 'failed: %s\n' "$folder" >&2; exit 1 ;;
	esac
done
