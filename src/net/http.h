/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The rules of URLs and of HTTP's headers, as pure functions: RFC 3986, RFC 9110. */
#ifndef IBB_NET_HTTP_H
#define IBB_NET_HTTP_H

#include "base/hash.h"
#include "base/mem.h"

/* http or https, with a host, printable ASCII, not too long. IBB_E_UNSUPPORTED. */
int ibb_url_check(const char *url, struct ibb_error *err) IBB_MUST_CHECK;
bool ibb_url_is_https(const char *url);
/* As it may be shown and stored: without user name, password, query and fragment, any of which may
 * be a secret. NULL: no memory. */
char *ibb_url_shown(const char *url) IBB_MUST_CHECK;
/* Tells whole URLs apart without storing what is secret in them. IBB_E_NOMEM, without a message. */
int ibb_url_sha256(const char *url, char out[IBB_SHA256_HEX_SIZE]) IBB_MUST_CHECK;
/* An http URL as https; port 80 goes. NULL: no memory. */
char *ibb_url_upgrade(const char *url) IBB_MUST_CHECK;

/* A validator that may be trusted to name exactly these bytes. */
bool ibb_http_strong_etag(const char *v);
/* The same of a Last-Modified: at least a minute before the answer's Date (RFC 9110, 8.8.2.2, has
 * one second where the server's clock is known to be one clock). Both seconds since 1970, or -1. */
bool ibb_http_strong_date(int64_t last_modified, int64_t date);

/* "bytes 5-9/10", "bytes 5-9/" "*", "bytes *" "/10" */
struct ibb_content_range {
	uint64_t first, last, total;
	bool has_total, unsatisfied;
};
bool ibb_http_content_range(const char *v, struct ibb_content_range *ret);
/* Is this the rest of a file of which `have` bytes are here? `total`: what it was said to have, 0
 * when unknown. */
bool ibb_http_continues(const struct ibb_content_range *r, uint64_t have, uint64_t total);

/* Decimal, nothing else. */
bool ibb_http_u64(const char *v, uint64_t *ret);
/* Before try `n` (from 1): base * 2^(n-1), at most 30 s, and up to half of that again by chance. */
uint64_t ibb_http_backoff_ms(uint64_t base_ms, unsigned n, uint32_t random);

#endif
