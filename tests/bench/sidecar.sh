#!/usr/bin/env bash
# The sidecar of docs/managed-clouds.md with two clusters on this machine: one is the shop's and has no pg_rfm, the other reads its
# tables over postgres_fdw. Compares the answers with those from a copy of the tables, and prints what the way costs.
#   sidecar.sh [ORDERS]   default: 1,000,000
# Reads PG_CONFIG and PG_RFM_SO, as `make sidecar` sets them.
set -euo pipefail
cd "$(dirname "$0")/../.."

orders=${1:-1000000}
cluster=tests/support/cluster.sh
die() { printf 'pg_rfm: %s\n' "$*" >&2; exit 1; }

stop() {
	"$cluster" stop sidecar_shop
	"$cluster" stop sidecar
} 2>/dev/null
stop
trap stop EXIT

shop=$("$cluster" start sidecar_shop && "$cluster" env sidecar_shop)
sidecar=$("$cluster" start sidecar && "$cluster" env sidecar)
in_shop() { (eval "$shop" && "$PG_RFM_BINDIR/psql" -X -q -At -v ON_ERROR_STOP=1 "$@"); }
in_sidecar() {
	(eval "$sidecar" && PGOPTIONS='-c client_min_messages=warning' "$PG_RFM_BINDIR/psql" -X -q -At -v ON_ERROR_STOP=1 "$@")
}
shop_host=$(eval "$shop" && echo "$PGHOST")

# What a command takes, as a row of the table.
measure() {
	local what=$1 started=$EPOCHREALTIME
	shift
	"$@" >/dev/null
	printf '%-62s %8.2f\n' "$what" "$(awk "BEGIN { print $EPOCHREALTIME - $started }")"
}

# A password is asked for, as a cloud does; without one postgres_fdw serves superusers only.
password=secret
hba=$(in_shop -c 'SHOW hba_file')
sed -i '1i local all segments_reader scram-sha-256' "$hba"
in_shop -c "ALTER SYSTEM SET password_encryption = 'scram-sha-256'" -c 'SELECT pg_reload_conf()' >/dev/null

in_shop -c "SELECT setseed(0.42)" -c "
	CREATE TABLE public.orders AS
	SELECT n AS order_id, ($orders / 10 * power(random(), 1.6))::bigint AS customer_id,
	       date '2022-01-01' + (random() * 1095)::int AS ordered_on, round((random() * 20000)::numeric, 2) AS amount
	FROM generate_series(1, $orders) AS n" -c "
	CREATE TABLE public.customers AS SELECT n::bigint AS customer_id FROM generate_series(0, $orders / 10) AS n" \
	-c 'ANALYZE' >/dev/null

in_shop -v password="$password" -f sql/sidecar/shop.sql
printf '%s orders\n%-62s %8s\n' "$orders" '' seconds
measure 'sidecar.sql: foreign tables, audit, first build' \
	in_sidecar -v host="$shop_host" -v port=5432 -v database=postgres -v password="$password" -f sql/sidecar/sidecar.sql

in_shop -c "INSERT INTO public.orders VALUES (0, 7, current_date, 5000)" -c 'DELETE FROM public.orders WHERE order_id % 1000 = 1'
measure 'nightly.sql: refresh, and the answers into the shop' in_sidecar -f sql/sidecar/nightly.sql

as_owner() { in_sidecar -c 'SET ROLE segments' -c 'SET search_path = rfm' "$@"; }
measure 'refresh alone' as_owner -c "SELECT refresh_segmentation('shop', full => true)"
in_sidecar -c "ALTER SERVER shop OPTIONS (SET fetch_size '100')"
measure "the same with postgres_fdw's own fetch_size, 100" as_owner -c "SELECT refresh_segmentation('shop', full => true)"
in_sidecar -c "ALTER SERVER shop OPTIONS (SET fetch_size '10000')"

measure 'copying the orders and customers over postgres_fdw' as_owner \
	-c 'CREATE TABLE reports.orders AS TABLE shop.orders' -c 'CREATE TABLE reports.customers AS TABLE shop.customers'
as_owner -c 'ANALYZE reports.orders' -c \
	"SELECT create_segmentation('near', orders => 'reports.orders', customers => 'reports.customers', schema => 'reports')" >/dev/null
measure 'refresh of a segmentation of that copy' as_owner -c "SELECT refresh_segmentation('near', full => true)"

# The views over the shop's tables are those over the copy, and the shop has the answers.
for view in customers segments movement transitions cohorts; do
	different=$(as_owner -c "SELECT count(*) FROM ((TABLE reports.shop_$view EXCEPT TABLE reports.near_$view)
		UNION ALL (TABLE reports.near_$view EXCEPT TABLE reports.shop_$view)) AS d" | tail -n 1)
	[ "$different" = 0 ] || die "reports.shop_$view: $different rows differ from those of a copy"
done
answers="SELECT md5(string_agg((customer_id, rfm_score, lifecycle_state, vip_tier, next_action)::text, ',' ORDER BY customer_id))"
[ "$(in_shop -c "$answers FROM public.customer_segments")" = "$(as_owner -c "$answers FROM reports.near_customers" | tail -n 1)" ] ||
	die 'the shop has other answers than the sidecar'

# Without the shop a refresh fails as a whole, and the reports stay.
before=$(as_owner -c "$answers FROM reports.shop_customers" | tail -n 1)
"$cluster" stop sidecar_shop 2>/dev/null
! in_sidecar -f sql/sidecar/nightly.sql >/dev/null 2>&1 || die 'a refresh without the shop succeeded'
[ "$(as_owner -c "$answers FROM reports.shop_customers" | tail -n 1)" = "$before" ] || die 'the reports changed without the shop'
echo 'the answers agree with those from a copy'
