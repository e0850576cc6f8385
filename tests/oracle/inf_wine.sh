#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-3.0-or-later
# Real INFs, and this project's own, as Wine's setupapi and as src/inf read them: the same sections,
# lines and fields.
#
#   inf_wine.sh SOURCE_DIR INFDUMP_OURS MKPKG
set -euo pipefail
source_dir=$1 ours=$2 mkpkg=$3
PATH=$PATH:/usr/lib/wine
data=$(realpath -m "${IBB_TEST_DATA:-$source_dir/../shared/data}") # Wine drops the ..

skip() {
	echo "SKIPPED: $*"
	exit 77
}
mingw=x86_64-w64-mingw32-gcc
command -v "$mingw" >/dev/null || skip "$mingw is not installed"
wine=$(command -v wine || command -v wine64) || skip "wine is not installed"

tmp=$(mktemp -d)
# Wine's server outlives its client; it must be gone before its directory is.
finish() {
	wineserver=$(command -v wineserver64 || command -v wineserver) && "$wineserver" -k || true
	rm -rf "$tmp"
}
trap finish EXIT
export WINEPREFIX=$tmp/wine WINEDEBUG=-all DISPLAY='' HOME=$tmp
export WINEDLLOVERRIDES='mscoree,mshtml='
"$mingw" -O1 -Wall -Werror -o "$tmp/infdump.exe" "$source_dir/tests/oracle/infdump_wine.c" -lsetupapi

"$mkpkg" "$tmp/ansi" >/dev/null
"$mkpkg" --encoding utf16 "$tmp/utf16" >/dev/null
infs=("$tmp/ansi/ibbdemo.inf" "$tmp/utf16/ibbdemo.inf")
if [ -d "$data/drivers" ]; then
	while IFS= read -r inf; do
		infs+=("$inf")
	done < <(find "$data/drivers" -iname '*.inf' | sort)
elif [ "${IBB_REQUIRE_DATA:-0}" = 1 ]; then
	echo "IBB_REQUIRE_DATA=1, but $data/drivers is missing"
	exit 1
fi

# setupapi replaces directory ids (%12%) by directories; src/inf leaves them, they are no strings.
put_ids_back() {
	local dir='Z:'${1%/*}/
	dir=${dir//\//\\}
	awk -v dir="${dir//\\/\\\\}" '
		function swap(text, id,   at) {
			while ((at = index(tolower($0), tolower(text))) > 0)
				$0 = substr($0, 1, at - 1) id substr($0, at + length(text))
		}
		{
			swap(dir, "%1%")
			swap("C:\\windows\\system32\\drivers", "%12%")
			swap("C:\\windows\\system32", "%11%")
			swap("C:\\windows", "%10%")
			print
		}'
}

failed=0 lines=0
for inf in "${infs[@]}"; do
	"$wine" "$tmp/infdump.exe" "Z:${inf//\//\\}" 2>/dev/null | tr -d '\r' |
		put_ids_back "$inf" >"$tmp/theirs" || true
	"$ours" "$inf" >"$tmp/ours" || true
	if ! cmp -s "$tmp/theirs" "$tmp/ours"; then
		echo "${inf#"$data"/}: Wine (-) and ibbake (+) differ:"
		diff -U1 "$tmp/theirs" "$tmp/ours" | sed 1,2d | head -n 20 || true
		failed=$((failed + 1))
	fi
	lines=$((lines + $(wc -l <"$tmp/theirs")))
done
[ "$lines" -gt 20 ] || { echo "Wine printed next to nothing"; exit 1; }
echo "${#infs[@]} INFs, $lines lines compared, $failed differ"
[ "$failed" = 0 ]
