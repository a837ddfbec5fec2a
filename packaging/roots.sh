# shellcheck shell=bash disable=SC2154
# Roots of Debian to try things in, for scripts that source this; $root is the folder of the one they mean. Needs root and
# debootstrap. Reads PG_RFM_MIRROR (of Debian).

# The release of Debian that has PostgreSQL $1, or nothing: none has 14 or 16.
suite_of() {
	case $1 in
	13) echo bullseye ;;
	15) echo bookworm ;;
	17) echo trixie ;;
	18) echo forky ;;
	esac
}

# Debian's packages come from where this machine's apt gets its own.
mirror() {
	if [ -n "${PG_RFM_MIRROR-}" ]; then
		printf '%s\n' "$PG_RFM_MIRROR"
	else
		# shellcheck disable=SC2016 # expanded by apt
		apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' 'Origin: Debian' 'Label: Debian' | sort -u | head -n 1
	fi
}

# A command inside $root, with a /proc and /dev of its own and what else is given as FROM:TO. The mounts end with it.
inside() {
	local mounts=()
	while [ "$1" != -- ]; do mounts+=("$1"); shift; done
	shift
	# shellcheck disable=SC2016 # expanded by the inner shell
	unshare --mount bash -euc '
		root=$1
		shift
		mount -t proc proc "$root/proc"
		mount --rbind /dev "$root/dev"
		while [ "$1" != -- ]; do
			IFS=: read -r from to options <<<"$1"
			mkdir -p "$root$to"
			mount -o "bind${options:+,$options}" "$from" "$root$to"
			shift
		done
		shift
		exec env -i HOME=/root LC_ALL=C.UTF-8 DEBIAN_FRONTEND=noninteractive PATH=/opt/rust/bin:/usr/sbin:/usr/bin:/sbin:/bin \
			http_proxy="${http_proxy-}" https_proxy="${https_proxy-}" no_proxy="${no_proxy-}" chroot "$root" "$@"
	' - "$root" ${mounts[@]+"${mounts[@]}"} -- "$@" </dev/null
}

# Makes $root anew: the release $1 of Debian with the packages $2...
bare_root() {
	local suite=$1 known=/usr/share/debootstrap/scripts
	shift
	command -v debootstrap >/dev/null || { echo 'debootstrap is missing'; return 1; }
	rm -rf --one-file-system "$root" && mkdir -p "$root" || return

	# Debian's suites all share one script, which an older debootstrap has not under their names.
	unshare --mount debootstrap --variant=minbase "$suite" "$root" "$(mirror)" \
		"$([ -e "$known/$suite" ] && echo "$known/$suite" || echo "$known/sid")" || return

	# Neither a running service nor the cluster that the server's package would create.
	printf '#!/bin/sh\nexit 101\n' >"$root/usr/sbin/policy-rc.d" && chmod 755 "$root/usr/sbin/policy-rc.d" || return
	mkdir -p "$root/etc/postgresql-common/createcluster.d" || return
	echo 'create_main_cluster = false' >"$root/etc/postgresql-common/createcluster.d/pg_rfm.conf" || return
	inside -- apt-get install -y -q --no-install-recommends "$@" || return
	inside -- apt-get clean
}
