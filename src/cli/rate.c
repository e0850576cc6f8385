/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "cli/rate.h"

#include <stdio.h>
#include <string.h>

#define SPACING_MS 250 /* 16 of them: the rate of the last 4 seconds */

void cli_rate_update(struct cli_rate *r, uint64_t now_ms, const struct ibb_progress *p)
{
	const size_t newest = (r->next + CLI_RATE_SAMPLES - 1) % CLI_RATE_SAMPLES;
	uint64_t from_ms, from_done;
	size_t oldest;

	if (!r->phase || strcmp(r->phase, p->phase) != 0)
		*r = (struct cli_rate){.phase = p->phase};
	if (!p->total)
		return;
	if (!r->n || now_ms - r->samples[newest].ms >= SPACING_MS) {
		r->samples[r->next].ms = now_ms;
		r->samples[r->next].done = p->done;
		r->next = (r->next + 1) % CLI_RATE_SAMPLES;
		r->n += r->n < CLI_RATE_SAMPLES;
	}
	oldest = r->n < CLI_RATE_SAMPLES ? 0 : r->next;
	from_ms = r->samples[oldest].ms;
	from_done = r->samples[oldest].done;
	if (now_ms - from_ms < SPACING_MS || p->done <= from_done)
		return;
	r->bytes_per_second =
		(uint64_t)((double)(p->done - from_done) * 1000 / (double)(now_ms - from_ms));
	if (!r->bytes_per_second)
		return;
	r->seconds_left = (p->total - p->done + r->bytes_per_second - 1) / r->bytes_per_second;
}

static void size_text(uint64_t bytes, char out[32])
{
	static const char *const units[] = {"bytes", "KiB", "MiB", "GiB", "TiB"};
	double v = (double)bytes;
	unsigned u = 0;

	while (v >= 1024 && u < 4) {
		v /= 1024;
		u++;
	}
	snprintf(out, 32, u ? "%.1f %s" : "%.0f %s", v, units[u]);
}

static void time_text(uint64_t s, char out[40])
{
	const unsigned long long t = s;

	if (t < 60)
		snprintf(out, 40, "%llu s", t);
	else if (t < 3600)
		snprintf(out, 40, "%llu min %02llu s", t / 60, t % 60);
	else
		snprintf(out, 40, "%llu h %02llu min", t / 3600, t / 60 % 60);
}

void cli_rate_text(const struct cli_rate *r, const struct ibb_progress *p, char out[CLI_RATE_TEXT])
{
	char done[32], total[32], rate[32], left[40];
	int n;

	out[0] = '\0';
	if (!p->total)
		return;
	size_text(p->done, done);
	size_text(p->total, total);
	n = snprintf(out, CLI_RATE_TEXT, "%s of %s (%d%%)", done, total,
		     (int)(100.0 * (double)p->done / (double)p->total));
	if (!r->bytes_per_second || n < 0)
		return;
	size_text(r->bytes_per_second, rate);
	time_text(r->seconds_left, left);
	snprintf(out + n, CLI_RATE_TEXT - (size_t)n, ", %s/s, %s left", rate, left);
}
