/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * One suite over every back end: random changes, a model beside them, and after every round reads
 * of the staged state, commit, re-opening, and a comparison of everything. IBB_TEST_SEED=N repeats
 * a run.
 */
#include "wim_stage.h"

#include <time.h>

#include "base/utf16.h"

/* One back end: a place that lasts, and how to open it. */
struct backend {
	const char *name;
	void (*make)(struct backend *b);
	struct ibb_volume *(*open)(struct backend *b);
	void (*check)(struct backend *b);
	void (*drop)(struct backend *b);
	struct ibb_disk *disk;
	/* wim */
	struct mkwim kind;
	struct ibb_wim *wim;
	unsigned written;
};

static void ntfs_make(struct backend *b)
{
	b->disk = make_ntfs(32, 512, 4096);
}

static struct ibb_volume *ntfs_open_it(struct backend *b)
{
	return open_rw(b->disk);
}

static void ntfs_check_it(struct backend *b)
{
	check_ntfs(b->disk);
}

static void ntfs_drop(struct backend *b)
{
	ibb_disk_unref(b->disk);
}

static void dir_make(struct backend *b)
{
	(void)b;
	assert_int_equal(run("rm -rf '%s'", img_path("tree")), 0);
	assert_int_equal(mkdir(img_path("tree"), 0755), 0);
}

static struct ibb_volume *dir_open_it(struct backend *b)
{
	struct ibb_error err = {0};
	struct ibb_volume *v = NULL;

	(void)b;
	assert_ok(ibb_volume_open_dir(img_path("tree"), &v, &err), err);
	return v;
}

static void dir_nothing(struct backend *b)
{
	(void)b;
}

static const char *wim_path(const struct backend *b)
{
	char name[40];

	snprintf(name, sizeof(name), "%u.wim", b->written);
	return img_path(name);
}

static void wim_make_it(struct backend *b)
{
	const char *dir = img_path("empty image");
	const struct mkwim_image im = {.directory = dir, .name = "one"};
	struct mkwim m = b->kind;
	struct ibb_error err = {0};

	assert_int_equal(run("mkdir -p '%s'", dir), 0);
	m.images = &im;
	m.n_images = 1;
	b->written = 0;
	assert_ok(mkwim(wim_path(b), &m, &err), err);
	b->wim = wim_open(wim_path(b));
}

/* What was committed is written first. */
static struct ibb_volume *wim_open_it(struct backend *b)
{
	const char *old = wim_path(b);

	if (b->wim->changed[0]) {
		b->written++;
		stage_write(b->wim, wim_path(b));
		unlink(old);
	}
	ibb_wim_close(b->wim);
	b->wim = wim_open(wim_path(b));
	return stage_open(b->wim, NULL);
}

static void wim_drop(struct backend *b)
{
	ibb_wim_close(b->wim);
	unlink(wim_path(b));
}

static struct backend backends[] = {
	{.name = "ntfs", ntfs_make, ntfs_open_it, ntfs_check_it, ntfs_drop},
	{.name = "dir", dir_make, dir_open_it, dir_nothing, dir_nothing},
	{.name = "wim LZX",
	 wim_make_it,
	 wim_open_it,
	 dir_nothing,
	 wim_drop,
	 .kind = {.compression = WIMLIB_COMPRESSION_TYPE_LZX}},
	{.name = "wim solid",
	 wim_make_it,
	 wim_open_it,
	 dir_nothing,
	 wim_drop,
	 .kind = {.compression = WIMLIB_COMPRESSION_TYPE_LZMS,
		  .solid = true,
		  .solid_chunk_bytes = 1 << 16}},
};

static int stop_piece(void *ctx, uint64_t off, struct ibb_bytes piece, struct ibb_error *err)
{
	(void)ctx;
	(void)piece;
	return ibb_err(err, IBB_E_CANCELLED, "stopped at %llu", (unsigned long long)off);
}

/* The model: paths in their spelling, with content (NULL for directories). */
#define MAX_NODES 400
struct node {
	char path[400];
	uint8_t *data;
	size_t len;
};
struct model {
	struct node n[MAX_NODES];
	size_t count;
	uint64_t seed;
};

static uint64_t rnd(struct model *m, uint64_t limit)
{
	uint64_t z = (m->seed += 0x9e3779b97f4a7c15u);

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
	return (z ^ (z >> 31)) % limit;
}

static struct node *model_find(struct model *m, const char *path)
{
	for (size_t i = 0; i < m->count; i++)
		if (ibb_caseeq(m->n[i].path, path))
			return &m->n[i];
	return NULL;
}

static bool has_children(struct model *m, const char *path)
{
	char prefix[410];

	snprintf(prefix, sizeof(prefix), "%s/", path);
	for (size_t i = 0; i < m->count; i++)
		if (ibb_case_prefix(m->n[i].path, prefix))
			return true;
	return false;
}

static void model_remove(struct model *m, struct node *n)
{
	free(n->data);
	*n = m->n[--m->count];
}

static void model_clear(struct model *m)
{
	while (m->count)
		model_remove(m, &m->n[0]);
}

/* The same path in another mix of cases. */
static void shuffle_case(struct model *m, const char *path, char out[400])
{
	snprintf(out, 400, "%s", path);
	for (char *p = out; *p; p++)
		if (((*p >= 'a' && *p <= 'z') || (*p >= 'A' && *p <= 'Z')) && rnd(m, 2))
			*p ^= 0x20;
}

static const struct node *random_dir(struct model *m)
{
	static const struct node root = {.path = ""};
	size_t start = rnd(m, m->count + 1);

	if (rnd(m, 3) == 0)
		return &root;
	for (size_t i = 0; i < m->count; i++) {
		const struct node *n = &m->n[(start + i) % m->count];

		if (!n->data && strlen(n->path) < 250)
			return n;
	}
	return &root;
}

static void random_name(struct model *m, char out[100])
{
	static const char *const bits[] = {"a",	 "B", "oem",	  "Inf",
					   " x", "-", "\xc3\xa4", "\xe2\x82\xac",
					   "9",	 "_", "sys",	  "\xf0\x9f\x98\x80"};
	size_t n = 1 + rnd(m, 4);

	out[0] = 'n';
	out[1] = '\0';
	while (n--)
		strcat(out, bits[rnd(m, IBB_ARRAY_SIZE(bits))]);
	if (rnd(m, 20) == 0)
		for (unsigned i = 0; i < 60; i++)
			strcat(out, "L");
	if (rnd(m, 3))
		strcat(out, ".dat");
}

static void join_path(const char *dir, const char *name, char out[400])
{
	snprintf(out, 400, "%.290s%s%.100s", dir, *dir ? "/" : "", name);
}

static void random_content(struct model *m, struct node *n)
{
	static const size_t edges[] = {0, 1, 699, 4095, 4096, 4097, 8192, 65536};

	n->len = rnd(m, 3) ? rnd(m, 20000) : edges[rnd(m, IBB_ARRAY_SIZE(edges))];
	n->data = malloc(n->len + 1);
	assert_non_null(n->data);
	for (size_t i = 0; i < n->len; i++)
		n->data[i] = (uint8_t)(i % 97 ? n->data[i - 1] : rnd(m, 256));
}

static void do_put(struct model *m, struct ibb_volume *v)
{
	struct ibb_error err = {0};
	struct node fresh = {0}, *old;
	char name[100], asked[400], wild[400];

	if (rnd(m, 2) && m->count) {
		snprintf(asked, sizeof(asked), "%s", m->n[rnd(m, m->count)].path);
	} else {
		random_name(m, name);
		join_path(random_dir(m)->path, name, asked);
	}
	old = model_find(m, asked);
	/* an existing thing may be named in any case; a new name is kept as it is spelt */
	if (old)
		shuffle_case(m, asked, wild);
	else
		snprintf(wild, sizeof(wild), "%s", asked);
	random_content(m, &fresh);
	if (old && !old->data) {
		assert_int_equal(ibb_volume_put(v, wild, (struct ibb_bytes){fresh.data, fresh.len},
						IBB_PUT_REPLACE, &file_meta, &err),
				 IBB_E_CONFLICT);
		free(fresh.data);
		return;
	}
	if (!old && m->count == MAX_NODES) {
		free(fresh.data);
		return;
	}
	assert_ok(ibb_volume_put(v, wild, (struct ibb_bytes){fresh.data, fresh.len},
				 old && rnd(m, 2) ? IBB_PUT_IN_PLACE : IBB_PUT_REPLACE, &file_meta,
				 &err),
		  err);
	snprintf(fresh.path, sizeof(fresh.path), "%s", old ? old->path : asked);
	if (old) {
		free(old->data);
		*old = fresh;
	} else {
		m->n[m->count++] = fresh;
	}
}

static void do_mkdir(struct model *m, struct ibb_volume *v)
{
	struct ibb_error err = {0};
	char name[100], path[400];

	random_name(m, name);
	join_path(random_dir(m)->path, name, path);
	if (model_find(m, path)) {
		assert_int_equal(ibb_volume_mkdir(v, path, &dir_meta, &err), IBB_E_EXISTS);
		return;
	}
	if (m->count == MAX_NODES)
		return;
	assert_ok(ibb_volume_mkdir(v, path, &dir_meta, &err), err);
	m->n[m->count] = (struct node){0};
	memcpy(m->n[m->count++].path, path, sizeof(path));
}

static void do_remove(struct model *m, struct ibb_volume *v)
{
	struct ibb_error err = {0};
	struct node *n;
	char wild[400];

	if (!m->count)
		return;
	n = &m->n[rnd(m, m->count)];
	shuffle_case(m, n->path, wild);
	if (has_children(m, n->path)) {
		assert_int_equal(ibb_volume_remove(v, wild, &err), IBB_E_CONFLICT);
		return;
	}
	assert_ok(ibb_volume_remove(v, wild, &err), err);
	model_remove(m, n);
}

static void do_missing(struct model *m, struct ibb_volume *v)
{
	struct ibb_error err = {0};
	struct ibb_stat st = {.size_bytes = 77};
	struct ibb_buf b = {0};
	char path[400];

	join_path(random_dir(m)->path, "not there", path);
	assert_int_equal(ibb_volume_stat(v, path, &st, &err), IBB_E_NOTFOUND);
	assert_int_equal(st.size_bytes, 77);
	assert_int_equal(ibb_volume_read(v, path, 1, &b, &err), IBB_E_NOTFOUND);
	assert_int_equal(ibb_volume_remove(v, path, &err), IBB_E_NOTFOUND);
	assert_int_equal(
		ibb_volume_put(v, path, (struct ibb_bytes){0}, IBB_PUT_IN_PLACE, &file_meta, &err),
		IBB_E_NOTFOUND);
	strcat(path, "/x");
	assert_int_equal(ibb_volume_mkdir(v, path, &dir_meta, &err), IBB_E_NOTFOUND);
	assert_int_equal(
		ibb_volume_put(v, path, (struct ibb_bytes){0}, IBB_PUT_REPLACE, &file_meta, &err),
		IBB_E_NOTFOUND);
}

/* Walk the volume: everything listed is in the model, with its type, and nothing is missing. */
struct walk {
	struct model *m;
	struct ibb_volume *v;
	const char *dir;
	size_t seen;
	char last[400];
};

static int walk_entry(void *ctx, const char *name, enum ibb_file_type type, struct ibb_error *err)
{
	struct walk *w = ctx, sub;
	char path[400];
	struct node *n;
	int c = ibb_casecmp(w->last, name);

	if (c > 0 || (!c && strcmp(w->last, name) >= 0))
		return ibb_err(err, IBB_E_INTERNAL, "order: %s before %s", w->last, name);
	snprintf(w->last, sizeof(w->last), "%s", name);
	join_path(w->dir, name, path);
	n = model_find(w->m, path);
	if (!n || strcmp(n->path, path))
		return ibb_err(err, IBB_E_INTERNAL, "'%s' is spelt '%s'", path,
			       n ? n->path : "(missing)");
	if (type != (n->data ? IBB_FILE_REGULAR : IBB_FILE_DIRECTORY))
		return ibb_err(err, IBB_E_INTERNAL, "%s: type %d", path, type);
	w->seen++;
	if (n->data)
		return IBB_OK;
	sub = (struct walk){.m = w->m, .v = w->v, .dir = path};
	c = ibb_volume_list(w->v, path, walk_entry, &sub, err);
	w->seen += sub.seen;
	return c;
}

static void compare(struct model *m, struct ibb_volume *v)
{
	struct ibb_error err = {0};
	struct walk w = {.m = m, .v = v, .dir = ""};

	assert_ok(ibb_volume_list(v, "", walk_entry, &w, &err), err);
	assert_int_equal(w.seen, m->count);
	for (size_t i = 0; i < m->count; i++) {
		const struct node *n = &m->n[i];
		struct ibb_stat st = stat_of(v, n->path);
		char wild[400], *spelt = NULL;

		shuffle_case(m, n->path, wild);
		assert_ok(ibb_volume_spelling(v, wild, &spelt, &err), err);
		assert_string_equal(spelt, n->path);
		free(spelt);
		if (!n->data) {
			assert_int_equal(st.type, IBB_FILE_DIRECTORY);
			continue;
		}
		assert_int_equal(st.type, IBB_FILE_REGULAR);
		assert_int_equal(st.size_bytes, n->len);
		assert_int_equal(st.mtime, IMG_TIME);
		assert_int_equal(st.links, 1);
		expect_bytes(v, wild, n->data, n->len);
	}
}

static uint64_t first_seed(void)
{
	const char *s = getenv("IBB_TEST_SEED");

	return s && *s ? strtoull(s, NULL, 0) : (uint64_t)time(NULL);
}

static void random_trees(void **state)
{
	struct backend *b = *state;
	static struct model m;
	uint64_t seed = first_seed();

	print_message("%s: IBB_TEST_SEED=%llu\n", b->name, (unsigned long long)seed);
	m = (struct model){.seed = seed};
	b->make(b);
	for (unsigned round = 0; round < 8; round++) {
		struct ibb_volume *v = b->open(b);

		for (unsigned i = 0; i < 60; i++) {
			switch (rnd(&m, 8)) {
			case 0:
			case 1:
			case 2:
			case 3:
				do_put(&m, v);
				break;
			case 4:
			case 5:
				do_mkdir(&m, v);
				break;
			case 6:
				do_remove(&m, v);
				break;
			default:
				do_missing(&m, v);
			}
		}
		compare(&m, v);
		commit_close(v);
		b->check(b);
		v = b->open(b);
		compare(&m, v);
		ibb_volume_close(v);
	}
	model_clear(&m);
	b->drop(b);
}

/* Closing without commit leaves what was there. */
static void discard(void **state)
{
	struct backend *b = *state;
	struct ibb_error err = {0};
	struct ibb_volume *v;

	b->make(b);
	v = b->open(b);
	make_dir(v, "d");
	put(v, "d/kept", "kept");
	commit_close(v);
	v = b->open(b);
	put(v, "d/kept", "changed");
	put(v, "d/new", "new");
	assert_ok(ibb_volume_remove(v, "d/kept", &err), err);
	make_dir(v, "e");
	expect_list(v, "", "d/|e/");
	expect_list(v, "D", "new");
	ibb_volume_close(v);
	v = b->open(b);
	expect_list(v, "", "d/");
	expect(v, "D/KEPT", "kept");
	ibb_volume_close(v);
	b->drop(b);
}

/* Removed and made again under another spelling, as another kind. */
static void respell(void **state)
{
	struct backend *b = *state;
	struct ibb_error err = {0};
	struct ibb_volume *v;

	b->make(b);
	v = b->open(b);
	put(v, "Thing", "file");
	make_dir(v, "Dir");
	put(v, "Dir/inner", "x");
	commit_close(v);
	v = b->open(b);
	assert_ok(ibb_volume_remove(v, "THING", &err), err);
	make_dir(v, "thinG");
	put(v, "Thing/in it", "1");
	assert_ok(ibb_volume_remove(v, "dir/INNER", &err), err);
	assert_ok(ibb_volume_remove(v, "dir", &err), err);
	put(v, "DIR", "now a file");
	expect_list(v, "", "DIR|thinG/");
	commit_close(v);
	v = b->open(b);
	expect_list(v, "", "DIR|thinG/");
	expect(v, "THING/IN IT", "1");
	expect(v, "dir", "now a file");
	ibb_volume_close(v);
	b->drop(b);
}

static void misuse(void **state)
{
	struct backend *b = *state;
	struct ibb_error err = {0};
	struct ibb_buf buf = {0};
	struct ibb_volume *v;
	struct ibb_stat st;

	b->make(b);
	v = b->open(b);
	make_dir(v, "d");
	put(v, "f", "0123456789");
	assert_fails(ibb_volume_stat(v, "f/x", &st, &err), IBB_E_NOTFOUND, err,
		     "f is no directory");
	assert_fails(ibb_volume_list(v, "f", join_name, &buf, &err), IBB_E_NOTFOUND, err,
		     "no directory");
	assert_fails(ibb_volume_list(v, "nope", join_name, &buf, &err), IBB_E_NOTFOUND, err,
		     "nope");
	assert_fails(ibb_volume_read(v, "d", 10, &buf, &err), IBB_E_CONFLICT, err, "directory");
	assert_fails(ibb_volume_read(v, "f", 9, &buf, &err), IBB_E_LIMIT, err, "10 bytes");
	assert_fails(ibb_volume_stream(v, "d", 10, stop_piece, NULL, &err), IBB_E_CONFLICT, err,
		     "directory");
	assert_fails(ibb_volume_stream(v, "f", 9, stop_piece, NULL, &err), IBB_E_LIMIT, err,
		     "10 bytes");
	assert_fails(ibb_volume_stream(v, "f", 10, stop_piece, NULL, &err), IBB_E_CANCELLED, err,
		     "stopped at 0");
	assert_fails(
		ibb_volume_put(v, "d", (struct ibb_bytes){0}, IBB_PUT_IN_PLACE, &file_meta, &err),
		IBB_E_CONFLICT, err, "directory");
	assert_fails(
		ibb_volume_put(v, "", (struct ibb_bytes){0}, IBB_PUT_REPLACE, &file_meta, &err),
		IBB_E_INVALID, err, "root");
	assert_fails(ibb_volume_mkdir(v, "d/aux.txt", &dir_meta, &err), IBB_E_INVALID, err, "aux");
	assert_fails(ibb_volume_mkdir(v, "d//x", &dir_meta, &err), IBB_E_INVALID, err, "d//x");
	assert_fails(ibb_volume_touch(v, "nope", &dir_meta, &err), IBB_E_NOTFOUND, err, "nope");
	assert_int_equal(stat_of(v, "").type, IBB_FILE_DIRECTORY);
	assert_int_equal(stat_of(v, "f").size_bytes, 10);
	commit_close(v);
	b->check(b);
	b->drop(b);
}

static void times(void **state)
{
	struct backend *b = *state;
	struct ibb_meta later = {IMG_TIME + 10000000, 0};
	struct ibb_error err = {0};
	struct ibb_volume *v;

	b->make(b);
	v = b->open(b);
	make_dir(v, "d");
	put(v, "d/f", "x");
	assert_ok(ibb_volume_touch(v, "d", &later, &err), err);
	assert_int_equal(stat_of(v, "d").mtime, later.time);
	commit_close(v);
	v = b->open(b);
	assert_int_equal(stat_of(v, "d").mtime, later.time);
	assert_int_equal(stat_of(v, "d/f").mtime, IMG_TIME);
	ibb_volume_close(v);
	b->drop(b);
}

#define CASE(fn, i)                                                                \
	{                                                                          \
		.name = #fn "_" #i, .test_func = fn, .initial_state = &backends[i] \
	}

#define ALL(fn) CASE(fn, 0), CASE(fn, 1), CASE(fn, 2), CASE(fn, 3)

int main(void)
{
	const struct CMUnitTest tests[] = {
		ALL(random_trees), ALL(discard), ALL(respell), ALL(misuse), ALL(times),
	};

	return cmocka_run_group_tests(tests, NULL, img_teardown) ? 1 : 0;
}
