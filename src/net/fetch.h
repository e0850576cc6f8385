/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Downloads into the package cache, through libcurl. The only code that uses the network. */
#ifndef IBB_NET_FETCH_H
#define IBB_NET_FETCH_H

#include "net/cache.h"

struct ibb_fetch_options {
	/* As in curl's environment variables, which the library does not read (but OpenSSL reads
	 * its own: OPENSSL_CONF, and libcurl SSLKEYLOGFILE, which ibbake takes away); NULL: none.
	 */
	const char *http_proxy, *https_proxy, *no_proxy;
	const char *ca_file, *ca_dir; /* NULL: those of the system */
	unsigned connect_s, stall_s;  /* no connection, no bytes for so long; 0: 30, 60 */
	unsigned total_s;	      /* for a whole file with all its tries; 0: no limit */
	unsigned tries;		      /* of one URL; 0: 5 */
	unsigned backoff_ms;	      /* before the second one, doubled each time; 0: 500 */
	uint64_t limit_bytes;	      /* 0: IBB_LIMIT_DOWNLOAD_BYTES */
	bool offline;		      /* only what is in the cache */
	bool allow_insecure;	      /* http for a file whose digest nobody knows */
	/* May this be the file? Asked when nobody knows its digest, before it enters the cache.
	 * IBB_E_UNSUPPORTED: no, the next URL is tried. NULL: anything may. */
	int (*accept)(const char *path, struct ibb_error *err);
	int (*progress)(void *ctx, uint64_t done, uint64_t total); /* non-zero: IBB_E_CANCELLED */
	/* Called, with progress_ctx, while another process is at the same file; non-zero:
	 * IBB_E_CANCELLED. NULL: progress is. */
	int (*waiting)(void *ctx);
	void *progress_ctx;
};

struct ibb_fetch_what {
	const char *const *urls; /* tried in this order */
	size_t n_urls;
	const struct ibb_sha256 *sha256; /* NULL: unknown */
	uint64_t size_bytes;		 /* 0: unknown */
	const char *file_name, *release; /* for the cache; may be NULL */
	int64_t now;
};

struct ibb_fetched {
	struct ibb_cache_entry entry;
	bool from_cache;
	bool resumed;	/* a part of it was not asked for again */
	unsigned tries; /* requests that were made */
	char *url;	/* the one that gave it, after redirects, as ibb_url_shown() writes it; NULL
			   from the cache */
};
void ibb_fetched_clear(struct ibb_fetched *f);

/*
 * Have the file in the cache. IBB_E_TIMEOUT: a time limit ran out (exit 240). IBB_E_UNTRUSTED:
 * other bytes than the digest says; or offline, and what the cache has is not taken.
 * IBB_E_UNSUPPORTED: cannot be had or must not be taken: refused by the server (4xx), http without
 * digest, a redirect to http or in circles, offline, a certificate that no known CA vouches for;
 * the message says which, and every URL that was tried. IBB_E_IO, IBB_E_NOSPACE: of this machine.
 * What was downloaded of a file that is not whole stays in the cache for the next try, except with
 * wrong bytes.
 *
 * http: with a known digest as it is, for the digest vouches for the bytes. Without one the URL, or
 * what it is redirected to, is asked for over https; when that fails, http is taken with
 * allow_insecure alone, and noted in the entry.
 * A file whose digest nobody knows is taken from the cache when it came from there for the same
 * release, or URL, before.
 */
int ibb_fetch_file(struct ibb_cache *c, const struct ibb_fetch_what *what,
		   const struct ibb_fetch_options *o, struct ibb_fetched *ret,
		   struct ibb_error *err) IBB_MUST_CHECK;

#endif
