#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-3.0-or-later
#
# A bake of a LZX WIM of 1 GiB against `wimlib-imagex update` followed by a sync, which puts the same
# files into it, in turns: in place (both append) and to a new file (update --rebuild of a copy); with
# and without an integrity table. They do not compress equally: wimlib-imagex takes its level 50, which
# costs the more time the less it gains, so that the growth of the file belongs to the comparison.
#
#   wim.sh IBBAKE TOOLS DIRECTORY ROUNDS DATA [CACHE]
#
# TOOLS holds ibb-mkimage and ibb-mkpkg; DATA is the real material, or is not there. DIRECTORY needs
# about 3 GiB, and 2 GiB for the WIMs that are made once when there is no CACHE. One line for each
# measurement: name, target (1.15 times what wimlib took), measured, what wimlib took; times in
# microseconds, memory in bytes. Without wimlib-imagex: exit status 77.
set -euo pipefail
program=$1 tools=$2 work=$3 rounds=$4 data=$5 cache=${6:-$3}
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd -P)
command -v wimlib-imagex >/dev/null || exit 77
export SOURCE_DATE_EPOCH=1767225600

mine=$work/wim
mkdir -p "$mine" "$cache"
trap 'rm -rf "$mine"' EXIT
quiet() { "$@" >"$mine/log" 2>&1 || {
	tail -n 5 "$mine/log" >&2
	exit 1
}; }
now() { echo "${EPOCHREALTIME/[.,]/}"; }

# ---- the WIM and the package ----

package=$data/drivers/mlx5-24.4.26429 hive=$data/hives/win10-19041/SYSTEM
windows=(--windows server2022) trust=() kind=generated
if [ -f "$hive" ]; then
	windows=(--windows win10-19041 --system-hive "$hive") kind=real
fi
if [ ! -d "$package" ]; then
	package=$mine/package
	"$tools/ibb-mkpkg" --root "$mine/root.pem" --noise 8000000 "$package" >/dev/null
	trust=(--trust-anchor "$mine/root.pem")
fi
plain=$cache/bench-$kind-1.wim checked=$cache/bench-$kind-1-integrity.wim
if [ ! -f "$checked" ]; then
	"$tools/ibb-mkimage" "$mine/windows.raw" --table none --size 256MiB "${windows[@]}" >/dev/null
	python3 "$here/wimdata.py" "$mine/data" 1000 300 30000
	quiet wimlib-imagex capture "$mine/windows.raw" "$mine/base.wim" Windows --compress=LZX:20
	quiet wimlib-imagex update "$mine/base.wim" 1 \
		--command="add '$mine/data' '/Program Files/Data'"
	quiet wimlib-imagex optimize "$mine/base.wim"
	rm -rf "$mine/data" "$mine/windows.raw"
	cp "$mine/base.wim" "$mine/checked.wim"
	quiet wimlib-imagex info "$mine/checked.wim" 1 Windows checked --check
	mv "$mine/base.wim" "$plain"
	mv "$mine/checked.wim" "$checked"
fi

# ---- one measurement ----

# measured <what> <file> <command>: the command and a sync of the file; time, CPU, memory and the
# size of the file go to a line of $mine/<what>
measured() {
	local what=$1 file=$2 from user sys kib
	shift 2
	from=$(now)
	/usr/bin/time -f '%U %S %M' -o "$mine/usage" "$@" >"$mine/log" 2>&1 || {
		cat "$mine/log" >&2
		exit 1
	}
	sync "$file"
	from=$(($(now) - from))
	read -r user sys kib < <(tail -n 1 "$mine/usage")
	awk -v w="$from" -v u="$user" -v s="$sys" -v m="$kib" -v n="$(stat -c %s "$file")" \
		'BEGIN { printf "%d %d %d %d\n", w, (u + s) * 1e6, m * 1024, n }' >>"$mine/$what"
}
best() { sort -n -k "$2,$2" "$mine/$1" | awk -v f="$2" 'NR == 1 { print $f }'; }
median() { awk -v f="$2" '{ print $f }' "$mine/$1" | sort -n |
	awk '{ v[NR] = $1 } END { print v[int((NR + 1) / 2)] }'; }
line() { awk -v n="$1" -v theirs="$2" -v ours="$3" \
	'BEGIN { printf "%s %.0f %d %d\n", n, 1.15 * theirs, ours, theirs }'; }
# Bytes that the file has more than the source
grown() { echo $(($(best "$1" 4) - $(stat -c %s "$base"))); }
report() {
	line "$1-median" "$(median theirs 1)" "$(median ours 1)"
	line "$1-best" "$(best theirs 1)" "$(best ours 1)"
	line "$1-cpu" "$(best theirs 2)" "$(best ours 2)"
	line "$1-memory" "$(best theirs 3)" "$(best ours 3)"
	line "$1-grown" "$(grown theirs)" "$(grown ours)"
	rm -f "$mine/ours" "$mine/theirs"
}

# theirs <file> [option]: wimlib does it
theirs() {
	# shellcheck disable=SC2016 # of the inner shell
	measured theirs "$1" sh -c 'f=$1 c=$2; shift 2; exec wimlib-imagex update "$@" "$f" 1 <"$c"' sh \
		"$1" "$mine/commands" "${@:2}"
}

bake() { "$program" bake "$@"; }
common=("${trust[@]}" --size Standard_HB120rs_v3 --drivers "$package" --image 1 --no-manifest
	--allow-unsupported --quiet)

# The same files as commands for wimlib
changes_of() {
	local path
	rm -rf "$mine/changed"
	mkdir "$mine/changed"
	: >"$mine/commands"
	python3 -c 'import json, sys
doc = json.load(open(sys.argv[1], encoding="utf-8"))
for f in doc["images"][0]["files"]:
    print(f["path"])' "$2" >"$mine/paths"
	while IFS= read -r path; do
		quiet wimlib-imagex extract "$1" 1 "/$path" --dest-dir="$mine/changed" \
			--preserve-dir-structure --no-acls
		echo "add '$mine/changed/$path' '/$path'" >>"$mine/commands"
	done <"$mine/paths"
}

# As it was: what was appended goes, the header comes back
appended=$mine/append.wim
as_it_was() {
	truncate -s "$(stat -c %s "$1")" "$appended"
	dd if="$1" of="$appended" bs=208 count=1 conv=notrunc status=none
	sync "$appended"
}

for base in "$plain" "$checked"; do
	name=append new=write
	if [ "$base" = "$checked" ]; then
		name=append-integrity new=write-integrity
	fi
	cp "$base" "$appended"
	sync -f "$mine"
	bake "$appended" "${trust[@]}" --size Standard_HB120rs_v3 --drivers "$package" --image 1 \
		--allow-unsupported --in-place --manifest "$mine/manifest.json" --quiet
	changes_of "$appended" "$mine/manifest.json"
	rm "$mine/manifest.json"
	for ((i = 0; i < rounds; i++)); do
		as_it_was "$base"
		theirs "$appended"
		as_it_was "$base"
		measured ours "$appended" "$program" bake "$appended" "${common[@]}" --in-place
	done
	report "$name"
	rm "$appended"
	for ((i = 0; i < rounds; i++)); do
		cp "$base" "$mine/new.wim"
		sync "$mine/new.wim"
		theirs "$mine/new.wim" --rebuild
		rm "$mine/new.wim"
		sync -f "$mine"
		measured ours "$mine/new.wim" "$program" bake "$base" "${common[@]}" \
			-o "$mine/new.wim"
		rm "$mine/new.wim"
	done
	report "$new"
done
