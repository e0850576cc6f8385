#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
# Does an independent tool accept the catalog that ibb-mkpkg signs, and refuse it for another file?
# usage: check_catalog.sh IBB-MKPKG
set -eu
command -v osslsigncode >/dev/null || {
	echo "SKIPPED: no osslsigncode"
	exit 77
}
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
"$1" --root "$dir/root.pem" "$dir/a"
"$1" --version 2.0.0.0 "$dir/b"
verify() {
	osslsigncode verify -CAfile "$dir/root.pem" -TSA-CAfile "$dir/root.pem" \
		-catalog "$dir/a/ibbdemo.cat" "$1"
}
verify "$dir/a/ibbdemo.sys"
if verify "$dir/b/ibbdemo.sys"; then
	echo "the catalog vouches for a file that is not in it" >&2
	exit 1
fi
