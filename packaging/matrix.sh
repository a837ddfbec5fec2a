#!/usr/bin/env bash
# Builds and tests pg_rfm with every PostgreSQL it supports, each in a root of its own: the distribution that carries it.
#   matrix.sh [VERSION...]   default: 13 14 15 16 17 18
# Needs root and debootstrap. The first run of a version takes minutes to make its root, which stays for the next:
# delete its folder to get a new one. The checkout, the toolchain and cargo's downloads are only mounted there.
# Reads PG_RFM_MATRIX (the cache folder), PG_RFM_MIRROR (of Debian), PG_RFM_SHARED (large data sets, default ../shared), ARGS (of
# cargo test; more than one filter: "--test segmentation -- refresh:: tracking::").
set -euo pipefail

repo=$(cd "$(dirname "$0")/.." && pwd -P)
cache=${PG_RFM_MATRIX:-${XDG_CACHE_HOME:-$HOME/.cache}/pg_rfm/matrix}
shared=${PG_RFM_SHARED:-$repo/../shared}
exec 3>&2 # the terminal, also where the rest goes to a log
say() { printf 'pg_rfm: %s\n' "$*" >&3; }
die() { say "$*"; exit 1; }
# shellcheck source=packaging/roots.sh
. "$repo/packaging/roots.sh"

# What to install for a version, and from which release of Debian.
recipe() {
	packages="make gcc libc6-dev libclang-dev procps postgresql-$1 postgresql-server-dev-$1"
	suite=$(suite_of "$1")
	case $1 in
	# No release of Debian has it: that of a Python package, an old one (16.2) with its headers.
	16) suite=bookworm packages="make gcc libc6-dev libclang-dev procps unzip" ;;
	13 | 14 | 15 | 17 | 18) ;;
	*) say "$1: not a version of PostgreSQL that pg_rfm supports"; return 1 ;;
	esac
}

make_root() {
	local wheel
	[ -n "$suite" ] || { echo 'no release of Debian has it'; return 1; }
	[ "$(cat "$root/.pg_rfm" 2>/dev/null)" != "$suite $packages" ] || return 0
	say "PostgreSQL $version: making $root ($suite)"
	# shellcheck disable=SC2086 # a list of words
	bare_root "$suite" $packages || return
	if [ "$version" = 16 ]; then
		wheel=$root/opt/wheel
		pip download -q --no-deps --only-binary=:all: --implementation cp --python-version 3.11 \
			--platform "manylinux2014_$(uname -m)" -d "$wheel" pgserver==0.1.4 || return
		inside -- sh -euc 'unzip -q /opt/wheel/*.whl -d /opt && rm -r /opt/wheel
			mkdir -p /usr/lib/postgresql && ln -s /opt/pgserver/pginstall /usr/lib/postgresql/16
			echo /opt/pgserver.libs >/etc/ld.so.conf.d/pgserver.conf && ldconfig' || return
	fi
	echo "$suite $packages" >"$root/.pg_rfm"
}

# In $root as it is outside, so that cargo does not take one checkout's files for another's.
run_tests() {
	local mounts=("$repo:$repo:ro" "$(cd "$repo" && rustc --print sysroot):/opt/rust:ro" "${CARGO_HOME:-$HOME/.cargo}:/opt/cargo")
	[ ! -d "$shared" ] || mounts+=("$(cd "$shared" && pwd -P):/shared:ro")
	# What follows a -- goes to the tests themselves, where more than one filter may stand.
	local arguments=${ARGS-}
	[[ " $arguments " == *' -- '* ]] || arguments+=' --'
	inside "${mounts[@]}" -- env -C "$repo" CARGO_HOME=/opt/cargo CARGO_NET_OFFLINE=true CARGO_TARGET_DIR=/target PG_RFM_SHARED=/shared \
		make test PG_CONFIG="/usr/lib/postgresql/$version/bin/pg_config" ARGS="--no-fail-fast $arguments --show-output"
}

# One line of the table from cargo's output. A test that found no data says so, and does not count as passed.
summary() {
	awk -v version="$1" -v minor="$2" -v seconds="$3" -v exit_status="$4" '
		/^test result: / { passed += $4; failed += $6; skipped += $8; suites++ }
		/^skipped: / { skipped++; passed-- }
		END {
			verdict = exit_status == 0 && suites ? "ok" : failed ? "FAILED" : "BROKEN, see the log"
			printf "%-10s  %-9s  %6d  %6d  %7d  %7d  %s\n", version, minor, passed, failed, skipped, seconds, verdict
		}'
}

[ $# -gt 0 ] || set -- 13 14 15 16 17 18
for version; do recipe "$version" || exit 2; done
[ "$(id -u)" -eq 0 ] || die 'the roots need root'
mkdir -p "$cache"
(cd "$repo" && cargo fetch --locked --quiet)

table='' failures='' status=0
for version; do
	recipe "$version"
	root=$cache/$version log=$cache/$version.log
	exec 9>"$cache/$version.lock" && flock 9
	if ! make_root >"$log" 2>&1; then
		table+=$(printf '%-10s  not tested: %s' "$version" "$(tail -n 1 "$log")")$'\n' status=1
		continue
	fi
	minor=$(inside -- "/usr/lib/postgresql/$version/bin/pg_config" --version | cut -d' ' -f2)
	say "PostgreSQL $minor: building and testing, log in $log"
	started=$SECONDS exit_status=0
	run_tests >"$log" 2>&1 9>&- || exit_status=$? status=1
	table+=$(summary "$version" "$minor" $((SECONDS - started)) "$exit_status" <"$log")$'\n'
	failures+=$(awk -v minor="$minor" '$1 == "Running" { file = $2 } /^test .* \.\.\. FAILED$/ { print minor, file, $2 }' "$log")$'\n'
done

printf '%-10s  %-9s  %6s  %6s  %7s  %7s\n%s\n' PostgreSQL minor passed failed skipped seconds "$table"
grep . <<<"$failures" || true
exit "$status"
