#!/usr/bin/env bash
# What docs/guide/clients.md says of clients, tried on the worked shop in the PostgreSQL that the environment names.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd -P)
root=$(cd "$here/../.." && pwd -P)
programs=$("$root/integrations/venv.sh" "$here")
export PGDATABASE=clients_check PGCLIENTENCODING=UTF8 PGOPTIONS='-c client_min_messages=warning'

sql() { "$PG_RFM_BINDIR/psql" -X -q -A -t -v ON_ERROR_STOP=1 "$@"; }
sql -d postgres -c "DROP DATABASE IF EXISTS $PGDATABASE" -c "CREATE DATABASE $PGDATABASE ENCODING 'UTF8' TEMPLATE template0"
sql -c 'CREATE SCHEMA rfm' -c 'CREATE EXTENSION pg_rfm SCHEMA rfm' -c "ALTER DATABASE $PGDATABASE SET search_path = public, rfm"
sql -f "$root/sql/examples/shop/shop.sql" -c "SELECT create_segmentation('shop',
    orders => 'orders', customers => 'customers', engagement => 'events', contacts => 'contacts', policy => 'replenishment',
    as_of => '2026-06-30', time_zone => 'Asia/Tokyo')" >/dev/null
"$programs/python" -W error "$here/check.py"
"$programs/python" -W error "$here/check_changes.py"

driver=/usr/share/java/postgresql.jar
java=$(javac -version 2>&1 | sed -nE 's/^javac ([0-9]+).*/\1/p') || java=
if [ "${java:-0}" -ge 16 ] && [ -e "$driver" ]; then
	classes=$(mktemp -d)
	trap 'rm -rf "$classes"' EXIT
	javac -Xlint:all -Werror -cp "$driver" -d "$classes" "$here/CheckJdbc.java"
	java -cp "$driver:$classes" CheckJdbc
else
	echo 'left out: JDBC, which takes Java 16 and its driver; on Debian: apt-get install default-jdk-headless libpostgresql-jdbc-java' >&2
fi
sql -d postgres -c "DROP DATABASE $PGDATABASE"
