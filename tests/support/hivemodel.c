/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "hivemodel.h"

void die(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	fputs("ibb-hive: ", stderr);
	vfprintf(stderr, fmt, ap);
	fputc('\n', stderr);
	va_end(ap);
	exit(1);
}

void *must(void *p)
{
	if (!p)
		die("no memory");
	return p;
}

static void grow(void *items, size_t *cap, size_t n, size_t size)
{
	if (ibb_grow(items, cap, n, size))
		die("no memory");
}

/* ---- names ---- */

static uint32_t fold(uint32_t c)
{
	if ((c >= 'a' && c <= 'z') || (c >= 0xe0 && c <= 0xfe && c != 0xf7) ||
	    (c >= 0x3b1 && c <= 0x3c9) || (c >= 0x430 && c <= 0x44f))
		return c - 32;
	return c >= 0x450 && c <= 0x45f ? c - 80 : c;
}

/* The next character; names are valid UTF-8 or near to it. */
static uint32_t next(const char **p)
{
	const unsigned char *s = (const unsigned char *)*p;
	unsigned n = *s < 0x80 ? 0 : *s >= 0xf0 ? 3 : *s >= 0xe0 ? 2 : 1;
	uint32_t c = n ? *s & (0x3fu >> n) : *s;

	for (s++; n && (*s & 0xc0) == 0x80; n--, s++)
		c = c << 6 | (*s & 0x3f);
	*p = (const char *)s;
	return c;
}

bool model_same_name(const char *a, const char *b)
{
	while (*a && *b)
		if (fold(next(&a)) != fold(next(&b)))
			return false;
	return !*a && !*b;
}

struct m_key *model_sub(const struct m_key *k, const char *name)
{
	for (size_t i = 0; i < k->n_sub; i++)
		if (model_same_name(k->sub[i]->name, name))
			return k->sub[i];
	return NULL;
}

struct m_value *model_value(const struct m_key *k, const char *name)
{
	for (size_t i = 0; i < k->n_val; i++)
		if (model_same_name(k->val[i].name, name))
			return &k->val[i];
	return NULL;
}

/* ---- changes ---- */

const struct m_sd *model_sd(struct model *m, const uint8_t *data, size_t n)
{
	struct m_sd *sd;

	for (size_t i = 0; i < m->n_sd; i++)
		if (m->sd[i]->n == n && memcmp(m->sd[i]->data, data, n) == 0)
			return m->sd[i];
	sd = must(ibb_zalloc(sizeof(*sd)));
	sd->data = must(ibb_memdup(data, n));
	sd->n = n;
	if (dump_sd((struct ibb_bytes){data, n}, sd->sum))
		die("no memory");
	grow(&m->sd, &m->cap_sd, m->n_sd, sizeof(struct m_sd *));
	m->sd[m->n_sd++] = sd;
	return sd;
}

struct m_key *model_add(struct model *m, struct m_key *parent, const char *name, uint64_t time,
			const struct m_sd *sd)
{
	struct m_key *k = must(ibb_zalloc(sizeof(*k)));

	k->name = must(ibb_strdup(name));
	k->parent = parent;
	k->time = time;
	k->sd = sd;
	k->added = true;
	k->odd = parent &&
		 (parent->odd || !*name || strchr(name, '\\') || strstr(name, "\xe2\x90\x80"));
	k->at = m->n_all;
	grow(&m->all, &m->cap_all, m->n_all, sizeof(struct m_key *));
	m->all[m->n_all++] = k;
	if (parent) {
		grow(&parent->sub, &parent->cap_sub, parent->n_sub, sizeof(struct m_key *));
		parent->sub[parent->n_sub++] = k;
	}
	return k;
}

void model_set(struct m_key *k, const char *name, uint32_t type, const uint8_t *data, size_t n)
{
	struct m_value *v = model_value(k, name);

	if (!v) {
		grow(&k->val, &k->cap_val, k->n_val, sizeof(*k->val));
		v = &k->val[k->n_val++];
		*v = (struct m_value){.name = must(ibb_strdup(name))};
	}
	free(v->data);
	v->data = must(ibb_memdup(n ? data : (const uint8_t *)"", n ? n : 1));
	v->n = n;
	v->type = type;
}

void model_unset(struct m_key *k, struct m_value *v)
{
	free(v->name);
	free(v->data);
	*v = k->val[--k->n_val];
}

static void drop(struct model *m, struct m_key *k)
{
	while (k->n_sub)
		drop(m, k->sub[--k->n_sub]);
	while (k->n_val)
		model_unset(k, k->val);
	m->all[k->at] = m->all[--m->n_all];
	m->all[k->at]->at = k->at;
	free(k->sub);
	free(k->val);
	free(k->name);
	free(k);
}

void model_delete(struct model *m, struct m_key *k)
{
	struct m_key *up = k->parent;
	size_t i = 0;

	while (up && up->sub[i] != k)
		i++;
	if (up)
		up->sub[i] = up->sub[--up->n_sub];
	drop(m, k);
}

void model_clear(struct model *m)
{
	if (m->root)
		drop(m, m->root);
	for (size_t i = 0; i < m->n_sd; i++) {
		free(m->sd[i]->data);
		free(m->sd[i]);
	}
	free(m->sd);
	free(m->all);
	memset(m, 0, sizeof(*m));
}

/* ---- from a hive ---- */

struct load {
	struct model *m;
	struct ibb_hive *h;
	struct m_key *at;
};

static int load_value(void *ctx, const struct ibb_value *v, struct ibb_error *err)
{
	struct m_key *k = ((struct load *)ctx)->at;

	(void)err;
	/* not model_set(): nothing is known of the names of others */
	grow(&k->val, &k->cap_val, k->n_val, sizeof(*k->val));
	k->val[k->n_val++] = (struct m_value){
		.name = must(ibb_strdup(v->name)),
		.type = v->type,
		.data = must(
			ibb_memdup(v->size ? v->data : (const uint8_t *)"", v->size ? v->size : 1)),
		.n = v->size,
	};
	return IBB_OK;
}

static int load_key(void *ctx, ibb_key k, const char *name, struct ibb_error *err)
{
	struct load *l = ctx;
	struct m_key *up = l->at;
	struct ibb_key_info info;
	struct ibb_bytes sd;
	int r;

	l->at = model_add(l->m, up, name, 0, NULL);
	l->at->added = false;
	r = ibb_hive_key_info(l->h, k, &info, err);
	if (!r)
		r = ibb_hive_get_security(l->h, k, &sd, err);
	if (r)
		return r;
	l->at->time = info.last_written;
	l->at->pinned = info.flags & 0x08;
	l->at->link = info.is_link;
	l->at->handle = info.flags & 0x40;
	l->at->sd = model_sd(l->m, sd.data, sd.len);
	r = ibb_hive_values(l->h, k, load_value, l, err);
	if (!r)
		r = ibb_hive_subkeys(l->h, k, load_key, l, err);
	l->at = up;
	return r;
}

void model_load(struct model *m, struct ibb_hive *h)
{
	struct load l = {.m = m, .h = h};
	struct ibb_error err = {0};

	if (load_key(&l, ibb_hive_root(h), "", &err))
		die("%s", err.msg);
	m->root = m->all[0];
}

/* ---- to text ---- */

char *model_path(const struct m_key *k)
{
	char *up, *path;

	if (!k->parent)
		return must(ibb_strdup(""));
	up = model_path(k->parent);
	path = must(ibb_asprintf("%s%s%s", up, *up ? "\\" : "", k->name));
	free(up);
	return path;
}

static void dump_below(const struct m_key *k, struct ibb_buf *path, struct dump *d)
{
	size_t len = path->len;
	int r = IBB_OK;

	if (k->parent)
		r = ibb_buf_append_str(path, "\\") || dump_name(path, k->name);
	if (r || dump_key(d, must(ibb_buf_cstr(path)), k->time, k->sd->sum))
		die("no memory");
	for (size_t i = 0; i < k->n_val; i++) {
		const struct m_value *v = &k->val[i];

		if (dump_value(d, must(ibb_buf_cstr(path)), v->name, v->type, v->data, v->n))
			die("no memory");
	}
	for (size_t i = 0; i < k->n_sub; i++)
		dump_below(k->sub[i], path, d);
	path->len = len;
}

void model_dump(const struct model *m, struct dump *d)
{
	struct ibb_buf path = {0};

	dump_below(m->root, &path, d);
	ibb_buf_clear(&path);
}
