/* SPDX-License-Identifier: GPL-3.0-or-later */
/* One file on its way: what is here of it, and whether an answer continues that. */
#ifndef IBB_NET_TRANSFER_H
#define IBB_NET_TRANSFER_H

#include "net/internal.h"
#include "net/request.h"

struct ibb_transfer {
	const struct ibb_fetch_what *what;
	const struct ibb_fetch_options *o;
	struct ibb_partial part;
	int64_t deadline_ms;
	uint64_t at;			  /* bytes that are here */
	uint64_t total;			  /* of the whole file; 0: unknown */
	char *source;			  /* the URL of `what` that is asked for, as shown */
	char asked[IBB_SHA256_HEX_SIZE];  /* ibb_url_sha256() of it */
	char origin[IBB_SHA256_HEX_SIZE]; /* and of the one that gave what is here; "": unknown */
	bool insecure;			  /* something of it came unchecked over http */
	bool resumed;			  /* `at` was not 0 when a request that gave bytes began */
	bool no_ranges;			  /* ask for the whole file: a part was answered badly */
	bool took;			  /* the last answer gave bytes of it */
	bool asking_insecurely;
	unsigned requests;
	char if_range[300];		/* a validator of `origin`; "": none */
	char here[IBB_SHA256_HEX_SIZE]; /* of the URL that is being asked */
	uint64_t from;			/* the first byte that was asked for */
	int64_t progress_ms;
};

/* How much of the file can be gone on with when it is asked for at `t->source`: sets at, total,
 * if_range; drops what cannot. */
int ibb_transfer_begin(struct ibb_transfer *t, struct ibb_error *err) IBB_MUST_CHECK;
/* One request for the rest; messages do not name the URL. a->status says what came of it. */
int ibb_transfer_get(struct ibb_transfer *t, const char *url, bool insecure, struct ibb_answer *a,
		     struct ibb_error *err) IBB_MUST_CHECK;
bool ibb_transfer_complete(const struct ibb_transfer *t);
/* Forget what is here. */
int ibb_transfer_reset(struct ibb_transfer *t, struct ibb_error *err) IBB_MUST_CHECK;
/* struct ibb_transfer *: progress, and does the user want to stop? */
int ibb_transfer_tick(void *ctx);

#endif
