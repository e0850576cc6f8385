#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-3.0-or-later
#
# A dynamic VHD and a VHDX of 10 GiB with 2 GiB of data to a fixed VHD, on the disk: ibbake (which
# syncs and reads back before the output has its name) against qemu-img followed by a sync, in turns.
#
#   convert.sh IBBAKE DIRECTORY ROUNDS
#
# DIRECTORY needs about 8 GiB. One line for each measurement: name, target, measured (microseconds
# or bytes). Without qemu-img: exit status 77.
set -euo pipefail
program=$1 work=$2 rounds=$3
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd -P)
command -v qemu-img >/dev/null || exit 77

trap 'rm -f "$work"/convert.*' EXIT
python3 "$here/scatter.py" "$work/convert.raw" 10240 2048
qemu-img convert -f raw -O vpc -o subformat=dynamic,force_size "$work/convert.raw" \
	"$work/convert.vhd"
qemu-img convert -f raw -O vhdx -o subformat=dynamic "$work/convert.raw" "$work/convert.vhdx"
rm "$work/convert.raw"
sync -f "$work/convert.vhd"

now() { echo "${EPOCHREALTIME/[.,]/}"; }
median() { sort -n | awk '{ v[NR] = $1 } END { print v[int((NR + 1) / 2)] }'; }
best() { sort -n | head -n 1; }

# ours|theirs <input>: microseconds
ours() {
	local from
	rm -f "$work/convert.out.vhd"
	sync -f "$work"
	from=$(now)
	"$program" convert "$1" -o "$work/convert.out.vhd" --quiet
	echo $(($(now) - from))
}
theirs() {
	local from
	rm -f "$work/convert.out.vhd"
	sync -f "$work"
	from=$(now)
	qemu-img convert -O vpc -o subformat=fixed,force_size "$1" "$work/convert.out.vhd"
	sync "$work/convert.out.vhd"
	echo $(($(now) - from))
}

for kind in vhd vhdx; do
	input=$work/convert.$kind
	: >"$work/convert.ours"
	: >"$work/convert.theirs"
	ours "$input" >/dev/null # into the cache
	for ((i = 0; i < rounds; i++)); do
		theirs "$input" >>"$work/convert.theirs"
		ours "$input" >>"$work/convert.ours"
	done
	for how in median best; do
		echo "$kind-$how $($how <"$work/convert.theirs") $($how <"$work/convert.ours")"
	done
	rm -f "$work/convert.out.vhd"
	/usr/bin/time -f %M -o "$work/convert.rss" "$program" convert "$input" \
		-o "$work/convert.out.vhd" --quiet
	echo "$kind-memory $((64 << 20)) $(($(tail -n 1 "$work/convert.rss") * 1024))"
done
