/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A whole message, as it comes from a .cat file. Nobody can forge what the pinned roots vouch for:
 * a signature that holds is over the content of one of the real seeds.
 */
#include "fuzz.h"

#include "authenticode/signature.h"
#include "base/hash.h"

#define NOW	   1790000000
#define REAL_SEEDS 7 /* mkcorpus_cat.c: catalogs */

/* Is it a real seed's content? There are only so many, and each is run before anything is made of
 * it. */
static bool is_known(struct ibb_bytes content)
{
	static struct ibb_sha256 known[REAL_SEEDS];
	static size_t n;
	struct ibb_sha256 d;

	FUZZ_CHECK(!ibb_sha256(content.data, content.len, &d), "out of memory");
	for (size_t i = 0; i < n; i++)
		if (!memcmp(&known[i], &d, sizeof(d)))
			return true;
	if (n == IBB_ARRAY_SIZE(known))
		return false;
	known[n++] = d;
	return true;
}

static void check(const struct ibb_signature *s, struct ibb_bytes content)
{
	FUZZ_CHECK(!s->fault == !s->why[0], "fault %d: '%s'", (int)s->fault, s->why);
	FUZZ_CHECK(!strchr(s->why, '\n') && !strchr(s->signer.name, '\n'), "two lines");
	FUZZ_CHECK(*ibb_signature_fault_name(s->fault), "a fault without a name");
	if (s->fault)
		return;
	FUZZ_CHECK(s->anchor == IBB_ANCHOR_MICROSOFT || s->anchor == IBB_ANCHOR_CROSS,
		   "holds up to anchor %d", (int)s->anchor);
	FUZZ_CHECK(s->signed_at > 0 && s->signed_at <= NOW, "signed at %lld",
		   (long long)s->signed_at);
	FUZZ_CHECK(is_known(content), "holds over a content that no seed has");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct ibb_trust_store *store;
	struct ibb_buf b = fuzz_copy(data, size), content = {0};
	struct ibb_signature *list = NULL;
	struct ibb_error err = {0};
	char type[64] = "";
	size_t n = 0;
	int r;

	if (!store)
		FUZZ_CHECK(!ibb_trust_store_new(&store, &err), "%s", err.msg);
	r = ibb_signature_verify("fuzz", ibb_buf_bytes(&b), store, NOW, &list, &n, &content, type,
				 &err);
	FUZZ_CHECK(!r || r == IBB_E_CORRUPT || r == IBB_E_LIMIT, "%d %s", r, err.msg);
	FUZZ_CHECK(!r || (err.msg[0] && !strchr(err.msg, '\n')), "%d %s", r, err.msg);
	for (size_t i = 0; !r && i < n; i++)
		check(&list[i], ibb_buf_bytes(&content));
	free(list);
	ibb_buf_clear(&content);
	ibb_buf_clear(&b);
	return 0;
}

/* Damage without losing the structure: a few bytes, mostly far from the lengths at the beginning.
 */
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max_size, unsigned seed)
{
	uint64_t state = seed;

	if (size < 64 || !fuzz_rnd(&state, 4))
		return LLVMFuzzerMutate(data, size, max_size);
	for (unsigned k = 1 + fuzz_rnd(&state, 3); k--;) {
		size_t at = fuzz_rnd(&state, (uint32_t)size);

		switch (fuzz_rnd(&state, 3)) {
		case 0:
			data[at] ^= (uint8_t)(1u << fuzz_rnd(&state, 8));
			break;
		case 1:
			data[at] = (uint8_t)(data[at] + fuzz_rnd(&state, 5) - 2);
			break;
		default: /* a tag or length that ASN.1 has a meaning for */
			data[at] = (uint8_t[]){
				0x30, 0x31, 0x02, 0x04, 0x05, 0x06, 0x80,
				0x81, 0x82, 0xa0, 0xa1, 0,    1,    0xff}[fuzz_rnd(&state, 14)];
		}
	}
	return size;
}
