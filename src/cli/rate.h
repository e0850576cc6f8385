/* SPDX-License-Identifier: GPL-3.0-or-later */
/* How fast something goes and how long it still takes; knows no clock of its own. */
#ifndef IBB_CLI_RATE_H
#define IBB_CLI_RATE_H

#include "ibbake/ibbake.h"

#define CLI_RATE_SAMPLES 16

/* The last few seconds, so that a pause or a cache shows soon. Zero-initialise. */
struct cli_rate {
	const char *phase; /* what the samples are of */
	size_t n, next;
	struct {
		uint64_t ms, done;
	} samples[CLI_RATE_SAMPLES];
	uint64_t bytes_per_second; /* 0: not known yet */
	uint64_t seconds_left;	   /* when the rate is known */
};

/* Take note of where a task is at `now_ms` of any steady clock; a new phase begins anew. */
void cli_rate_update(struct cli_rate *r, uint64_t now_ms, const struct ibb_progress *p);

#define CLI_RATE_TEXT 128
/* "1.2 GiB of 1.8 GiB (66%), 410.2 MiB/s, 2 s left"; the rate only when it is known, and "" when
 * there is nothing to count. */
void cli_rate_text(const struct cli_rate *r, const struct ibb_progress *p, char out[CLI_RATE_TEXT]);

#endif
