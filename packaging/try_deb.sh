#!/usr/bin/env bash
# Tries a package that `make package` made, in a fresh root of the release of Debian that has its PostgreSQL: lintian, apt,
# CREATE EXTENSION by somebody who is no superuser, a refresh, removal without a trace.
#   try_deb.sh FILE.deb
# Needs root, debootstrap and lintian. Reads PG_RFM_MIRROR (of Debian) and TMPDIR.
set -euo pipefail

repo=$(cd "$(dirname "$0")/.." && pwd -P)
say() { printf 'pg_rfm: %s\n' "$*" >&2; }
die() { say "$*"; exit 1; }
# shellcheck source=packaging/roots.sh
. "$repo/packaging/roots.sh"

[ $# -eq 1 ] || { sed -n '2,5s/^# \{0,1\}//p' "$0" >&2; exit 2; }
deb=$(realpath "$1")
package=$(dpkg-deb -f "$deb" Package)
major=$(sed -nE 's/^postgresql-([0-9]+)-.*/\1/p' <<<"$package")
suite=$(suite_of "$major")
[ -n "$suite" ] || die "no release of Debian has PostgreSQL $major"

say "lintian"
lintian -EI --pedantic --allow-root --fail-on error,warning,info,pedantic "$deb"

work=$(mktemp -d "${TMPDIR:-/tmp}/pg_rfm-deb.XXXXXX")
trap 'rm -rf --one-file-system "$work"' EXIT
root=$work/root log=$work/log
say "a fresh root of $suite with PostgreSQL $major"
bare_root "$suite" "postgresql-$major" >"$log" 2>&1 || { tail -n 5 "$log" >&2; die "no root could be made"; }

# Everything but what apt and dpkg note down of any package.
files() {
	(cd "$root" && find . -xdev \( -path ./tmp -o -path ./var/log -o -path ./var/cache -o -path ./var/lib/apt \
		-o -path './var/lib/dpkg/*-old' \) -prune -o -type f -exec sha256sum {} + -o -type l -printf '%l  %p\n') | sort -k 2
}

files >"$work/before"
mkdir "$root/tmp/package" && cp "$deb" "$root/tmp/package"
say "apt-get install"
inside -- sh -c 'apt-get install -y -q /tmp/package/*.deb' >"$log" 2>&1 || { tail -n 5 "$log" >&2; die "apt could not install it"; }

say "CREATE EXTENSION by the owner of a database"
cp "$repo/packaging/try_deb.sql" "$root/tmp/try.sql"
# shellcheck disable=SC2016 # expanded by the inner shell
inside -- runuser -u postgres -- sh -euc '
	cd /tmp
	PATH=/usr/lib/postgresql/$1/bin:$PATH
	initdb -D data -A trust --locale=C.UTF-8 --encoding=UTF8 >initdb.log
	pg_ctl -D data -s -w -l server.log -o "-c listen_addresses= -c unix_socket_directories=/tmp" start
	trap "pg_ctl -D data -s -m fast stop" EXIT
	export PGHOST=/tmp
	psql -X -q -d postgres -c "CREATE ROLE keeper LOGIN" -c "CREATE DATABASE shop OWNER keeper"
	psql -X -q -v ON_ERROR_STOP=1 -d shop -U keeper -f try.sql' - "$major" || die "the extension does not work"

say "apt-get purge"
inside -- apt-get purge -y -q "$package" >"$log" 2>&1 || { tail -n 5 "$log" >&2; die "apt could not remove it"; }
files >"$work/after"
diff "$work/before" "$work/after" >&2 || die "the package left a trace"
say "$(basename "$deb"): ok"
