/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "fuzz_edit.h"

#include "base/limits.h"
#include "base/utf16.h"

uint8_t fuzz_byte(struct fuzz_run *g)
{
	if (!g->n)
		return 0;
	g->n--;
	return *g->p++;
}

unsigned fuzz_word(struct fuzz_run *g)
{
	unsigned lo = fuzz_byte(g);

	return lo | (unsigned)fuzz_byte(g) << 8;
}

void fuzz_add_path(struct fuzz_run *g, const char *path)
{
	if (g->n_paths < MAX_PATHS)
		g->paths[g->n_paths++] = ibb_strdup(path);
}

struct collect {
	struct fuzz_run *g;
	const char *path;
};

static int collect(void *ctx, ibb_key k, const char *name, struct ibb_error *err)
{
	struct collect *up = ctx;
	struct collect here = {up->g, NULL};
	char *path = ibb_asprintf("%s%s%s", up->path, *up->path ? "\\" : "", name);
	ibb_key found = 0;
	int r = 0;

	/* only what its path leads to: names may hold a backslash or U+0000 */
	if (!ibb_hive_find(up->g->h, ibb_hive_root(up->g->h), path, &found, NULL) && found == k) {
		fuzz_add_path(up->g, path);
		here.path = path;
		if (up->g->n_paths < 64)
			r = ibb_hive_subkeys(up->g->h, k, collect, &here, err);
	}
	free(path);
	return r ? r : up->g->n_paths >= 64;
}

void fuzz_add_paths(struct fuzz_run *g)
{
	struct collect top = {g, ""};

	fuzz_add_path(g, "");
	(void)!ibb_hive_subkeys(g->h, ibb_hive_root(g->h), collect, &top, NULL);
}

bool fuzz_pick_key(struct fuzz_run *g, const char **path, ibb_key *k)
{
	struct ibb_error err = {0};
	int r;

	*path = g->paths[fuzz_byte(g) % g->n_paths];
	r = ibb_hive_find(g->h, ibb_hive_root(g->h), *path, k, &err);
	FUZZ_CHECK(!r || r == IBB_E_NOTFOUND || (r == IBB_E_CORRUPT && !g->sound),
		   "find '%s': %d %s", *path, r, err.msg);
	return !r;
}

static const char *const odd_names[] = {"",
					"Value",
					"VALUE",
					"\xc3\xa4",
					"\xc3\x84",
					"\xce\xa9mega",
					"\xe2\x90\x80",
					"\xed\xa0\x80x",
					"\xf0\x9f\x98\x80",
					"a b",
					"trailing\\",
					"\\",
					"two\\\\names",
					"\xff"};

void fuzz_make_name(struct fuzz_run *g, char *out, size_t room)
{
	uint8_t how = fuzz_byte(g);

	if (how < 64) {
		snprintf(out, room, "%c", "aAbBkKzZ_09-.@{}"[how % 16]);
	} else if (how < 128) {
		snprintf(out, room, "Name%02u", how % 32u);
	} else if (how < 192) {
		snprintf(out, room, "%s", odd_names[how % IBB_ARRAY_SIZE(odd_names)]);
	} else {
		size_t n = how < 224 ? 200u + how % 64u : 3u * how;

		n = n < room ? n : room - 1;
		memset(out, 'n', n);
		out[n] = '\0';
	}
}

int fuzz_nth_value(void *ctx, const struct ibb_value *v, struct ibb_error *err)
{
	struct fuzz_nth *w = ctx;

	(void)err;
	if (w->name)
		w->same += ibb_caseeq(w->name, v->name);
	else if (!w->i--) {
		w->found = ibb_strdup(v->name);
		/* big data lies outside the hive, and only as long as this call */
		if (v->size <= 16344)
			w->data = (struct ibb_bytes){v->data, v->size};
	}
	return 0;
}

bool fuzz_pick_value(struct fuzz_run *g, ibb_key k, char *out, size_t room)
{
	uint8_t how = fuzz_byte(g);
	struct fuzz_nth w = {.i = how % 16};

	if (how & 0x80)
		(void)!ibb_hive_values(g->h, k, fuzz_nth_value, &w, NULL);
	if (w.found)
		snprintf(out, room, "%s", w.found);
	else
		fuzz_make_name(g, out, room);
	free(w.found);
	/* what is no UTF-8 is refused, and cannot be looked for */
	if (!ibb_utf8_valid(out, strlen(out)))
		return true;
	w = (struct fuzz_nth){.name = out};
	(void)!ibb_hive_values(g->h, k, fuzz_nth_value, &w, NULL);
	return w.same < 2;
}
