/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Reading everything that can be reached. A hive that ibb_hive_check() is content with has to be
 * readable to the end, by walking and by name, and equal to itself.
 */
#include "fuzz_hive.h"

#include "base/limits.h"

struct walk {
	struct ibb_hive *h;
	bool clean; /* ibb_hive_check() found nothing */
	uint64_t keys, values;
	unsigned lookups; /* left: each is linear in what a key holds */
	uint64_t sum;	  /* so that nothing is optimised away */
};

static void judge(const struct walk *w, int r, const struct ibb_error *err, const char *what)
{
	FUZZ_CHECK(!r || (r == IBB_E_CORRUPT && !w->clean && err->msg[0]), "%s: %d %s", what, r,
		   err->msg);
}

/* A name that can be spelled in a path. */
static bool plain(const char *name)
{
	size_t n = strlen(name);

	for (size_t i = 0; i < n; i++)
		if (name[i] < ' ' || name[i] > '~' || name[i] == '\\')
			return false;
	return n && n < 256;
}

static int each_value(void *ctx, const struct ibb_value *v, struct ibb_error *err)
{
	struct walk *w = ctx;

	(void)err;
	w->values++;
	for (uint32_t i = 0; i < v->size; i++)
		w->sum += v->data[i];
	w->sum += strlen(v->name);
	return 0;
}

struct by_name {
	struct walk *w;
	ibb_key k;
};

static int each_value_by_name(void *ctx, const struct ibb_value *v, struct ibb_error *err)
{
	struct by_name *b = ctx;
	struct ibb_buf data = {0};
	uint32_t type = 0;
	int r;

	(void)err;
	if (!b->w->lookups || (*v->name && !plain(v->name)))
		return 0;
	b->w->lookups--;
	r = ibb_hive_get(b->w->h, b->k, v->name, &type, &data, NULL);
	FUZZ_CHECK(!r || (r == IBB_E_CORRUPT && !b->w->clean), "value '%s' by name: %d", v->name,
		   r);
	ibb_buf_clear(&data);
	return 0;
}

static void typed(struct walk *w, ibb_key k)
{
	uint32_t number;
	char *text = NULL;

	(void)!ibb_hive_get_dword(w->h, k, "", "", &number, NULL);
	(void)!ibb_hive_get_dword(w->h, ibb_hive_root(w->h), "Select", "Current", &number, NULL);
	if (!ibb_hive_get_string(w->h, k, "", "", &text, NULL))
		w->sum += strlen(text);
	free(text);
}

static void one_key(struct walk *w, ibb_key k)
{
	struct ibb_key_info info = {0};
	struct by_name by_name = {w, k};
	struct ibb_error err = {0};
	struct ibb_bytes sd = {0};
	uint64_t before = w->values;
	int r = ibb_hive_key_info(w->h, k, &info, &err);

	w->keys++;
	judge(w, r, &err, "key info");
	if (!r)
		w->sum += strlen(info.name);
	r = ibb_hive_get_security(w->h, k, &sd, &err);
	judge(w, r, &err, "security");
	for (size_t i = 0; !r && i < sd.len; i++)
		w->sum += sd.data[i];
	r = ibb_hive_values(w->h, k, each_value, w, &err);
	judge(w, r, &err, "values");
	FUZZ_CHECK(r || w->values - before == info.n_values, "%u values promised", info.n_values);
	(void)!ibb_hive_values(w->h, k, each_value_by_name, &by_name, NULL);
	typed(w, k);
}

static void lookup(struct walk *w, ibb_key parent, ibb_key k, const char *name)
{
	ibb_key found = 0;
	int r;

	if (!w->lookups || !plain(name))
		return;
	w->lookups--;
	r = ibb_hive_find(w->h, parent, name, &found, NULL);
	FUZZ_CHECK(!w->clean || (!r && found == k), "key '%s': %d, 0x%x, is at 0x%x", name, r,
		   found, k);
	FUZZ_CHECK(!r || r == IBB_E_CORRUPT || r == IBB_E_NOTFOUND, "key '%s': %d", name, r);
	r = ibb_hive_find(w->h, parent, "no such key\\at all", &found, NULL);
	FUZZ_CHECK(r == IBB_E_NOTFOUND || (r == IBB_E_CORRUPT && !w->clean) || !r, "absent: %d", r);
}

struct level {
	struct walk *w;
	ibb_key k;
	unsigned depth;
	uint32_t n;
};

static int each_key(void *ctx, ibb_key k, const char *name, struct ibb_error *err)
{
	struct level *up = ctx, here = {up->w, k, up->depth + 1, 0};

	up->n++;
	lookup(up->w, up->k, k, name);
	one_key(up->w, k);
	/* deeper the library promises nothing */
	if (here.depth > IBB_LIMIT_HIVE_DEPTH)
		return ibb_err(err, IBB_E_CORRUPT, "too deep");
	return ibb_hive_subkeys(up->w->h, k, each_key, &here, err);
}

static int each_diff(void *ctx, const struct ibb_hive_diff *d, struct ibb_error *err)
{
	(void)ctx;
	(void)err;
	FUZZ_CHECK(false, "differs from itself: kind %d at '%s'", (int)d->kind, d->path);
	return 0;
}

static void walk(struct walk *w)
{
	struct ibb_hive_check sum = {0};
	struct level top = {w, ibb_hive_root(w->h), 1, 0};
	struct ibb_error err = {0};
	int r = ibb_hive_check(w->h, &sum, &err);

	FUZZ_CHECK(!r || (r == IBB_E_CORRUPT && err.msg[0]), "check: %d %s", r, err.msg);
	w->clean = !r;
	one_key(w, top.k);
	r = ibb_hive_subkeys(w->h, top.k, each_key, &top, &err);
	judge(w, r, &err, "walk");
	if (w->clean)
		FUZZ_CHECK(sum.keys == w->keys && sum.values == w->values,
			   "%ju keys, %ju values; the check says %ju, %ju", (uintmax_t)w->keys,
			   (uintmax_t)w->values, (uintmax_t)sum.keys, (uintmax_t)sum.values);
	r = ibb_hive_compare(w->h, w->h, each_diff, NULL, &err);
	judge(w, r, &err, "compare");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct ibb_error err = {0};
	struct walk w = {.lookups = 400};

	w.h = fuzz_open(data, size, true, &err);
	if (w.h)
		walk(&w);
	ibb_hive_close(w.h);
	return 0;
}

size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max_size, unsigned seed)
{
	uint64_t state = seed;

	return fuzz_mutate_hive(data, size, max_size, &state);
}
