#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-3.0-or-later
# Every PE file that a real catalog lists, with that catalog: does osslsigncode say of the signature
# what we say? It gets the Microsoft roots and, for what is signed under a cross certificate, the
# commercial roots of the system: it knows no anchor below a root.
#
#   signatures_osslsigncode.sh SOURCE_DIR SIGNATURES_OURS
set -euo pipefail
source_dir=$1 ours=$2
data=${IBB_TEST_DATA:-$source_dir/../shared/data}

skip() {
	echo "SKIPPED: $*"
	exit 77
}
command -v osslsigncode >/dev/null || skip "osslsigncode is not installed"
[ -d "$data/drivers" ] || skip "no test data"
commercial=/etc/ssl/certs/ca-certificates.crt
[ -r "$commercial" ] || skip "no $commercial"

tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
cat "$source_dir"/catalogs/trust/*.pem "$commercial" >"$tmp/roots.pem"
options=(-CAfile "$tmp/roots.pem" -TSA-CAfile "$tmp/roots.pem")
# Since 2.6 it wants to fetch revocation lists; 2.5 does not know the option.
help=$(osslsigncode verify --help 2>&1 || true)
if grep -q -e -ignore-cdp <<<"$help"; then
	options+=(-ignore-cdp -ignore-crl)
fi

# What differs, and why.
expected() {
	case $1 in
	*/tampered-nvidia-*)
		echo "the publisher's certificate is signed with MD5, which osslsigncode takes" ;;
	*) return 1 ;;
	esac
}

pairs=0 differ=0
for cat in "$data"/drivers/*/*.cat; do
	lines=$("$ours" "$cat")
	mine=refused
	if grep -qE ": (nested )?ok anchor=" <<<"$lines"; then mine=ok; fi
	for file in "$(dirname "$cat")"/*; do
		[ "$(head -c 2 "$file" | tr -d '\0')" = MZ ] || continue
		out=$(osslsigncode verify "${options[@]}" -catalog "$cat" "$file" 2>&1 || true)
		grep -aq "File is signed in catalog" <<<"$out" || continue # no member
		pairs=$((pairs + 1))
		theirs=refused
		if grep -aqx "Succeeded" <<<"$out"; then theirs=ok; fi
		[ "$mine" = "$theirs" ] && continue
		if why=$(expected "$cat"); then
			echo "as known: $cat, $(basename "$file"): ours $mine, theirs $theirs: $why"
			continue
		fi
		differ=$((differ + 1))
		printf '%s, %s: ours %s, theirs %s\n%s\n' "$cat" "$(basename "$file")" "$mine" \
			"$theirs" "$lines"
	done
done
echo "$pairs files with their catalogs, $differ judged differently"
[ "$pairs" -ge 10 ] && [ "$differ" -eq 0 ]
