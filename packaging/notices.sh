#!/usr/bin/env bash
# Prints the copyright notices of what is built into the library besides pg_rfm's own code: the Rust crates of Cargo.lock
# for one PostgreSQL, and Rust's standard library. Reads their sources where cargo keeps them.
#   notices.sh pg15 [APACHE]   APACHE: where readers find the Apache License 2.0, which is then named and not printed
set -euo pipefail
cd "$(dirname "$0")/.."
[ $# -ge 1 ] || { sed -n '2,4s/^# \{0,1\}//p' "$0" >&2; exit 2; }

feature=$1 apache=${2-}
cargo fetch --locked --quiet
sources=("${CARGO_HOME:-$HOME/.cargo}"/registry/src/*/)
rust=$(rustc --print sysroot)/share/doc/rust/licenses

# NAME VERSION LICENSE of each crate that is linked: neither what only builds, nor what only tests, nor macros.
crates() {
	cargo tree --locked --offline --no-default-features --features "$feature" -e normal,no-proc-macro --prefix none \
		--format '{p}|{l}' | sed -nE 's/ \(\*\)$//; s/^([^ ]+) v([^ |]+)( \(.*\))?\|(.*)$/\1 \2 \4/p' | grep -v '^pg_rfm ' | sort -u
}

# The files with the notices of a crate in folder $1. Where its license $2 leaves the choice, MIT is taken.
files() {
	local chosen
	chosen=$(find "$1" -maxdepth 2 -iname '*MIT*' -ipath '*licen*' ! -name '*.rs')
	if [ -z "$chosen" ] || [[ $2 != *MIT* ]]; then
		chosen=$(find "$1" -maxdepth 1 -type f \( -iname 'licen*' -o -iname 'copying*' \))
	fi
	printf '%s\n' "$chosen"
	find "$1" -maxdepth 1 -type f \( -iname 'notice*' -o -iname '*unicode*' -iname 'licen*' \)
}

declare -A users=() texts=()
order=()

# One text for all who use it word by word.
note() {
	local who=$1 text=$2 sum
	# All but the appendix, in which some put their name, is the same everywhere.
	if head -n 5 "$text" | grep -q 'Apache License' && grep -q 'TERMS AND CONDITIONS' "$text"; then
		sum=apache
	else
		sum=$(sha256sum <"$text" | cut -d' ' -f1)
	fi
	[ -n "${texts[$sum]-}" ] || order+=("$sum")
	texts[$sum]=${texts[$sum]-$text}
	users[$sum]=${users[$sum]:+${users[$sum]}, }$who
}

list='' silent=''
while read -r name version license; do
	list+="$name $version: $license"$'\n'
	folder=
	for source in "${sources[@]}"; do
		[ ! -d "$source$name-$version" ] || folder=$source$name-$version
	done
	[ -n "$folder" ] || { echo "pg_rfm: cargo has no source of $name $version" >&2; exit 1; }
	found=$(files "$folder" "$license" | grep . | sort -u || true)
	if [ -z "$found" ]; then
		authors=$(awk '/^authors = / { on = 1 } on { print } on && /]/ { exit }' "$folder/Cargo.toml" |
			sed -E 's/^authors = //; s/[]["]+//g' | xargs)
		silent+="$name $version: $license, by $authors"$'\n'
	fi
	while read -r file; do
		[ -z "$file" ] || note "$name $version" "$file"
	done <<<"$found"
done < <(crates)
list+="Rust's standard library $(rustc --version | cut -d' ' -f2): MIT OR Apache-2.0, Copyright (c) The Rust Project Contributors"$'\n'
[ ! -e "$rust/MIT.txt" ] || note "Rust's standard library" "$rust/MIT.txt"

printf 'The library of pg_rfm contains code of these Rust crates, under these licenses:\n\n%s\n' "$list"
printf 'Named in their packages without a text of the license:\n\n%s' "$silent"
for sum in "${order[@]}"; do
	printf '\n%s\n%s:\n\n' "$(printf '=%.0s' {1..80})" "$(fold -s -w 118 <<<"${users[$sum]}" | sed 's/ *$//')"
	if [ "$sum" = apache ] && [ -n "$apache" ]; then
		printf 'Apache License 2.0: %s\n' "$apache"
	else
		tr -d '\r' <"${texts[$sum]}"
	fi
done
