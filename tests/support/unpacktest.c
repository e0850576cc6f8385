/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "unpacktest.h"

#include <dirent.h>
#include <fcntl.h>
#include <ftw.h>
#include <sys/stat.h>

static int zap(const char *path, const struct stat *st, int type, struct FTW *f)
{
	(void)st;
	(void)type;
	(void)f;
	return remove(path);
}

static void empty(const char *dir)
{
	assert_int_equal(nftw(dir, zap, 16, FTW_DEPTH | FTW_PHYS), 0);
}

void unpack_world_begin(struct unpack_world *w)
{
	*w = (struct unpack_world){.top = "/tmp/ibb-unpack-XXXXXX"};
	assert_non_null(mkdtemp(w->top));
	snprintf(w->out, sizeof(w->out), "%s/out", w->top);
	assert_int_equal(mkdir(w->out, 0700), 0);
}

void unpack_world_end(struct unpack_world *w)
{
	unsigned n = 0;
	DIR *d = opendir(w->top);

	assert_non_null(d);
	while (readdir(d))
		n++;
	closedir(d);
	assert_int_equal(n, 3 + w->n_files); /* ".", "..", "out" */
	empty(w->top);
}

const char *unpack_put(struct unpack_world *w, const char *name, struct ibb_buf *b)
{
	static char path[4][256];
	static unsigned slot;
	char *p = path[slot++ % 4];
	int fd;

	snprintf(p, sizeof(path[0]), "%s/%s", w->top, name);
	w->n_files += access(p, F_OK) != 0;
	fd = open(p, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, b->data ? b->data : (const uint8_t *)"", b->len), b->len);
	close(fd);
	ibb_buf_clear(b);
	return p;
}

int unpack_run(struct unpack_world *w, const char *path, const struct ibb_unpack_limits *limits,
	       struct ibb_unpack_result *ret, struct ibb_error *err)
{
	empty(w->out);
	assert_int_equal(mkdir(w->out, 0700), 0);
	*err = (struct ibb_error){0};
	return ibb_unpack(path, w->out, NULL, limits, ret, err);
}

int unpack_bytes(struct unpack_world *w, struct ibb_buf *b, struct ibb_unpack_result *ret,
		 struct ibb_error *err)
{
	return unpack_run(w, unpack_put(w, "archive", b), NULL, ret, err);
}

static void content(const char *path, struct ibb_buf *out)
{
	struct ibb_error err = {0};
	struct ibb_buf b = {0};
	bool text;

	assert_ok(ibb_read_file(path, 1u << 30, &b, &err), err);
	text = b.len < 60;
	for (size_t i = 0; i < b.len; i++)
		text &= b.data[i] >= ' ' && b.data[i] < 127;
	if (text)
		assert_int_equal(ibb_buf_printf(out, "=%.*s\n", (int)b.len,
						b.len ? (const char *)b.data : ""),
				 0);
	else
		assert_int_equal(ibb_buf_printf(out, "#%zu\n", b.len), 0);
	ibb_buf_clear(&b);
}

static int no_dots(const struct dirent *e)
{
	return strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0;
}

static int by_bytes(const struct dirent **a, const struct dirent **b)
{
	return strcmp((*a)->d_name, (*b)->d_name);
}

static void list(const char *dir, const char *rel, struct ibb_buf *out)
{
	struct dirent **e = NULL;
	int n = scandir(dir, &e, no_dots, by_bytes);

	assert_true(n >= 0);
	for (int i = 0; i < n; i++) {
		char *path = ibb_asprintf("%s/%s", dir, e[i]->d_name);
		char *at = ibb_asprintf("%s%s", rel, e[i]->d_name), *sub = ibb_asprintf("%s/", at);
		struct stat st;

		assert_int_equal(lstat(path, &st), 0);
		assert_true(S_ISDIR(st.st_mode) || S_ISREG(st.st_mode));
		assert_int_equal(st.st_mode & 07777, S_ISDIR(st.st_mode) ? 0700 : 0600);
		assert_int_equal(ibb_buf_append_str(out, S_ISDIR(st.st_mode) ? sub : at), 0);
		if (S_ISDIR(st.st_mode)) {
			assert_int_equal(ibb_buf_append_str(out, "\n"), 0);
			list(path, sub, out);
		} else {
			content(path, out);
		}
		free(path);
		free(at);
		free(sub);
		free(e[i]);
	}
	free(e);
}

char *unpack_tree_text(const char *dir)
{
	struct ibb_buf b = {0};

	list(dir, "", &b);
	return ibb_buf_take_str(&b);
}

void unpack_assert_tree(struct unpack_world *w, const char *want)
{
	char *is = unpack_tree_text(w->out);

	assert_string_equal(is, want);
	free(is);
}

unsigned unpack_mutations(unsigned usual)
{
	const char *n = getenv("IBB_TEST_MUTATIONS");

	return n && atol(n) > 0 ? (unsigned)atol(n) : usual;
}
