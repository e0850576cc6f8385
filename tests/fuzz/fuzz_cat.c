/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The list of a catalog, and indirect data. What is accepted is in order, is found, holds text that
 * is text, and is the same when it is read again; when an allocation fails, nothing comes out.
 */
#include "fuzz.h"

#include "authenticode/pe.h"
#include "base/utf16.h"

static void check_text(const char *s)
{
	FUZZ_CHECK(ibb_utf8_valid(s, strlen(s)), "text that is no UTF-8");
	for (; *s; s++)
		FUZZ_CHECK((uint8_t)*s >= 0x20 && *s != 0x7f, "text with a control character");
}

static void check_member(const struct ibb_cat *c, const struct ibb_cat_member *m)
{
	const struct ibb_cat_member *found = ibb_cat_find(c, m->digest, m->digest_bytes);

	FUZZ_CHECK(m->digest_bytes == 20 || (m->digest_bytes == 32 && c->version == 2), "%u bytes",
		   m->digest_bytes);
	FUZZ_CHECK(m->subject <= IBB_SUBJECT_PE, "subject %d", (int)m->subject);
	if (m->file)
		check_text(m->file);
	if (m->os_attr)
		check_text(m->os_attr);
	if (m->digest_bytes != ibb_alg_bytes(c->alg)) {
		FUZZ_CHECK(!found, "a digest that does not count is found");
		return;
	}
	FUZZ_CHECK(found && !memcmp(found->digest, m->digest, m->digest_bytes), "not found");
	FUZZ_CHECK(found->subject == m->subject, "two entries, two kinds");
	FUZZ_CHECK(!found->os_attr == !m->os_attr &&
			   (!m->os_attr || !strcmp(found->os_attr, m->os_attr)),
		   "two entries, two conditions");
}

static void check_list(const struct ibb_cat *c)
{
	FUZZ_CHECK(c->version == 1 || c->version == 2, "version %u", c->version);
	FUZZ_CHECK(c->alg == (c->version == 1 ? IBB_ALG_SHA1 : IBB_ALG_SHA256), "algorithm");
	for (size_t i = 0; i < c->n_members; i++) {
		const struct ibb_cat_member *m = &c->members[i];

		check_member(c, m);
		if (i)
			FUZZ_CHECK(m[-1].digest_bytes < m->digest_bytes ||
					   (m[-1].digest_bytes == m->digest_bytes &&
					    memcmp(m[-1].digest, m->digest, m->digest_bytes) <= 0),
				   "out of order");
	}
	for (size_t i = 0; i < c->n_attrs; i++) {
		check_text(c->attrs[i].name);
		check_text(c->attrs[i].value);
		if (i < 64) /* a linear search: not of all of thousands */
			FUZZ_CHECK(ibb_cat_attr(c, c->attrs[i].name), "not found");
	}
}

static struct ibb_cat *parse(const struct ibb_buf *b, int *ret)
{
	struct ibb_error err = {0};
	struct ibb_cat *c = NULL;

	*ret = ibb_cat_parse("fuzz", ibb_buf_bytes(b), &c, &err);
	FUZZ_CHECK(!*ret == (c != NULL), "%d, and a list: %d", *ret, c != NULL);
	if (*ret) {
		FUZZ_CHECK(*ret == IBB_E_CORRUPT || *ret == IBB_E_UNSUPPORTED ||
				   *ret == IBB_E_LIMIT || *ret == IBB_E_NOMEM,
			   "%d %s", *ret, err.msg);
		FUZZ_CHECK(err.msg[0] && !strchr(err.msg, '\n'), "%d %s", *ret, err.msg);
	}
	return c;
}

static void without_memory(const struct ibb_buf *b, long n)
{
	int r;
	struct ibb_cat *c;

	ibb_mem_fail_at((long)(b->len % (size_t)(n + 1)), false);
	c = parse(b, &r);
	ibb_mem_fail_at(-1, false);
	FUZZ_CHECK(!c || (long)(b->len % (size_t)(n + 1)) == n, "a list without memory");
	ibb_cat_free(c);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct ibb_buf b = fuzz_copy(data, size);
	enum ibb_digest_alg alg = IBB_ALG_SHA1;
	uint8_t digest[32];
	struct ibb_cat *c;
	long n;
	int r;

	(void)ibb_mem_count();
	c = parse(&b, &r);
	n = ibb_mem_count();
	if (c) {
		check_list(c);
		without_memory(&b, n);
	}
	ibb_cat_free(c);
	r = ibb_spc_digest("fuzz", ibb_buf_bytes(&b), &alg, digest, NULL);
	FUZZ_CHECK(!r || r == IBB_E_CORRUPT || r == IBB_E_UNSUPPORTED, "spc: %d", r);
	ibb_buf_clear(&b);
	return 0;
}

/* ---- damage ---- */

#define MAX_NODES 4096u
#define ROOM	  (1u << 20)

struct node {
	size_t at, head, len; /* head: bytes of tag and length */
	unsigned parent;      /* index; the first is its own */
};

static struct node nodes[MAX_NODES];
static unsigned n_nodes;

/* Every element in [at, end), and what is in those that hold elements. */
static void walk(const uint8_t *p, size_t at, size_t end, unsigned parent, unsigned depth)
{
	while (at + 2 <= end && n_nodes < MAX_NODES) {
		size_t n = p[at + 1] & 0x80 ? p[at + 1] & 0x7f : 0, len = n ? 0 : p[at + 1];
		unsigned self = n_nodes;

		if (n > 4 || at + 2 + n > end)
			return;
		for (size_t i = 0; i < n; i++)
			len = len << 8 | p[at + 2 + i];
		if (len > end - at - 2 - n)
			return;
		nodes[n_nodes++] = (struct node){at, 2 + n, len, depth ? parent : self};
		/* also of an OCTET STRING that may hold DER */
		if (depth < 24 &&
		    (p[at] & 0x20 || (p[at] == 4 && len > 2 && p[at + 2 + n] == 0x30)))
			walk(p, at + 2 + n, at + 2 + n + len, self, depth + 1);
		at += 2 + n + len;
	}
}

static uint8_t scratch[2][ROOM];

static size_t put_head(uint8_t *out, uint8_t tag, size_t len)
{
	size_t n = len < 0x80 ? 0 : len < 0x100 ? 1 : len < 0x10000 ? 2 : 3;

	out[0] = tag;
	out[1] = (uint8_t)(n ? 0x80 | n : len);
	for (size_t i = 0; i < n; i++)
		out[2 + i] = (uint8_t)(len >> 8 * (n - 1 - i));
	return 2 + n;
}

/* Put scratch[0][0..n) in the place of a node; every length above it is made right. */
static size_t splice(uint8_t *p, size_t size, size_t max, unsigned i, size_t n)
{
	size_t at = nodes[i].at, old = nodes[i].head + nodes[i].len;

	while (nodes[i].parent != i) {
		const struct node *up = &nodes[nodes[i].parent];
		size_t in = up->at + up->head, before = at - in;
		size_t after = in + up->len - (at + old), head;

		if (before + n + after + 8 > ROOM)
			return size;
		head = put_head(scratch[1], p[up->at], before + n + after);
		memcpy(scratch[1] + head, p + in, before);
		memcpy(scratch[1] + head + before, scratch[0], n);
		memcpy(scratch[1] + head + before + n, p + at + old, after);
		n = head + before + n + after;
		memcpy(scratch[0], scratch[1], n);
		i = nodes[i].parent;
		at = up->at;
		old = up->head + up->len;
	}
	if (size - old + n > max)
		return size;
	memmove(p + at + n, p + at + old, size - at - old);
	memcpy(p + at, scratch[0], n);
	return size - old + n;
}

/* What stands in scratch[0] instead of node i; the bytes. */
static size_t replace(const uint8_t *p, unsigned i, uint64_t *rnd)
{
	const struct node *a = &nodes[i], *b = &nodes[fuzz_rnd(rnd, n_nodes)];
	uint8_t *out = scratch[0];
	size_t all = a->head + a->len, head;

	if (2 * all + b->head + b->len + 64 > ROOM)
		return 0;
	switch (fuzz_rnd(rnd, 7)) {
	case 0: /* gone */
		return 0;
	case 1: /* twice */
		memcpy(out, p + a->at, all);
		memcpy(out + all, p + a->at, all);
		return 2 * all;
	case 2: /* another one */
		memcpy(out, p + b->at, b->head + b->len);
		return b->head + b->len;
	case 3: /* another one's content: a digest that agrees with a tag, say */
		head = put_head(out, p[a->at], b->len);
		memcpy(out + head, p + b->at + b->head, b->len);
		return head + b->len;
	case 4: /* another tag */
		memcpy(out, p + a->at, all);
		out[0] = fuzz_rnd(rnd, 2) ? p[b->at] : (uint8_t)fuzz_rnd(rnd, 256);
		return all;
	case 5: /* with another one behind it */
		memcpy(out, p + a->at, all);
		memcpy(out + all, p + b->at, b->head + b->len);
		return all + b->head + b->len;
	default: /* other content */
		memcpy(out + 8, p + a->at + a->head, a->len);
		head = LLVMFuzzerMutate(out + 8, a->len, a->len + 32);
		memmove(out + (head < 0x80	? 2
			       : head < 0x100	? 3
			       : head < 0x10000 ? 4
						: 5),
			out + 8, head);
		return put_head(out, p[a->at], head) + head;
	}
}

size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max_size, unsigned seed)
{
	uint64_t state = seed;

	for (unsigned k = 1 + fuzz_rnd(&state, 3); k--;) {
		unsigned i;

		n_nodes = 0;
		walk(data, 0, size, 0, 0);
		if (!n_nodes || !fuzz_rnd(&state, 8)) {
			size = LLVMFuzzerMutate(data, size, max_size);
			continue;
		}
		i = fuzz_rnd(&state, n_nodes);
		size = splice(data, size, max_size, i, replace(data, i, &state));
	}
	return size;
}
