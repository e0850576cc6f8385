/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/le.h"
#include "hiveedit.h"

#define CELL   EDIT_CELL_BYTES
#define BIG    200000u
#define SECOND 10000000u

/* ---- choices ---- */

/* One of the few keys with big data, or with which not everything may be done. */
static struct m_key *rare(struct edit *e)
{
	struct m_key *found = NULL;
	uint32_t n = 0;

	for (size_t i = 0; i < e->m.n_all; i++) {
		struct m_key *k = e->m.all[i];
		bool is = (k->pinned && k->parent) || k->link || k->handle;

		for (size_t v = 0; v < k->n_val && !is; v++)
			is = k->val[v].n > CELL;
		if (is && !k->odd && edit_rnd(e, ++n) == 0)
			found = k;
	}
	return found;
}

/* Half of the time one of the younger keys, so that they get values and subkeys of their own. */
static struct m_key *pick(struct edit *e)
{
	struct m_key *k = edit_rnd(e, 40) ? NULL : rare(e);

	while (!k) {
		uint32_t n = (uint32_t)e->m.n_all;
		uint32_t late = n > 400 && edit_rnd(e, 2) ? n - 400 : 0;

		k = e->m.all[late + edit_rnd(e, n - late)];
		if (k->odd)
			k = NULL;
	}
	return k;
}

static ibb_key handle(struct edit *e, const struct m_key *k)
{
	char *path = model_path(k);
	ibb_key ret = 0;

	if (ibb_hive_find(e->h, ibb_hive_root(e->h), path, &ret, &e->err))
		die("a key of the model is not found: '%s': %s", path, e->err.msg);
	free(path);
	return ret;
}

static uint64_t tick(struct edit *e)
{
	e->n_edits++;
	return e->time += SECOND + edit_rnd(e, SECOND);
}

static void expect(struct edit *e, const char *what, const struct m_key *k, int r)
{
	if (r)
		die("edit %lu: %s '%s' failed: %d (%s) %s", e->n_edits, what, model_path(k), r,
		    ibb_code_name(r), e->err.msg);
}

/* An edit that has to be refused, and was: the hive is as before, which the next commit shows. */
static void refused(struct edit *e, const char *what, const struct m_key *k, int r)
{
	if (r != IBB_E_UNSUPPORTED)
		die("edit %lu: %s '%s' is to be refused as unsupported, but gave %d", e->n_edits,
		    what, model_path(k), r);
	e->n_refused++;
}

/* ---- keys ---- */

/* Would something have to be made below a symbolic link? */
static bool below_link(const struct m_key *k, const char *path)
{
	IBB_AUTO_FREE char *names = must(ibb_strdup(path));
	char *save = NULL;

	for (char *s = strtok_r(names, "\\", &save); s; s = strtok_r(NULL, "\\", &save)) {
		const struct m_key *sub = model_sub(k, s);

		if (!sub)
			return k->link;
		k = sub;
	}
	return false;
}

/*
 * Create `path` below a key, in the hive at once and in the model name by name. NULL: refused, as
 * it has to be.
 */
static struct m_key *create(struct edit *e, struct m_key *from, const char *path)
{
	const struct m_key *like = edit_rnd(e, 3) == 0 ? pick(e) : NULL;
	IBB_AUTO_FREE char *names = must(ibb_strdup(path));
	char *save = NULL;
	uint64_t time = tick(e);
	struct m_key *k = from;
	unsigned made = 0, want = 0;
	ibb_key ret;
	int r = ibb_hive_create(e->h, handle(e, from), path,
				like ? IBB_KEY_SECURITY_LIKE : IBB_KEY_SECURITY_PARENT,
				like ? handle(e, like) : 0, time, &ret, &made, &e->err);

	if (below_link(from, path)) {
		refused(e, "create below", from, r);
		return NULL;
	}
	expect(e, "create below", from, r);
	for (char *s = strtok_r(names, "\\", &save); s; s = strtok_r(NULL, "\\", &save)) {
		struct m_key *sub = model_sub(k, s);

		if (!sub) {
			k->time = time;
			sub = model_add(&e->m, k, s, time, like ? like->sd : k->sd);
			want++;
		}
		k = sub;
	}
	if (made != want)
		die("edit %lu: '%s': %u keys created, not %u", e->n_edits, path, made, want);
	return k;
}

static void edit_create(struct edit *e)
{
	struct m_key *from = pick(e);
	unsigned depth = edit_rnd(e, 3) ? 1 : 2 + edit_rnd(e, edit_rnd(e, 20) ? 5 : 40);
	struct ibb_buf path = {0};

	if (from->n_sub && edit_rnd(e, 6) == 0) {
		const struct m_key *sub = from->sub[edit_rnd(e, (uint32_t)from->n_sub)];

		if (!sub->odd && ibb_buf_append_str(&path, edit_other_case(e, sub->name)))
			die("no memory");
	}
	for (; depth; depth--) {
		if ((path.len && ibb_buf_append_str(&path, "\\")) ||
		    ibb_buf_append_str(&path, edit_name(e, false, 255)))
			die("no memory");
	}
	create(e, from, must(ibb_buf_cstr(&path)));
	ibb_buf_clear(&path);
}

/* Many siblings: subkey lists are split, and merged or shortened when some are deleted again. */
static void edit_crowd(struct edit *e)
{
	struct m_key *from = create(e, pick(e), "crowd");
	unsigned n = 50 + edit_rnd(e, edit_rnd(e, 4) ? 300 : 1200), at = edit_rnd(e, 3);
	char name[40];

	for (unsigned i = 0; i < n && from; i++) {
		if (at == 0)
			snprintf(name, sizeof(name), "%u", edit_rnd(e, 100000));
		else
			snprintf(name, sizeof(name), at == 1 ? "Key%04u" : "\xd0\xba%u",
				 at == 1 ? i : n - i);
		create(e, from, name);
	}
	for (unsigned i = edit_rnd(e, n); i && from && from->n_sub; i--) {
		struct m_key *sub = from->sub[edit_rnd(e, (uint32_t)from->n_sub)];

		from->time = tick(e);
		expect(e, "delete", sub,
		       ibb_hive_delete(e->h, handle(e, sub), from->time, &e->err));
		model_delete(&e->m, sub);
	}
}

static size_t below(const struct m_key *k)
{
	size_t n = 1;

	for (size_t i = 0; i < k->n_sub; i++)
		n += below(k->sub[i]);
	return n;
}

static bool can_delete(const struct m_key *k)
{
	bool ok = !k->pinned;

	for (size_t i = 0; i < k->n_sub; i++)
		ok = ok && can_delete(k->sub[i]);
	return ok;
}

static void edit_delete(struct edit *e)
{
	struct m_key *k = pick(e), *up = k->parent;
	uint64_t time;
	int r;

	/* not so much that nothing is left in the end */
	if (!up || below(k) > 100)
		return;
	time = tick(e);
	r = ibb_hive_delete(e->h, handle(e, k), time, &e->err);
	if (!can_delete(k)) {
		refused(e, "delete", k, r);
		return;
	}
	expect(e, "delete", k, r);
	up->time = time;
	model_delete(&e->m, k);
}

static void edit_security(struct edit *e)
{
	struct m_key *k = pick(e), *other = pick(e);
	struct ibb_bytes sd;
	IBB_AUTO_BUF struct ibb_buf copy = {0};

	tick(e);
	expect(e, "get security of", other,
	       ibb_hive_get_security(e->h, handle(e, other), &sd, &e->err));
	if (sd.len != other->sd->n || memcmp(sd.data, other->sd->data, sd.len) != 0)
		die("edit %lu: '%s' has another descriptor", e->n_edits, model_path(other));
	if (edit_rnd(e, 3) == 0) {
		/* one of its own: another number at the end of the last SID */
		if (ibb_buf_append(&copy, sd.data, sd.len))
			die("no memory");
		copy.data[copy.len - 3] ^= (uint8_t)(1 + edit_rnd(e, 3));
		sd = ibb_buf_bytes(&copy);
	}
	/* before the call: the bytes may move */
	k->sd = model_sd(&e->m, sd.data, sd.len);
	expect(e, "set security of", k, ibb_hive_set_security(e->h, handle(e, k), sd, &e->err));
}

/* ---- values ---- */

static uint32_t choose_size(struct edit *e)
{
	static const uint32_t edge[] = {0, 1, 3, 4, 5, 8, 12, CELL - 1, CELL};
	static const uint32_t more[] = {CELL + 1, 2 * CELL, 2 * CELL + 1, 3 * CELL - 1, BIG};

	if (e->big && edit_rnd(e, 12) == 0)
		return edit_rnd(e, 2) ? more[edit_rnd(e, IBB_ARRAY_SIZE(more))]
				      : CELL + 1 + edit_rnd(e, BIG - CELL);
	if (edit_rnd(e, 6) == 0)
		return edge[edit_rnd(e, IBB_ARRAY_SIZE(edge))];
	return edit_rnd(e, edit_rnd(e, 3) ? 12 : edit_rnd(e, 5) ? 400 : CELL + 1);
}

static void fill(struct edit *e, uint32_t type, uint8_t *p, uint32_t n)
{
	bool text = type == IBB_REG_SZ || type == IBB_REG_EXPAND_SZ || type == IBB_REG_MULTI_SZ ||
		    type == IBB_REG_LINK;

	if (!text || edit_rnd(e, 8) == 0) {
		for (uint32_t i = 0; i < n; i++)
			p[i] = (uint8_t)edit_rnd(e, 256);
		return;
	}
	for (uint32_t i = 0; i + 1 < n; i += 2)
		ibb_put_le16(
			p + i,
			(uint16_t)(edit_rnd(e, 30) ? edit_letter(e, edit_rnd(e, 9) ? 0 : 4) : 0));
	if (n >= 2 && edit_rnd(e, 8))
		ibb_put_le16(p + n - 2, 0);
}

static void edit_set(struct edit *e)
{
	static const uint32_t types[] = {0, 1, 1, 1, 2, 3, 3, 4, 4, 5, 6, 7, 7, 8, 9, 10, 11};
	static uint8_t data[BIG];
	struct m_key *k = pick(e);
	uint32_t n = choose_size(e), pct = edit_rnd(e, 100);
	uint32_t type = types[edit_rnd(e, IBB_ARRAY_SIZE(types))];
	const char *name = pct < 10 ? "" : edit_name(e, true, 200);
	uint64_t time = tick(e);
	int r;

	if (edit_rnd(e, 10) == 0)
		type = edit_rnd(e, 2) ? 0xffff0000u | edit_rnd(e, 0x30) : edit_rnd(e, 1u << 31);
	if (type == IBB_REG_DWORD && edit_rnd(e, 10))
		n = 4;
	if (k->n_val && pct >= 60)
		name = edit_other_case(e, k->val[edit_rnd(e, (uint32_t)k->n_val)].name);
	if (strstr(name, "\xe2\x90\x80"))
		return;
	fill(e, type, data, n);
	r = ibb_hive_set(e->h, handle(e, k), name, type, data, n, time, &e->err);
	if (k->handle) {
		refused(e, "set in", k, r);
		return;
	}
	expect(e, "set in", k, r);
	model_set(k, name, type, data, n);
	k->time = time;
}

static void edit_unset(struct edit *e)
{
	struct m_key *k = pick(e);
	struct m_value *v;
	uint64_t time;

	for (unsigned tries = 0; !k->n_val && tries < 20; tries++)
		k = pick(e);
	if (!k->n_val)
		return;
	v = &k->val[edit_rnd(e, (uint32_t)k->n_val)];
	if (strstr(v->name, "\xe2\x90\x80"))
		return;
	time = tick(e);
	expect(e, "unset in", k,
	       ibb_hive_unset(e->h, handle(e, k), edit_other_case(e, v->name), time, &e->err));
	model_unset(k, v);
	k->time = time;
}

void edit_once(struct edit *e)
{
	uint32_t pct = edit_rnd(e, 1000);

	if (pct < 6)
		edit_crowd(e);
	else if (pct < 250)
		edit_create(e);
	else if (pct < 650)
		edit_set(e);
	else if (pct < 780)
		edit_unset(e);
	else if (pct < 900)
		edit_delete(e);
	else
		edit_security(e);
}
