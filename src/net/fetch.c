/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Which URL is asked, how often, and what an answer means. */
#include "net/fetch.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

#include "base/limits.h"
#include "net/http.h"
#include "net/transfer.h"

#define RETRY_AFTER_MAX_S 120 /* a server may ask for so much patience */

struct fetch {
	struct ibb_transfer t;
	struct ibb_cache *c;
	struct ibb_fetched *ret;
	char *final_url; /* as shown */
	bool upgraded;	 /* an http URL was asked for as https in this round */
	char *unused;	 /* path of what the cache has, which is not taken: */
	bool damaged;	 /* ... for its bytes; else: it came unchecked over http */
	bool again;	 /* wrong bytes after a resumption: once more from the beginning */
};

/* How it went with one URL. */
struct outcome {
	enum ibb_get_kind kind;
	unsigned wait_s; /* the server asks for so much time */
};

void ibb_fetched_clear(struct ibb_fetched *f)
{
	ibb_cache_entry_clear(&f->entry);
	free(f->url);
	*f = (struct ibb_fetched){0};
}

static int nomem(struct outcome *o, struct ibb_error *err)
{
	o->kind = IBB_GET_STOP;
	return ibb_err_nomem(err);
}

/* ---- one chain of redirects ---- */

struct hops {
	char *urls[IBB_LIMIT_REDIRECTS + 1];
	size_t n;
};

static void hops_clear(struct hops *h)
{
	for (size_t i = 0; i < h->n; i++)
		free(h->urls[i]);
	h->n = 0;
}

/* Put "A (on the way from B)" in front of the message. */
static int name_url(const struct hops *h, int r, struct ibb_error *err)
{
	IBB_AUTO_FREE char *first = ibb_url_shown(h->urls[0]);
	IBB_AUTO_FREE char *last = ibb_url_shown(h->urls[h->n - 1]);

	if (!first || !last)
		return ibb_err_nomem(err);
	if (h->n == 1)
		return ibb_err_prefix(err, r, "%s", first);
	return ibb_err_prefix(err, r, "%s, redirected from %s", last, first);
}

/* The next place to ask, by the rules about http. Takes ownership of url. */
static int hop(struct fetch *f, struct hops *h, char *url, bool upgrade, struct outcome *o,
	       struct ibb_error *err)
{
	int r;

	o->kind = IBB_GET_REFUSED;
	if (!url)
		return nomem(o, err);
	r = ibb_url_check(url, err);
	if (r && h->n)
		r = ibb_err_prefix(err, r, "redirects to");
	if (!r && h->n > IBB_LIMIT_REDIRECTS)
		r = ibb_err(err, IBB_E_UNSUPPORTED, "redirects more than %u times",
			    IBB_LIMIT_REDIRECTS);
	if (!r && upgrade && !f->t.what->sha256 && !ibb_url_is_https(url)) {
		char *https = ibb_url_upgrade(url);

		free(url);
		if (!https)
			return nomem(o, err);
		url = https;
		f->upgraded = true;
	}
	for (size_t i = 0; i < h->n && !r; i++)
		if (strcmp(h->urls[i], url) == 0)
			r = ibb_err(err, IBB_E_UNSUPPORTED, "redirects in a circle");
	if (r) {
		free(url);
		return r;
	}
	h->urls[h->n++] = url;
	return IBB_OK;
}

/* An answer without a body for us. */
static int judge_status(struct fetch *f, const struct ibb_answer *a, struct outcome *o,
			struct ibb_error *err)
{
	const long s = a->status;

	if (s == 416 && f->t.from) {
		o->kind = IBB_GET_AGAIN;
		f->t.no_ranges = true;
		return ibb_err(err, IBB_E_UNSUPPORTED, "the server has no rest from byte %llu",
			       (unsigned long long)f->t.at);
	}
	o->kind = s >= 500 || s == 408 || s == 429 ? IBB_GET_AGAIN : IBB_GET_REFUSED;
	if (o->kind == IBB_GET_AGAIN)
		o->wait_s = a->retry_after_s;
	if (o->wait_s > RETRY_AFTER_MAX_S) {
		o->kind = IBB_GET_REFUSED;
		return ibb_err(err, IBB_E_UNSUPPORTED,
			       "the server answers %ld and asks to come again in %u s", s,
			       o->wait_s);
	}
	return ibb_err(err, IBB_E_UNSUPPORTED, "the server answers %ld%s", s,
		       s == 404	  ? " (not found)"
		       : s == 403 ? " (forbidden)"
		       : s == 407 ? " (the proxy wants a password)"
				  : "");
}

static bool redirects(long s)
{
	return s == 301 || s == 302 || s == 303 || s == 307 || s == 308;
}

static int one_try(struct fetch *f, const char *url, bool upgrade, struct outcome *o,
		   struct ibb_error *err)
{
	struct hops h = {0};
	int r = hop(f, &h, ibb_strdup(url), upgrade, o, err);
	bool done = false;

	while (!r && !done) {
		const char *here = h.urls[h.n - 1];
		struct ibb_answer a = {0};

		r = ibb_transfer_get(&f->t, here, !f->t.what->sha256 && !ibb_url_is_https(here), &a,
				     err);
		o->kind = a.kind;
		done = !r && f->t.took;
		if (!r && !done && redirects(a.status) && a.location)
			r = hop(f, &h, IBB_TAKE(a.location), upgrade, o, err);
		else if (!r && !done)
			r = judge_status(f, &a, o, err);
		ibb_answer_clear(&a);
	}
	if (r && h.n && r != IBB_E_NOMEM)
		r = name_url(&h, r, err);
	if (!r) {
		free(f->final_url);
		f->final_url = ibb_url_shown(h.urls[h.n - 1]);
		if (!f->final_url)
			r = nomem(o, err);
	}
	hops_clear(&h);
	return r;
}

/* ---- one URL, several times ---- */

static int check_deadline(struct fetch *f, struct ibb_error *err)
{
	if (!f->t.deadline_ms || ibb_clock_ms() < f->t.deadline_ms)
		return IBB_OK;
	ibb_err_prefix(err, IBB_E_TIMEOUT, "not done within %u s", f->t.o->total_s);
	return ibb_err_hint(err, IBB_E_TIMEOUT,
			    "the same command goes on from here; --timeout gives it longer");
}

/* err holds why: it stays when the time runs out. */
static int rest_a_while(struct fetch *f, unsigned n, const struct outcome *o, struct ibb_error *err)
{
	const struct timespec tick = {.tv_nsec = 50000000};
	uint32_t random = 0;
	uint64_t ms;
	int64_t until;

	if (getrandom(&random, sizeof(random), GRND_NONBLOCK) < 0)
		random = (uint32_t)ibb_clock_ms();
	ms = ibb_http_backoff_ms(f->t.o->backoff_ms ? f->t.o->backoff_ms : 500, n, random);
	if ((uint64_t)o->wait_s * 1000 > ms)
		ms = (uint64_t)o->wait_s * 1000;
	until = ibb_clock_ms() + (int64_t)ms;
	while (ibb_clock_ms() < until) {
		int r = check_deadline(f, err);

		if (r)
			return r;
		if (ibb_transfer_tick(&f->t))
			return ibb_err(err, IBB_E_CANCELLED, "stopped on request");
		nanosleep(&tick, NULL);
	}
	return IBB_OK;
}

static int try_round(struct fetch *f, const char *url, bool upgrade, struct outcome *o,
		     struct ibb_error *err)
{
	const unsigned tries = f->t.o->tries ? f->t.o->tries : 5;
	int r = IBB_OK;

	f->upgraded = false;
	for (unsigned n = 1; n <= tries; n++) {
		const bool whole = f->t.no_ranges;

		*o = (struct outcome){.kind = IBB_GET_STOP};
		r = ibb_transfer_begin(&f->t, err);
		if (r)
			return r;
		if (ibb_transfer_complete(&f->t)) {
			f->t.resumed = true;
			return IBB_OK;
		}
		r = one_try(f, url, upgrade, o, err);
		if (!r)
			return IBB_OK;
		if (o->kind == IBB_GET_UNREACHABLE)
			o->kind = f->upgraded ? IBB_GET_REFUSED : IBB_GET_AGAIN;
		if (o->kind != IBB_GET_AGAIN)
			return r;
		if (f->t.no_ranges && !whole) { /* what is here was of no use: that is no try */
			n--;
			continue;
		}
		if (n == tries)
			break;
		if (rest_a_while(f, n, o, err)) {
			o->kind = IBB_GET_STOP;
			return err->code;
		}
	}
	if (tries > 1 && o->kind == IBB_GET_AGAIN)
		r = ibb_err_prefix(err, r, "%u tries", tries);
	return r;
}

/* ---- one URL, with what http asks for ---- */

/* Does it look like the file at all? Without a digest nothing else is asked. */
static int accept_it(struct fetch *f, struct ibb_error *err)
{
	IBB_AUTO_FREE char *path = NULL;
	int r;

	if (f->t.what->sha256 || !f->t.o->accept)
		return IBB_OK;
	path = ibb_partial_path(&f->t.part);
	if (!path)
		return ibb_err_nomem(err);
	r = f->t.o->accept(path, err);
	if (r != IBB_E_UNSUPPORTED)
		return r;
	ibb_err_prefix(err, r, "%s: what came is not a driver file",
		       f->final_url ? f->final_url : f->t.source);
	return ibb_transfer_reset(&f->t, NULL) ? IBB_E_IO : r;
}

static int finish(struct fetch *f, struct outcome *o, struct ibb_error *err)
{
	const struct ibb_fetch_what *w = f->t.what;
	const struct ibb_cache_entry e = {.file_name = (char *)w->file_name,
					  .release = (char *)w->release,
					  .url = f->t.source,
					  .url_sha256 = f->t.asked,
					  .added = w->now,
					  .insecure = f->t.insecure};
	struct ibb_sha256 d;
	int r = accept_it(f, err);

	o->kind = r == IBB_E_UNSUPPORTED ? IBB_GET_REFUSED : IBB_GET_STOP;
	if (r)
		return r;
	r = ibb_partial_insert(&f->t.part, w->sha256, &e, NULL, NULL, &d, &f->ret->entry, err);
	f->again = r == IBB_E_UNTRUSTED && f->t.resumed;
	if (r != IBB_E_UNTRUSTED)
		return r;
	ibb_err_prefix(err, r, "%s: what came", f->final_url ? f->final_url : f->t.source);
	ibb_err_hint(err, r,
		     "the first digest is of the bytes that came, the second is the known one");
	/* wrong bytes do not stay */
	return ibb_transfer_reset(&f->t, NULL) ? IBB_E_IO : r;
}

static int name_flag(const struct fetch *f, const char *url, int r, struct ibb_error *err)
{
	IBB_AUTO_FREE char *shown = ibb_url_shown(url);

	if (!shown)
		return ibb_err_nomem(err);
	if (r != IBB_E_UNTRUSTED)
		r = IBB_E_UNSUPPORTED; /* whatever kept https from it, it is refused */
	ibb_err_prefix(err, r, "not taken over http, as nobody knows the digest of %s",
		       f->t.what->file_name ? f->t.what->file_name : shown);
	return ibb_err_hint(err, r,
			    "--allow-insecure-fetch takes it over http all the same; 'ibbake cache "
			    "add FILE --release ID' takes a copy that you have");
}

static int one_url(struct fetch *f, const char *url, struct outcome *o, struct ibb_error *err)
{
	int r;

	*o = (struct outcome){.kind = IBB_GET_REFUSED};
	r = ibb_url_check(url, err);
	if (r)
		return r;
	o->kind = IBB_GET_STOP;
	free(f->t.source);
	f->t.source = ibb_url_shown(url);
	if (!f->t.source || ibb_url_sha256(url, f->t.asked))
		return ibb_err_nomem(err);
	f->t.no_ranges = false;
	r = try_round(f, url, true, o, err);
	if (r && o->kind != IBB_GET_STOP && f->upgraded) {
		if (f->t.o->allow_insecure)
			r = try_round(f, url, false, o, err);
		else
			r = name_flag(f, url, r, err);
	}
	if (r)
		return r;
	r = finish(f, o, err);
	if (f->again) {
		r = try_round(f, url, !f->t.insecure, o, err);
		if (!r)
			r = finish(f, o, err);
	}
	if (r == IBB_E_UNTRUSTED)
		o->kind = IBB_GET_REFUSED;
	return r;
}

/* Both messages; wrong bytes count for more than bytes that did not come. */
static void join(struct ibb_error *worst, const struct ibb_error *e)
{
	const struct ibb_error first = *worst;

	if (e->code == IBB_E_UNTRUSTED)
		*worst = *e;
	ibb_err(worst, worst->code, "%s; %s", first.msg, e->msg);
	if (*first.hint)
		ibb_err_hint(worst, worst->code, "%s", first.hint);
}

/* All URLs; when none will do, each of them with its reason. */
static int all_urls(struct fetch *f, struct ibb_error *err)
{
	const struct ibb_fetch_what *w = f->t.what;
	struct ibb_error worst = {0};
	struct outcome o = {0};
	int r = IBB_OK;

	if (!w->n_urls)
		return ibb_err(err, IBB_E_UNSUPPORTED, "%s: no URL is known for it",
			       w->file_name ? w->file_name : "file");
	for (size_t i = 0; i < w->n_urls; i++) {
		struct ibb_error e = {0};

		r = one_url(f, w->urls[i], &o, &e);
		if (!r)
			return IBB_OK;
		if (o.kind == IBB_GET_STOP) {
			*err = e;
			return r;
		}
		if (!worst.code) {
			worst = e;
			continue;
		}
		join(&worst, &e);
	}
	*err = worst;
	return worst.code;
}

/* ---- the cache first ---- */

/* What is there already; IBB_E_NOTFOUND. A damaged one counts as not there: it will be replaced. */
static int from_cache(struct fetch *f, struct ibb_error *err)
{
	const struct ibb_fetch_what *w = f->t.what;
	struct ibb_cache_entry e = {0};
	struct ibb_sha256 actual;
	int r = IBB_E_NOTFOUND;

	if (w->sha256)
		r = ibb_cache_find(f->c, w->sha256, false, &e, err);
	else if (w->release)
		r = ibb_cache_find_release(f->c, w->release, &e, err);
	if (r == IBB_E_NOTFOUND && !w->sha256 && w->n_urls) {
		r = ibb_cache_find_url(f->c, w->urls[0], &e, err);
		if (!r && w->release && e.n_releases)
			r = IBB_E_NOTFOUND; /* what a URL gives may change with the release */
	}
	if (!r && !w->sha256 && w->size_bytes && e.size_bytes != w->size_bytes) {
		ibb_cache_entry_clear(&e);
		r = IBB_E_NOTFOUND; /* the catalog knows better by now */
	}
	if (!r)
		r = ibb_cache_check(&e, NULL, NULL, &actual, err);
	if (!r && !w->sha256 && e.insecure && !f->t.o->allow_insecure)
		r = IBB_E_UNTRUSTED;
	if (r) {
		f->damaged = r == IBB_E_CORRUPT;
		free(f->unused);
		f->unused = r == IBB_E_CORRUPT || r == IBB_E_UNTRUSTED ? IBB_TAKE(e.path) : NULL;
		ibb_cache_entry_clear(&e);
		return r == IBB_E_CORRUPT || r == IBB_E_UNTRUSTED ? IBB_E_NOTFOUND : r;
	}
	f->ret->entry = e;
	f->ret->from_cache = true;
	return IBB_OK;
}

/* Offline: there is nothing, or nothing that may be taken. */
static int not_there(const struct fetch *f, struct ibb_error *err)
{
	const struct ibb_fetch_what *w = f->t.what;
	const char *name = w->file_name ? w->file_name : w->release;

	if (f->unused && f->damaged) {
		ibb_err(err, IBB_E_UNTRUSTED, "%s: damaged in the package cache (%s), and offline",
			name, f->unused);
		return ibb_err_hint(err, IBB_E_UNTRUSTED,
				    "without --offline it is fetched anew; 'ibbake cache verify' "
				    "names all that are damaged");
	}
	if (f->unused) {
		ibb_err(err, IBB_E_UNTRUSTED,
			"%s: is in the package cache %s, but came over http while nobody knew its "
			"digest, and offline",
			name, ibb_cache_dir(f->c));
		return ibb_err_hint(
			err, IBB_E_UNTRUSTED,
			"--allow-insecure-fetch takes it all the same; with --lock FILE "
			"it is pinned as it is");
	}
	ibb_err(err, IBB_E_UNSUPPORTED, "%s: not in the package cache %s, and offline", name,
		ibb_cache_dir(f->c));
	return ibb_err_hint(err, IBB_E_UNSUPPORTED,
			    "without --offline it is fetched; 'ibbake cache add FILE' takes a copy "
			    "that you have");
}

static int wait_tick(void *ctx)
{
	struct fetch *f = ctx;

	if (f->t.deadline_ms && ibb_clock_ms() >= f->t.deadline_ms)
		return IBB_E_TIMEOUT;
	if (f->t.o->waiting)
		return f->t.o->waiting(f->t.o->progress_ctx) ? IBB_E_CANCELLED : 0;
	return ibb_transfer_tick(&f->t) ? IBB_E_CANCELLED : 0;
}

/* One key for all who want the same file: its digest, or else its URL. */
static int make_key(const struct ibb_fetch_what *w, char key[80])
{
	struct ibb_sha256 d;
	char hex[IBB_SHA256_HEX_SIZE];
	const char *url = w->n_urls ? w->urls[0] : "";

	if (!w->sha256 && ibb_sha256(url, strlen(url), &d))
		return IBB_E_NOMEM;
	ibb_sha256_hex(w->sha256 ? w->sha256 : &d, hex);
	snprintf(key, 80, "%s-%s", w->sha256 ? "sha256" : "url", hex);
	return IBB_OK;
}

static int download(struct fetch *f, struct ibb_error *err)
{
	char key[80];
	int r = make_key(f->t.what, key) ? ibb_err_nomem(err) : ibb_get_init(err);

	if (!r)
		r = ibb_proxy_check(f->t.o->http_proxy, err);
	if (!r)
		r = ibb_proxy_check(f->t.o->https_proxy, err);
	if (!r)
		r = ibb_partial_take(f->c, key, wait_tick, f, &f->t.part, err);
	if (r)
		return r;
	if (f->t.part.waited) { /* who was at it may have done it */
		r = from_cache(f, err);
		if (r != IBB_E_NOTFOUND)
			return r;
	}
	r = all_urls(f, err);
	f->ret->tries = f->t.requests;
	f->ret->resumed = f->t.resumed;
	f->ret->url = IBB_TAKE(f->final_url);
	return r;
}

int ibb_fetch_file(struct ibb_cache *c, const struct ibb_fetch_what *what,
		   const struct ibb_fetch_options *o, struct ibb_fetched *ret,
		   struct ibb_error *err)
{
	struct ibb_error ignored = {0};
	struct ibb_fetched got = {0};
	struct fetch f = {.t = {.what = what, .o = o, .part = {.lock_fd = -1, .fd = -1}},
			  .c = c,
			  .ret = &got};
	int r;

	if (!err)
		err = &ignored; /* decisions rest on it */
	if (o->total_s)
		f.t.deadline_ms = ibb_clock_ms() + (int64_t)o->total_s * 1000;
	r = from_cache(&f, err);
	if (r == IBB_E_NOTFOUND && o->offline) {
		r = not_there(&f, err);
	} else if (r == IBB_E_NOTFOUND) {
		r = download(&f, err);
	}
	ibb_partial_release(&f.t.part);
	free(f.t.source);
	free(f.final_url);
	free(f.unused);
	if (r)
		ibb_fetched_clear(&got);
	else
		*ret = got;
	return r;
}
