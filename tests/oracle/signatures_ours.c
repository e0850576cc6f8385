/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * signatures_ours [-r ROOT.pem] [-t TIMES] FILE...: what ibbake says of every signature of a PKCS#7
 * file, one line each. -t N verifies N times and prints the fastest time in microseconds.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "authenticode/signature.h"
#include "base/io.h"
#include "base/limits.h"
#include "base/time.h"

static const char *const anchors[] = {"none", "microsoft", "cross", "test", "user"};

static void print(const char *file, const struct ibb_signature *s)
{
	char at[IBB_ISO8601_SIZE];

	ibb_unix_format(s->signed_at, at);
	printf("%s: %s%s anchor=%s %s %u bits signer='%s' usages=%s%s%s %s %s by '%s'", file,
	       s->nested ? "nested " : "", ibb_signature_fault_name(s->fault), anchors[s->anchor],
	       s->digest_name, s->key_bits, s->signer.name, s->signer.whql ? "whql " : "",
	       s->signer.attested ? "attested " : "",
	       s->signer.windows_system ? "windows-system" : "",
	       s->timestamped ? "timestamped" : "judged", at, s->authority);
	if (s->why[0])
		printf(" why: %s", s->why);
	if (s->timestamp_why[0])
		printf(" timestamp: %s", s->timestamp_why);
	if (s->anchor_name[0])
		printf(" (%s %s)", s->anchor_name, s->anchor_sha1);
	putchar('\n');
}

static long microseconds(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (long)(t.tv_sec * 1000000 + t.tv_nsec / 1000);
}

static int one(const struct ibb_trust_store *store, const char *file, long times)
{
	struct ibb_signature *sigs = NULL;
	struct ibb_error err = {0};
	IBB_AUTO_BUF struct ibb_buf b = {0};
	IBB_AUTO_BUF struct ibb_buf content = {0};
	char type[64];
	size_t n = 0;
	long best = -1;
	int rc = ibb_read_file(file, IBB_LIMIT_CAT_BYTES, &b, &err);

	for (long i = 0; !rc && i < (times > 0 ? times : 1); i++) {
		long start = microseconds(), took;

		free(sigs);
		sigs = NULL;
		rc = ibb_signature_verify(file, ibb_buf_bytes(&b), store, time(NULL), &sigs, &n,
					  &content, type, &err);
		took = microseconds() - start;
		if (best < 0 || took < best)
			best = took;
	}
	if (rc)
		fprintf(stderr, "%s\n", err.msg);
	for (size_t i = 0; !rc && i < n; i++)
		print(file, &sigs[i]);
	if (!rc && times > 0)
		printf("%s: %ld us\n", file, best);
	free(sigs);
	return rc ? 1 : 0;
}

int main(int argc, char **argv)
{
	IBB_AUTO(ibb_trust_store_free) struct ibb_trust_store *store = NULL;
	struct ibb_error err = {0};
	long times = 0;
	int c, bad = 0, rc = ibb_trust_store_new(&store, &err);

	while (!rc && (c = getopt(argc, argv, "r:t:")) != -1) {
		IBB_AUTO_BUF struct ibb_buf pem = {0};

		if (c == 't')
			times = strtol(optarg, NULL, 10);
		else if (c != 'r')
			return 2;
		else
			rc = ibb_read_file(optarg, 1u << 20, &pem, &err);
		if (!rc && c == 'r')
			rc = ibb_trust_store_add(store, optarg, ibb_buf_bytes(&pem), &err);
	}
	if (rc) {
		fprintf(stderr, "%s\n", err.msg);
		return 1;
	}
	for (int i = optind; i < argc; i++)
		bad |= one(store, argv[i], times);
	return bad;
}
