#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-3.0-or-later
# Install into an empty root, build a program against what is there through pkg-config, and run both
# as an ordinary user.
#
#   install.sh CMAKE BUILD_DIR PREFIX CC [cflags]
set -euo pipefail
cmake=$1 build=$2 prefix=$3 cc=$4
shift 4
. "$(dirname "${BASH_SOURCE[0]}")/../support/as_user.sh"
umask 022
root=
as_user_tmpdir root
fail() {
	echo "$*"
	exit 1
}

DESTDIR=$root "$cmake" --install "$build" >"$root/install.log" || { cat "$root/install.log"; exit 1; }
pc=$(find "$root$prefix" -name '*.pc')
[ "$(wc -l <<<"$pc")" = 1 ] && [ -n "$pc" ] || fail "wanted one pkg-config file, found: $pc"
module=$(basename "$pc" .pc)
export PKG_CONFIG_SYSROOT_DIR=$root PKG_CONFIG_PATH=
PKG_CONFIG_LIBDIR=$(dirname "$pc"):$(pkg-config --variable pc_path pkg-config)
export PKG_CONFIG_LIBDIR
pkg-config --print-errors --exists "$module"
version=$(pkg-config --modversion "$module")

header=$(cd "$root$prefix/include" && grep -lw ibb_version -r . | head -n 1)
[ -n "$header" ] || fail "no installed header declares ibb_version()"
cat >"$root/consumer.c" <<END
#include <${header#./}>
#include <stdio.h>
int main(void)
{
	return puts(ibb_version()) < 0;
}
END
read -ra flags < <(pkg-config --cflags --libs "$module")
"$cc" "$@" -std=c11 -Wall -Wextra -Werror "$root/consumer.c" -o "$root/consumer" "${flags[@]}"
lib=$(dirname "$(find "$root$prefix" -name 'libibbake.so' | head -n 1)")
said=$(as_user env LD_LIBRARY_PATH="$lib" "$root/consumer")
[ "$said" = "$version" ] || fail "ibb_version() says '$said', pkg-config '$version'"

# The program finds its library and its catalogs where they were installed.
program=$root$prefix/bin/ibbake
[ -x "$program" ] || fail "bin/ibbake is not installed"
said=$(as_user "$program" --version) || fail "the installed ibbake does not start"
[[ $said == *"$version"* ]] || fail "ibbake --version says '$said', pkg-config '$version'"
find "$root$prefix" -path '*/share/ibbake/catalogs/*.json' | grep -q . || fail "no catalog installed"
find "$root" -type f -newer "$root/install.log" -path "*$prefix/*" -perm /022 | grep . &&
	fail "installed files are writable for others"
echo "installed, built against and run: $module $version"
