#!/usr/bin/env bash
# Faults on purpose, counted: what is done to a server while it segments a shop, and whether the views equal a rebuild afterwards.
#   faults.sh [long] [PART...]   parts: calls sqlsmith cancels kills full standby logical; default: all of them
# Short, each part takes about a minute; long, hours. Reads PG_CONFIG and PG_RFM_SO, as `make faults` sets them. What cannot run here
# (sqlsmith is a package of Debian, the full disk takes root) says `skipped`.
set -euo pipefail
cd "$(dirname "$0")/../.."

long=
if [ "${1-}" = long ]; then long=yes && shift; fi
[ $# -gt 0 ] || set -- calls sqlsmith cancels kills full standby logical
many() { if [ -n "$long" ]; then echo "$2"; else echo "$1"; fi; } # SHORT LONG

cluster=tests/support/cluster.sh
die() { printf 'pg_rfm: %s\n' "$*" >&2; exit 1; }
report() { printf '%-9s %s\n' "$1" "$2"; }

stop() { "$cluster" stop faults 2>/dev/null; "$cluster" stop faults_shop 2>/dev/null; }
clean_up() {
	stop_standby
	stop || true
	if [ -n "${disk-}" ]; then umount "$disk"; fi
	rm -rf "$work"
}
work=$(mktemp -d "${TMPDIR:-/tmp}/pg_rfm-faults.XXXXXX")
chmod 755 "$work"
standby=
stop_standby() { if [ -n "$standby" ]; then as_server "$PG_RFM_BINDIR/pg_ctl" -D "$standby" -s -m immediate stop || true; standby=; fi; }
stop || true
trap clean_up EXIT
trap 'exit 130' INT TERM HUP

# Each error with its SQLSTATE in the log, and the source it comes from. What is committed outlives a kill.
PG_RFM_SETTINGS="log_line_prefix='%e::' log_min_messages=error log_error_verbosity=verbose max_wal_senders=5 synchronous_commit=on" "$cluster" start faults
eval "$("$cluster" env faults)"
export PGOPTIONS='-c client_min_messages=error -c search_path=public,rfm'
data=$(dirname "$PGHOST")/data log=$(dirname "$PGHOST")/log
server_user=$(stat -c %U "$data")
as_server() {
	if [ "$(id -un)" = "$server_user" ]; then (cd / && env -u RUST_BACKTRACE "$@" </dev/null); else (cd / && runuser -u "$server_user" -- env -u RUST_BACKTRACE "$@" </dev/null); fi
}
sql() { "$PG_RFM_BINDIR/psql" -X -q -A -t -v ON_ERROR_STOP=1 -v VERBOSITY=verbose "$@"; }

logged() { as_server grep -cE "$1" "$log" || true; }
# Whether the server fell, or an error was one that no user should see, where nothing kills it.
assert_healthy() {
	local fell internal
	fell=$(logged 'PANIC|was terminated by signal')
	internal=$(logged '^XX...::(ERROR|FATAL):')
	if [ "$fell$internal" != 00 ]; then
		as_server grep -E -A 3 'PANIC|was terminated by signal|^XX' "$log" | head -n 20 >&2
		die "$1: the server fell $fell times, $internal internal errors"
	fi
}

customers=$(many 300 3000)
# The shop, its segmentation `shop`, and what happens to it; rebuilt.sql compares it with one made anew.
make_shop() {
	sql -d postgres -c "CREATE DATABASE $1"
	export PGDATABASE=$1
	sql -v customers="$customers" -f tests/bench/faults/shop.sql >/dev/null
}
drop_shop() {
	export PGDATABASE=postgres
	sql -c "DROP DATABASE $1 WITH (FORCE)"
}
changes() { sql -v customers="$customers" -f tests/bench/faults/changes.sql >/dev/null; }
compared=0
assert_rebuilt() {
	sql -c "SELECT refresh_segmentation('shop')" -f tests/bench/faults/rebuilt.sql >/dev/null || die "$1: the views are not those of a rebuild"
	compared=$((compared + 1))
}
at_random() { sleep "$(awk -v limit="$1" -v seed="$RANDOM$RANDOM" 'BEGIN { srand(seed); print rand() * limit }')"; } # SECONDS at most
refresh_seconds() {
	local started=$EPOCHREALTIME
	sql -c "SELECT refresh_segmentation('shop', \"full\" => true)" >/dev/null
	awk "BEGIN { print $EPOCHREALTIME - $started }"
}
# What runs while something is done to the server, in turn.
turn=0
next_statement() {
	turn=$((turn + 1))
	case $((turn % 4)) in
	0) statement="SELECT refresh_segmentation('shop')" ;;
	1) statement="SELECT refresh_segmentation('shop', \"full\" => true)" ;;
	2) statement="SELECT create_segmentation('other', 'orders', customers => 'people', as_of => '2026-06-30', track => 'trigger')" ;;
	3) statement="SELECT alter_segmentation('shop', time_zone => '$([ $((turn % 8)) = 3 ] && echo Asia/Tokyo || echo UTC)')" ;;
	esac
}
# A build that was made in spite of all, or none, which leaves nothing.
drop_other() {
	sql -c "SELECT drop_segmentation('other') WHERE to_regclass('other_settings') IS NOT NULL" \
		-c "DO \$\$ BEGIN ASSERT NOT EXISTS (SELECT FROM pg_class WHERE relname LIKE 'other\\_%'), 'a build left something'; END \$\$" >/dev/null
}

# One query with so many calls of each function as fit in its time: the second half takes no memory that the first did not.
calls() {
	local calls seconds functions=0 all=0 least='' growth=0 worst='' name kind arguments types grouped answer
	calls=$(many 100000 10000000) seconds=$(many 1 120)
	make_shop faults_calls
	sql -c "SET search_path = rfm" -f tests/installation/facts.sql >/dev/null
	while IFS='|' read -r name kind arguments types; do
		grouped=$(if [ "$kind" = a ]; then echo 'GROUP BY customer % 5'; fi)
		answer="SELECT count(answer) FROM generate_series(1, :'repeats'::bigint) AS n,
		        LATERAL (SELECT rfm.$name($arguments) AS answer FROM public.facts WHERE n > 0 $grouped OFFSET 0) AS q"
		sql -v calls="$calls" -v seconds="$seconds" >"$work/calls" <<-END || die "$name($types) failed"
			SET jit = off; SET max_parallel_workers_per_gather = 0; SET work_mem = '1MB';
			SELECT pg_backend_pid() AS pid, count(*) AS rows FROM public.facts \gset
			\setenv BACKEND :pid
			\set repeats 2
			SELECT extract(epoch FROM clock_timestamp()) AS started \gset
			$answer \g /dev/null
			SELECT greatest(1, least(ceil(:calls::numeric / :rows),
			                         ceil(2 * :seconds / greatest(extract(epoch FROM clock_timestamp()) - :started, 0.0001))))::bigint AS repeats \gset
			SELECT :repeats AS planned \gset
			SELECT greatest(1, :planned / 2) AS repeats \gset
			$answer \g /dev/null
			\! awk '/^VmHWM/ { print \$2 }' /proc/\$BACKEND/status
			\set repeats :planned
			$answer \g /dev/null
			\! awk '/^VmHWM/ { print \$2 }' /proc/\$BACKEND/status
			SELECT :planned * :rows;
		END
		local lines half full made
		mapfile -t lines <"$work/calls"
		half=${lines[0]} full=${lines[1]} made=${lines[2]}
		functions=$((functions + 1)) all=$((all + made))
		if [ -z "$least" ] || [ "$made" -lt "$least" ]; then least=$made; fi
		if [ $((full - half)) -gt "$growth" ]; then growth=$((full - half)) worst="$name($types)"; fi
	done < <(sql -f tests/installation/callable_functions.sql)
	[ "$functions" -gt 150 ] || die "calls: $functions functions were found"
	report calls "$functions functions, $all calls, at least $least of each in one query: the second half of a query's calls took at most $growth kB more ($worst)"
	[ "$growth" -lt 4096 ] || die "$worst takes memory that stays until the end of the query"
	drop_shop faults_calls
	assert_healthy calls
}

# Random queries of somebody who may read everything and write orders.
sqlsmith() {
	local queries status=0 errors
	queries=$(many 2000 100000)
	command -v sqlsmith >/dev/null || { report sqlsmith 'skipped: it is not installed'; return; }
	make_shop faults_sqlsmith
	sql -f tests/bench/faults/random_queries.sql >/dev/null
	local connection="host=$PGHOST port=$PGPORT dbname=$PGDATABASE user=smith"
	env -u PGOPTIONS sqlsmith --target="$connection" --exclude-catalog --seed=1 --max-queries="$queries" --verbose >"$work/smith" 2>&1 || status=$?
	[ "$status" = 0 ] || { tail -n 5 "$work/smith" >&2; die "sqlsmith ended with $status"; }
	assert_healthy sqlsmith
	assert_rebuilt sqlsmith
	errors=$(logged '^[0-9A-Z]{5}::ERROR')
	report sqlsmith "$queries random queries, $errors of them refused, none by an internal error; the server stayed up"
	drop_shop faults_sqlsmith
	sql -c 'DROP ROLE smith'
}

# statement_timeout and pg_cancel_backend at random moments.
cancels() {
	local tries seconds ended=0 finished=0 number victim status
	tries=$(many 16 1000)
	make_shop faults_cancels
	seconds=$(refresh_seconds)
	for ((number = 0; number < tries; number++)); do
		changes
		next_statement
		status=0
		if [ $((number % 2)) = 0 ]; then
			PGOPTIONS="$PGOPTIONS -c statement_timeout=$(awk -v s="$seconds" -v seed="$RANDOM$RANDOM" 'BEGIN { srand(seed); print int(1 + rand() * 1500 * s) }')" \
				sql -c "$statement" >/dev/null 2>"$work/refused" || status=$?
		else
			PGAPPNAME=victim sql -c "$statement" >/dev/null 2>"$work/refused" &
			victim=$!
			at_random "$(awk "BEGIN { print 1.5 * $seconds }")"
			sql -c "SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE application_name = 'victim'" >/dev/null
			wait "$victim" || status=$?
		fi
		if [ "$status" = 0 ]; then
			finished=$((finished + 1))
		else
			grep -q 'ERROR:  57014:' "$work/refused" || { cat "$work/refused" >&2; die "cancels: refused for another reason"; }
			ended=$((ended + 1))
		fi
		drop_other
		assert_rebuilt "cancelled: $statement"
	done
	assert_healthy cancels
	report cancels "$tries refreshes, builds and changes of settings, $ended of them cancelled, $finished were faster"
	drop_shop faults_cancels
}

wait_for_server() {
	local tries
	for ((tries = 0; tries < 600; tries++)); do
		if sql -c 'SELECT 1' >/dev/null 2>&1; then return; fi
		sleep 0.1
	done
	die 'the server does not come back'
}
# kill -9 of the session VICTIM, of the process of another KIND and of the postmaster, by the NUMBER in turn. Tells in `killed` which,
# and is done when the server takes connections again.
kill_in_turn() { # NUMBER VICTIM KIND
	local pid
	case $(($1 % 3)) in
	0) killed="application_name = 'victim'" ;;
	1) killed="backend_type = '$3'" ;;
	2) killed=postmaster ;;
	esac
	if [ "$killed" = postmaster ]; then
		pid=$(as_server head -n 1 "$data/postmaster.pid")
	else
		pid=$(sql -c "SELECT pid FROM pg_stat_activity WHERE $killed LIMIT 1")
	fi
	if [ -n "$pid" ]; then
		as_server kill -9 "$pid" 2>/dev/null || true
		while [ -e "/proc/$pid" ]; do sleep 0.01; done # until the postmaster knows
	fi
	wait "$2" || true
	if [ "$killed" = postmaster ]; then
		# Its children notice that it is gone, and end by themselves.
		until "$cluster" start faults 2>/dev/null; do sleep 0.2; done
	fi
	wait_for_server
}
# kill -9 of a backend, the checkpointer and the postmaster.
kills() {
	local tries seconds number victim killed
	tries=$(many 12 300)
	make_shop faults_kills
	seconds=$(refresh_seconds)
	for ((number = 0; number < tries; number++)); do
		changes
		next_statement
		PGAPPNAME=victim sql -c "$statement" >/dev/null 2>&1 &
		victim=$!
		at_random "$seconds"
		kill_in_turn "$number" "$victim" checkpointer
		drop_other
		assert_rebuilt "killed: $killed during $statement"
	done
	[ "$(logged 'PANIC')" = 0 ] || die 'kills: PANIC'
	report kills "$tries times kill -9, of the session, the checkpointer and the postmaster in turn, during refreshes, builds and changes of settings"
	drop_shop faults_kills
}

# A tablespace that is full.
full() {
	local tries number refused=0 finished=0 free
	tries=$(many 8 200)
	disk=$work/small
	mkdir "$disk"
	if ! mount -t tmpfs -o size=64m tmpfs "$disk" 2>/dev/null; then
		disk=
		report full 'skipped: it takes root to mount a small disk'
		return
	fi
	mkdir "$disk/space" && chown "$server_user" "$disk/space"
	sql -d postgres -c "CREATE TABLESPACE small LOCATION '$disk/space'"
	PGOPTIONS="$PGOPTIONS -c default_tablespace=small" make_shop faults_full
	for ((number = 0; number < tries; number++)); do
		changes
		next_statement
		# So many kB stay free.
		free=$(($(df --output=avail -k "$disk" | tail -n 1) - RANDOM % (2 * customers)))
		[ "$free" -le 0 ] || head -c "${free}k" /dev/zero >"$disk/filler" 2>/dev/null || true
		if PGOPTIONS="$PGOPTIONS -c default_tablespace=small" sql -c "$statement" >/dev/null 2>"$work/refused"; then
			finished=$((finished + 1))
		else
			grep -q 'ERROR:  53100:' "$work/refused" || { cat "$work/refused" >&2; die "full: refused for another reason"; }
			refused=$((refused + 1))
		fi
		rm -f "$disk/filler"
		drop_other
		assert_rebuilt "full: $statement"
	done
	[ "$refused" -gt 0 ] || die 'full: the disk was never full'
	assert_healthy full
	report full "$tries refreshes, builds and changes of settings on a small disk, $refused of them refused because it was full, $finished not"
	drop_shop faults_full
	sql -d postgres -c 'DROP TABLESPACE small'
	umount "$disk" && disk=
}

wait_for_standby() {
	until [ "$(sql -c "SELECT count(*) FROM pg_stat_replication WHERE replay_lsn >= pg_current_wal_flush_lsn()")" = 1 ]; do sleep 0.1; done
}
# A streaming standby: it reads while the primary refreshes, refuses to refresh, and goes on after its promotion.
standby() {
	local rounds number refusal reads=0
	rounds=$(many 1 20)
	for ((number = 0; number < rounds; number++)); do
		make_shop faults_standby
		standby=$work/standby$number
		install -d -m 700 -o "$server_user" "$standby"
		as_server "$PG_RFM_BINDIR/pg_basebackup" -h "$PGHOST" -D "$standby" -R -X stream -c fast
		as_server "$PG_RFM_BINDIR/pg_ctl" -D "$standby" -s -w -l "$standby/log" -o "-c port=5433" start
		there() { PGPORT=5433 sql "$@"; }
		for _ in 1 2 3; do
			changes
			sql -c "SELECT refresh_segmentation('shop')" >/dev/null
			# Reads go on while the changes arrive, and end up the same.
			there -c "SELECT count(*) FROM shop_customers, LATERAL explain_customer('{}', '2026-06-30') AS e" >/dev/null && reads=$((reads + 1))
			wait_for_standby
			[ "$(there -f tests/bench/faults/digest.sql)" = "$(sql -f tests/bench/faults/digest.sql)" ] || die 'standby: it reads otherwise'
			reads=$((reads + 1))
		done
		refusal=$(there -c "SELECT refresh_segmentation('shop')" 2>&1 || true)
		[[ $refusal == *25006*'this server is a standby'* ]] || die "standby: refreshing said $refusal"
		changes # noted, and not refreshed
		wait_for_standby
		as_server "$PG_RFM_BINDIR/pg_ctl" -D "$standby" -s -w promote
		PGPORT=5433
		assert_rebuilt 'promoted'
		changes
		sql -c "SELECT refresh_segmentation('shop')" \
			-c "DO \$\$ BEGIN ASSERT NOT (SELECT rebuilt FROM shop_status), 'only what was noted is read'; END \$\$" \
			-f tests/bench/faults/refresh_rows.sql >/dev/null
		assert_rebuilt 'promoted, with changes'
		PGPORT=5432
		stop_standby
		drop_shop faults_standby
	done
	assert_healthy standby
	report standby "$rounds times: $reads reads while the primary refreshed, a refresh refused, promotion, then refresh and refresh_rows there"
}

# Orders that come by logical replication from the shop's server, while the session, the worker that applies them and the postmaster
# are killed in turn during refreshes: none is lost, and the views are those of the orders that came.
logical() {
	local tries number seconds victim killed of_shop table waited
	local sums="SELECT count(*), sum(amount), sum(hashint8(order_no) * customer_id::numeric), (SELECT sum(hashtext(membership)) FROM people) FROM orders"
	tries=$(many 8 200)
	PG_RFM_SETTINGS='wal_level=logical synchronous_commit=on' "$cluster" start faults_shop
	of_shop=$(eval "$("$cluster" env faults_shop)" && echo "$PGHOST")
	in_shop() { PGHOST=$of_shop PGDATABASE=postgres sql "$@"; }
	make_shop faults_logical
	sql -c "ALTER TABLE orders ALTER order_no DROP IDENTITY" # its numbers come with the orders
	seconds=$(refresh_seconds)
	in_shop -c 'CREATE TABLE people (customer_id integer PRIMARY KEY, membership text, email text)' \
		-c 'CREATE TABLE orders (order_no bigint GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY, customer_id integer, ordered_at date, amount numeric)'
	for table in people orders; do sql -c "COPY $table TO STDOUT" | in_shop -c "COPY $table FROM STDIN"; done
	in_shop -c "SELECT setval('orders_order_no_seq', 10000000)" -c 'CREATE PUBLICATION shop FOR TABLE people, orders' >/dev/null
	sql -c "CREATE SUBSCRIPTION shop CONNECTION 'host=$of_shop port=$PGPORT user=$PGUSER dbname=postgres' PUBLICATION shop WITH (copy_data = false)" 2>/dev/null
	for ((number = 0; number < tries; number++)); do
		next_statement
		PGAPPNAME=victim sql -c "$statement" >/dev/null 2>&1 &
		victim=$!
		in_shop -v customers="$customers" -f tests/bench/faults/changes.sql >/dev/null
		at_random "$seconds"
		kill_in_turn "$number" "$victim" 'logical replication worker'
		drop_other
		in_shop -v customers="$customers" -f tests/bench/faults/changes.sql >/dev/null
		for ((waited = 0; waited < 600; waited++)); do
			if [ "$(sql -c "$sums")" = "$(in_shop -c "$sums")" ]; then break; fi
			sleep 0.1
		done
		[ "$waited" -lt 600 ] || die 'logical: orders are missing'
		assert_rebuilt "replicated: $killed during $statement"
	done
	[ "$(logged 'PANIC')" = 0 ] || die 'logical: PANIC'
	report logical "$tries times kill -9, of the session, the worker that applies and the postmaster in turn, while orders came by logical replication: all of them came"
	sql -c 'ALTER SUBSCRIPTION shop DISABLE' -c 'DROP SUBSCRIPTION shop' 2>/dev/null
	drop_shop faults_logical
	"$cluster" stop faults_shop 2>/dev/null
}

for part; do
	case $part in
	calls | sqlsmith | cancels | kills | full | standby | logical)
		as_server truncate -s 0 "$log" # what an earlier part did on purpose is not a fault of this one
		"$part"
		;;
	*) sed -n '2,6s/^# \{0,1\}//p' "$0" >&2; exit 2 ;;
	esac
done
echo "$compared times the views were compared with a rebuild: the same"
