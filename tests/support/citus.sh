#!/usr/bin/env bash
# A throwaway Citus cluster around a command: a coordinator, which the environment of cluster.sh leads to, two workers, and a
# third server that tests may add.
#   citus.sh COMMAND...
# Reads PG_CONFIG and PG_RFM_SO like cluster.sh. Where the PostgreSQL of PG_CONFIG has no Citus it says so and is done.
set -euo pipefail

cluster=$(dirname "$0")/cluster.sh
export PG_CONFIG=${PG_CONFIG:-$("$(dirname "$0")/deps.sh" --pg-config)}
say() { printf 'pg_rfm: %s\n' "$*" >&2; }

if [ ! -e "$("$PG_CONFIG" --pkglibdir)/citus.so" ] || [ ! -e "$("$PG_CONFIG" --sharedir)/extension/citus.control" ]; then
	say "skipped: the PostgreSQL of $PG_CONFIG has no Citus (https://docs.citusdata.com/en/stable/installation/)"
	exit 0
fi

servers=(citus_coordinator citus_worker_1 citus_worker_2 citus_worker_3)
stop() {
	local server
	for server in "${servers[@]}"; do "$cluster" stop "$server"; done
} 2>/dev/null
stop
trap stop EXIT
trap 'exit 130' INT TERM HUP

# Logical: shards are moved by replication. Each connection that wrote prepares a transaction; what a server left half done is ended
# by the tests, not by Citus meanwhile.
export PG_RFM_SETTINGS='shared_preload_libraries=citus wal_level=logical max_connections=200 max_prepared_transactions=400 citus.enable_statistics_collection=off citus.recover_2pc_interval=-1'
for server in "${servers[@]}"; do
	"$cluster" start "$server"
	# How a server connects to itself: there is no TCP.
	(
		eval "$("$cluster" env "$server")"
		"$PG_RFM_BINDIR/psql" -X -q -c "ALTER SYSTEM SET citus.local_hostname = '$PGHOST'" -c 'SELECT pg_reload_conf()' >/dev/null
	)
done
PG_RFM_CITUS_WORKERS=
for server in citus_worker_1 citus_worker_2 citus_worker_3; do
	PG_RFM_CITUS_WORKERS+="$(eval "$("$cluster" env "$server")" && echo "$PGHOST") "
done
export PG_RFM_CITUS_WORKERS
eval "$("$cluster" env citus_coordinator)"
"$@"
