#!/usr/bin/env bash
# A private, throwaway PostgreSQL: own binaries, own data, own socket, no TCP. It writes nothing outside its folder.
#   cluster.sh run PURPOSE COMMAND...   a fresh one around COMMAND, deleted afterwards
#   cluster.sh start|stop|status PURPOSE   one that stays until it is stopped (stop also deletes it)
#   cluster.sh env PURPOSE              prints the environment of a started one, for eval
# Reads PG_CONFIG (default: that of deps.sh), PG_RFM_SO (the built extension), PG_RFM_SETTINGS ("name=value ...", initial).
set -euo pipefail

repo=$(cd "$(dirname "$0")/../.." && pwd -P)
say() { printf 'pg_rfm: %s\n' "$*" >&2; }
die() { say "$*"; exit 1; }
usage() { sed -n '2,6s/^# \{0,1\}//p' "$0" >&2; exit 2; }

[ $# -ge 2 ] || usage
command=$1 purpose=$2
shift 2

# PostgreSQL refuses to run as root.
server_user=
if [ "$(id -u)" -eq 0 ]; then
	server_user=postgres
	id -u postgres >/dev/null 2>&1 || server_user=nobody
fi
as_server() {
	if [ -n "$server_user" ]; then runuser -u "$server_user" -- "$@"; else "$@"; fi
}

# One folder per user, checkout and purpose; under /tmp where the server's user cannot enter TMPDIR, or where
# the path of the socket would exceed what the kernel takes (107 characters).
name=pg_rfm-$purpose-$(id -u)-$(printf '%s' "$repo" | cksum | cut -d' ' -f1)
[ "$command" != run ] || name=$name.$$
tmp=${TMPDIR:-/tmp}
if [ ${#tmp} -gt 50 ] || ! as_server test -x "$tmp" 2>/dev/null; then tmp=/tmp; fi
base=$tmp/$name
data=$base/data

PG_CONFIG=${PG_CONFIG:-$("$repo/tests/support/deps.sh" --pg-config)}
[ -n "$PG_CONFIG" ] || die "no PostgreSQL found: run \`make deps\`"
bindir=$base/root$("$PG_CONFIG" --bindir)

pg_ctl() {
	# The server must not inherit the terminal, nor the developer's backtrace setting.
	(cd / && as_server env -u RUST_BACKTRACE LC_ALL=C.UTF-8 "$bindir/pg_ctl" -D "$data" -s -w "$@" </dev/null)
}
running() { [ -e "$data/postmaster.pid" ] && pg_ctl status >/dev/null 2>&1; }

destroy() {
	[ -d "$base" ] || return 0
	if running; then pg_ctl -m immediate stop; fi
	rm -rf "$base"
}

# PostgreSQL finds its libraries and files relative to its own binary: real copies of the binaries in a tree of the
# same shape make it look here, where links lead to everything but pg_rfm's own files.
make_tree() {
	local from to
	mkdir -p "$bindir"
	cp -p "$("$PG_CONFIG" --bindir)"/* "$bindir"
	for from in "$("$PG_CONFIG" --pkglibdir)" "$("$PG_CONFIG" --sharedir)" "$("$PG_CONFIG" --sharedir)/extension"; do
		to=$base/root$from
		[ ! -L "$to" ] || rm "$to"
		mkdir -p "$to"
		find "$from" -mindepth 1 -maxdepth 1 ! -name 'pg_rfm*' -exec ln -s -t "$to" {} +
	done
}

start() {
	local version log=$base/log
	[ -e "${PG_RFM_SO-}" ] || die "PG_RFM_SO names no built extension: run \`make build\`"
	version="$("$PG_CONFIG" --version) $("$PG_CONFIG" --bindir)"

	if [ -e "$base" ] || [ -L "$base" ]; then
		if [ ! -d "$base" ] || [ -L "$base" ] || [ ! -O "$base" ]; then die "$base belongs to somebody else"; fi
		# Half made, or of another PostgreSQL.
		[ "$(cat "$base/version" 2>/dev/null)" = "$version" ] || destroy
	fi
	if [ ! -e "$base" ]; then
		mkdir -m 755 "$base"
		make_tree
		# The socket's folder keeps others out: the server trusts whoever reaches it.
		install -d -m 700 ${server_user:+-o "$server_user"} "$data" "$base/socket"
		install -m 600 ${server_user:+-o "$server_user"} /dev/null "$log"
		(cd / && as_server "$bindir/initdb" -D "$data" -U postgres -A trust --locale=C.UTF-8 --encoding=UTF8 --no-sync) >"$base/initdb.log" 2>&1 ||
			{ cat "$base/initdb.log" >&2; die "initdb failed"; }
		{
			printf "listen_addresses = ''\nport = 5432\nunix_socket_directories = '%s'\n" "$base/socket"
			echo "max_prepared_transactions = 4" # tests prepare some
			printf "fsync = off\nfull_page_writes = off\nsynchronous_commit = off\ntimezone = 'UTC'\nlog_timezone = 'UTC'\n"
			tr ' ' '\n' <<<"${PG_RFM_SETTINGS-}"
		} >>"$data/postgresql.conf"
		echo "$version" >"$base/version"
	fi

	# The makefile knows which files belong to the extension; install(1) replaces a library in use by a new file.
	make -s -C "$repo" install-files PG_CONFIG="$PG_CONFIG" SO="$PG_RFM_SO" DESTDIR="$base/root" >&2
	if ! running; then
		pg_ctl -l "$log" start || { tail -n 20 "$log" >&2; die "PostgreSQL did not start"; }
	fi
}

environment() {
	printf 'export %s=%q\n' PGHOST "$base/socket" PGPORT 5432 PGUSER postgres PGDATABASE postgres \
		PG_RFM_BINDIR "$bindir" PG_RFM_PREFIX "$base/root"
	echo 'unset PGSERVICE PGOPTIONS PGHOSTADDR PGPASSWORD'
}

case $command in
start)
	start
	;;
env)
	running || die "not running: $purpose"
	environment
	;;
status)
	if running; then say "$purpose is running in $base"; else say "$purpose is not running"; exit 3; fi
	;;
stop)
	if [ -d "$base" ]; then destroy && say "stopped and deleted $base"; else say "$purpose is not running"; fi
	;;
run)
	[ $# -ge 1 ] || usage
	# What an earlier run left behind when it was killed.
	own=$base
	for base in "${own%.*}".*; do
		data=$base/data bindir=${bindir/"$own"/"$base"}
		if [ -O "$base" ] && ! kill -0 "${base##*.}" 2>/dev/null; then destroy; fi
		bindir=${bindir/"$base"/"$own"}
	done
	base=$own data=$own/data
	trap destroy EXIT
	trap 'exit 130' INT TERM HUP
	start
	eval "$(environment)"
	status=0
	"$@" || status=$?
	exit "$status"
	;;
*)
	usage
	;;
esac
