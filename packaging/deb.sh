#!/usr/bin/env bash
# Makes a Debian package of the built extension for one PostgreSQL: `make package` calls it.
#   deb.sh   writes postgresql-NN-pg-rfm_VERSION_ARCH.deb into the folder PACKAGES, and prints its path
# Reads PG_CONFIG, SO (the built library), PACKAGES, and MAINTAINER ("Name <address>", default: who made the last commit).
# The same commit and library give the same bytes: the package has the time of the commit.
set -euo pipefail
cd "$(dirname "$0")/.."

say() { printf 'pg_rfm: %s\n' "$*" >&2; }
for program in dpkg-deb dpkg-shlibdeps strip; do
	command -v "$program" >/dev/null || { say "$program is missing: apt-get install dpkg-dev binutils"; exit 1; }
done
# git refuses a checkout of somebody else, as root finds it in a container; reading its last commit does no harm.
commit() { git -c "safe.directory=$PWD" log -1 --format="$1"; }

major=$("$PG_CONFIG" --version | sed -nE 's/^PostgreSQL ([0-9]+).*/\1/p')
version=$(sed -nE "s/^default_version = '(.*)'/\1/p" pg_rfm.control)-1
architecture=$(dpkg --print-architecture)
package=postgresql-$major-pg-rfm
maintainer=${MAINTAINER:-$(commit '%an <%ae>')}
SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-$(commit %ct)}
export SOURCE_DATE_EPOCH

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
root=$work/root
doc=$root/usr/share/doc/$package
umask 022
mkdir -p "$root" "$doc" "$root/DEBIAN" "$root/usr/share/lintian/overrides"

make -s install-files DESTDIR="$root" PG_CONFIG="$PG_CONFIG" SO="$SO"
library=$(find "$root" -name pg_rfm.so)
chmod 644 "$library" # as other libraries of PostgreSQL
strip --strip-unneeded --remove-section=.comment "$library"

{
	printf '%s (%s) unstable; urgency=medium\n\n' "$package" "$version"
	printf '  * pg_rfm %s for PostgreSQL %s. What changed stands in changelog.gz.\n\n' "${version%-*}" "$major"
	printf ' -- %s  %s\n' "$maintainer" "$(LC_ALL=C date -u -R -d "@$SOURCE_DATE_EPOCH")"
} | gzip -9n >"$doc/changelog.Debian.gz"
gzip -9n <CHANGELOG.md >"$doc/changelog.gz"
{
	cat LICENSE
	printf '\n%s\n\n' "$(printf '=%.0s' {1..80})"
	packaging/notices.sh "pg$major" /usr/share/common-licenses/Apache-2.0
} >"$doc/copyright"
sed "s/^PACKAGE:/$package:/" packaging/lintian-overrides >"$root/usr/share/lintian/overrides/$package"

# What the library needs of the C library comes from its symbols.
mkdir -p "$work/debian"
printf 'Source: %s\n\nPackage: %s\nArchitecture: any\n' "$package" "$package" >"$work/debian/control"
depends=$(cd "$work" && dpkg-shlibdeps -O "$library" 2>/dev/null | sed -n 's/^shlibs:Depends=//p')

(cd "$root" && find . -path ./DEBIAN -prune -o -type f -printf '%P\n' | LC_ALL=C sort | xargs md5sum) >"$root/DEBIAN/md5sums"
cat >"$root/DEBIAN/control" <<END
Package: $package
Source: pg-rfm
Version: $version
Architecture: $architecture
Maintainer: $maintainer
Installed-Size: $(du -sk --apparent-size --exclude=DEBIAN "$root" | cut -f1)
Depends: postgresql-$major, $depends
Section: database
Priority: optional
Description: customer segmentation inside PostgreSQL $major
 pg_rfm computes RFM scores, lifecycle states, VIP scores and the one next
 step for each customer from a shop's orders, in SQL and for any day, and
 keeps them as materialized views. CREATE EXTENSION pg_rfm needs no
 superuser, no restart and no shared_preload_libraries.
END

mkdir -p "$PACKAGES"
deb=$PACKAGES/${package}_${version}_$architecture.deb
find "$root" -exec touch -h -d "@$SOURCE_DATE_EPOCH" {} +
dpkg-deb --root-owner-group -Zxz --build "$root" "$deb" >/dev/null
printf '%s\n' "$deb"
