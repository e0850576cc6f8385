/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What only the host directory knows: symbolic links, colliding names, inodes of the host. */
#include "volume_image.h"

static const char *tree(const char *rel)
{
	static char path[4][700];
	static unsigned slot;
	char *p = path[slot++ % 4];

	snprintf(p, sizeof(path[0]), "%s/t%s%s", img_dir(), *rel ? "/" : "", rel);
	return p;
}

static void host_file(const char *rel, const char *text)
{
	int fd = open(tree(rel), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
	close(fd);
}

static void host_expect(const char *rel, const char *text)
{
	struct ibb_error err = {0};
	struct ibb_buf b = {0};

	assert_ok(ibb_read_file(tree(rel), 1u << 20, &b, &err), err);
	assert_int_equal(b.len, strlen(text));
	if (b.len)
		assert_memory_equal(b.data, text, b.len);
	ibb_buf_clear(&b);
}

static int fresh(void **state)
{
	(void)state;
	if (run("rm -rf '%s'", tree("")))
		return -1;
	return mkdir(tree(""), 0755);
}

static struct ibb_volume *open_tree(void)
{
	struct ibb_error err = {0};
	struct ibb_volume *v = NULL;

	assert_ok(ibb_volume_open_dir(tree(""), &v, &err), err);
	return v;
}

static struct ibb_bytes text(const char *s)
{
	return (struct ibb_bytes){(const uint8_t *)s, strlen(s)};
}

/* A driver package in whatever spelling its maker liked. */
static void package(void **state)
{
	struct ibb_volume *v;

	(void)state;
	host_file("MLX5.INF", "[Version]");
	assert_int_equal(mkdir(tree("Amd64"), 0755), 0);
	host_file("Amd64/mlx5.SYS", "MZ");
	v = open_tree();
	expect(v, "mlx5.inf", "[Version]");
	expect(v, "AMD64/Mlx5.sys", "MZ");
	expect_list(v, "", "Amd64/|MLX5.INF");
	ibb_volume_close(v);
}

static void colliding_names(void **state)
{
	struct ibb_volume *v;
	struct ibb_error err = {0};
	struct ibb_buf b = {0};

	(void)state;
	host_file("File", "1");
	host_file("other", "2");
	host_file("FILE", "3");
	v = open_tree();
	assert_fails(ibb_volume_read(v, "file", 10, &b, &err), IBB_E_CONFLICT, err,
		     "differ in case only");
	assert_non_null(strstr(err.msg, "'File'"));
	assert_non_null(strstr(err.msg, "'FILE'"));
	expect(v, "OTHER", "2");
	ibb_volume_close(v);
}

static void symbolic_links(void **state)
{
	struct ibb_volume *v;
	struct ibb_error err = {0};
	struct ibb_buf b = {0};
	struct ibb_stat st;

	(void)state;
	assert_int_equal(mkdir(tree("real"), 0755), 0);
	host_file("real/f", "x");
	assert_int_equal(symlink("real", tree("way")), 0);
	assert_int_equal(symlink("real/f", tree("link")), 0);
	assert_int_equal(symlink("nowhere", tree("dangling")), 0);
	assert_int_equal(mkfifo(tree("pipe"), 0600), 0);
	v = open_tree();
	expect_list(v, "", "dangling?|link?|pipe?|real/|way?");
	assert_int_equal(stat_of(v, "way").type, IBB_FILE_OTHER);
	assert_fails(ibb_volume_stat(v, "way/f", &st, &err), IBB_E_UNSUPPORTED, err,
		     "way: a symbolic link");
	assert_fails(ibb_volume_put(v, "WAY/g", text("x"), IBB_PUT_REPLACE, &file_meta, &err),
		     IBB_E_UNSUPPORTED, err, "way: a symbolic link");
	assert_fails(ibb_volume_read(v, "link", 10, &b, &err), IBB_E_UNSUPPORTED, err,
		     "link: a symbolic link");
	assert_fails(ibb_volume_read(v, "pipe", 10, &b, &err), IBB_E_UNSUPPORTED, err, "pipe");
	assert_fails(ibb_volume_put(v, "dangling", text("x"), IBB_PUT_REPLACE, &file_meta, &err),
		     IBB_E_UNSUPPORTED, err, "dangling");
	assert_fails(ibb_volume_put(v, "link", text("x"), IBB_PUT_IN_PLACE, &file_meta, &err),
		     IBB_E_UNSUPPORTED, err, "link");
	assert_fails(ibb_volume_remove(v, "link", &err), IBB_E_UNSUPPORTED, err, "link");
	assert_fails(ibb_volume_list(v, "way", join_name, &b, &err), IBB_E_UNSUPPORTED, err, "way");
	assert_fails(ibb_volume_touch(v, "way", &dir_meta, &err), IBB_E_UNSUPPORTED, err, "way");
	commit_close(v);
	host_expect("real/f", "x");
}

/* As on NTFS: replacing breaks a hard link, in place keeps it. */
static void hard_links(void **state)
{
	struct ibb_volume *v;
	struct ibb_error err = {0};

	(void)state;
	host_file("a", "old a");
	host_file("b", "old b");
	assert_int_equal(link(tree("a"), tree("a2")), 0);
	assert_int_equal(link(tree("b"), tree("b2")), 0);
	v = open_tree();
	assert_int_equal(stat_of(v, "a").links, 2);
	put(v, "A", "new");
	assert_ok(ibb_volume_put(v, "B", text("longer than before"), IBB_PUT_IN_PLACE, &file_meta,
				 &err),
		  err);
	host_expect("a", "old a");
	host_expect("b", "old b");
	commit_close(v);
	host_expect("a", "new");
	host_expect("a2", "old a");
	host_expect("b", "longer than before");
	host_expect("b2", "longer than before");
}

static void names_not_utf8(void **state)
{
	struct ibb_volume *v;
	struct ibb_error err = {0};
	struct ibb_buf b = {0};

	(void)state;
	host_file("gr\xfc\xdf", "latin 1");
	host_file("fine", "x");
	v = open_tree();
	expect(v, "FINE", "x");
	assert_fails(ibb_volume_list(v, "", join_name, &b, &err), IBB_E_UNSUPPORTED, err,
		     "not UTF-8");
	ibb_volume_close(v);
}

static void codes(void **state)
{
	struct ibb_volume *v = NULL;
	struct ibb_error err = {0};
	struct ibb_volume_info info;
	struct ibb_buf b = {0};

	(void)state;
	assert_fails(ibb_volume_open_dir(tree("nowhere"), &v, &err), IBB_E_NOTFOUND, err,
		     "no such directory");
	host_file("file", "x");
	assert_fails(ibb_volume_open_dir(tree("file"), &v, &err), IBB_E_IO, err, "Not a directory");
	assert_null(v);
	v = open_tree();
	assert_ok(ibb_volume_info(v, &info, &err), err);
	assert_string_equal(info.kind, "dir");
	assert_true(info.case_sensitive_host);
	assert_string_equal(info.serial, "");
	assert_true(info.size_bytes > 0);
	assert_fails(ibb_volume_security(v, "file", &b, &err), IBB_E_UNSUPPORTED, err,
		     "no Windows security");
	ibb_volume_close(v);
}

/* The commit says what it could not do. */
static void commit_fails(void **state)
{
	struct ibb_volume *v = open_tree();
	struct ibb_error err = {0};

	(void)state;
	put(v, "new", "x");
	/* somebody made a directory of that name meanwhile */
	assert_int_equal(mkdir(tree("new"), 0755), 0);
	assert_int_not_equal(ibb_volume_commit(v, &err), IBB_OK);
	assert_non_null(strstr(err.msg, "new"));
	ibb_volume_close(v);
	assert_int_equal(run("test -z \"$(ls -A '%s')\"", tree("new")), 0);
	assert_int_equal(run("test \"$(ls -A '%s')\" = new", tree("")), 0);
}

static int no_memory_run(struct ibb_error *err)
{
	struct ibb_volume *v = NULL;
	struct ibb_buf b = {0};
	int rc = ibb_volume_open_dir(tree(""), &v, err), again;
	char *s = NULL;

	if (rc)
		return rc;
	rc = ibb_volume_mkdir(v, "Dir", &dir_meta, err);
	if (!rc)
		rc = ibb_volume_put(v, "DIR/f", text("f"), IBB_PUT_REPLACE, &file_meta, err);
	if (!rc)
		rc = ibb_volume_put(v, "host", text("f"), IBB_PUT_REPLACE, &file_meta, err);
	if (!rc)
		rc = ibb_volume_remove(v, "dir/f", err);
	if (!rc)
		rc = ibb_volume_list(v, "", join_name, &b, err);
	if (!rc)
		rc = ibb_volume_spelling(v, "HOST", &s, err);
	ibb_buf_clear(&b);
	free(s);
	if (!rc)
		rc = ibb_volume_read(v, "host", 10, &b, err);
	ibb_buf_clear(&b);
	again = rc ? rc : ibb_volume_commit(v, err);
	ibb_volume_close(v);
	return again;
}

static void no_memory(void **state)
{
	int rc = IBB_E_NOMEM;

	(void)state;
	for (long n = 0; rc; n++) {
		struct ibb_error err = {0};

		assert_true(n < 1000);
		assert_int_equal(run("rm -rf '%s' && mkdir '%s'", tree(""), tree("")), 0);
		host_file("host", "x");
		ibb_mem_fail_at(n, true);
		rc = no_memory_run(&err);
		ibb_mem_fail_at(-1, false);
		assert_true(rc == IBB_OK || rc == IBB_E_NOMEM);
	}
	host_expect("host", "f");
}

#define T(fn) cmocka_unit_test_setup(fn, fresh)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(package),	   T(colliding_names), T(symbolic_links), T(hard_links),
		T(names_not_utf8), T(codes),	       T(commit_fails),	  T(no_memory),
	};

	return cmocka_run_group_tests(tests, NULL, img_teardown) ? 1 : 0;
}
