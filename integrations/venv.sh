#!/usr/bin/env bash
# Makes a virtual environment with the packages of FOLDER/requirements.txt, once, and prints its folder of programs:
#   venv.sh FOLDER
# Where that is not possible, without a network for example, says so and fails with 3: what needs it is skipped.
set -euo pipefail

folder=$(cd "$1" && pwd -P)
root=$(cd "$(dirname "$0")/.." && pwd -P)
wanted=$folder/requirements.txt
venv=${CARGO_TARGET_DIR:-$root/target}/venv/$(basename "$folder")

skip() { printf 'skipped: %s: %s\n' "$(basename "$folder")" "$1" >&2; exit 3; }

if ! cmp -s "$wanted" "$venv/installed"; then
	command -v python3 >/dev/null || skip 'there is no python3'
	rm -rf "$venv"
	mkdir -p "$venv"
	python3 -m venv "$venv" >"$venv/log" 2>&1 || skip "no virtual environment: $(tail -n 1 "$venv/log")"
	"$venv/bin/pip" install --quiet --disable-pip-version-check --retries 1 --timeout 20 -r "$wanted" >"$venv/log" 2>&1 ||
		skip "the packages cannot be installed: $(grep -i error "$venv/log" | tail -n 1)"
	cp "$wanted" "$venv/installed"
fi
printf '%s\n' "$venv/bin"
