#!/usr/bin/env bash
# `make demo`: loads orders into a database of their own, segments the customers and prints what a shop owner asks for.
# Environment: where psql connects to (the makefile sets it) and the arguments of `make demo`:
#   ORDERS  a CSV file with a header (.gz too), default the CDNOW sample beside this script
#   CUSTOMER, DATE, AMOUNT, ORDER  its columns; ORDER, an order number, only for files with several rows an order
#   AS_OF   the day to ask for, default the last day with an order
set -euo pipefail
here=$(dirname "$0")
sample=$here/cdnow_sample.csv
orders=${ORDERS:-$sample}
database=demo
export PGCLIENTENCODING=UTF8 PGDATABASE=$database PGOPTIONS='-c client_min_messages=warning'

say() { printf '%s\n' "$*"; }
die() { printf 'pg_rfm: %s\n' "$*" >&2; exit 1; }
sql() { "$PG_RFM_BINDIR/psql" -X -q -v ON_ERROR_STOP=1 -v SHOW_CONTEXT=never -P pager=off -P footer=off "$@"; }
content() { case $1 in *.gz) gzip -dc -- "$1" ;; *) cat -- "$1" ;; esac; }

[ -r "$orders" ] || die "cannot read ORDERS=$orders"
if ! content "$orders" | iconv -f UTF-8 -t UTF-8 >/dev/null 2>&1; then
	die "$orders is not UTF-8; convert it first, for example: iconv -f CP932 -t UTF-8 $orders >orders.utf8.csv"
fi

say "Reading $orders ..."
# Which column is which: prints columns=, delimiter=, customer=, date=, amount= and order= (0: none), or says why not.
layout=$(content "$orders" | LC_ALL=C CUSTOMER=${CUSTOMER-} DATE=${DATE-} AMOUNT=${AMOUNT-} ORDER=${ORDER-} awk -f "$here/columns.awk") || exit 1
columns='' delimiter='' customer='' date='' amount='' order=''
eval "$layout"

say 'Loading the orders ...'
sql -d postgres -c "DROP DATABASE IF EXISTS $database WITH (FORCE)" -c "CREATE DATABASE $database" \
	-c "ALTER DATABASE $database SET search_path = public, rfm"
sql -c 'CREATE SCHEMA rfm' -c 'CREATE EXTENSION pg_rfm SCHEMA rfm'
sql -c "CREATE UNLOGGED TABLE public.csv (line bigint GENERATED ALWAYS AS IDENTITY (START 2)$(printf ', c%s text' $(seq "$columns")), c0 text)"
content "$orders" | sql -v SHOW_CONTEXT=errors \
	-c "COPY public.csv ($(seq -s, -f 'c%g' "$columns")) FROM STDIN (FORMAT csv, HEADER, DELIMITER E'$delimiter')"
sql -v customer="c$customer" -v date="c$date" -v amount="c$amount" -v order="c$order" <"$here/load.sql"

policy=policy_learned
if [ "$orders" = "$sample" ]; then
	policy=policy_cdnow
	AS_OF=${AS_OF:-1998-06-30}
fi
[ "$(sql -A -t -c 'SELECT min(ordered_on) <= coalesce('"nullif('${AS_OF-}', '')::date, 'infinity'"') FROM orders')" = t ] ||
	die "no purchase in $orders${AS_OF:+ up to AS_OF=$AS_OF}"

say 'Segmenting the customers ...'
cat "$here/$policy.sql" "$here/segments.sql" "$here/report.sql" | sql -v as_of="${AS_OF-}"

cat <<TEXT

The database stays. Ask it yourself:
  $PG_RFM_BINDIR/psql -h $PGHOST -U $PGUSER $database
See it in a reporting tool, Apache Superset:
  make dashboard
Stop and delete it:
  make demo-stop
TEXT
