#!/usr/bin/env bash
# Takes a shop with all that can be built on pg_rfm from one PostgreSQL to a newer one, in a root that has both: by pg_upgrade, and by
# pg_dump and pg_restore. Afterwards everything reads as before, and segmentations are refreshed, tracked, and the same as made anew.
#   try_upgrade.sh OLD.deb NEW.deb   packages of `make package`, for two versions of PostgreSQL that releases of Debian have
# Needs root and debootstrap. Reads PG_RFM_MIRROR (of Debian) and TMPDIR.
set -euo pipefail

repo=$(cd "$(dirname "$0")/.." && pwd -P)
say() { printf 'pg_rfm: %s\n' "$*" >&2; }
die() { say "$*"; exit 1; }
# shellcheck source=packaging/roots.sh
. "$repo/packaging/roots.sh"

[ $# -eq 2 ] || { sed -n '2,6s/^# \{0,1\}//p' "$0" >&2; exit 2; }
major_of() { dpkg-deb -f "$1" Package | sed -nE 's/^postgresql-([0-9]+)-.*/\1/p'; }
old=$(major_of "$1") new=$(major_of "$2")
if [ -z "$(suite_of "$old")" ] || [ -z "$(suite_of "$new")" ]; then die "no release of Debian has PostgreSQL $old or $new"; fi

work=$(mktemp -d "${TMPDIR:-/tmp}/pg_rfm-upgrade.XXXXXX")
trap 'rm -rf --one-file-system "$work"' EXIT
root=$work/root log=$work/log
say "a fresh root of $(suite_of "$new") with PostgreSQL $old and $new"
bare_root "$(suite_of "$new")" "postgresql-$new" >"$log" 2>&1 || { tail -n 5 "$log" >&2; die "no root could be made"; }
echo "deb $(mirror) $(suite_of "$old") main" >"$root/etc/apt/sources.list.d/old.list"
mkdir "$root/tmp/packages" && cp "$1" "$2" "$root/tmp/packages"
# shellcheck disable=SC2016 # expanded by the inner shell
inside -- sh -c 'apt-get update -q && apt-get install -y -q --no-install-recommends "postgresql-$1" /tmp/packages/*.deb' - "$old" \
	>"$log" 2>&1 || { tail -n 5 "$log" >&2; die "the packages cannot be installed"; }

cp "$repo"/tests/installation/{stored_values,upgrade_shop,upgrade_goes_on}.sql "$repo/packaging/try_upgrade.sql" "$root/tmp"
# shellcheck disable=SC2016 # expanded by the inner shell
inside -- runuser -u postgres -- bash -euo pipefail -c '
	cd /tmp
	old=/usr/lib/postgresql/$1/bin new=/usr/lib/postgresql/$2/bin
	export PGHOST=/tmp PGOPTIONS="-c client_min_messages=warning"
	running=
	start() { "$1/pg_ctl" -D "$2" -s -w -l "$2.log" -o "-c listen_addresses= -c unix_socket_directories=/tmp" start; running="$1/pg_ctl -D $2"; }
	stop() { [ -z "$running" ] || $running -s -m fast stop; running=; }
	trap stop EXIT
	sql() { psql -X -q -A -t -v ON_ERROR_STOP=1 "$@"; }

	"$old/initdb" -D old -A trust --locale=C.UTF-8 --encoding=UTF8 --no-data-checksums >initdb.log 2>&1 ||
		"$old/initdb" -D old -A trust --locale=C.UTF-8 --encoding=UTF8 >initdb.log
	start "$old" old
	sql -d postgres -c "CREATE DATABASE shop"
	sql -d shop -c "CREATE SCHEMA rfm; CREATE EXTENSION pg_rfm SCHEMA rfm" -f stored_values.sql -f upgrade_shop.sql >/dev/null
	# The first refresh after a build reads everything once more.
	sql -d shop -c "SET search_path = public, rfm" -c "SELECT refresh_segmentation(\$\$shop\$\$)" >/dev/null
	# Noted by the triggers, not yet refreshed.
	sql -d shop -c "INSERT INTO orders VALUES (1, \$\$2025-06-02\$\$, 77, NULL)"
	# What a restore computes anew, and a dump does not hold: materialized views of the shop.
	sql -d shop -c "SET search_path = public, rfm" -c "REFRESH MATERIALIZED VIEW histories" -c "REFRESH MATERIALIZED VIEW segments"
	sql -d shop -f try_upgrade.sql >before
	"$new/pg_dump" -Fc -d shop -f shop.dump
	stop

	"$new/initdb" -D new -A trust --locale=C.UTF-8 --encoding=UTF8 --no-data-checksums >initdb.log 2>&1 ||
		"$new/initdb" -D new -A trust --locale=C.UTF-8 --encoding=UTF8 >initdb.log
	"$new/pg_upgrade" -b "$old" -B "$new" -d old -D new -s /tmp >upgrade.log || { tail -n 20 upgrade.log >&2; exit 1; }
	start "$new" new
	sql -d shop -f try_upgrade.sql >upgraded
	diff before upgraded >&2 || { echo "pg_upgrade: it reads otherwise" >&2; exit 1; }
	echo "pg_upgrade $1 to $2: $(wc -l <before) relations read as before" >&2
	sql -d shop -f upgrade_goes_on.sql
	echo "pg_upgrade $1 to $2: refreshed, tracked, the same as made anew" >&2

	sql -d postgres -c "CREATE DATABASE restored"
	"$new/pg_restore" --exit-on-error --jobs=2 -d restored shop.dump
	sql -d restored -f try_upgrade.sql >restored
	diff before restored >&2 || { echo "pg_restore: it reads otherwise" >&2; exit 1; }
	echo "dump of $1 restored to $2: $(wc -l <before) relations read as before" >&2
	# Triggers note nothing after a restore until two refreshes have read everything.
	sql -d restored -c "SET search_path = public, rfm" -c "SELECT refresh_segmentation(\$\$shop\$\$)" -c "SELECT refresh_segmentation(\$\$shop\$\$)" >/dev/null
	sql -d restored -f upgrade_goes_on.sql
	echo "dump of $1 restored to $2: refreshed, tracked, the same as made anew" >&2
' - "$old" "$new" || die "what was stored did not come through"
say "PostgreSQL $old to $new: ok"
