# SPDX-License-Identifier: GPL-3.0-or-later
# shellcheck shell=bash disable=SC2034
#
# What ci/demo, ci/test and ci/campaign share: the list of what is needed, its installation, the
# build. Source it; it changes to the top of the repository.

me=ci/$(basename "$0")
top=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd -P)
cd "$top" || exit 1
export LC_ALL=C.UTF-8 TZ=UTC
PATH=$PATH:/usr/local/sbin:/usr/sbin:/sbin # mkntfs, ntfsresize, reged

say() { printf '%s: %s\n' "$me" "$*" >&2; }
die() {
	say "$*"
	exit 1
}

# One line each: how to see that it is there, and the Debian package that brings it.
#   cmd:NAME  a program       pc:NAME  a pkg-config module      hdr:NAME  a C header
#   rt:NAME   clang links with -fsanitize=NAME                  py:NAME   a python3 module
#   file:PATH a file
needed='
cmd:gcc			gcc
hdr:stdio.h		libc6-dev
cmd:cmake		cmake
cmd:make		make
cmd:pkg-config		pkg-config
pc:libntfs-3g		ntfs-3g-dev
hdr:wimlib.h		libwim-dev
pc:libarchive		libarchive-dev
pc:libvhdi		libvhdi-dev
pc:libcrypto		libssl-dev
pc:libcurl		libcurl4-openssl-dev
pc:zlib			zlib1g-dev
pc:libcjson		libcjson-dev
cmd:mkntfs		ntfs-3g
cmd:ntfsresize		ntfs-3g
cmd:ntfsfix		ntfs-3g
cmd:openssl		openssl
cmd:python3		python3
'
needed_by_tests='
pc:cmocka		libcmocka-dev
cmd:setpriv		util-linux
cmd:xz			xz-utils
'
needed_to_sanitize='
cmd:clang		clang
rt:address,undefined	libclang-rt-14-dev
'
# Independent readers of what ibbake writes. A test whose oracle is absent is skipped.
light_oracles='
cmd:hivexsh		libhivex-bin
cmd:reged		chntpw
cmd:regfexport		libregf-utils
cmd:reglookup		reglookup
py:hivex		python3-hivex
py:pyregf		python3-libregf
cmd:sfdisk		fdisk
cmd:qemu-img		qemu-utils
cmd:sgdisk		gdisk
cmd:mkfs.fat		dosfstools
cmd:mcopy		mtools
cmd:wimcapture		wimtools
cmd:zip			zip
cmd:gcab		gcab
cmd:7zz			7zip
cmd:wixl		wixl
cmd:msibuild		msitools
cmd:nginx		nginx-light
cmd:strace		strace
py:jsonschema		python3-jsonschema
'
heavy_oracles='
cmd:git			git
cmd:g++			g++
cmd:llvm-symbolizer	llvm
cmd:clang-format-14	clang-format-14
cmd:shellcheck		shellcheck
cmd:osslsigncode	osslsigncode
cmd:x86_64-w64-mingw32-gcc	gcc-mingw-w64-x86-64-win32
cmd:wine		wine
'

have() {
	local kind=${1%%:*} name=${1#*:}
	case $kind in
	cmd) command -v "$name" >/dev/null ;;
	pc) command -v pkg-config >/dev/null && pkg-config --exists "$name" ;;
	hdr) echo "#include <$name>" | gcc -E - >/dev/null 2>&1 ;;
	rt) echo 'int main(void){return 0;}' |
		clang "-fsanitize=$name" -x c -o /dev/null - >/dev/null 2>&1 ;;
	py) "$(python)" -c "import $name" 2>/dev/null ;;
	file) [ -e "$name" ] ;;
	esac
}

# Debian's python3, for which Debian's modules are installed, before any other of that name.
python() {
	if [ -x /usr/bin/python3 ]; then echo /usr/bin/python3; else echo python3; fi
}

# missing_of <list>: the packages whose check fails.
missing_of() {
	local check package
	while read -r check package; do
		[ -n "$check" ] || continue
		have "$check" || echo "$package"
	done <<<"$1"
}

# install_needed <list>...: install the packages that are missing, only those.
install_needed() {
	local packages root=() log
	packages=$(missing_of "$(printf '%s\n' "$@")" | sort -u | tr '\n' ' ')
	packages=${packages% }
	[ -n "$packages" ] || return 0
	command -v apt-get >/dev/null ||
		die "lacks $packages (Debian's names), and there is no apt-get to install them"
	if [ "$(id -u)" != 0 ]; then
		command -v sudo >/dev/null ||
			die "lacks $packages, and neither root nor sudo is at hand to install them"
		root=(sudo)
		if ! [ -t 0 ]; then
			root=(sudo -n)
			sudo -n true 2>/dev/null ||
				die "lacks $packages, and sudo asks for a password to install them"
		fi
	fi
	say "installs $packages"
	log=$(mktemp "${TMPDIR:-/tmp}/ibbake-apt.XXXXXX")
	# Package lists may be absent (a fresh machine) or stale (the files they name are gone).
	# shellcheck disable=SC2086 # a list of names
	if ! apt_get install $packages >"$log" 2>&1; then
		apt_get update >>"$log" 2>&1 || true
		apt_get install $packages >>"$log" 2>&1 ||
			die "lacks $packages, and they cannot be installed (no network?):" \
				"$(grep -a '^E:' "$log" | tail -n 1) (all of it: $log)"
	fi
	rm -f "$log"
	packages=$(missing_of "$(printf '%s\n' "$@")" | sort -u | tr '\n' ' ')
	[ -z "$packages" ] || die "installed, but still of no use on this machine: $packages"
}

# As install_needed, but goes on without them.
install_wanted() {
	(install_needed "$@") || say "goes on without them: their tests are skipped"
}

apt_get() {
	# stdin is not apt's; sudo may need the terminal, not stdin
	"${root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -y -q \
		--no-install-recommends -o DPkg::Lock::Timeout=300 \
		-o Acquire::Retries=3 "$@" </dev/null
}

jobs() { nproc 2>/dev/null || echo 1; }

# configure_and_build <build directory> [cmake arguments] [-- targets]: incremental.
configure_and_build() {
	local dir=$1 options=() home
	shift
	mkdir -p "$dir" 2>/dev/null && [ -w "$dir" ] ||
		die "cannot write to $top/$dir: made by another user? remove it"
	if [ -f "$dir/CMakeCache.txt" ]; then
		home=$(sed -n 's/^CMAKE_HOME_DIRECTORY:INTERNAL=//p' "$dir/CMakeCache.txt")
		[ "$home" = "$top" ] || options+=(--fresh) # the checkout was moved or copied
	fi
	while [ "$#" -gt 0 ] && [ "$1" != -- ]; do
		options+=("$1")
		shift
	done
	[ "$#" = 0 ] || shift
	case ${IBB_WERROR:-0} in
	1) options+=(-DIBB_WERROR=ON) ;;
	*) options+=(-DIBB_WERROR=OFF) ;;
	esac
	cmake "${options[@]}" -S . -B "$dir" >"$dir/configure.log" 2>&1 || {
		cat "$dir/configure.log" >&2
		die "cmake could not configure $dir"
	}
	cmake --build "$dir" --parallel "$(jobs)" ${1:+--target "$@"} >"$dir/build.log" 2>&1 || {
		grep -aE 'error:|warning:|undefined reference|\*\*\*' "$dir/build.log" >&2 || true
		die "the build failed; all of its output: $top/$dir/build.log"
	}
	grep -aE 'warning:' "$dir/build.log" >&2 || true
}

# run_ctest <build directory> [ctest arguments]: with the reasons of what was skipped in front of
# ctest's own summary.
run_ctest() {
	local dir=$1 rc=0 summary
	shift
	summary=$(mktemp "${TMPDIR:-/tmp}/ibbake-ctest.XXXXXX")
	ctest --test-dir "$dir" --output-on-failure --no-tests=error -j "$(jobs)" "$@" </dev/null |
		awk -v rest="$summary" '/^[0-9]+% tests passed/ { on = 1 }
			{ if (on) print > rest; else { print; fflush() } }' || rc=1
	awk '/^[0-9]+\/[0-9]+ Testing: / { name = $3 }
		/SKIPPED: / { sub(/.*SKIPPED: /, ""); if (!seen[name $0]++) print name ": skipped: " $0 }' \
		"$dir/Testing/Temporary/LastTest.log" 2>/dev/null || true
	cat "$summary"
	rm -f "$summary"
	return "$rc"
}
