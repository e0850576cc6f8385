/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Editing: a program of edits and the hive they are made to. Input: 16 bits length of the program,
 * the program (see run()), the hive, whose base block is repaired.
 *
 * An edit is done whole or not at all, also when memory is short; what was asked for is there
 * afterwards and nothing else has changed; the result is sound when the hive was.
 */
#include "fuzz_edit.h"

#include "base/le.h"

#define T0	    132000000000000000ull
#define MAX_PROGRAM 512u
#define MAX_OPS	    96u
#define MAX_ENTRIES 2500u
#define MAX_CREATES 3000u /* in all: an input is to take milliseconds */

/* ---- one edit ---- */

static void arm(struct fuzz_run *g)
{
	if (g->fail_on)
		ibb_mem_fail_at(g->fail_at, false);
}

/* After an edit: was it done? What may be wrong with it? */
static bool done(struct fuzz_run *g, int r, const struct ibb_error *err)
{
	bool armed = g->fail_on;

	ibb_mem_fail_at(-1, false);
	g->fail_on = false;
	if (!r) {
		g->sound = true;
		return true;
	}
	FUZZ_CHECK(err->msg[0], "%d without a message", r);
	if (r == IBB_E_CORRUPT) {
		FUZZ_CHECK(!g->sound && !ibb_hive_edited(g->h), "a sound hive became damaged: %s",
			   err->msg);
		g->refused = true;
		return false;
	}
	FUZZ_CHECK(r == IBB_E_NOTFOUND || r == IBB_E_INVALID || r == IBB_E_UNSUPPORTED ||
			   r == IBB_E_LIMIT || (armed && r == IBB_E_NOMEM),
		   "%d %s", r, err->msg);
	return false;
}

static struct ibb_buf security_of(struct fuzz_run *g, ibb_key k)
{
	struct ibb_error err = {0};
	struct ibb_bytes sd;
	int r = ibb_hive_get_security(g->h, k, &sd, &err);

	FUZZ_CHECK(!r, "security: %d %s", r, err.msg);
	return fuzz_copy(sd.data, sd.len);
}

/* The first n components of a path. */
static char *leading(const char *path, unsigned n)
{
	const char *end = path;

	while (n--) {
		end += *end == '\\';
		end += strcspn(end, "\\");
	}
	return ibb_strndup(path, (size_t)(end - path));
}

static unsigned components(const char *path)
{
	unsigned n = *path != '\0';

	for (; *path; path++)
		n += *path == '\\';
	return n;
}

/* Create `rest` below `path` with the security of `like`, or of the parent when it is 0. */
static bool create(struct fuzz_run *g, const char *path, ibb_key from, const char *rest,
		   ibb_key like)
{
	enum ibb_key_security how = like ? IBB_KEY_SECURITY_LIKE : IBB_KEY_SECURITY_PARENT;
	char *full = ibb_asprintf("%s%s%s", path, *path && *rest ? "\\" : "", rest);
	struct ibb_error err = {0};
	unsigned created = 77, total = components(full);
	ibb_key k = 0, same = 0;
	bool ok;
	int r;

	g->n_creates += total;
	arm(g);
	r = ibb_hive_create(g->h, from, rest, how, like, T0, &k, &created, &err);
	ok = done(g, r, &err);
	if (ok) {
		r = ibb_hive_find(g->h, ibb_hive_root(g->h), full, &same, &err);
		FUZZ_CHECK(!r && same == k, "created '%s' is %d %s", full, r, err.msg);
		FUZZ_CHECK(created <= components(rest), "%u keys created", created);
	}
	for (unsigned i = total - (ok ? created : 0); ok && i < total; i++) {
		char *part = leading(full, i + 1);
		struct fuzz_entry *e = fuzz_model_touch(&g->model, part, NULL);
		struct ibb_buf sd = security_of(g, k);

		e->there = e->sd_set = true;
		fuzz_model_put(e, sd.data, sd.len);
		ibb_buf_clear(&sd);
		free(part);
	}
	if (ok && created)
		fuzz_add_path(g, full);
	if (ok && created && like) {
		struct ibb_buf a = security_of(g, k), b = security_of(g, like);

		FUZZ_CHECK(a.len == b.len && !memcmp(a.data, b.data, a.len), "not like it");
		ibb_buf_clear(&a);
		ibb_buf_clear(&b);
	}
	free(full);
	return ok;
}

static void op_create(struct fuzz_run *g, bool like_other)
{
	char rest[3 * 800 + 3] = "";
	const char *path, *other;
	ibb_key k, like = 0;
	unsigned n;

	if (!fuzz_pick_key(g, &path, &k) || (like_other && !fuzz_pick_key(g, &other, &like)))
		return;
	n = 1 + fuzz_byte(g) % 3;
	for (unsigned i = 0; i < n; i++) {
		size_t len = strlen(rest);

		if (i)
			rest[len++] = '\\';
		fuzz_make_name(g, rest + len, 800);
	}
	create(g, path, k, rest, like);
}

/* So many that lists are split. */
static void op_create_many(struct fuzz_run *g)
{
	uint8_t how = fuzz_byte(g);
	unsigned n = how < 224 ? how % 16u : 4u * how, from = fuzz_byte(g),
		 step = 1 + fuzz_byte(g) % 7;
	const char *path;
	char name[16];
	ibb_key k;

	if (!fuzz_pick_key(g, &path, &k))
		return;
	for (unsigned i = 0; i < n && g->n_creates < MAX_CREATES && !g->refused; i++) {
		snprintf(name, sizeof(name), "m%04u", (from + i * step * 11) % 1021);
		create(g, path, k, name, 0);
	}
}

static void op_create_deep(struct fuzz_run *g)
{
	uint8_t how = fuzz_byte(g);
	unsigned n = how >= 240 ? 500u + how % 16u : 1u + how % 32u; /* 512 are allowed */
	const char *path;
	char rest[1200];
	ibb_key k;

	if (!fuzz_pick_key(g, &path, &k))
		return;
	for (unsigned i = 0; i < n; i++)
		memcpy(rest + 2 * i, "d\\", 3);
	rest[2 * n - 1] = '\0';
	create(g, path, k, rest, 0);
}

static void set(struct fuzz_run *g, const char *path, ibb_key k, uint32_t type, const void *p,
		size_t n)
{
	struct ibb_buf copy = fuzz_copy(p, n); /* p may lie in the hive */
	struct ibb_error err = {0};
	char name[800];
	struct fuzz_entry *e;
	int r;

	if (fuzz_pick_value(g, k, name, sizeof(name))) {
		arm(g);
		r = ibb_hive_set(g->h, k, name, type, p, n, T0, &err);
		if (done(g, r, &err)) {
			e = fuzz_model_touch(&g->model, path, name);
			e->there = true;
			e->type = type;
			fuzz_model_put(e, copy.data, copy.len);
		}
	}
	ibb_buf_clear(&copy);
}

static void op_set(struct fuzz_run *g, size_t n)
{
	static uint8_t data[65536];
	uint8_t fill = fuzz_byte(g);
	const char *path;
	ibb_key k;

	for (size_t i = 0; i < n; i++)
		data[i] = (uint8_t)(fill + i * (fill | 1u));
	if (fuzz_pick_key(g, &path, &k))
		set(g, path, k, fill % 12u, data, n);
}

/* The data of one value, or a security descriptor, as the data of another value. */
static void op_set_own_bytes(struct fuzz_run *g)
{
	const char *path, *from;
	struct ibb_bytes data = {0};
	struct fuzz_nth w = {.i = fuzz_byte(g)};
	ibb_key k, other;
	bool security = w.i & 1;

	w.i /= 2;
	if (!fuzz_pick_key(g, &from, &other) || !fuzz_pick_key(g, &path, &k))
		return;
	if (security)
		(void)!ibb_hive_get_security(g->h, other, &data, NULL);
	else
		(void)!ibb_hive_values(g->h, other, fuzz_nth_value, &w, NULL);
	if (!security)
		data = w.data;
	if (data.data)
		set(g, path, k, IBB_REG_BINARY, data.data, data.len);
	free(w.found);
}

static void op_unset(struct fuzz_run *g)
{
	struct ibb_error err = {0};
	const char *path;
	char name[800];
	ibb_key k;
	int r;

	if (!fuzz_pick_key(g, &path, &k) || !fuzz_pick_value(g, k, name, sizeof(name)))
		return;
	arm(g);
	r = ibb_hive_unset(g->h, k, name, T0, &err);
	if (done(g, r, &err))
		fuzz_model_touch(&g->model, path, name)->there = false;
}

static void op_delete(struct fuzz_run *g)
{
	struct ibb_error err = {0};
	const char *path;
	ibb_key k;
	int r;

	if (!fuzz_pick_key(g, &path, &k))
		return;
	arm(g);
	r = ibb_hive_delete(g->h, k, T0, &err);
	FUZZ_CHECK(r || *path, "the root was deleted");
	if (done(g, r, &err))
		fuzz_model_delete(&g->model, path);
}

/* A descriptor of our own, or that of another key. */
static void op_security(struct fuzz_run *g)
{
	uint8_t how = fuzz_byte(g), own[20 + 255] = {1, 0, 4, 0x80};
	struct ibb_bytes sd = {own, 20u + fuzz_byte(g)};
	struct ibb_error err = {0};
	struct ibb_buf copy;
	const char *path, *from;
	ibb_key k, other;
	int r;

	own[19] = how / 4; /* not all alike, not all different */
	if (!fuzz_pick_key(g, &path, &k) || !fuzz_pick_key(g, &from, &other))
		return;
	if (how % 4 == 0)
		own[0] = how;
	if (how % 4 == 1 && ibb_hive_get_security(g->h, other, &sd, NULL))
		return;
	copy = fuzz_copy(sd.data, sd.len);
	arm(g);
	r = ibb_hive_set_security(g->h, k, sd, &err);
	if (done(g, r, &err)) {
		struct fuzz_entry *e = fuzz_model_touch(&g->model, path, NULL);

		e->there = e->sd_set = true;
		fuzz_model_put(e, copy.data, copy.len);
	}
	ibb_buf_clear(&copy);
}

static int no_diff(void *ctx, const struct ibb_hive_diff *d, struct ibb_error *err)
{
	(void)ctx;
	(void)err;
	FUZZ_CHECK(false, "written and read again it differs: kind %d at '%s'", (int)d->kind,
		   d->path);
	return 0;
}

/* What the hive says of itself as it was, and of the pages that may differ since. */
static void check_before(struct fuzz_run *g, const struct ibb_buf *now)
{
	struct ibb_buf was = fuzz_serialize(g->was);
	struct ibb_error err = {0};
	int r = ibb_hive_compare(g->was, ibb_hive_before(g->h), no_diff, NULL, &err);

	FUZZ_CHECK(!r || (!g->sound && r == IBB_E_CORRUPT), "compare with before: %d %s", r,
		   err.msg);
	for (size_t at = 0; at + 4096 <= was.len && at + 4096 <= now->len; at += 4096)
		FUZZ_CHECK(ibb_hive_page_changed(g->h, at) ||
				   memcmp(was.data + at, now->data + at, 4096) == 0,
			   "page 0x%zx changed unseen", at);
	ibb_buf_clear(&was);
}

/* Through bytes and back. */
static void op_reopen(struct fuzz_run *g)
{
	uint32_t next = ibb_hive_header(g->h)->seq1 + 1;
	bool edited = ibb_hive_edited(g->h);
	struct ibb_buf b = fuzz_serialize(g->h), copy;
	struct ibb_error err = {0};
	struct ibb_hive *again = NULL, *view = NULL;
	int r;

	if (!b.len)
		return;
	check_before(g, &b);
	copy = fuzz_copy(b.data, b.len);
	r = ibb_hive_open_view("view", ibb_buf_bytes(&copy), &view, &err);
	FUZZ_CHECK(!r, "cannot be viewed: %d %s", r, err.msg);
	FUZZ_CHECK(!edited || ibb_hive_header(view)->seq1 == next, "sequence %u, wanted %u",
		   ibb_hive_header(view)->seq1, next);
	r = ibb_hive_compare(g->h, view, no_diff, NULL, &err);
	FUZZ_CHECK(!r || (!g->sound && r == IBB_E_CORRUPT), "compare: %d %s", r, err.msg);
	ibb_hive_close(view);
	r = ibb_hive_open("again", &b, &again, &err);
	FUZZ_CHECK(!r, "cannot be opened again: %d %s", r, err.msg);
	ibb_hive_close(g->h);
	g->h = again;
	ibb_hive_close(g->was);
	r = ibb_hive_open("was", &copy, &g->was, &err);
	FUZZ_CHECK(!r, "cannot be opened again: %d %s", r, err.msg);
}

/* ---- the program ---- */

static void step(struct fuzz_run *g)
{
	switch (fuzz_byte(g) % 16) {
	case 0:
		op_create(g, false);
		return;
	case 1:
		op_create(g, true);
		return;
	case 2:
		op_create_many(g);
		return;
	case 3:
		op_create_deep(g);
		return;
	case 4:
		op_set(g, fuzz_byte(g) % 9);
		return;
	case 5:
	case 6:
		op_set(g, fuzz_byte(g) * 5u);
		return;
	case 7:
		op_set(g, fuzz_word(g) % 60000);
		return;
	case 8:
		op_set_own_bytes(g);
		return;
	case 9:
	case 10:
		op_unset(g);
		return;
	case 11:
		op_delete(g);
		return;
	case 12:
		op_security(g);
		return;
	case 13:
		op_reopen(g);
		return;
	default:
		g->fail_at = fuzz_byte(g) % 64;
		g->fail_on = true;
	}
}

static void verify(struct fuzz_run *g)
{
	struct ibb_hive_check sum;
	struct ibb_error err = {0};
	ibb_key k;
	int r;

	op_reopen(g);
	if (!g->sound)
		return;
	fuzz_model_verify(&g->model, g->before, g->h);
	r = ibb_hive_check(g->h, &sum, &err);
	if (g->clean) {
		FUZZ_CHECK(!r, "no longer sound: %s", err.msg);
		FUZZ_CHECK(sum.leaked_cells == g->leaked, "%ju cells without an owner, were %ju",
			   (uintmax_t)sum.leaked_cells, (uintmax_t)g->leaked);
	} else {
		/* what was good enough for an edit is so still */
		r = ibb_hive_create(g->h, ibb_hive_root(g->h), "last", IBB_KEY_SECURITY_PARENT, 0,
				    T0, &k, NULL, &err);
		FUZZ_CHECK(r != IBB_E_CORRUPT, "no longer sound: %s", err.msg);
	}
}

static void run(struct fuzz_run *g)
{
	struct ibb_hive_check sum = {0};
	struct ibb_error err = {0};

	g->clean = g->sound = !ibb_hive_check(g->h, &sum, &err);
	g->leaked = sum.leaked_cells;
	fuzz_add_paths(g);
	for (unsigned i = 0; i < MAX_OPS && g->n && !g->refused; i++)
		if (g->model.n < MAX_ENTRIES && g->n_creates < MAX_CREATES)
			step(g);
	FUZZ_CHECK(!g->refused || (!g->sound && !g->model.n), "refused, but edited");
	if (!g->refused)
		verify(g);
	fuzz_model_clear(&g->model);
	while (g->n_paths)
		free(g->paths[--g->n_paths]);
}

/* Where the hive begins. */
static size_t split(const uint8_t *data, size_t size)
{
	size_t n = size < 2 ? 0 : ibb_get_le16(data);

	n = n < MAX_PROGRAM ? n : MAX_PROGRAM;
	return n + 2 < size ? n + 2 : size;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	size_t at = split(data, size);
	struct fuzz_run g = {.p = data + 2, .n = at < 2 ? 0 : at - 2};

	g.before = fuzz_open(data + at, size - at, true, NULL);
	g.was = fuzz_open(data + at, size - at, true, NULL);
	g.h = fuzz_open(data + at, size - at, true, NULL);
	FUZZ_CHECK(!g.before == !g.h, "opens only sometimes");
	if (g.h)
		run(&g);
	ibb_hive_close(g.before);
	ibb_hive_close(g.was);
	ibb_hive_close(g.h);
	return 0;
}

/* Either half for itself: a hive that moves by one byte is no hive. */
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max_size, unsigned seed)
{
	static uint8_t program[MAX_PROGRAM], hive[1 << 20];
	size_t at = split(data, size), n = size - at, m = at < 2 ? 0 : at - 2;
	uint64_t state = seed;

	if (max_size < 2 + MAX_PROGRAM + 8192 || n > sizeof(hive))
		return LLVMFuzzerMutate(data, size, max_size);
	if (m)
		memcpy(program, data + 2, m);
	memcpy(hive, data + at, n);
	if (fuzz_rnd(&state, 3))
		m = LLVMFuzzerMutate(program, m, sizeof(program));
	else
		n = fuzz_mutate_hive(
			hive, n, max_size - 2 - m < sizeof(hive) ? max_size - 2 - m : sizeof(hive),
			&state);
	n = n < max_size - 2 - m ? n : max_size - 2 - m;
	ibb_put_le16(data, (uint16_t)m);
	memcpy(data + 2, program, m);
	memcpy(data + 2 + m, hive, n);
	return 2 + m + n;
}
