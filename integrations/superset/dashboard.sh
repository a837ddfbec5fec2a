#!/usr/bin/env bash
# `make dashboard`: Superset over the worked shop and the demo, in the PostgreSQL that the environment names, until it is
# stopped. Listens on the loopback address only.
#   DASHBOARD_PORT      default 8088
#   DASHBOARD_PASSWORD  of the user admin, default a random one, which is printed
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd -P)
root=$(cd "$here/../.." && pwd -P)
programs=$("$root/integrations/venv.sh" "$here")
port=${DASHBOARD_PORT:-8088}
url=http://127.0.0.1:$port
random() { "$programs/python" -c 'import secrets; print(secrets.token_urlsafe(32))'; }
export DASHBOARD_PASSWORD=${DASHBOARD_PASSWORD:-$(random)} DASHBOARD_SECRET SUPERSET_CONFIG_PATH=$here/superset_config.py
DASHBOARD_SECRET=$(random)
export PGCLIENTENCODING=UTF8 PYTHONWARNINGS=ignore
unset PGDATABASE PGOPTIONS

work=$(mktemp -d)
server=
trap '[ -z "$server" ] || kill "$server" 2>/dev/null || true; rm -rf "$work"' EXIT
export SUPERSET_HOME=$work
sql() { "$PG_RFM_BINDIR/psql" -X -q -A -t -v ON_ERROR_STOP=1 "$@"; }
is_there() { [ "$(sql -d postgres -c "SELECT count(*) FROM pg_database WHERE datname = '$1'")" = 1 ]; }
quietly() { "$@" >"$work/log" 2>&1 || { tail -n 30 "$work/log" >&2; printf 'failed: %s\n' "$*" >&2; exit 1; }; }

# The role that Superset reads with: it owns nothing, and every transaction of its is read only.
sql -d postgres -c "DO \$\$ BEGIN IF to_regrole('dashboard') IS NULL THEN CREATE ROLE dashboard LOGIN; END IF; END \$\$" \
	-c 'ALTER ROLE dashboard SET default_transaction_read_only = on'

is_there demo || quietly "$root/sql/demo/demo.sh"
sql -d demo -c 'GRANT USAGE ON SCHEMA rfm TO dashboard' -c "SELECT rfm.alter_segmentation('shop', readers => '{dashboard}')" >/dev/null
if ! is_there worked_shop; then
	sql -d postgres -c "CREATE DATABASE worked_shop ENCODING 'UTF8' TEMPLATE template0"
	sql -d worked_shop -c 'CREATE SCHEMA rfm' -c 'CREATE EXTENSION pg_rfm SCHEMA rfm' \
		-c 'ALTER DATABASE worked_shop SET search_path = public, rfm'
	quietly sql -d worked_shop -f "$root/sql/examples/shop/shop.sql" -f "$here/worked_shop.sql"
fi

printf 'Superset makes its own tables (a minute the first time) ...\n'
is_there superset || sql -d postgres -c "CREATE DATABASE superset ENCODING 'UTF8' TEMPLATE template0"
quietly "$programs/python" "$here/prepare.py"
(cd "$work" && exec "$programs/gunicorn" --threads 8 --timeout 300 --bind "127.0.0.1:$port" 'superset.app:create_app()') >"$work/server" 2>&1 &
server=$!
until "$programs/python" -c "import urllib.request; urllib.request.urlopen('$url/health', timeout=5)" 2>/dev/null; do
	kill -0 "$server" 2>/dev/null || { tail -n 20 "$work/server" >&2; exit 1; }
	sleep 1
done
cat <<TEXT

$url/superset/dashboard/worked-shop/     the worked shop
$url/superset/dashboard/worked-shop-ja/  the same in Japanese
$url/superset/dashboard/demo/            the orders of make demo
User admin, password $DASHBOARD_PASSWORD. Ctrl-C stops it; make demo-stop deletes the databases.
TEXT
wait "$server"
