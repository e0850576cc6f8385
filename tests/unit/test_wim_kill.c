/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * kill -9 in the middle of an append, at random moments: what is left is sound for whoever reads it
 * without knowing of us, old or new; and the undo record makes it the old file, byte for byte.
 * IBB_KILLS says how often (10).
 */
#include <signal.h>
#include <sys/wait.h>
#include <time.h>

#include "wim_change.h"

#include "disk/undo.h"

static const struct ibb_wim_write_opts opts = {.unix_time = CHANGE_TIME};

static unsigned kills(void)
{
	const char *s = getenv("IBB_KILLS");

	return s && *s ? (unsigned)strtoul(s, NULL, 10) : 10;
}

static uint64_t seed(void)
{
	const char *s = getenv("IBB_TEST_SEED");

	return s && *s ? strtoull(s, NULL, 0) : 20261120;
}

static uint64_t now_us(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
}

/* In a child: it says when it begins to append, and when it is done. */
static void appender(const char *path, int to_parent)
{
	struct ibb_wim *w = wim_open(path);
	struct ibb_undo u = {0};
	struct ibb_error err = {0};
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	change_image(w);
	if (ibb_undo_begin(&u, path, fd, WIM_HEADER_BYTES, &err) || write(to_parent, "b", 1) != 1)
		_exit(1);
	if (ibb_wim_append(w, &opts, &err) || write(to_parent, "e", 1) != 1)
		_exit(2);
	pause();
}

static pid_t start(const char *path, int *ret_fd)
{
	int p[2];
	char c = 0;
	pid_t pid;

	assert_int_equal(pipe(p), 0);
	pid = fork();
	assert_true(pid >= 0);
	if (!pid) {
		close(p[0]);
		appender(path, p[1]);
	}
	close(p[1]);
	assert_int_equal(read(p[0], &c, 1), 1);
	assert_int_equal(c, 'b');
	*ret_fd = p[0];
	return pid;
}

static void stop(pid_t pid, int fd)
{
	int status;

	assert_int_equal(kill(pid, SIGKILL), 0);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
	close(fd);
}

/* How long an append takes when nobody stops it. */
static uint64_t measure(const char *path)
{
	uint64_t t;
	char c = 0;
	int fd;
	pid_t pid = start(path, &fd);

	t = now_us();
	assert_int_equal(read(fd, &c, 1), 1);
	assert_int_equal(c, 'e');
	t = now_us() - t;
	stop(pid, fd);
	return t;
}

/* True: the new one. A flag says that somebody writes; all else is as it was, or as it shall be. */
static bool is_new(const char *path, struct ibb_wim *before)
{
	const char *copy = img_path("copy.wim");
	struct ibb_buf b = {0};
	struct ibb_wim *now;
	struct ibb_error err = {0};
	bool new;

	read_all(path, &b);
	b.data[16] &= (uint8_t)~0x40u;
	write_all(copy, &b);
	ibb_buf_clear(&b);
	now = wim_open(copy);
	new = ibb_wim_compare(before, now, 1, &change_nothing, &err) != IBB_OK;
	if (new) {
		assert_ok(ibb_wim_compare(before, now, 1, &change_set, &err), err);
		change_is_there(now);
	}
	assert_ok(ibb_wim_compare(before, now, 2, &change_nothing, &err), err);
	ibb_wim_close(now);
	return new;
}

static void kill_appends(const char *name, struct mkwim m, size_t bulk, unsigned n)
{
	char path[600], old_path[600];
	struct ibb_buf old = {0};
	struct ibb_wim *before;
	uint64_t rnd = seed(), took;
	unsigned n_new = 0, n_grown = 0;

	change_bulk = bulk;
	snprintf(path, sizeof(path), "%s", change_make(name, m));
	snprintf(old_path, sizeof(old_path), "%s", img_path("old.wim"));
	read_all(path, &old);
	write_all(old_path, &old);
	before = wim_open(old_path);
	took = measure(path);
	for (unsigned i = 0; i <= n; i++) {
		struct ibb_undo_report report;
		struct ibb_error err = {0};
		struct stat st;
		bool new;
		pid_t pid;
		int fd;

		if (i) {
			pid = start(path, &fd);
			rnd = rnd * 6364136223846793005u + 1442695040888963407u;
			usleep((useconds_t)((rnd >> 33) % (took + 1)));
			stop(pid, fd);
		} /* the first one was killed when it was done */
		change_sound(path);
		assert_int_equal(stat(path, &st), 0);
		n_grown += (size_t)st.st_size > old.len;
		new = is_new(path, before);
		assert_true(i || new);
		n_new += new;
		assert_ok(ibb_undo_recover(path, &report, &err), err);
		assert_true(report.complete);
		assert_bytes(path, &old);
	}
	print_message("%s: killed %u times in %llu us: %u new, %u longer than before\n", name, n,
		      (unsigned long long)took, n_new, n_grown);
	/* some of them in the middle */
	assert_true(n_new < n + 1 || n < 5);
	ibb_wim_close(before);
	ibb_buf_clear(&old);
}

static void killed_lzx(void **state)
{
	(void)state;
	kill_appends("lzx.wim",
		     (struct mkwim){.compression = WIMLIB_COMPRESSION_TYPE_LZX, .integrity = true},
		     1u << 20, kills());
}

static void killed_solid(void **state)
{
	(void)state;
	kill_appends("solid.esd",
		     (struct mkwim){.compression = WIMLIB_COMPRESSION_TYPE_LZMS, .solid = true},
		     256u << 10, kills() / 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(killed_lzx),
		cmocka_unit_test(killed_solid),
	};

	return cmocka_run_group_tests(tests, NULL, img_teardown) ? 1 : 0;
}
