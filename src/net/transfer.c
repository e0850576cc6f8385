/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * When may bytes be appended to what is here? With a known digest always: it judges the whole. Else
 * only when the server confirms, by a strong validator that was stored with the first bytes, that
 * it is the same file still (RFC 9110, 13.1.5), and this machine has not been started anew since,
 * for a power cut may leave holes in what is here. A validator tells the states of one URL apart
 * (8.8.3), and says nothing about another one: the URL that gave the first bytes is remembered by
 * its digest, query and all, and after a redirect to anywhere else the whole file is asked for. Two
 * different files are never glued together.
 */
#include "net/transfer.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "base/limits.h"
#include "net/http.h"

static void boot_id(char out[40])
{
	IBB_AUTO_FD int fd = open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? 0 : read(fd, out, 36);

	out[n > 0 ? n : 0] = '\0';
}

int ibb_transfer_tick(void *ctx)
{
	struct ibb_transfer *t = ctx;
	const int64_t now = ibb_clock_ms();

	if (!t->o->progress || now - t->progress_ms < 50)
		return 0;
	t->progress_ms = now;
	return t->o->progress(t->o->progress_ctx, t->at, t->total);
}

bool ibb_transfer_complete(const struct ibb_transfer *t)
{
	return t->at && t->total == t->at;
}

int ibb_transfer_reset(struct ibb_transfer *t, struct ibb_error *err)
{
	t->at = 0;
	t->total = t->what->size_bytes;
	t->insecure = false;
	t->if_range[0] = t->origin[0] = '\0';
	return ibb_partial_restart(&t->part, NULL, err);
}

/* ---- what is here ---- */

/* May the state be believed, and is it of this URL? */
static bool same_origin(const struct ibb_transfer *t, const struct ibb_json *state)
{
	const char *asked = ibb_json_str(state, "asked");

	return asked && strcmp(asked, t->asked) == 0;
}

static bool same_boot(const struct ibb_json *state)
{
	const char *boot = ibb_json_str(state, "boot");
	char now[40];

	boot_id(now);
	return boot && *now && strcmp(boot, now) == 0;
}

static void use_state(struct ibb_transfer *t, const struct ibb_json *state)
{
	const char *v = ibb_json_str(state, "validator"), *total = ibb_json_str(state, "total");
	const char *origin = ibb_json_str(state, "origin");
	uint64_t n;

	if (v && strlen(v) < sizeof(t->if_range) && !strpbrk(v, "\r\n"))
		snprintf(t->if_range, sizeof(t->if_range), "%s", v);
	if (origin && strlen(origin) < sizeof(t->origin))
		snprintf(t->origin, sizeof(t->origin), "%s", origin);
	if (!t->what->size_bytes && total && ibb_http_u64(total, &n))
		t->total = n;
	t->insecure = ibb_json_bool(state, "insecure", false);
}

int ibb_transfer_begin(struct ibb_transfer *t, struct ibb_error *err)
{
	IBB_AUTO(ibb_json_free) struct ibb_json *state = NULL;
	bool keep;
	struct stat st;
	int r = ibb_partial_state(&t->part, &state, err);

	if (!r && fstat(t->part.fd, &st))
		r = ibb_err_os(err, errno, "file in the package cache");
	if (r)
		return r;
	t->at = (uint64_t)st.st_size;
	t->total = t->what->size_bytes;
	t->if_range[0] = t->origin[0] = '\0';
	t->insecure = false;
	keep = t->at && state && !t->no_ranges;
	if (keep && same_origin(t, state))
		use_state(t, state);
	if (keep && !t->what->sha256)
		keep = t->if_range[0] && t->origin[0] && same_boot(state) &&
		       (t->o->allow_insecure || !t->insecure);
	if (keep && t->total && t->at > t->total)
		keep = false;
	return keep ? IBB_OK : ibb_transfer_reset(t, err);
}

/* ---- an answer ---- */

static int refuse(struct ibb_answer *a, enum ibb_get_kind kind, int code)
{
	a->kind = kind;
	return code;
}

static int check_space(struct ibb_transfer *t, struct ibb_answer *a, struct ibb_error *err)
{
	const uint64_t need = t->total > t->at ? t->total - t->at : 0;
	struct statvfs fs;
	uint64_t there;

	if (fstatvfs(t->part.fd, &fs) || !ibb_mul_u64(fs.f_bavail, fs.f_frsize, &there) ||
	    need <= there)
		return IBB_OK;
	return refuse(a, IBB_GET_STOP,
		      ibb_err(err, IBB_E_NOSPACE,
			      "the package cache %s has room for %llu bytes, but %llu are to come",
			      t->part.cache->dir, (unsigned long long)there,
			      (unsigned long long)need));
}

/* The size of the whole file, as it was announced. */
static int check_size(struct ibb_transfer *t, struct ibb_answer *a, uint64_t size,
		      struct ibb_error *err)
{
	const uint64_t limit = t->o->limit_bytes ? t->o->limit_bytes : IBB_LIMIT_DOWNLOAD_BYTES;

	if (size > limit)
		return refuse(
			a, IBB_GET_REFUSED,
			ibb_err(err, IBB_E_LIMIT,
				"the server announces %llu bytes, more than the limit of %llu",
				(unsigned long long)size, (unsigned long long)limit));
	if (t->what->size_bytes && size != t->what->size_bytes)
		return refuse(a, IBB_GET_REFUSED,
			      ibb_err(err, IBB_E_UNTRUSTED,
				      "the server announces %llu bytes, but the file has %llu",
				      (unsigned long long)size,
				      (unsigned long long)t->what->size_bytes));
	if (!size)
		return refuse(a, IBB_GET_REFUSED,
			      ibb_err(err, IBB_E_UNSUPPORTED, "the server's file is empty"));
	t->total = size;
	return check_space(t, a, err);
}

static const char *validator(const struct ibb_answer *a)
{
	if (a->etag && ibb_http_strong_etag(a->etag))
		return a->etag;
	return a->last_modified_text && ibb_http_strong_date(a->last_modified, a->date)
		       ? a->last_modified_text
		       : NULL;
}

static struct ibb_json *new_state(const struct ibb_transfer *t, const struct ibb_answer *a)
{
	struct ibb_json *doc = NULL;
	struct ibb_jb b = {0};
	struct ibb_json *root = ibb_jb_object(&b, NULL, NULL);
	char boot[40];

	boot_id(boot);
	ibb_jb_str(&b, root, "url", t->source);
	ibb_jb_str(&b, root, "asked", t->asked);
	ibb_jb_str(&b, root, "origin", t->here);
	ibb_jb_str(&b, root, "validator", validator(a));
	if (t->total)
		ibb_jb_u64(&b, root, "total", t->total);
	ibb_jb_str(&b, root, "boot", boot);
	ibb_jb_bool(&b, root, "insecure", t->insecure);
	return ibb_jb_done(&b, &doc, NULL) ? NULL : doc;
}

/* 200: all of it, from the beginning. */
static int begin_whole(struct ibb_transfer *t, struct ibb_answer *a, struct ibb_error *err)
{
	struct ibb_json *state;
	int r = IBB_OK;

	t->at = 0;
	t->total = t->what->size_bytes;
	t->insecure = t->asking_insecurely;
	t->resumed = false;
	if (a->has_length)
		r = check_size(t, a, a->length, err);
	else if (!a->chunked && !t->what->sha256 && !t->what->size_bytes)
		r = refuse(a, IBB_GET_REFUSED,
			   ibb_err(err, IBB_E_UNSUPPORTED,
				   "the server does not say how long the file is, and nobody knows "
				   "its digest: one cut short would pass for whole"));
	if (r)
		return r;
	state = new_state(t, a);
	if (!state)
		return refuse(a, IBB_GET_STOP, ibb_err_nomem(err));
	r = ibb_partial_restart(&t->part, state, err);
	t->took = !r;
	return r ? refuse(a, IBB_GET_STOP, r) : IBB_OK;
}

/* Is the validator one of the URL that is being asked? */
static bool validator_holds(const struct ibb_transfer *t)
{
	return t->if_range[0] && strcmp(t->origin, t->here) == 0;
}

/*
 * Does the answer itself name the file that is here? RFC 9110, 15.3.7, has a 206 carry the ETag
 * that a 200 would have. A server that ignores If-Range is found out by it; without a digest
 * nothing else would.
 */
static bool same_file(const struct ibb_transfer *t, const struct ibb_answer *a)
{
	const char *now = t->if_range[0] == '"' ? a->etag : a->last_modified_text;

	if (!validator_holds(t))
		return t->what->sha256 != NULL;
	return now ? strcmp(now, t->if_range) == 0 : t->what->sha256 != NULL;
}

/* 206: the rest. Anything else than exactly that makes the next request ask for all. */
static int begin_rest(struct ibb_transfer *t, struct ibb_answer *a, struct ibb_error *err)
{
	struct ibb_content_range range;

	if (!a->content_range || !ibb_http_content_range(a->content_range, &range) ||
	    !ibb_http_continues(&range, t->at, t->total) ||
	    (a->has_length && a->length != range.last - range.first + 1) || !same_file(t, a)) {
		t->no_ranges = true;
		return refuse(
			a, IBB_GET_AGAIN,
			ibb_err(err, IBB_E_UNSUPPORTED,
				"the server was asked for the rest from byte %llu, and answers "
				"with something else",
				(unsigned long long)t->at));
	}
	t->took = t->resumed = true;
	t->insecure |= t->asking_insecurely;
	return check_size(t, a, range.total, err);
}

static int on_begin(void *ctx, struct ibb_answer *a, struct ibb_error *err)
{
	struct ibb_transfer *t = ctx;

	if (a->status != 200 && (a->status != 206 || !t->from))
		return 1;
	if (a->encoded)
		return refuse(
			a, IBB_GET_REFUSED,
			ibb_err(err, IBB_E_UNSUPPORTED,
				"the server sends the file encoded (Content-Encoding), though "
				"it was not asked to"));
	if (a->status == 206)
		return begin_rest(t, a, err);
	return begin_whole(t, a, err);
}

static int on_data(void *ctx, struct ibb_answer *a, const void *p, size_t n, struct ibb_error *err)
{
	struct ibb_transfer *t = ctx;
	uint64_t limit = t->o->limit_bytes ? t->o->limit_bytes : IBB_LIMIT_DOWNLOAD_BYTES;
	int r;

	if (t->total)
		limit = ibb_min_u64(limit, t->total);
	if (!ibb_in_range(t->at, n, limit))
		return refuse(a, IBB_GET_REFUSED,
			      ibb_err(err, t->total ? IBB_E_UNTRUSTED : IBB_E_LIMIT,
				      "the server sends more than %llu bytes",
				      (unsigned long long)limit));
	r = ibb_pwrite_full(t->part.fd, p, n, t->at, "file in the package cache", err);
	if (r)
		return refuse(a, IBB_GET_STOP, r);
	t->at += n;
	return IBB_OK;
}

int ibb_transfer_get(struct ibb_transfer *t, const char *url, bool insecure, struct ibb_answer *a,
		     struct ibb_error *err)
{
	struct ibb_get g = {.url = url,
			    .o = t->o,
			    .deadline_ms = t->deadline_ms,
			    .begin = on_begin,
			    .data = on_data,
			    .tick = ibb_transfer_tick,
			    .ctx = t};
	int r;

	if (ibb_url_sha256(url, t->here)) {
		a->kind = IBB_GET_STOP;
		return ibb_err_nomem(err);
	}
	if (validator_holds(t))
		g.if_range = t->if_range;
	if (g.if_range || t->what->sha256)
		g.from = t->at;
	t->from = g.from;
	t->requests++;
	t->took = false;
	t->asking_insecurely = insecure;
	r = ibb_get(&g, a, err);
	if (r || !t->took)
		return r;
	if (!t->total)
		t->total = t->at; /* it ended as HTTP says a body ends */
	if (ibb_transfer_complete(t))
		return IBB_OK;
	return refuse(a, IBB_GET_AGAIN,
		      ibb_err(err, IBB_E_UNSUPPORTED,
			      "the server ended it early: %llu of %llu bytes",
			      (unsigned long long)t->at, (unsigned long long)t->total));
}
