#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-3.0-or-later
# Every public header compiles alone, as strict C11 and as C++.
set -euo pipefail
top=$1
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
n=0
checked=()
for cc in gcc clang g++ clang++; do
	command -v "$cc" >/dev/null || continue
	case $cc in
	*++) flags=(-x c++ -std=c++11) ;;
	*) flags=(-x c -std=c11 -Wstrict-prototypes) ;;
	esac
	checked+=("$cc")
	for header in "$top"/include/ibbake/*.h; do
		printf '#include "ibbake/%s"\n#include "ibbake/%s"\n' "$(basename "$header")" \
			"$(basename "$header")" >"$tmp/unit"
		"$cc" "${flags[@]}" -pedantic -Wall -Wextra -Werror -fsyntax-only \
			-I"$top/include" "$tmp/unit"
		n=$((n + 1))
	done
done
[ "$n" -gt 0 ] || { echo "no header or no compiler found"; exit 1; }
echo "public headers compile alone with ${checked[*]}"
