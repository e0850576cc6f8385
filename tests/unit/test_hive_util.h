/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Small helpers of the hive tests. */
#ifndef TEST_HIVE_UTIL_H
#define TEST_HIVE_UTIL_H

#include "test.h"

#include "base/le.h"
#include "base/limits.h"
#include "hive/hive.h"

#define T0 132000000000000000ull /* some FILETIME of 2019 */
#define T1 (T0 + 10000000u)

static IBB_UNUSED struct ibb_error E;

static inline IBB_UNUSED struct ibb_hive *fresh(void)
{
	struct ibb_hive *h = NULL;

	assert_ok(ibb_hive_new("TEST", T0, &h, &E), E);
	return h;
}

static inline IBB_UNUSED struct ibb_hive *open_copy(const void *p, size_t n)
{
	struct ibb_hive *h = NULL;
	struct ibb_buf b = {0};

	assert_int_equal(ibb_buf_append(&b, p, n), 0);
	assert_ok(ibb_hive_open("copy", &b, &h, &E), E);
	assert_null(b.data);
	return h;
}

static inline IBB_UNUSED struct ibb_buf serialized(struct ibb_hive *h)
{
	struct ibb_buf b = {0};

	assert_ok(ibb_hive_serialize(h, T1, &b, &E), E);
	return b;
}

/* Serialise, open again, check. */
static inline IBB_UNUSED struct ibb_hive *reopened(struct ibb_hive *h, struct ibb_hive_check *ret)
{
	struct ibb_buf b = serialized(h);
	struct ibb_hive_check sum;
	struct ibb_hive *g = NULL;

	assert_ok(ibb_hive_open("again", &b, &g, &E), E);
	assert_ok(ibb_hive_check(g, ret ? ret : &sum, &E), E);
	return g;
}

static inline IBB_UNUSED ibb_key make(struct ibb_hive *h, const char *path)
{
	ibb_key k = 0;

	assert_ok(ibb_hive_create(h, ibb_hive_root(h), path, IBB_KEY_SECURITY_PARENT, 0, T0, &k,
				  NULL, &E),
		  E);
	return k;
}

static inline IBB_UNUSED ibb_key find(const struct ibb_hive *h, const char *path)
{
	ibb_key k = 0;

	assert_ok(ibb_hive_find(h, ibb_hive_root(h), path, &k, &E), E);
	return k;
}

static inline IBB_UNUSED void set(struct ibb_hive *h, ibb_key k, const char *name, uint32_t type,
				  const void *p, size_t n)
{
	assert_ok(ibb_hive_set(h, k, name, type, p, n, T0, &E), E);
}

static inline IBB_UNUSED void has_value(const struct ibb_hive *h, ibb_key k, const char *name,
					uint32_t type, const void *p, size_t n)
{
	struct ibb_buf b = {0};
	uint32_t t = 0;

	assert_ok(ibb_hive_get(h, k, name, &t, &b, &E), E);
	assert_int_equal(t, type);
	assert_int_equal(b.len, n);
	if (n)
		assert_memory_equal(b.data, p, n);
	ibb_buf_clear(&b);
}

/* Differences as text, one a line. */
static inline IBB_UNUSED int diff_line(void *ctx, const struct ibb_hive_diff *d,
				       struct ibb_error *err)
{
	static const char *const mark[] = {"+key", "-key", "~sd", "~kind", "+val", "-val", "~val"};

	(void)err;
	return ibb_buf_printf(ctx, "%s %s%s%s\n", mark[d->kind], d->path, d->value ? " : " : "",
			      d->value ? d->value : "");
}

static inline IBB_UNUSED void has_diff(const struct ibb_hive *a, const struct ibb_hive *b,
				       const char *want)
{
	struct ibb_buf text = {0};

	assert_ok(ibb_hive_compare(a, b, diff_line, &text, &E), E);
	assert_string_equal(text.len ? ibb_buf_cstr(&text) : "", want);
	ibb_buf_clear(&text);
}

/* A cell of a serialised hive, behind its size field. */
static inline IBB_UNUSED uint8_t *cell(const struct ibb_buf *b, uint32_t off)
{
	return b->data + 4096 + off + 4;
}

static inline IBB_UNUSED void fix_checksum(uint8_t *p)
{
	uint32_t c = 0;

	for (int i = 0; i < 127; i++)
		c ^= ibb_get_le32(p + 4 * i);
	ibb_put_le32(p + 508, c == 0 ? 1 : c == 0xffffffff ? 0xfffffffe : c);
}

/* A generator of its own, so that runs repeat anywhere. */
static inline IBB_UNUSED uint32_t rnd(uint64_t *state, uint32_t below)
{
	*state = *state * 6364136223846793005ull + 1442695040888963407ull;
	return (uint32_t)(*state >> 33) % below;
}

/* The vk cell of a value in serialised bytes. */
static inline IBB_UNUSED uint32_t vk_of(const struct ibb_buf *b, uint32_t nk, unsigned i)
{
	return ibb_get_le32(cell(b, ibb_get_le32(cell(b, nk) + 40)) + 4 * i);
}

/*
 * A hive whose key "big" holds the big value "db" (20 000 bytes 0, 1, 2, ... mod 251), put together
 * from cells that ibbake made for four ordinary values.
 */
static inline IBB_UNUSED struct ibb_buf hive_with_big(void)
{
	static uint8_t data[20000];
	struct ibb_hive *h = fresh();
	ibb_key k = make(h, "top\\big");
	uint32_t vk[4], at[4];
	struct ibb_buf b;

	for (size_t i = 0; i < sizeof(data); i++)
		data[i] = (uint8_t)(i % 251);
	set(h, k, "db", IBB_REG_BINARY, "12345678", 8);
	set(h, k, "list", IBB_REG_BINARY, "12345678", 8);
	set(h, k, "s0", IBB_REG_BINARY, data, 16344);
	set(h, k, "s1", IBB_REG_BINARY, data + 16344, sizeof(data) - 16344);
	b = serialized(h);
	ibb_hive_close(h);
	for (unsigned i = 0; i < 4; i++) {
		vk[i] = vk_of(&b, k, i);
		at[i] = ibb_get_le32(cell(&b, vk[i]) + 8);
		if (i)
			ibb_put_le32(cell(&b, vk[i]) + 4, 0x80000000u);
	}
	ibb_put_le32(cell(&b, vk[0]) + 4, sizeof(data));
	memcpy(cell(&b, at[0]), "db\2\0", 4);
	ibb_put_le32(cell(&b, at[0]) + 4, at[1]);
	ibb_put_le32(cell(&b, at[1]), at[2]);
	ibb_put_le32(cell(&b, at[1]) + 4, at[3]);
	return b;
}

#endif
