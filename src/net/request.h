/* SPDX-License-Identifier: GPL-3.0-or-later */
/* One HTTP request, without redirects and repetitions. */
#ifndef IBB_NET_REQUEST_H
#define IBB_NET_REQUEST_H

#include "net/fetch.h"

/* What is to be thought of a request that failed. */
enum ibb_get_kind {
	IBB_GET_AGAIN,	     /* it may go better next time */
	IBB_GET_UNREACHABLE, /* the same, but nobody was there at all */
	IBB_GET_REFUSED,     /* it will not */
	IBB_GET_STOP	     /* of this machine, or of the user: nothing else is tried */
};

struct ibb_answer {
	long status;
	char *location; /* absolute, of a redirect; NULL: none */
	char *etag, *last_modified_text, *content_range;
	int64_t last_modified, date; /* -1: none */
	uint64_t length;
	bool has_length, chunked, encoded;
	unsigned retry_after_s; /* 0: none */
	enum ibb_get_kind kind; /* of a failure */
};
void ibb_answer_clear(struct ibb_answer *a);

struct ibb_get {
	const char *url; /* checked; borrowed like all others */
	uint64_t from;	 /* 0: the whole file */
	const char *if_range;
	const struct ibb_fetch_options *o;
	int64_t deadline_ms; /* of ibb_clock_ms(); 0: none */
	/*
	 * The headers are there. 0: the body is wanted. 1: it is not, which is no failure.
	 * Negative: a failure, with a->kind set.
	 */
	int (*begin)(void *ctx, struct ibb_answer *a, struct ibb_error *err);
	/* A piece of the body; failures as in begin. */
	int (*data)(void *ctx, struct ibb_answer *a, const void *p, size_t n,
		    struct ibb_error *err);
	/* Now and then; non-zero: IBB_E_CANCELLED. */
	int (*tick)(void *ctx);
	void *ctx;
};
/* 0: what the headers announced has come, or was not wanted. Messages do not name the URL. */
int ibb_get(const struct ibb_get *g, struct ibb_answer *ret, struct ibb_error *err) IBB_MUST_CHECK;
/* Once in a process, from any thread. */
int ibb_get_init(struct ibb_error *err) IBB_MUST_CHECK;
/* Is this a proxy that libcurl can use? NULL and "": none. IBB_E_INVALID, without the text, which
 * may hold a password. */
int ibb_proxy_check(const char *proxy, struct ibb_error *err) IBB_MUST_CHECK;
/* Monotonic. */
int64_t ibb_clock_ms(void);

#endif
