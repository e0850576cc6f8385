#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-3.0-or-later
# Every shell script parses, and shellcheck finds nothing in it.
set -euo pipefail
cd "$1"
scripts=()
while IFS= read -r -d '' f; do
	case $f in
	*.sh) scripts+=("$f") ;;
	*) head -n 1 "$f" | grep -qaE '^#!.*\b(ba)?sh\b' && scripts+=("$f") ;;
	esac
done < <(find ci .ci tests -type f -print0 | sort -z)
[ "${#scripts[@]}" -gt 0 ] || { echo "no script found"; exit 1; }
for f in "${scripts[@]}"; do
	bash -n "$f"
done
command -v shellcheck >/dev/null || { echo "SKIPPED: shellcheck is not installed"; exit 77; }
shellcheck --severity=warning --source-path=SCRIPTDIR --external-sources "${scripts[@]}"
echo "${#scripts[@]} scripts are clean"
