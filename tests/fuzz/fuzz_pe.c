/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The digest of a PE image: all bytes but those in the gaps, in order, and zeros up to 8 bytes, as
 * it is made here once more. A signature lies in the last gap. An image without a digest has no
 * gaps and no signature.
 */
#include "fuzz.h"

#include <openssl/evp.h>

#include "authenticode/pe.h"
#include "base/le.h"

static void expect(const struct ibb_buf *b, const struct ibb_pe_gap *gaps, size_t n,
		   enum ibb_digest_alg alg, const uint8_t *got)
{
	struct ibb_buf rest = {0};
	uint8_t want[EVP_MAX_MD_SIZE];
	size_t at = 0;

	for (size_t i = 0; i <= n; i++) {
		size_t stop = i < n ? gaps[i].begin : b->len;

		FUZZ_CHECK(at <= stop && stop <= b->len, "gap %zu: %zu after %zu", i, stop, at);
		FUZZ_CHECK(!ibb_buf_append(&rest, b->data + at, stop - at), "out of memory");
		at = i < n ? gaps[i].end : b->len;
	}
	if (n < 3)
		FUZZ_CHECK(!ibb_buf_append_zero(&rest, (8 - b->len % 8) % 8), "out of memory");
	FUZZ_CHECK(EVP_Digest(rest.data, rest.len, want, NULL,
			      alg == IBB_ALG_SHA256 ? EVP_sha256() : EVP_sha1(), NULL),
		   "out of memory");
	FUZZ_CHECK(!memcmp(want, got, ibb_alg_bytes(alg)), "another digest");
	ibb_buf_clear(&rest);
}

static void check_signature(const struct ibb_buf *b, const struct ibb_pe_gap *gaps, size_t n)
{
	struct ibb_error err = {0};
	struct ibb_bytes sig = {0};
	int r = ibb_pe_signature("fuzz", ibb_buf_bytes(b), &sig, &err);
	size_t at = sig.data ? (size_t)(sig.data - b->data) : 0;

	FUZZ_CHECK(!r || r == IBB_E_NOTFOUND || r == IBB_E_CORRUPT, "%d %s", r, err.msg);
	FUZZ_CHECK(!r == (sig.data != NULL), "%d", r);
	FUZZ_CHECK(n != 2 || r == IBB_E_NOTFOUND, "a signature without a table: %d", r);
	FUZZ_CHECK(n != 0 || r == IBB_E_CORRUPT, "a signature without a digest: %d", r);
	if (!r)
		FUZZ_CHECK(n == 3 && at >= gaps[2].begin + 8 && sig.len <= gaps[2].end - at &&
				   sig.len >= 2,
			   "%zu bytes at %zu", sig.len, at);
}

/* A byte in a gap may be anything, but for the entry that says where the last gap is. */
static void check_gaps(struct ibb_buf *b, const struct ibb_pe_gap *gaps, size_t n,
		       const uint8_t *digest)
{
	uint8_t again[32];

	memset(b->data + gaps[0].begin, 0xa5, 4);
	if (n > 2)
		memset(b->data + gaps[2].begin, 0x5a, gaps[2].end - gaps[2].begin);
	FUZZ_CHECK(!ibb_pe_digest("fuzz", ibb_buf_bytes(b), IBB_ALG_SHA1, again, NULL) &&
			   !memcmp(again, digest, 20),
		   "a gap counts");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct ibb_buf b = fuzz_copy(data, size);
	struct ibb_pe_gap gaps[4];
	struct ibb_error err = {0};
	uint8_t sha1[32], sha256[32];
	size_t n = ibb_pe_gaps(ibb_buf_bytes(&b), gaps);
	bool pe = ibb_pe_is(ibb_buf_bytes(&b));
	int r = ibb_file_digest("fuzz", ibb_buf_bytes(&b), IBB_ALG_SHA1, sha1, &err);

	FUZZ_CHECK(n == 0 || n == 2 || n == 3, "%zu gaps", n);
	FUZZ_CHECK(r ? r == IBB_E_CORRUPT && pe && !n : !pe || n, "%d %s", r, err.msg);
	FUZZ_CHECK(!r || (err.msg[0] && !strchr(err.msg, '\n')), "%d %s", r, err.msg);
	check_signature(&b, gaps, n);
	if (pe && !r) {
		expect(&b, gaps, n, IBB_ALG_SHA1, sha1);
		FUZZ_CHECK(!ibb_pe_digest("fuzz", ibb_buf_bytes(&b), IBB_ALG_SHA256, sha256, &err),
			   "%s", err.msg);
		expect(&b, gaps, n, IBB_ALG_SHA256, sha256);
		check_gaps(&b, gaps, n, sha1);
	}
	ibb_buf_clear(&b);
	return 0;
}

/* ---- damage: fields of the headers, of the section table, of the certificate table ---- */

static uint32_t odd_value(uint32_t v, size_t size, uint64_t *rnd)
{
	static const uint32_t edges[] = {0, 1, 4, 5, 8, 0x200, 0x7fffffff, 0xfffffff8, 0xffffffff};

	switch (fuzz_rnd(rnd, 6)) {
	case 0:
		return edges[fuzz_rnd(rnd, IBB_ARRAY_SIZE(edges))];
	case 1:
		return v + fuzz_rnd(rnd, 5) - 2;
	case 2:
		return v + 8 * (fuzz_rnd(rnd, 9) - 4);
	case 3:
		return (uint32_t)size - fuzz_rnd(rnd, 3) * 8;
	case 4:
		return fuzz_rnd(rnd, (uint32_t)size + 1) & ~7u;
	default:
		return v + 0x200 * (fuzz_rnd(rnd, 5) - 2);
	}
}

/* Append an entry of the certificate table, and make the directory fit. */
static size_t add_certificate(uint8_t *p, size_t size, size_t max, size_t entry, uint64_t *rnd)
{
	uint32_t at = ibb_get_le32(p + entry), n = 8 + fuzz_rnd(rnd, 24);
	size_t to = (size + 7) / 8 * 8;

	if (to + 40 > max)
		return size;
	memset(p + size, 0, to + 40 - size);
	ibb_put_le32(p + to, n);
	ibb_put_le16(p + to + 4, 0x200);
	ibb_put_le16(p + to + 6, 2);
	p[to + 8] = 0x30;
	p[to + 9] = (uint8_t)(n > 10 ? n - 10 - fuzz_rnd(rnd, 2) : 0);
	to += (n + 7) / 8 * 8;
	if (!at || at > size)
		at = (uint32_t)((size + 7) / 8 * 8);
	ibb_put_le32(p + entry, at);
	ibb_put_le32(p + entry + 4, (uint32_t)(to - at));
	return to;
}

size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max_size, unsigned seed)
{
	uint64_t state = seed;
	size_t pe = size >= 0x40 ? ibb_get_le32(data + 0x3c) : size, at, entry, sections;

	if (pe > size || size - pe < 400 || !fuzz_rnd(&state, 5))
		return LLVMFuzzerMutate(data, size, max_size);
	entry = pe + 24 + (ibb_get_le16(data + pe + 24) == 0x20b ? 112 : 96) + 32;
	sections = pe + 24 + ibb_get_le16(data + pe + 20);
	for (unsigned k = 1 + fuzz_rnd(&state, 2); k--;) {
		switch (fuzz_rnd(&state, 8)) {
		case 0:
			at = 0x3c;
			break;
		case 1: /* number of sections, size of the optional header, its kind */
			at = pe + (size_t[]){6, 20, 24}[fuzz_rnd(&state, 3)];
			ibb_put_le16(data + at,
				     (uint16_t)odd_value(ibb_get_le16(data + at), 240, &state));
			continue;
		case 2: /* SizeOfHeaders, or the number of directory entries */
			at = fuzz_rnd(&state, 2) ? pe + 24 + 60 : entry - 36;
			break;
		case 3:
			at = entry + 4 * (size_t)fuzz_rnd(&state, 2);
			break;
		case 4:
			size = add_certificate(data, size, max_size, entry, &state);
			continue;
		case 5: /* in the certificate table */
			at = ibb_get_le32(data + entry);
			break;
		default: /* size or place of a section */
			at = sections + 40 * (size_t)fuzz_rnd(&state, 9) + 16 +
			     4 * (size_t)fuzz_rnd(&state, 2);
		}
		if (at + 4 <= size)
			ibb_put_le32(data + at, odd_value(ibb_get_le32(data + at), size, &state));
	}
	return size;
}
