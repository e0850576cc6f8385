# SPDX-License-Identifier: GPL-3.0-or-later
# shellcheck shell=bash
#
# ibbake is an ordinary user's tool, so tests run it as one even when root runs the tests.
# Source it in a bash script:
#
#   as_user_tmpdir DIR_VAR       a fresh directory that the user owns; removed at exit
#   as_user COMMAND [ARGS...]    as root: as uid and gid 65534, no groups, no capabilities
#                                else: just the command
#   as_user_reaches PATH...      skip the test (77) when the user cannot read a path, for example
#                                because the checkout lies in root's home directory
#
# HOME and TMPDIR of the command are the (last) directory that as_user_tmpdir made.

as_user_id=65534
as_user_dirs=()

as_user_cleanup() {
	[ "${#as_user_dirs[@]}" = 0 ] || rm -rf "${as_user_dirs[@]}"
}

as_user_tmpdir() {
	local dir
	dir=$(mktemp -d "${TMPDIR:-/tmp}/ibbake-test.XXXXXX")
	as_user_dirs+=("$dir")
	trap as_user_cleanup EXIT
	if [ "$(id -u)" = 0 ]; then
		chown "$as_user_id:$as_user_id" "$dir"
	fi
	printf -v "$1" %s "$dir"
}

as_user() {
	local home=/
	[ "${#as_user_dirs[@]}" = 0 ] || home=${as_user_dirs[-1]}
	if [ "$(id -u)" != 0 ]; then
		env HOME="$home" TMPDIR="$home" "$@"
		return
	fi
	setpriv --reuid "$as_user_id" --regid "$as_user_id" --clear-groups --inh-caps=-all \
		--no-new-privs env HOME="$home" TMPDIR="$home" "$@"
}

as_user_reaches() {
	local path
	for path; do
		as_user test -r "$path" && continue
		echo "SKIPPED: an ordinary user cannot read $path"
		exit 77
	done
}
