/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * libcurl does one request. It must not act on its own: no redirects, no netrc, no proxy out of the
 * environment (an empty CURLOPT_PROXY and CURLOPT_NOPROXY say so), no other protocols, no signals.
 */
#include "net/request.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#include <curl/curl.h>

#include "base/limits.h"
#include "net/http.h"

struct run {
	const struct ibb_get *g;
	struct ibb_answer *a;
	struct ibb_error *err;
	CURL *curl;
	size_t header_bytes;
	int64_t last_ms; /* when something came */
	curl_off_t seen;
	int failed; /* what a callback failed with */
	bool begun, unwanted, stalled, cancelled;
	char text[CURL_ERROR_SIZE];
};

static pthread_once_t once = PTHREAD_ONCE_INIT;
static CURLcode init_result;

static void init(void)
{
	init_result = curl_global_init(CURL_GLOBAL_DEFAULT);
}

int ibb_get_init(struct ibb_error *err)
{
	if (pthread_once(&once, init) || init_result)
		return ibb_err_lib(err, IBB_E_IO, "libcurl", "libcurl cannot be used: %s",
				   curl_easy_strerror(init_result));
	return IBB_OK;
}

int ibb_proxy_check(const char *proxy, struct ibb_error *err)
{
	/* those of CURLOPT_PROXY; libcurl's own messages repeat the text, password and all */
	static const char *const schemes[] = {"http",	 "https",  "socks4",
					      "socks4a", "socks5", "socks5h"};
	CURLU *u = proxy && *proxy ? curl_url() : NULL;
	CURLUcode code;
	char *scheme = NULL;
	bool known = false;

	if (!proxy || !*proxy)
		return IBB_OK;
	code = u ? curl_url_set(u, CURLUPART_URL, proxy,
				CURLU_GUESS_SCHEME | CURLU_NON_SUPPORT_SCHEME)
		 : CURLUE_OUT_OF_MEMORY;
	if (!code)
		code = curl_url_get(u, CURLUPART_SCHEME, &scheme, 0);
	/* without a scheme it is http, whatever a host's name would make libcurl guess */
	for (size_t i = 0; i < IBB_ARRAY_SIZE(schemes) && !code; i++)
		known |= strcasecmp(scheme, schemes[i]) == 0 || !strstr(proxy, "://");
	curl_free(scheme);
	curl_url_cleanup(u);
	if (code == CURLUE_OUT_OF_MEMORY)
		return ibb_err_nomem(err);
	if (!code && known)
		return IBB_OK;
	ibb_err(err, IBB_E_INVALID, "the proxy cannot be used: %s",
		code ? curl_url_strerror(code) : "its URL is of no scheme that proxies have");
	return ibb_err_hint(
		err, IBB_E_INVALID,
		"--proxy, or https_proxy, http_proxy and all_proxy of the environment: "
		"http://HOST:PORT, with USER:PASSWORD@ before HOST where it asks for it");
}

int64_t ibb_clock_ms(void)
{
	struct timespec ts = {0};

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

static void forget_headers(struct ibb_answer *a)
{
	ibb_answer_clear(a);
	a->last_modified = a->date = -1;
}

void ibb_answer_clear(struct ibb_answer *a)
{
	free(a->location);
	free(a->etag);
	free(a->last_modified_text);
	free(a->content_range);
	*a = (struct ibb_answer){.kind = a->kind};
}

/* ---- headers ---- */

static int fail(struct run *run, enum ibb_get_kind kind, int code)
{
	run->a->kind = kind;
	run->failed = code;
	return code;
}

/* A header's value goes where it belongs; a second one of the same name replaces the first. */
static int keep(struct run *run, char **at, const char *value)
{
	free(*at);
	*at = ibb_strdup(value);
	return *at ? IBB_OK : fail(run, IBB_GET_STOP, ibb_err_nomem(run->err));
}

/* RFC 9112, 6.3: lengths that differ, or are none, are no length to go by. */
static int take_length(struct run *run, const char *value)
{
	struct ibb_answer *a = run->a;
	uint64_t n;

	if (!ibb_http_u64(value, &n) || (a->has_length && n != a->length))
		return fail(run, IBB_GET_REFUSED,
			    ibb_err(run->err, IBB_E_UNSUPPORTED,
				    "the server does not say clearly how long the file is "
				    "(Content-Length)"));
	a->length = n;
	a->has_length = true;
	return IBB_OK;
}

static int take_header(struct run *run, const char *name, const char *value)
{
	struct ibb_answer *a = run->a;
	uint64_t n;

	if (strcasecmp(name, "ETag") == 0)
		return keep(run, &a->etag, value);
	if (strcasecmp(name, "Location") == 0)
		return keep(run, &a->location, value);
	if (strcasecmp(name, "Content-Range") == 0)
		return keep(run, &a->content_range, value);
	if (strcasecmp(name, "Last-Modified") == 0) {
		a->last_modified = (int64_t)curl_getdate(value, NULL);
		return keep(run, &a->last_modified_text, value);
	}
	if (strcasecmp(name, "Date") == 0)
		a->date = (int64_t)curl_getdate(value, NULL);
	else if (strcasecmp(name, "Content-Encoding") == 0)
		a->encoded = strcasecmp(value, "identity") != 0;
	else if (strcasecmp(name, "Transfer-Encoding") == 0)
		a->chunked = true;
	else if (strcasecmp(name, "Content-Length") == 0)
		return take_length(run, value);
	else if (strcasecmp(name, "Retry-After") == 0) {
		const time_t when = curl_getdate(value, NULL), now = time(NULL);

		if (ibb_http_u64(value, &n))
			a->retry_after_s = n > 86400 ? 86400 : (unsigned)n;
		else if (when > now)
			a->retry_after_s = when - now > 86400 ? 86400 : (unsigned)(when - now);
	}
	return IBB_OK;
}

/* Where a redirect leads from here. What cannot be understood leads nowhere. */
static int resolve_location(struct run *run)
{
	CURLU *u = curl_url();
	char *to = NULL;
	CURLUcode code = u ? curl_url_set(u, CURLUPART_URL, run->g->url, 0) : CURLUE_OUT_OF_MEMORY;

	if (!code)
		code = curl_url_set(u, CURLUPART_URL, run->a->location,
				    CURLU_URLENCODE | CURLU_NON_SUPPORT_SCHEME);
	if (!code)
		code = curl_url_get(u, CURLUPART_URL, &to, 0);
	free(run->a->location);
	run->a->location = to ? ibb_strdup(to) : NULL;
	curl_free(to);
	curl_url_cleanup(u);
	if (code == CURLUE_OUT_OF_MEMORY || (!code && !run->a->location))
		return fail(run, IBB_GET_STOP, ibb_err_nomem(run->err));
	return IBB_OK;
}

/* The empty line behind them. */
static int headers_end(struct run *run)
{
	int r;

	curl_easy_getinfo(run->curl, CURLINFO_RESPONSE_CODE, &run->a->status);
	if (run->a->status < 200)
		return IBB_OK; /* others follow */
	if (run->a->location) {
		r = resolve_location(run);
		if (r)
			return r;
	}
	run->begun = true;
	r = run->g->begin(run->g->ctx, run->a, run->err);
	run->unwanted = r > 0;
	if (r < 0)
		run->failed = r;
	return r;
}

static size_t on_header(char *p, size_t size, size_t n, void *ctx)
{
	struct run *run = ctx;
	IBB_AUTO_FREE char *line = ibb_strndup(p, size * n);
	char *colon, *value, *end;

	run->last_ms = ibb_clock_ms();
	run->header_bytes += size * n;
	if (!line) {
		fail(run, IBB_GET_STOP, ibb_err_nomem(run->err));
		return 0;
	}
	if (run->header_bytes > IBB_LIMIT_HTTP_HEADERS) {
		fail(run, IBB_GET_REFUSED,
		     ibb_err(run->err, IBB_E_UNSUPPORTED,
			     "the server sends more than %u bytes of headers",
			     IBB_LIMIT_HTTP_HEADERS));
		return 0;
	}
	if (run->begun)
		return size * n; /* trailers of a chunked body */
	if (strncmp(line, "HTTP/", 5) == 0) {
		forget_headers(run->a);
		return size * n;
	}
	if (line[0] == '\r' || line[0] == '\n')
		return headers_end(run) ? 0 : size * n;
	colon = strchr(line, ':');
	if (!colon)
		return size * n;
	*colon = '\0';
	value = colon + 1 + strspn(colon + 1, " \t");
	end = value + strlen(value);
	while (end > value && strchr(" \t\r\n", end[-1]))
		*--end = '\0';
	return take_header(run, line, value) ? 0 : size * n;
}

static size_t on_data(char *p, size_t size, size_t n, void *ctx)
{
	struct run *run = ctx;
	int r;

	run->last_ms = ibb_clock_ms();
	if (!run->begun || run->unwanted)
		return 0;
	r = run->g->data(run->g->ctx, run->a, p, size * n, run->err);
	if (!r)
		return size * n;
	run->failed = r;
	return 0;
}

static int on_progress(void *ctx, curl_off_t total, curl_off_t done, curl_off_t up_total,
		       curl_off_t up)
{
	struct run *run = ctx;
	const unsigned stall = run->g->o->stall_s ? run->g->o->stall_s : 60;

	(void)total, (void)up_total, (void)up;
	if (done != run->seen) {
		run->seen = done;
		run->last_ms = ibb_clock_ms();
	}
	run->stalled = ibb_clock_ms() - run->last_ms > (int64_t)stall * 1000;
	run->cancelled = run->g->tick(run->g->ctx) != 0;
	return run->stalled || run->cancelled;
}

/* ---- what went wrong ---- */

static int timed_out(struct run *run)
{
	const struct ibb_fetch_options *o = run->g->o;

	if (run->g->deadline_ms && ibb_clock_ms() >= run->g->deadline_ms) {
		run->a->kind = IBB_GET_STOP;
		ibb_err(run->err, IBB_E_TIMEOUT, "not done within %u s", o->total_s);
		return ibb_err_hint(
			run->err, IBB_E_TIMEOUT,
			"the same command goes on from here; --timeout gives it longer");
	}
	if (run->stalled) {
		run->a->kind = run->begun ? IBB_GET_AGAIN : IBB_GET_UNREACHABLE;
		return ibb_err(run->err, IBB_E_TIMEOUT, "no byte came for %u s",
			       o->stall_s ? o->stall_s : 60);
	}
	run->a->kind = IBB_GET_UNREACHABLE;
	return ibb_err(run->err, IBB_E_TIMEOUT, "no connection within %u s",
		       o->connect_s ? o->connect_s : 30);
}

static int not_certified(struct run *run)
{
	long verified = 0;
	bool unknown;

	run->a->kind = IBB_GET_REFUSED;
	curl_easy_getinfo(run->curl, CURLINFO_SSL_VERIFYRESULT, &verified);
	/* OpenSSL's numbers (x509_vfy.h): an issuer that is missing, or signed by itself */
	unknown = verified == 2 || (verified >= 18 && verified <= 21);
	ibb_err_lib(run->err, IBB_E_UNSUPPORTED, "libcurl",
		    strstr(run->text, "subject name")
			    ? "the server's certificate is not for this server: %s"
		    : unknown ? "no known CA vouches for the server's certificate: %s"
			      : "the server's certificate is not accepted: %s",
		    run->text);
	return ibb_err_hint(run->err, IBB_E_UNSUPPORTED, "--cacert PEM names a CA of your own");
}

static int other(struct run *run, CURLcode code, enum ibb_get_kind kind, const char *what)
{
	run->a->kind = kind;
	return ibb_err_lib(run->err, IBB_E_UNSUPPORTED, "libcurl", "%s: %s", what,
			   *run->text ? run->text : curl_easy_strerror(code));
}

static int tls_failed(struct run *run, CURLcode code)
{
	long e = 0;

	curl_easy_getinfo(run->curl, CURLINFO_OS_ERRNO, &e);
	return other(run, code, e == ECONNRESET ? IBB_GET_AGAIN : IBB_GET_REFUSED,
		     "no TLS connection");
}

static int received_badly(struct run *run, CURLcode code)
{
	long proxy = 0;

	curl_easy_getinfo(run->curl, CURLINFO_HTTP_CONNECTCODE, &proxy);
	if (proxy >= 300 && !run->begun) {
		run->a->kind = proxy >= 500 ? IBB_GET_AGAIN : IBB_GET_REFUSED;
		return ibb_err(run->err, IBB_E_UNSUPPORTED, "the proxy answers %ld", proxy);
	}
	return other(run, code, IBB_GET_AGAIN,
		     code == CURLE_PARTIAL_FILE ? "the server ended it early"
						: "the connection broke");
}

static int judge(struct run *run, CURLcode code)
{
	if (run->failed)
		return run->failed;
	if (run->cancelled) {
		run->a->kind = IBB_GET_STOP;
		return ibb_err(run->err, IBB_E_CANCELLED, "stopped on request");
	}
	if (code == CURLE_OK || (run->begun && run->unwanted && code == CURLE_WRITE_ERROR))
		return IBB_OK;
	switch (code) {
	case CURLE_OPERATION_TIMEDOUT:
	case CURLE_ABORTED_BY_CALLBACK:
		return timed_out(run);
	case CURLE_OUT_OF_MEMORY:
		run->a->kind = IBB_GET_STOP;
		return ibb_err_nomem(run->err);
	case CURLE_PEER_FAILED_VERIFICATION:
		return not_certified(run);
	case CURLE_SSL_CONNECT_ERROR:
		return tls_failed(run, code);
	case CURLE_COULDNT_RESOLVE_PROXY: /* the text may be all of it, with its password */
		*run->text = '\0';
		return other(run, code, IBB_GET_UNREACHABLE, "no connection");
	case CURLE_UNSUPPORTED_PROTOCOL:
	case CURLE_URL_MALFORMAT:
		*run->text = '\0';
		return other(run, code, IBB_GET_REFUSED, "not fetched");
	case CURLE_COULDNT_RESOLVE_HOST:
	case CURLE_COULDNT_CONNECT:
		return other(run, code, IBB_GET_UNREACHABLE, "no connection");
	case CURLE_PARTIAL_FILE:
	case CURLE_RECV_ERROR:
	case CURLE_SEND_ERROR:
	case CURLE_GOT_NOTHING:
		return received_badly(run, code);
	case CURLE_SSL_CACERT_BADFILE:
		run->a->kind = IBB_GET_STOP;
		return ibb_err(run->err, IBB_E_INVALID, "the CA certificates cannot be used: %s",
			       run->text);
	default:
		return other(run, code, IBB_GET_REFUSED, "not fetched");
	}
}

/* ---- the request ---- */

static CURLcode set_trust(CURL *c, const struct ibb_fetch_options *o)
{
	CURLcode r = CURLE_OK;

	if (!o->ca_file && !o->ca_dir)
		return CURLE_OK; /* those that libcurl was built for */
	r = curl_easy_setopt(c, CURLOPT_CAINFO, o->ca_file);
	return r ? r : curl_easy_setopt(c, CURLOPT_CAPATH, o->ca_dir);
}

static CURLcode set_proxy(CURL *c, const struct ibb_get *g)
{
	const char *proxy = ibb_url_is_https(g->url) ? g->o->https_proxy : g->o->http_proxy;
	CURLcode r = curl_easy_setopt(c, CURLOPT_PROXY, proxy ? proxy : "");

	if (!r)
		r = curl_easy_setopt(c, CURLOPT_NOPROXY, g->o->no_proxy ? g->o->no_proxy : "");
	if (!r)
		r = curl_easy_setopt(c, CURLOPT_SUPPRESS_CONNECT_HEADERS, 1L);
	return r;
}

static CURLcode set_times(CURL *c, const struct ibb_get *g)
{
	const unsigned connect_s = g->o->connect_s ? g->o->connect_s : 30;
	CURLcode r = curl_easy_setopt(c, CURLOPT_CONNECTTIMEOUT_MS, (long)connect_s * 1000);
	int64_t left;

	if (r || !g->deadline_ms)
		return r;
	left = g->deadline_ms - ibb_clock_ms();
	return curl_easy_setopt(c, CURLOPT_TIMEOUT_MS, (long)(left < 1 ? 1 : left));
}

static CURLcode set_callbacks(CURL *c, struct run *run)
{
	CURLcode r = curl_easy_setopt(c, CURLOPT_HEADERFUNCTION, on_header);

	if (!r)
		r = curl_easy_setopt(c, CURLOPT_HEADERDATA, run);
	if (!r)
		r = curl_easy_setopt(c, CURLOPT_WRITEFUNCTION, on_data);
	if (!r)
		r = curl_easy_setopt(c, CURLOPT_WRITEDATA, run);
	if (!r)
		r = curl_easy_setopt(c, CURLOPT_XFERINFOFUNCTION, on_progress);
	if (!r)
		r = curl_easy_setopt(c, CURLOPT_XFERINFODATA, run);
	if (!r)
		r = curl_easy_setopt(c, CURLOPT_NOPROGRESS, 0L);
	return r ? r : curl_easy_setopt(c, CURLOPT_ERRORBUFFER, run->text);
}

static CURLcode set_up(CURL *c, struct run *run, struct curl_slist **headers)
{
	const struct ibb_get *g = run->g;
	char range[32];
	CURLcode r = curl_easy_setopt(c, CURLOPT_URL, g->url);

	if (!r)
		r = curl_easy_setopt(c, CURLOPT_PROTOCOLS_STR, "http,https");
	if (!r)
		r = curl_easy_setopt(c, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
	if (!r)
		r = curl_easy_setopt(c, CURLOPT_NOSIGNAL, 1L);
	if (!r)
		r = curl_easy_setopt(c, CURLOPT_USERAGENT, "ibbake/" IBB_VERSION);
	if (!r)
		r = set_trust(c, g->o);
	if (!r)
		r = set_proxy(c, g);
	if (!r)
		r = set_times(c, g);
	if (!r)
		r = set_callbacks(c, run);
	if (!r && g->from) {
		snprintf(range, sizeof(range), "%llu-", (unsigned long long)g->from);
		r = curl_easy_setopt(c, CURLOPT_RANGE, range);
	}
	if (!r && g->from && g->if_range) {
		IBB_AUTO_FREE char *line = ibb_asprintf("If-Range: %s", g->if_range);

		*headers = line ? curl_slist_append(NULL, line) : NULL;
		if (!*headers)
			return CURLE_OUT_OF_MEMORY;
		r = curl_easy_setopt(c, CURLOPT_HTTPHEADER, *headers);
	}
	return r;
}

int ibb_get(const struct ibb_get *g, struct ibb_answer *ret, struct ibb_error *err)
{
	struct run run = {.g = g, .a = ret, .err = err, .last_ms = ibb_clock_ms()};
	struct curl_slist *headers = NULL;
	CURLcode code;
	int r;

	*ret = (struct ibb_answer){.kind = IBB_GET_STOP, .last_modified = -1, .date = -1};
	run.curl = curl_easy_init();
	if (!run.curl)
		return ibb_err_nomem(err);
	code = set_up(run.curl, &run, &headers);
	if (code) {
		r = code == CURLE_OUT_OF_MEMORY
			    ? ibb_err_nomem(err)
			    : ibb_err_lib(err, IBB_E_INTERNAL, "libcurl", "libcurl: %s",
					  curl_easy_strerror(code));
	} else {
		r = judge(&run, curl_easy_perform(run.curl));
	}
	curl_easy_cleanup(run.curl);
	curl_slist_free_all(headers);
	return r;
}
