#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-3.0-or-later
# Every C file is as clang-format (14, Debian 12's: other versions differ) would write it.
set -euo pipefail
cd "$1"
command -v clang-format-14 >/dev/null || { echo "SKIPPED: clang-format-14 is not installed"; exit 77; }
find src include tests -name '*.[ch]' -print0 | sort -z |
	xargs -0 clang-format-14 --style=file --dry-run --Werror
