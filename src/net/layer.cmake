# SPDX-License-Identifier: GPL-3.0-or-later
ibb_layer(net
	SOURCES net/cache.c net/cache_meta.c net/cache_tend.c net/fetch.c net/http.c net/partial.c
		net/request.c net/transfer.c
	USES base
	LIBS PkgConfig::LIBCURL)
