/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "fuzz_model.h"

#include "base/le.h"
#include "base/utf16.h"

/* The same for names that differ in case only. */
static uint64_t fold_hash(const char *path, const char *value)
{
	const char *const parts[] = {path, value};
	uint64_t hash = value ? 14695981039346656037ull : 1099511628211ull;

	for (unsigned k = 0; k < 2 && parts[k]; k++) {
		struct ibb_buf b = {0};

		FUZZ_CHECK(!ibb_utf16le_append(&b, parts[k]), "'%s' is not UTF-8", parts[k]);
		for (size_t i = 0; i < b.len; i += 2)
			hash = (hash ^ ibb_upcase(ibb_get_le16(b.data + i))) * 1099511628211ull;
		hash = (hash ^ 0xfffff) * 1099511628211ull;
		ibb_buf_clear(&b);
	}
	return hash;
}

static struct fuzz_entry *lookup(struct fuzz_model *m, uint64_t hash, const char *path,
				 const char *value)
{
	for (uint32_t i = m->buckets[hash % IBB_ARRAY_SIZE(m->buckets)]; i;) {
		struct fuzz_entry *e = &m->entries[i - 1];

		if (e->hash == hash && !e->value == !value && ibb_caseeq(e->path, path) &&
		    (!value || ibb_caseeq(e->value, value)))
			return e;
		i = e->next;
	}
	return NULL;
}

struct fuzz_entry *fuzz_model_touch(struct fuzz_model *m, const char *path, const char *value)
{
	uint64_t hash = fold_hash(path, value);
	uint32_t *bucket = &m->buckets[hash % IBB_ARRAY_SIZE(m->buckets)];
	struct fuzz_entry *e = lookup(m, hash, path, value);

	if (e)
		return e;
	FUZZ_CHECK(!ibb_grow(&m->entries, &m->cap, m->n, sizeof(*m->entries)), "out of memory");
	e = &m->entries[m->n++];
	*e = (struct fuzz_entry){.path = ibb_strdup(path),
				 .value = value ? ibb_strdup(value) : NULL,
				 .hash = hash,
				 .next = *bucket};
	*bucket = (uint32_t)m->n;
	return e;
}

void fuzz_model_put(struct fuzz_entry *e, const void *p, size_t n)
{
	struct ibb_buf b = fuzz_copy(p, n);

	ibb_buf_clear(&e->data);
	e->data = b;
}

void fuzz_model_clear(struct fuzz_model *m)
{
	for (size_t i = 0; i < m->n; i++) {
		free(m->entries[i].path);
		free(m->entries[i].value);
		ibb_buf_clear(&m->entries[i].data);
	}
	free(m->entries);
	*m = (struct fuzz_model){0};
}

/*
 * Is `path` the key `top`, or below it? Compared up to as many names as `top` has, because a letter
 * and its upper-case partner may be of different length in UTF-8.
 */
static bool within(const char *path, const char *top)
{
	size_t n = 0;

	if (!*top)
		return true;
	for (const char *at = top; at; at = strchr(at, '\\')) {
		at += *at == '\\';
		n += path[n] == '\\';
		n += strcspn(path + n, "\\");
	}
	return ibb_ncasecmp(path, n, top, strlen(top)) == 0;
}

void fuzz_model_delete(struct fuzz_model *m, const char *path)
{
	for (size_t i = 0; i < m->n; i++) {
		if (!within(m->entries[i].path, path))
			continue;
		m->entries[i].there = false;
		m->entries[i].sd_set = false;
	}
	fuzz_model_touch(m, path, NULL)->removed = true;
	m->any_removed = true;
}

/* ---- verifying ---- */

static bool was_removed(struct fuzz_model *m, const char *path)
{
	for (size_t i = 0; m->any_removed && i < m->n; i++)
		if (m->entries[i].removed && within(path, m->entries[i].path))
			return true;
	return false;
}

static int explain(void *ctx, const struct ibb_hive_diff *d, struct ibb_error *err)
{
	struct fuzz_model *m = ctx;
	struct fuzz_entry *e = lookup(m, fold_hash(d->path, d->value), d->path, d->value);
	bool ok = false;

	(void)err;
	switch (d->kind) {
	case IBB_DIFF_KEY_ADDED:
	case IBB_DIFF_VALUE_ADDED:
		ok = e && e->there;
		break;
	case IBB_DIFF_VALUE_CHANGED:
		ok = e && e->there && e->type == d->after.type && e->data.len == d->after.size;
		break;
	case IBB_DIFF_KEY_SECURITY:
		ok = (e && e->sd_set) || was_removed(m, d->path);
		break;
	case IBB_DIFF_KEY_KIND: /* what is made anew has no class name and no flags */
		ok = was_removed(m, d->path);
		break;
	case IBB_DIFF_VALUE_REMOVED:
		ok = (e && !e->there) || was_removed(m, d->path);
		break;
	case IBB_DIFF_KEY_REMOVED:
		ok = was_removed(m, d->path);
		break;
	}
	FUZZ_CHECK(ok, "unasked difference: kind %d at '%s' : '%s'", (int)d->kind, d->path,
		   d->value ? d->value : "(key)");
	return 0;
}

static void verify_key(const struct fuzz_entry *e, const struct ibb_hive *h, ibb_key k)
{
	struct ibb_error err = {0};
	struct ibb_bytes sd;
	int r = ibb_hive_get_security(h, k, &sd, &err);

	FUZZ_CHECK(!r, "security of '%s': %d %s", e->path, r, err.msg);
	if (e->sd_set)
		FUZZ_CHECK(sd.len == e->data.len && !memcmp(sd.data, e->data.data, sd.len),
			   "security of '%s'", e->path);
}

static void verify_value(const struct fuzz_entry *e, const struct ibb_hive *h, ibb_key k)
{
	struct ibb_error err = {0};
	struct ibb_buf data = {0};
	uint32_t type = 0;
	int r = ibb_hive_get(h, k, e->value, &type, &data, &err);

	if (e->there)
		FUZZ_CHECK(!r && type == e->type && data.len == e->data.len &&
				   (!data.len || !memcmp(data.data, e->data.data, data.len)),
			   "value '%s' of '%s': %d %s, type %u, %zu bytes; want type %u, %zu",
			   e->value, e->path, r, err.msg, type, data.len, e->type, e->data.len);
	else
		FUZZ_CHECK(r == IBB_E_NOTFOUND, "value '%s' of '%s' is still there: %d", e->value,
			   e->path, r);
	ibb_buf_clear(&data);
}

void fuzz_model_verify(struct fuzz_model *m, const struct ibb_hive *before, struct ibb_hive *after)
{
	struct ibb_error err = {0};
	int r = ibb_hive_compare(before, after, explain, m, &err);

	FUZZ_CHECK(!r, "compare: %d %s", r, err.msg);
	for (size_t i = 0; i < m->n; i++) {
		const struct fuzz_entry *e = &m->entries[i];
		ibb_key k = 0;

		r = ibb_hive_find(after, ibb_hive_root(after), e->path, &k, &err);
		FUZZ_CHECK(!r || (r == IBB_E_NOTFOUND && !e->there), "'%s': %d %s", e->path, r,
			   err.msg);
		FUZZ_CHECK(e->value || e->there == !r, "key '%s': there %d, wanted %d", e->path, !r,
			   e->there);
		if (!r && e->value)
			verify_value(e, after, k);
		else if (!r)
			verify_key(e, after, k);
	}
}
