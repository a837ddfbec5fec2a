#!/usr/bin/env bash
# What building and testing need besides Rust and make: a C compiler, libclang, PostgreSQL with its server headers.
#   deps.sh              installs what is missing with apt-get (as root or through sudo); silent when nothing is
#   deps.sh --check      installs nothing: says what building lacks, and what to run
#   deps.sh --pg-config  prints the pg_config to build for, or nothing
# PG_CONFIG in the environment is used as it is.
set -euo pipefail
cd "$(dirname "$0")/../.."

say() { printf 'pg_rfm: %s\n' "$*" >&2; }

has_headers() { [ -x "$(command -v "$1")" ] && [ -e "$("$1" --includedir-server)/postgres.h" ]; }
has_server() { [ -x "$(command -v "$1")" ] && [ -x "$("$1" --bindir)/initdb" ]; }

# The [configs] of pgrx.toml, newest first, then the one on the PATH: with its server headers and its server.
find_pg_config() {
	local candidate
	while read -r candidate; do
		if { has_headers "$candidate" && has_server "$candidate"; } 2>/dev/null; then
			printf '%s\n' "$candidate"
			return
		fi
	done < <(sed -nE 's/^pg([0-9]+) *= *"(.*)"/\1 \2/p' pgrx.toml | sort -rn | cut -d' ' -f2- && echo pg_config)
}

install=yes
case ${1-} in
--pg-config) find_pg_config; exit ;;
--check) install='' ;;
esac

has_libclang() {
	[ -n "${LIBCLANG_PATH-}" ] && return
	compgen -G '/usr/lib/llvm-*/lib/libclang*.so*' >/dev/null || ldconfig -p 2>/dev/null | grep -q 'libclang[-.0-9]*\.so'
}

# The version whose headers to add: an installed server without them, else the distribution's own.
debian_postgresql() {
	local server
	server=$(compgen -G '/usr/lib/postgresql/*/bin/postgres' | sort -V | tail -n 1 | cut -d/ -f5)
	[ -n "$server" ] || server=$(apt-cache depends postgresql 2>/dev/null | sed -nE 's/.*Depends: postgresql-([0-9]+)$/\1/p' | head -n 1)
	printf '%s' "$server"
}

# What the PostgreSQL of PG_CONFIG lacks. Building needs only its headers, testing its server too.
lacking() {
	has_headers "$PG_CONFIG" || echo 'server headers (postgres.h)'
	[ -z "$install" ] || has_server "$PG_CONFIG" || echo 'server (initdb)'
}

# The version of PG_CONFIG where it is one of Debian's, or of PostgreSQL's own packages for Debian, else nothing. The folder
# tells it before anything is installed there.
debian_version() {
	local bindir=${PG_CONFIG%/*}
	[ ! -x "$(command -v "$PG_CONFIG")" ] || bindir=$("$PG_CONFIG" --bindir)
	sed -nE 's|^/usr/lib/postgresql/([0-9]+)/bin$|\1|p' <<<"$bindir"
}

packages=()
command -v cc >/dev/null || packages+=(gcc libc6-dev)
has_libclang || packages+=(libclang-dev)
need_postgresql=
if [ -z "${PG_CONFIG-}" ]; then
	[ -n "$(find_pg_config)" ] || need_postgresql=yes
elif lacks=$(lacking) && [ -n "$lacks" ]; then
	version=$(debian_version)
	if [ -z "$version" ]; then
		[ -x "$(command -v "$PG_CONFIG")" ] || { say "$PG_CONFIG: there is no such program"; exit 1; }
		say "$PG_CONFIG: this PostgreSQL has no ${lacks//$'\n'/ and no }"
		say "install what its packager calls development files: on Red Hat postgresqlNN-devel"
		exit 1
	fi
	[[ $lacks != *initdb* ]] || packages+=("postgresql-$version")
	[[ $lacks != *postgres.h* ]] || packages+=("postgresql-server-dev-$version")
fi
[ ${#packages[@]} -gt 0 ] || [ -n "$need_postgresql" ] || exit 0

if ! command -v apt-get >/dev/null; then
	say "missing: ${packages[*]} ${need_postgresql:+PostgreSQL 13 to 18 with its server headers}"
	say "this is no Debian system: install them with its own package manager, then give PG_CONFIG=/path/to/pg_config"
	exit 1
fi

add_postgresql() {
	[ -n "$need_postgresql" ] || return 0
	local version
	version=$(debian_postgresql)
	packages+=("postgresql-${version:-NN}" "postgresql-server-dev-${version:-NN}")
	[ -n "$version" ]
}

as_root=()
if [ "$(id -u)" -ne 0 ]; then as_root=(sudo); fi

give_up() {
	say "$1, run this as root, then try again:"
	printf '  apt-get update && apt-get install -y --no-install-recommends %s\n' "${packages[*]/NN/15}" >&2
	exit 1
}

if [ -z "$install" ]; then
	add_postgresql || true
	say "missing: ${packages[*]}"
	give_up "run \`make deps${PG_CONFIG:+ PG_CONFIG=$PG_CONFIG}\`, or where there is no sudo"
fi

if [ ${#as_root[@]} -gt 0 ]; then
	# sudo may ask for the password only where somebody can type it.
	[ -t 0 ] || as_root+=(-n)
	if ! "${as_root[@]}" true 2>/dev/null; then
		add_postgresql || true
		give_up "packages are missing and this user cannot use sudo"
	fi
fi

say "updating the package lists"
"${as_root[@]}" apt-get update -q >&2 || say "apt-get update failed, trying with the lists that are there"
add_postgresql || give_up "the package lists name no PostgreSQL"
say "installing ${packages[*]}"

# Debian's server package creates and starts a cluster called main; this file, there only meanwhile, tells it not to.
no_main=/etc/postgresql-common/createcluster.d/pg_rfm.conf
if [[ " ${packages[*]}" =~ ' postgresql-'[0-9] ]]; then
	"${as_root[@]}" mkdir -p "${no_main%/*}"
	trap '"${as_root[@]}" rm -f "$no_main"' EXIT
	echo 'create_main_cluster = false' | "${as_root[@]}" tee "$no_main" >/dev/null
fi
"${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends -o DPkg::Lock::Timeout=120 "${packages[@]}" >&2 </dev/null ||
	give_up "apt-get could not install the packages"
