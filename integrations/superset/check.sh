#!/usr/bin/env bash
# The dashboards in a headless Chromium, in the PostgreSQL that the environment names (`make integrations`). With
# PG_RFM_UPDATE=1, the pictures of the documentation are written too.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd -P)
root=$(cd "$here/../.." && pwd -P)
die() { printf '%s\n' "$*" >&2; exit 1; }
if ! command -v chromium >/dev/null || ! command -v chromedriver >/dev/null; then
	echo 'skipped: superset: there is no Chromium; on Debian: apt-get install chromium chromium-driver fonts-noto-cjk' >&2
	exit 3
fi
programs=$("$root/integrations/venv.sh" "$here")
pictures=${CARGO_TARGET_DIR:-$root/target}/dashboard

work=$(mktemp -d)
server=
# The status of what was stopped is its signal, and no failure.
stop() {
	{ [ -n "$server" ] && kill "$server" && wait "$server"; } 2>/dev/null || true
	rm -rf "$work"
}
trap stop EXIT

"$programs/python" "$here/dashboards.py" "$work/assets"
diff -r "$here/assets" "$work/assets" || die 'integrations/superset/assets is not what dashboards.py writes'

export DASHBOARD_PASSWORD=checked DASHBOARD_PORT DASHBOARD_URL
DASHBOARD_PORT=$("$programs/python" -c "import socket; s = socket.socket(); s.bind(('127.0.0.1', 0)); print(s.getsockname()[1])")
DASHBOARD_URL=http://127.0.0.1:$DASHBOARD_PORT
"$here/dashboard.sh" >"$work/said" 2>&1 &
server=$!
until grep -qs '^User admin' "$work/said"; do
	kill -0 "$server" 2>/dev/null || { cat "$work/said" >&2; die 'the dashboards did not start'; }
	sleep 1
done

# Nobody else reaches it, and it reads without being able to write.
listening=$(ss -Htln "sport = :$DASHBOARD_PORT" | awk '{print $4}')
[ "$listening" = "127.0.0.1:$DASHBOARD_PORT" ] || die "listens on $listening"
may() { PGUSER=dashboard "$PG_RFM_BINDIR/psql" -X -q -d worked_shop -v ON_ERROR_STOP=1 -c "$1" >/dev/null 2>&1; }
may 'SELECT FROM segments.shop_customers' || die 'the role dashboard may not read'
for statement in 'DELETE FROM segments.shop_changes' 'CREATE TEMPORARY TABLE t ()' 'SELECT FROM public.orders' \
	'SET default_transaction_read_only = off; DELETE FROM segments.shop_changes'; do
	! may "$statement" || die "the role dashboard may: $statement"
done

rm -rf "$pictures"
"$programs/python" "$here/check.py" "$pictures"
if [ -n "${PG_RFM_UPDATE-}" ]; then
	cp "$pictures/worked-shop.png" "$pictures/worked-shop-ja.png" "$root/docs/pictures"
fi
