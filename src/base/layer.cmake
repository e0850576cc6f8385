# SPDX-License-Identifier: GPL-3.0-or-later
ibb_layer(base
	SOURCES base/archive.c base/archive_walk.c base/archive_zip.c base/buf.c base/error.c base/guid.c base/hash.c base/io.c base/io_tree.c base/json.c base/json_syntax.c
		base/leftover.c base/mem.c base/path.c base/sign.c base/time.c base/utf16.c
		base/url.c
	LIBS PkgConfig::CJSON PkgConfig::LIBARCHIVE OpenSSL::Crypto m)
