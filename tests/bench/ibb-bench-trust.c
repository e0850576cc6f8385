/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The whole verdict on a package whose files are read: the pinned certificates, the signature, the
 * list, the digest of every file. Prints the median of a hundred runs in seconds.
 *
 *   ibb-bench-trust DIR INF
 */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "dirsource.h"
#include "driver/trust.h"

#define RUNS 101

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static int ascending(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static int judge(struct ibb_package *p, struct ibb_error *err)
{
	IBB_AUTO(ibb_trust_store_free) struct ibb_trust_store *store = NULL;
	struct ibb_trust_policy policy = {.now = 1790000000};
	int r = ibb_trust_store_new(&store, err);

	policy.store = store;
	return r ? r : ibb_package_judge(p, &policy, err);
}

int main(int argc, char **argv)
{
	const struct ibb_inf_target target = {IBB_ARCH_AMD64, 10, 0, 20348, 3, 0};
	IBB_AUTO(ibb_package_free) struct ibb_package *p = NULL;
	struct ibb_error err = {0};
	struct ibb_package_source src;
	double times[RUNS];
	int r;

	if (argc != 3) {
		fprintf(stderr, "usage: ibb-bench-trust DIR INF\n");
		return 2;
	}
	src = dirsource(argv[1]);
	r = ibb_package_load(&src, argv[2], &target, &p, &err);
	for (unsigned i = 0; !r && i < RUNS; i++) {
		double from = now();

		r = judge(p, &err);
		times[i] = now() - from;
	}
	if (r) {
		fprintf(stderr, "%s\n", err.msg);
		return 1;
	}
	qsort(times, RUNS, sizeof(*times), ascending);
	printf("%.6f\n", times[RUNS / 2]);
	return 0;
}
