/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The package cache: what comes in, what is found, what goes; with every allocation failing once.
 */
#include "test.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "net/fetch.h"
#include "net/internal.h"

struct world {
	char dir[64], cache[80], file[80];
	struct ibb_cache *c;
};

static int rm(const char *path, const struct stat *st, int kind, struct FTW *f)
{
	(void)st, (void)kind, (void)f;
	return remove(path);
}

static void write_file(const char *path, const char *text)
{
	FILE *f = fopen(path, "wb");

	assert_non_null(f);
	assert_int_equal(fwrite(text, 1, strlen(text), f), strlen(text));
	assert_int_equal(fclose(f), 0);
}

static int setup(void **state)
{
	struct world *w = calloc(1, sizeof(*w));
	struct ibb_error err = {0};

	assert_non_null(w);
	snprintf(w->dir, sizeof(w->dir), "/tmp/ibbake-cache-XXXXXX");
	assert_non_null(mkdtemp(w->dir));
	snprintf(w->cache, sizeof(w->cache), "%s/a/b", w->dir);
	snprintf(w->file, sizeof(w->file), "%s/f.exe", w->dir);
	write_file(w->file, "content");
	assert_ok(ibb_cache_open(w->cache, true, &w->c, &err), err);
	*state = w;
	return 0;
}

static int teardown(void **state)
{
	struct world *w = *state;

	ibb_cache_close(w->c);
	nftw(w->dir, rm, 16, FTW_DEPTH | FTW_PHYS);
	free(w);
	return 0;
}

static struct ibb_sha256 digest_of(const char *text)
{
	struct ibb_sha256 d;

	assert_int_equal(ibb_sha256(text, strlen(text), &d), 0);
	return d;
}

static struct ibb_cache_entry about(const char *release, int64_t added)
{
	return (struct ibb_cache_entry){
		.file_name = (char *)"f.exe", .release = (char *)release, .added = added};
}

static void add_and_find(void **state)
{
	struct world *w = *state;
	struct ibb_cache_entry e = {0}, as = about("r1", 1000);
	struct ibb_sha256 d = digest_of("content"), other = digest_of("other");
	struct ibb_error err = {0};
	struct stat st;

	assert_fails(ibb_cache_find(w->c, &d, true, &e, &err), IBB_E_NOTFOUND, err, "not in the");
	assert_fails(ibb_cache_add(w->c, w->file, &other, &as, &e, &err), IBB_E_UNTRUSTED, err,
		     "f.exe: has the digest");
	assert_fails(ibb_cache_find(w->c, &d, true, &e, &err), IBB_E_NOTFOUND, err, "not in the");
	assert_ok(ibb_cache_add(w->c, w->file, &d, &as, &e, &err), err);
	assert_int_equal(stat(e.path, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0400);
	ibb_cache_entry_clear(&e);
	assert_ok(ibb_cache_find(w->c, &d, true, &e, &err), err);
	assert_string_equal(e.file_name, "f.exe");
	assert_string_equal(e.release, "r1");
	assert_null(e.url);
	assert_int_equal(e.added, 1000);
	assert_int_equal(e.size_bytes, 7);
	ibb_cache_entry_clear(&e);
	assert_ok(ibb_cache_find_release(w->c, "r1", &e, &err), err);
	ibb_cache_entry_clear(&e);
	assert_fails(ibb_cache_find_release(w->c, "r2", &e, &err), IBB_E_NOTFOUND, err, "r2");
	write_file(w->file, "");
	assert_fails(ibb_cache_add(w->c, w->file, NULL, &as, &e, &err), IBB_E_UNSUPPORTED, err,
		     "empty");
	assert_fails(ibb_cache_add(w->c, w->dir, NULL, &as, &e, &err), IBB_E_UNSUPPORTED, err,
		     "no regular file");
}

/* Of two files of one release the later one counts. */
static void latest_of_a_release(void **state)
{
	struct world *w = *state;
	struct ibb_cache_entry e = {0}, as = about("r", 2000), *list;
	struct ibb_error err = {0};
	bool removed;
	size_t n;

	assert_ok(ibb_cache_add(w->c, w->file, NULL, &as, &e, &err), err);
	ibb_cache_entry_clear(&e);
	write_file(w->file, "later");
	as.added = 3000;
	assert_ok(ibb_cache_add(w->c, w->file, NULL, &as, &e, &err), err);
	ibb_cache_entry_clear(&e);
	write_file(w->file, "earlier");
	as.added = 1000;
	assert_ok(ibb_cache_add(w->c, w->file, NULL, &as, &e, &err), err);
	ibb_cache_entry_clear(&e);
	assert_ok(ibb_cache_find_release(w->c, "r", &e, &err), err);
	assert_int_equal(e.added, 1000); /* by when they came in, not by what is said of that */
	assert_ok(ibb_cache_list(w->c, &list, &n, &err), err);
	assert_int_equal(n, 3);
	ibb_cache_entries_free(list, n);
	/* one that came in anew since it was looked at stays */
	e.inode++;
	assert_ok(ibb_cache_remove(w->c, &e, &removed, &err), err);
	assert_false(removed);
	e.inode--;
	e.changed--;
	assert_ok(ibb_cache_remove(w->c, &e, &removed, &err), err);
	assert_false(removed);
	e.changed++;
	assert_ok(ibb_cache_remove(w->c, &e, &removed, &err), err);
	assert_true(removed);
	ibb_cache_entry_clear(&e);
	assert_ok(ibb_cache_find_release(w->c, "r", &e, &err), err);
	assert_int_equal(e.added, 3000);
	ibb_cache_entry_clear(&e);
}

static void add_as(struct world *w, const char *text, const char *release)
{
	struct ibb_cache_entry e = {0}, as = about(release, 1000); /* all within one second */
	struct ibb_error err = {0};

	write_file(w->file, text);
	assert_ok(ibb_cache_add(w->c, w->file, NULL, &as, &e, &err), err);
	ibb_cache_entry_clear(&e);
}

static void assert_release(struct world *w, const char *release, const char *text)
{
	const struct ibb_sha256 want = digest_of(text);
	struct ibb_cache_entry e = {0};
	struct ibb_error err = {0};

	assert_ok(ibb_cache_find_release(w->c, release, &e, &err), err);
	assert_memory_equal(&e.sha256, &want, sizeof(want));
	ibb_cache_entry_clear(&e);
}

/* One file may be of several releases; the last that came in for one is its file, in whatever order
 * their digests are. */
static void several_releases(void **state)
{
	static const char *const texts[] = {"one", "two", "three", "four", "five"};
	struct world *w = *state;

	for (size_t i = 0; i < 5; i++) {
		add_as(w, texts[i], "a");
		assert_release(w, "a", texts[i]);
	}
	add_as(w, "five", "b");
	assert_release(w, "a", "five");
	assert_release(w, "b", "five");
	add_as(w, "five", NULL);
	assert_release(w, "b", "five");
	add_as(w, "one", "a");
	assert_release(w, "a", "one");
	assert_release(w, "b", "five");
}

/* What lies there and is none of ours: links, folders, other names, metadata that lies. */
static void strange_things(void **state)
{
	struct world *w = *state;
	struct ibb_cache_entry e = {0}, as = about("r", 1), *list = NULL;
	struct ibb_sha256 d = digest_of("content"), actual, linked = digest_of("linked");
	char path[256], hex[IBB_SHA256_HEX_SIZE];
	struct ibb_error err = {0};
	size_t n = 9;

	assert_ok(ibb_cache_add(w->c, w->file, NULL, &as, &e, &err), err);
	ibb_sha256_hex(&linked, hex);
	snprintf(path, sizeof(path), "%s/sha256/%.2s", w->cache, hex);
	assert_int_equal(mkdir(path, 0700), 0);
	snprintf(path, sizeof(path), "%s/sha256/%.2s/%s", w->cache, hex, hex);
	assert_int_equal(symlink(w->file, path), 0);
	assert_fails(ibb_cache_find(w->c, &linked, false, &e, &err), IBB_E_CORRUPT, err,
		     "no regular file");
	snprintf(path, sizeof(path), "%s/sha256/%.2s/%s.old", w->cache, hex, hex);
	write_file(path, "x");
	snprintf(path, sizeof(path), "%s/sha256/README", w->cache);
	write_file(path, "x");
	ibb_sha256_hex(&d, hex);
	snprintf(path, sizeof(path), "%s/meta/%s.json", w->cache, hex);
	write_file(path, "{\"file\": 7, \"release\": [], \"added\": \"x\", \"insecure\": 1}");
	assert_ok(ibb_cache_list(w->c, &list, &n, &err), err);
	assert_int_equal(n, 2);
	for (size_t i = 0; i < n; i++) {
		assert_int_equal(list[i].strange, memcmp(&list[i].sha256, &d, sizeof(d)) != 0);
		assert_null(list[i].file_name);
		assert_null(list[i].release);
		if (list[i].strange)
			assert_fails(ibb_cache_check(&list[i], NULL, NULL, &actual, &err), IBB_E_IO,
				     err, "no regular file");
	}
	ibb_cache_entries_free(list, n);
	write_file(path, "{");
	assert_int_equal(chmod(e.path, 0600), 0);
	write_file(e.path, "CONTENT");
	assert_fails(ibb_cache_check(&e, NULL, NULL, &actual, &err), IBB_E_CORRUPT, err,
		     "its bytes have the digest");
	assert_true(memcmp(&actual, &d, sizeof(d)) != 0);
	ibb_cache_entry_clear(&e);
	assert_fails(ibb_cache_find(w->c, &d, true, &e, &err), IBB_E_CORRUPT, err, "digest");
	/* the right one takes the wrong one's place */
	assert_ok(ibb_cache_add(w->c, w->file, &d, &as, &e, &err), err);
	ibb_cache_entry_clear(&e);
	assert_ok(ibb_cache_find(w->c, &d, true, &e, &err), err);
	ibb_cache_entry_clear(&e);
}

static int give_up(void *ctx)
{
	return ++*(int *)ctx == 2 ? IBB_E_TIMEOUT : 0;
}

/* A lock that is held is waited for; one that a killed process held is not. */
static void locks(void **state)
{
	struct world *w = *state;
	struct ibb_partial a = {.lock_fd = -1, .fd = -1}, b = {.lock_fd = -1, .fd = -1};
	struct ibb_cache_swept s;
	struct ibb_error err = {0};
	int calls = 0;
	pid_t pid;

	assert_ok(ibb_partial_take(w->c, "url-1", NULL, NULL, &a, &err), err);
	assert_int_equal(write(a.fd, "abc", 3), 3);
	assert_fails(ibb_partial_take(w->c, "url-1", give_up, &calls, &b, &err), IBB_E_TIMEOUT, err,
		     "another process is still fetching it");
	assert_int_equal(calls, 2);
	assert_ok(ibb_cache_sweep(w->c, INT64_MAX, &s, &err), err);
	assert_int_equal(s.n, 0);
	assert_true(s.n_in_use > 0);
	ibb_partial_release(&a);
	pid = fork();
	if (pid == 0) {
		if (ibb_partial_take(w->c, "url-1", NULL, NULL, &b, NULL))
			_exit(1);
		kill(getpid(), SIGKILL);
	}
	assert_int_equal(waitpid(pid, &calls, 0), pid);
	assert_true(WIFSIGNALED(calls));
	calls = 0;
	assert_ok(ibb_partial_take(w->c, "url-1", give_up, &calls, &a, &err), err);
	assert_int_equal(calls, 0);
	ibb_partial_release(&a);
	assert_ok(ibb_cache_sweep(w->c, INT64_MAX, &s, &err), err);
	assert_int_equal(s.n, 1);
	assert_int_equal(s.bytes, 3);
}

static int count_lines(const char *dir)
{
	char cmd[160], line[256];
	int n = 0;
	FILE *f;

	snprintf(cmd, sizeof(cmd), "find %s -type f", dir);
	f = popen(cmd, "r");
	assert_non_null(f);
	while (fgets(line, sizeof(line), f))
		n++;
	pclose(f);
	return n;
}

/* Every allocation fails once: an error, nothing wrong in the cache, nothing left over. */
static void no_memory(void **state)
{
	struct world *w = *state;
	const char *const urls[] = {"https://127.0.0.1:1/f"};
	struct ibb_fetch_options o = {.offline = true};
	struct ibb_sha256 d = digest_of("content");
	struct ibb_cache_entry as = about("r", 1);
	struct ibb_error err = {0};

	for (long i = 0;; i++) {
		struct ibb_fetch_what what = {.urls = urls, .n_urls = 1, .release = "r"};
		struct ibb_cache_entry e = {0};
		struct ibb_fetched f = {0};
		int r;

		ibb_mem_fail_at(i, false);
		r = ibb_cache_add(w->c, w->file, &d, &as, &e, &err);
		if (!r)
			r = ibb_fetch_file(w->c, &what, &o, &f, &err);
		ibb_mem_fail_at(-1, false);
		ibb_cache_entry_clear(&e);
		if (!r) {
			assert_true(f.from_cache);
			ibb_fetched_clear(&f);
			assert_true(i > 10);
			break;
		}
		/* what of the metadata is lost is lost: then nothing is known of the release */
		if (r != IBB_E_NOMEM && r != IBB_E_UNSUPPORTED)
			fail_msg("allocation %ld: %d %s", i, r, err.msg);
		assert_true(i < 1000);
	}
	assert_int_equal(count_lines(w->cache), 2); /* the file and its metadata */
}

/* By release alone a file is taken only when it has the size that is known. */
static void known_size(void **state)
{
	struct world *w = *state;
	struct ibb_fetch_options o = {.offline = true};
	struct ibb_fetch_what what = {.release = "r", .file_name = "f.exe", .size_bytes = 8};
	struct ibb_fetched f = {0};
	struct ibb_error err = {0};

	add_as(w, "content", "r");
	assert_fails(ibb_fetch_file(w->c, &what, &o, &f, &err), IBB_E_UNSUPPORTED, err,
		     "not in the package cache");
	what.size_bytes = 7;
	assert_ok(ibb_fetch_file(w->c, &what, &o, &f, &err), err);
	assert_true(f.from_cache);
	ibb_fetched_clear(&f);
}

static void not_there(void **state)
{
	struct ibb_cache *c;
	struct ibb_error err = {0};
	char link[64];

	(void)state;
	assert_fails(ibb_cache_open("/nonexistent/cache", false, &c, &err), IBB_E_NOTFOUND, err,
		     "there is no package cache");
	snprintf(link, sizeof(link), "/tmp/ibbake-link-%ld", (long)getpid());
	assert_int_equal(symlink("/nonexistent/cache", link), 0);
	assert_fails(ibb_cache_open(link, true, &c, &err), IBB_E_UNSUPPORTED, err,
		     "symbolic link that leads nowhere");
	assert_int_equal(unlink(link), 0);
	assert_fails(ibb_cache_open("", true, &c, &err), IBB_E_INVALID, err, "empty name");
	assert_fails(ibb_cache_open("/dev/null/x", true, &c, &err), IBB_E_IO, err, "/dev/null");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(add_and_find, setup, teardown),
		cmocka_unit_test_setup_teardown(latest_of_a_release, setup, teardown),
		cmocka_unit_test_setup_teardown(several_releases, setup, teardown),
		cmocka_unit_test_setup_teardown(strange_things, setup, teardown),
		cmocka_unit_test_setup_teardown(locks, setup, teardown),
		cmocka_unit_test_setup_teardown(no_memory, setup, teardown),
		cmocka_unit_test_setup_teardown(known_size, setup, teardown),
		cmocka_unit_test(not_there),
	};

	return cmocka_run_group_tests(tests, NULL, NULL) ? 1 : 0;
}
