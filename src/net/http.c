/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "net/http.h"

#include <string.h>
#include <strings.h>

#include "base/limits.h"
#include "base/url.h"

/* The length of "http://" or "https://", whatever its case; 0: neither. */
static size_t scheme_len(const char *url)
{
	if (strncasecmp(url, "https://", 8) == 0)
		return 8;
	return strncasecmp(url, "http://", 7) == 0 ? 7 : 0;
}

bool ibb_url_is_https(const char *url)
{
	return scheme_len(url) == 8;
}

/* What stands between "//" and the path: where the host begins, behind a user name. */
static const char *host_of(const char *url, size_t *ret_n)
{
	const char *from = url + scheme_len(url), *at = NULL;
	const size_t n = strcspn(from, "/?#");

	for (size_t i = 0; i < n; i++)
		if (from[i] == '@')
			at = from + i;
	if (at) {
		*ret_n = n - (size_t)(at + 1 - from);
		return at + 1;
	}
	*ret_n = n;
	return from;
}

int ibb_url_check(const char *url, struct ibb_error *err)
{
	size_t n = strlen(url);

	if (n > IBB_LIMIT_URL_BYTES)
		return ibb_err(err, IBB_E_UNSUPPORTED, "a URL of %zu bytes", n);
	for (const char *p = url; *p; p++)
		if (*p <= ' ' || *p > '~' || *p == '\\')
			return ibb_err(err, IBB_E_UNSUPPORTED,
				       "a URL with characters that none may have");
	if (!scheme_len(url)) {
		n = strcspn(url, ":/");
		return ibb_err(err, IBB_E_UNSUPPORTED,
			       "a URL of the scheme '%.*s': only https and http are fetched",
			       (int)(n > 16 ? 16 : n), url);
	}
	(void)host_of(url, &n);
	if (!n)
		return ibb_err(err, IBB_E_UNSUPPORTED, "a URL without a host");
	return IBB_OK;
}

char *ibb_url_shown(const char *url)
{
	return ibb_url_public(url);
}

int ibb_url_sha256(const char *url, char out[IBB_SHA256_HEX_SIZE])
{
	struct ibb_sha256 d;

	if (ibb_sha256(url, strlen(url), &d))
		return IBB_E_NOMEM;
	ibb_sha256_hex(&d, out);
	return IBB_OK;
}

char *ibb_url_upgrade(const char *url)
{
	const char *rest = url + scheme_len(url), *host;
	size_t n;

	host = host_of(url, &n);
	if (n > 3 && memcmp(host + n - 3, ":80", 3) == 0)
		return ibb_asprintf("https://%.*s%s", (int)(host + n - 3 - rest), rest, host + n);
	return ibb_asprintf("https://%s", rest);
}

bool ibb_http_strong_etag(const char *v)
{
	const size_t n = v ? strlen(v) : 0;

	if (n < 3 || n > 256 || v[0] != '"' || v[n - 1] != '"')
		return false;
	for (size_t i = 1; i < n - 1; i++)
		if (v[i] <= ' ' || v[i] > '~' || v[i] == '"')
			return false;
	return true;
}

bool ibb_http_strong_date(int64_t last_modified, int64_t date)
{
	return last_modified >= 0 && date >= 60 && last_modified <= date - 60;
}

/* A number at *p, which moves behind it. */
static bool number(const char **p, uint64_t *ret)
{
	uint64_t v = 0;

	if (**p < '0' || **p > '9')
		return false;
	for (; **p >= '0' && **p <= '9'; (*p)++)
		if (!ibb_mul_u64(v, 10, &v) || !ibb_add_u64(v, (uint64_t)(**p - '0'), &v))
			return false;
	*ret = v;
	return true;
}

bool ibb_http_u64(const char *v, uint64_t *ret)
{
	uint64_t x;

	if (!number(&v, &x) || *v)
		return false;
	*ret = x;
	return true;
}

bool ibb_http_content_range(const char *v, struct ibb_content_range *ret)
{
	struct ibb_content_range r = {0};
	const char *p = v;

	if (strncasecmp(p, "bytes ", 6) != 0)
		return false;
	p += 6;
	while (*p == ' ')
		p++;
	if (p[0] == '*' && p[1] == '/') {
		r.unsatisfied = r.has_total = true;
		p += 2;
		if (!number(&p, &r.total) || *p)
			return false;
		*ret = r;
		return true;
	}
	if (!number(&p, &r.first) || *p++ != '-' || !number(&p, &r.last) || *p++ != '/')
		return false;
	if (*p == '*') {
		p++;
	} else {
		r.has_total = true;
		if (!number(&p, &r.total))
			return false;
	}
	if (*p || r.last < r.first || (r.has_total && r.last >= r.total))
		return false;
	*ret = r;
	return true;
}

bool ibb_http_continues(const struct ibb_content_range *r, uint64_t have, uint64_t total)
{
	if (r->unsatisfied || r->first != have || !r->has_total)
		return false;
	return r->last == r->total - 1 && (!total || r->total == total);
}

uint64_t ibb_http_backoff_ms(uint64_t base_ms, unsigned n, uint32_t random)
{
	uint64_t ms = base_ms;

	for (unsigned i = 1; i < n && ms < 30000; i++)
		ms *= 2;
	if (ms > 30000)
		ms = 30000;
	return ms + ms / 2 * random / UINT32_MAX;
}
