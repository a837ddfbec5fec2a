#!/usr/bin/env bash
# Runs the example project with dbt-postgres in the PostgreSQL that the environment names (`make integrations`), and checks
# that the refresh belongs to the orders, and that models are what views are.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd -P)
root=$(cd "$here/../.." && pwd -P)
programs=$("$root/integrations/venv.sh" "$here")

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
export PGDATABASE=dbt_check DBT_PROFILES_DIR=$work/dbt/example DBT_SEND_ANONYMOUS_USAGE_STATS=false PGCLIENTENCODING=UTF8
export PGOPTIONS='-c client_min_messages=warning'

die() { printf '%s\n' "$*" >&2; exit 1; }
sql() { "$PG_RFM_BINDIR/psql" -X -q -A -t -v ON_ERROR_STOP=1 "$@"; }
dbt() { "$programs/dbt" --no-use-colors --warn-error "$@" >"$work/log" 2>&1; }
succeeds() { dbt "$@" || { cat "$work/log" >&2; die "dbt $*: failed"; }; }
# Fails, and says all of it: fails WORDS... -- ARGUMENTS
fails() {
	local said=()
	while [ "$1" != -- ]; do said+=("$1"); shift; done
	shift
	! dbt "$@" || die "dbt $*: succeeded"
	for words in "${said[@]}"; do
		grep -qF -- "$words" "$work/log" || { cat "$work/log" >&2; die "dbt $*: did not say: $words"; }
	done
}
equals() { [ "$2" = "$3" ] || die "$1: $2 instead of $3"; }

sql -d postgres -c "DROP DATABASE IF EXISTS $PGDATABASE" -c "CREATE DATABASE $PGDATABASE ENCODING 'UTF8' TEMPLATE template0"
sql -c 'CREATE SCHEMA rfm' -c 'CREATE EXTENSION pg_rfm SCHEMA rfm' -c "ALTER DATABASE $PGDATABASE SET search_path = public, rfm"

# The worked shop. The role of dbt is no superuser: it owns what it makes, the segmentation included.
sql -f "$root/sql/examples/shop/shop.sql" -f "$here/check.sql"
cp -r "$here" "$work/dbt"
cd "$work/dbt/example"
succeeds deps

# Once: the orders, then the segmentation of them.
succeeds run --select orders --vars '{segmentation_exists: false}'
PGUSER=shop_dbt sql -c "SELECT rfm.create_segmentation('shop', orders => 'analytics.orders', discounted => 'discounted',
    customers => 'public.customers', engagement => 'public.events', policy => 'replenishment', as_of => '2026-06-30',
    schema => 'segments')" >"$work/created" 2>&1 || { cat "$work/created" >&2; exit 1; }

# Every day. Models are what the views are.
succeeds build
succeeds source freshness
equals 'models that differ from the views' "$(sql -c 'SELECT * FROM models_that_differ()')" ''
equals 'good customers asleep' "$(sql -c 'SELECT count(*) > 100 FROM analytics.good_customers_asleep')" t

# A new order is in the views and in what is made of them by one run.
sql -c "INSERT INTO raw_orders (order_id, customer_id, ordered_on, amount) SELECT 999999, customer_id, '2026-06-30', 1000
        FROM analytics.good_customers_asleep ORDER BY customer_id LIMIT 1"
before=$(sql -c 'SELECT count(*) FROM analytics.good_customers_asleep')
succeeds build
equals 'good customers asleep' "$(sql -c 'SELECT count(*) FROM analytics.good_customers_asleep')" $((before - 1))
equals 'models that differ from the views' "$(sql -c 'SELECT * FROM models_that_differ()')" ''

# Orders that the refresh refuses are not put in their place: the model of the orders fails as a whole.
sql -c "UPDATE raw_orders SET ordered_on = 'infinity' WHERE order_id = 999999"
fails 'infinit' -- run --select orders
equals 'infinite orders' "$(sql -c "SELECT count(*) FROM analytics.orders WHERE ordered_on = 'infinity'")" 0
sql -c "UPDATE raw_orders SET ordered_on = '2026-06-29' WHERE order_id = 999999"
succeeds run --select orders

# The operation, for a shop whose orders are not made by dbt.
sql -c "UPDATE analytics.orders SET amount = amount + 1 WHERE customer_id = 7"
succeeds run-operation refresh
equals 'monetary' "$(sql -c 'SELECT sum(amount) = (SELECT monetary FROM segments.shop_customers WHERE customer_id = 7)
                              FROM analytics.orders WHERE customer_id = 7')" t

# What the tests are for: a value that no list has, customers that no segment counts, a refresh that did not come.
sql -c "UPDATE segments.shop_status SET refreshed_at = now() - interval '3 days'"
fails 'ERROR STALE' -- source freshness
sql -c "CREATE SCHEMA tampered; GRANT USAGE ON SCHEMA tampered TO shop_dbt;
        CREATE TABLE tampered.shop_segments AS SELECT * FROM segments.shop_segments;
        CREATE TABLE tampered.shop_customers AS SELECT * FROM segments.shop_customers LIMIT 10;
        CREATE TABLE tampered.shop_status AS SELECT * FROM segments.shop_status;
        GRANT SELECT ON ALL TABLES IN SCHEMA tampered TO shop_dbt;
        UPDATE tampered.shop_segments SET lifecycle_state = 'asleep' WHERE lifecycle_state = 'dormant'"
fails 'Failure in test source_accepted_values_pg_rfm_segments_lifecycle_state' 'Failure in test segments_hold_every_customer' -- \
	test --select source:pg_rfm.segments --vars '{pg_rfm_schema: tampered}'

# A model that does not say what it reads, and one of no relation.
echo "{{ pg_rfm.segmentation_model('customers', reads=[ref('shop_facts')]) }}" >models/rebuilt/shop_customers.sql
fails "put ref('shop_status')" -- compile --select shop_customers
echo "{{ pg_rfm.segmentation_model('nothing', reads=[]) }}" >models/rebuilt/shop_customers.sql
fails 'has no query of nothing' -- compile --select shop_customers

cd "$root"
sql -d postgres -c "DROP DATABASE $PGDATABASE"
