/* SPDX-License-Identifier: GPL-3.0-or-later */
/* WIMs of every kind, changed and written to a new file, or appended to. */
#include <signal.h>
#include <sys/file.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include "wim_change.h"

#include "base/hash.h"
#include "base/le.h"
#include "disk/undo.h"

static const struct ibb_wim_write_opts opts = {.unix_time = CHANGE_TIME};

static int create(const char *path)
{
	int fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	assert_true(fd >= 0);
	return fd;
}

static void write_to(struct ibb_wim *w, const char *path, const struct ibb_wim_write_opts *o)
{
	struct ibb_error err = {0};
	int fd = create(path);

	assert_ok(ibb_wim_write(w, fd, path, o, &err), err);
	close(fd);
}

/* ---- what the XML data counts ---- */

struct counted {
	uint64_t dirs, files, bytes, link_bytes, groups[64];
	size_t n_groups;
};

static int count(const struct wimlib_dir_entry *e, void *ctx)
{
	struct counted *c = ctx;
	uint64_t size = 0;
	bool again = false;

	if (e->attributes & WIMLIB_FILE_ATTRIBUTE_DIRECTORY &&
	    !(e->attributes & WIMLIB_FILE_ATTRIBUTE_REPARSE_POINT))
		c->dirs++;
	else
		c->files++;
	for (uint32_t i = 0; i <= e->num_named_streams; i++)
		size += e->streams[i].resource.uncompressed_size;
	for (size_t i = 0; e->num_links > 1 && i < c->n_groups; i++)
		again |= c->groups[i] == e->hard_link_group_id;
	if (e->num_links > 1 && !again) {
		assert_true(c->n_groups < IBB_ARRAY_SIZE(c->groups));
		c->groups[c->n_groups++] = e->hard_link_group_id;
	}
	c->bytes += size;
	c->link_bytes += again ? size : 0;
	return 0;
}

static void assert_counts(struct ibb_wim *w, int index)
{
	struct counted c = {0};
	const struct {
		const char *name;
		const uint64_t *want;
	} all[] = {{"DIRCOUNT", &c.dirs},
		   {"FILECOUNT", &c.files},
		   {"TOTALBYTES", &c.bytes},
		   {"HARDLINKBYTES", &c.link_bytes}};

	assert_int_equal(wimlib_iterate_dir_tree(w->lib, index, "/",
						 WIMLIB_ITERATE_DIR_TREE_FLAG_RECURSIVE, count, &c),
			 0);
	for (size_t i = 0; i < IBB_ARRAY_SIZE(all); i++) {
		const char *s = wimlib_get_image_property(w->lib, index, all[i].name);

		assert_non_null(s);
		if (strtoull(s, NULL, 10) != *all[i].want)
			fail_msg("%s is %s, and there are %llu", all[i].name, s,
				 (unsigned long long)*all[i].want);
	}
}

static void assert_time(struct ibb_wim *w, int index)
{
	assert_string_equal(
		wimlib_get_image_property(w->lib, index, "LASTMODIFICATIONTIME/HIGHPART"),
		"0x01DA1747");
	assert_string_equal(
		wimlib_get_image_property(w->lib, index, "LASTMODIFICATIONTIME/LOWPART"),
		"0xC66D0000");
}

/* `now` is `before`, changed as it was meant to be, and nothing else. */
static void assert_changed(struct ibb_wim *before, struct ibb_wim *now)
{
	struct ibb_error err = {0};

	assert_ok(ibb_wim_compare(before, now, 1, &change_set, &err), err);
	assert_ok(ibb_wim_compare(before, now, 2, &change_nothing, &err), err);
	assert_fails(ibb_wim_compare(before, now, 1, &change_nothing, &err), IBB_E_DIFFERS, err,
		     "image 1");
	assert_time(now, 1);
	assert_counts(now, 1);
	assert_counts(now, 2);
	change_is_there(now);
}

static void every_kind_written(void **state)
{
	(void)state;
	for (size_t i = 0; i < IBB_ARRAY_SIZE(change_kinds); i++) {
		const char *path = change_kind(i, change_kinds[i].name);
		const char *out = img_path("out.wim");
		struct ibb_wim *before = wim_open(path), *w = wim_open(path), *now;
		struct ibb_buf old = {0};

		read_all(path, &old);
		change_image(w);
		write_to(w, out, &opts);
		ibb_wim_close(w);
		change_sound(out);
		now = wim_open(out);
		assert_changed(before, now);
		ibb_wim_close(now);
		ibb_wim_close(before);
		assert_bytes(path, &old);
		ibb_buf_clear(&old);
	}
}

static void nothing_changed(void **state)
{
	const char *path = change_kind(2, "same.wim"), *out = img_path("out.wim");
	struct ibb_wim *before = wim_open(path), *w = wim_open(path), *now;
	struct ibb_error err = {0};
	struct ibb_buf old = {0};

	(void)state;
	read_all(path, &old);
	write_to(w, out, &opts);
	now = wim_open(out);
	assert_ok(ibb_wim_compare(before, now, 1, &change_nothing, &err), err);
	assert_ok(ibb_wim_compare(before, now, 2, &change_nothing, &err), err);
	ibb_wim_close(now);
	/* in place nothing is written at all: wimlib would write over its XML data */
	assert_ok(ibb_wim_append(w, &opts, &err), err);
	assert_bytes(path, &old);
	ibb_wim_close(w);
	ibb_wim_close(before);
	ibb_buf_clear(&old);
}

static void the_same_twice(void **state)
{
	static const size_t which[] = {2, 4, 6};
	struct ibb_buf first = {0};

	(void)state;
	for (size_t i = 0; i < IBB_ARRAY_SIZE(which); i++) {
		const char *path = change_kind(which[i], "in.wim"), *out = img_path("out.wim");

		for (unsigned threads = 1; threads <= 2; threads++) {
			const struct ibb_wim_write_opts o = {.unix_time = CHANGE_TIME,
							     .threads = threads};
			struct ibb_wim *w = wim_open(path);

			change_image(w);
			write_to(w, out, &o);
			ibb_wim_close(w);
			if (threads == 1)
				read_all(out, &first);
			else
				assert_bytes(out, &first);
		}
		ibb_buf_clear(&first);
	}
}

/* Unchanged resources are copied as they are: their compressed bytes are in the new file. */
static void copied_raw(void **state)
{
	static const size_t which[] = {2, 4, 5};

	(void)state;
	for (size_t i = 0; i < IBB_ARRAY_SIZE(which); i++) {
		const char *path = change_kind(which[i], "in.wim"), *out = img_path("out.wim");
		struct ibb_wim *w = wim_open(path);
		struct wim_node n = stage_node(w, "data/f13");
		struct ibb_buf a = {0}, b = {0};
		const uint64_t off =
			n.data.packed ? n.data.raw_resource_offset_in_wim : n.data.offset;
		const size_t len = (size_t)(n.data.packed ? n.data.raw_resource_compressed_size
							  : n.data.compressed_size);

		change_image(w);
		write_to(w, out, &opts);
		read_all(path, &a);
		read_all(out, &b);
		assert_true(len > 100000 && off + len <= a.len);
		assert_non_null(memmem(b.data, b.len, a.data + off, len));
		ibb_wim_node_clear(&n);
		ibb_wim_close(w);
		ibb_buf_clear(&a);
		ibb_buf_clear(&b);
	}
}

/* ---- in place ---- */

static void append(const char *path, struct ibb_undo *u, int *ret_fd)
{
	struct ibb_wim *w = wim_open(path);
	struct ibb_error err = {0};

	*ret_fd = open(path, O_RDONLY | O_CLOEXEC);
	assert_true(*ret_fd >= 0);
	change_image(w);
	assert_ok(ibb_undo_begin(u, path, *ret_fd, WIM_HEADER_BYTES, &err), err);
	assert_ok(ibb_wim_append(w, &opts, &err), err);
	/* it has its lock back, and wimlib has none any more */
	assert_int_equal(flock(*ret_fd, LOCK_EX | LOCK_NB), -1);
	ibb_wim_close(w);
	assert_int_equal(flock(*ret_fd, LOCK_EX | LOCK_NB), 0);
	assert_int_equal(flock(*ret_fd, LOCK_UN), 0);
}

static void one_kind_appended(size_t kind)
{
	const char *path = change_kind(kind, "in.wim");
	struct ibb_wim *before = wim_open(path), *now;
	struct ibb_buf old = {0}, new = {0};
	struct ibb_error err = {0};
	struct ibb_undo u = {0};
	int fd;

	read_all(path, &old);
	ibb_wim_unlock(before);
	append(path, &u, &fd);
	change_sound(path);
	assert_fails(ibb_wim_open(path, NULL, &now, &err), IBB_E_CONFLICT, err, "lies beside it");
	now = change_open_held(path);
	assert_changed(before, now);
	ibb_wim_close(now);
	read_all(path, &new);
	assert_true(new.len > old.len);
	assert_memory_equal(new.data + WIM_HEADER_BYTES, old.data + WIM_HEADER_BYTES,
			    old.len - WIM_HEADER_BYTES);
	assert_ok(ibb_undo_done(&u, &err), err);
	close(fd);
	ibb_wim_close(before);
	/* the same again, and given up */
	write_all(path, &old);
	append(path, &u, &fd);
	assert_ok(ibb_undo_back(&u, &err), err);
	close(fd);
	assert_bytes(path, &old);
	ibb_buf_clear(&old);
	ibb_buf_clear(&new);
}

static void every_kind_appended(void **state)
{
	(void)state;
	for (size_t i = 0; i < IBB_ARRAY_SIZE(change_kinds); i++)
		if (change_kinds[i].appendable)
			one_kind_appended(i);
}

static void refused(const char *path, const char *text)
{
	struct ibb_wim *w = wim_open(path);
	struct ibb_error err = {0};
	struct ibb_buf old = {0};

	read_all(path, &old);
	assert_fails(ibb_wim_check_writable(w, true, &err), IBB_E_UNSUPPORTED, err, text);
	change_image(w);
	assert_fails(ibb_wim_append(w, &opts, &err), IBB_E_UNSUPPORTED, err, text);
	assert_true(err.hint[0]);
	ibb_wim_close(w);
	assert_bytes(path, &old);
	ibb_buf_clear(&old);
}

/* What wimlib would answer by writing a whole new file, or by writing over something. */
static void not_appendable(void **state)
{
	struct ibb_buf good = {0}, b = {0};
	const char *path;

	(void)state;
	refused(change_kind(6, "p.wim"), "a pipable WIM");
	refused(change_kind(7, "r.wim"), "marked read-only");
	path = change_kind(0, "n.wim");
	read_all(path, &good);
	assert_int_equal(ibb_buf_append(&b, good.data, good.len), 0);
	assert_int_equal(ibb_buf_append_zero(&b, 1), 0);
	write_all(path, &b);
	refused(path, "other data lies behind its end");
	ibb_buf_clear(&b);
	/* the XML data again, behind itself, and the table of contents behind that */
	{
		uint64_t table = ibb_get_le64(good.data + 56);
		uint64_t n = ibb_get_le64(good.data + 48) & 0xffffffffffffff;

		assert_int_equal(ibb_buf_append(&b, good.data, good.len), 0);
		assert_int_equal(ibb_buf_append(&b, good.data + table, (size_t)n), 0);
		ibb_put_le64(b.data + 56, good.len);
		write_all(path, &b);
		refused(path, "tables are in an unusual order");
	}
	ibb_buf_clear(&b);
	ibb_buf_clear(&good);
}

static int writable_in_place(const char *path, struct ibb_error *err)
{
	struct ibb_wim *w = wim_open(path);
	int r = ibb_wim_check_writable(w, true, err), r_append;

	change_image(w);
	r_append = ibb_wim_append(w, &opts, r ? NULL : err);
	ibb_wim_close(w);
	assert_int_equal(r, r_append);
	return r;
}

/* A table of chunks of this size in the place of the old one, which comes last in the file. */
static void put_integrity(struct ibb_buf *b, uint32_t chunk)
{
	const uint64_t end =
		ibb_get_le64(b->data + 56) + (ibb_get_le64(b->data + 48) & 0xffffffffffffff);
	static const uint8_t head[12];
	uint32_t n = 0;

	b->len = (size_t)ibb_get_le64(b->data + 132);
	assert_int_equal(ibb_buf_append(b, head, sizeof(head)), 0);
	for (uint64_t at = WIM_HEADER_BYTES; at < end; at += chunk, n++) {
		struct ibb_hasher *h;
		struct ibb_sha1 d;

		assert_int_equal(ibb_hasher_new_sha1(&h), 0);
		assert_int_equal(ibb_hasher_update(h, b->data + at,
						   end - at < chunk ? (size_t)(end - at) : chunk),
				 0);
		assert_int_equal(ibb_hasher_final_sha1(h, &d), 0);
		assert_int_equal(ibb_buf_append(b, d.b, sizeof(d.b)), 0);
	}
	ibb_put_le32(b->data + b->len - n * 20 - 12, n * 20 + 12);
	ibb_put_le32(b->data + b->len - n * 20 - 8, n);
	ibb_put_le32(b->data + b->len - n * 20 - 4, chunk);
	ibb_put_le64(b->data + 124, n * 20 + 12);
	ibb_put_le64(b->data + 140, n * 20 + 12);
}

/* Damage does not get a digest that fits: where one is reckoned anew, the old one is checked. */
static void integrity(void **state)
{
	const char *path = change_kind(1, "integrity.wim");
	struct ibb_wim *w = wim_open(path);
	struct wim_node n = stage_node(w, "data/f13");
	const size_t at = (size_t)(n.data.offset + n.data.compressed_size / 2);
	struct ibb_buf b = {0};
	struct ibb_error err = {0};
	uint32_t chunk;

	(void)state;
	ibb_wim_node_clear(&n);
	ibb_wim_close(w);
	read_all(path, &b);
	b.data[at] ^= 1;
	write_all(path, &b);
	assert_fails(writable_in_place(path, &err), IBB_E_CORRUPT, err,
		     "does not match its integrity table, between offset 208 and");
	assert_true(err.hint[0]);
	assert_bytes(path, &b);
	/* a table that is none */
	b.data[ibb_get_le64(b.data + 132) + 4]++;
	write_all(path, &b);
	assert_fails(writable_in_place(path, &err), IBB_E_CORRUPT, err,
		     "the integrity table at offset");
	/* chunks that are taken over keep their digest, here one that does not fit */
	b.data[at] ^= 1;
	chunk = (uint32_t)at + 5000;
	put_integrity(&b, chunk);
	write_all(path, &b);
	assert_ok(writable_in_place(path, &err), err);
	change_sound(path);
	b.data[at] ^= 1;
	write_all(path, &b);
	assert_ok(writable_in_place(path, &err), err);
	{
		WIMStruct *lib = NULL;

		assert_int_equal(wimlib_open_wim(path, WIMLIB_OPEN_FLAG_CHECK_INTEGRITY, &lib),
				 WIMLIB_ERR_INTEGRITY);
	}
	/* but not those of a size that wimlib does not take over */
	b.data[at] ^= 1;
	put_integrity(&b, 4095);
	b.data[at] ^= 1;
	write_all(path, &b);
	assert_fails(writable_in_place(path, &err), IBB_E_CORRUPT, err, "between offset");
	ibb_buf_clear(&b);
}

/* The file loses its name at the first call: there is no second one. */
static int take_name(void *ctx, const char *phase, uint64_t done, uint64_t total)
{
	unsigned *calls = ctx;
	char aside[700];

	(void)phase;
	(void)done;
	(void)total;
	snprintf(aside, sizeof(aside), "%s", img_path("aside.wim"));
	if (!(*calls)++)
		assert_int_equal(rename(img_path("moved.wim"), aside), 0);
	return 0;
}

static void moved_away(void **state)
{
	unsigned calls = 0;
	const struct ibb_wim_write_opts o = {
		.progress = take_name, .ctx = &calls, .unix_time = CHANGE_TIME};
	const char *path = change_kind(1, "moved.wim");
	struct ibb_wim *w = wim_open(path);
	struct ibb_error err = {0};

	(void)state;
	change_image(w);
	assert_fails(ibb_wim_append(w, &o, &err), IBB_E_CHANGED, err,
		     "moved.wim: was moved, removed or replaced while it was changed");
	assert_non_null(strstr(err.hint, "may have been written to"));
	assert_int_equal(calls, 1);
	ibb_wim_close(w);
}

/* Somebody has it locked: wimlib says so, and nothing happens. */
static void locked(void **state)
{
	const char *path = change_kind(0, "locked.wim");
	struct ibb_wim *w = wim_open(path);
	struct ibb_error err = {0};
	struct ibb_buf old = {0};
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	(void)state;
	read_all(path, &old);
	change_image(w);
	assert_int_equal(flock(fd, LOCK_SH), 0);
	assert_fails(ibb_wim_append(w, &opts, &err), IBB_E_CONFLICT, err, "another program");
	ibb_wim_close(w);
	close(fd);
	assert_bytes(path, &old);
	/* or wrote to it since it was opened */
	w = wim_open(path);
	change_image(w);
	assert_int_equal(truncate(path, (off_t)old.len + 1), 0);
	assert_fails(ibb_wim_append(w, &opts, &err), IBB_E_CHANGED, err, "changed while");
	ibb_wim_close(w);
	ibb_buf_clear(&old);
}

/* ---- stopped ---- */

struct stop {
	unsigned at, seen;
	bool integrity;
	uint64_t last, total;
};

static int stop_at(void *ctx, const char *phase, uint64_t done, uint64_t total)
{
	struct stop *s = ctx;

	s->integrity |= strcmp(phase, "integrity") == 0;
	assert_true(s->integrity || strcmp(phase, "write") == 0);
	assert_true(done <= total);
	s->last = done;
	s->total = total;
	return ++s->seen == s->at;
}

static void cancelled(void **state)
{
	const char *path = change_kind(1, "c.wim"), *out = img_path("out.wim");
	struct ibb_error err = {0};
	struct ibb_buf old = {0};
	unsigned calls = 0;

	(void)state;
	read_all(path, &old);
	for (unsigned at = 0; at == 0 || at <= calls; at += 1 + at / 2) {
		struct stop s = {.at = at};
		const struct ibb_wim_write_opts o = {
			.progress = stop_at, .ctx = &s, .unix_time = CHANGE_TIME};
		struct ibb_wim *w = wim_open(path);
		struct ibb_undo u = {0};
		int fd;

		change_image(w);
		fd = create(out);
		if (at)
			assert_fails(ibb_wim_write(w, fd, out, &o, &err), IBB_E_CANCELLED, err,
				     "out.wim: writing was stopped");
		else
			assert_ok(ibb_wim_write(w, fd, out, &o, &err), err);
		close(fd);
		ibb_wim_close(w);
		if (!at) {
			assert_true(s.integrity && s.last == s.total && s.seen > 4);
			calls = s.seen;
			continue;
		}
		s.seen = 0;
		w = wim_open(path);
		fd = open(path, O_RDONLY | O_CLOEXEC);
		change_image(w);
		assert_ok(ibb_undo_begin(&u, path, fd, WIM_HEADER_BYTES, &err), err);
		if (ibb_wim_append(w, &o, &err) == IBB_OK)
			assert_true(s.seen < at); /* fewer calls than for a whole file */
		else
			assert_int_equal(err.code, IBB_E_CANCELLED);
		ibb_wim_close(w);
		assert_ok(ibb_undo_back(&u, &err), err);
		close(fd);
		assert_bytes(path, &old);
	}
	ibb_buf_clear(&old);
}

/* ---- no room ---- */

static void no_room_for_a_file(void **state)
{
	const char *path = change_kind(1, "full.wim");
	struct ibb_wim *w = wim_open(path);
	struct ibb_error err = {0};
	int fd = open("/dev/full", O_RDWR | O_CLOEXEC);

	(void)state;
	assert_true(fd >= 0);
	change_image(w);
	assert_fails(ibb_wim_write(w, fd, "out.wim", &opts, &err), IBB_E_NOSPACE, err,
		     "out.wim: write");
	assert_int_equal(err.os_errno, ENOSPC);
	close(fd);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	assert_fails(ibb_wim_write(w, fd, "out.wim", &opts, &err), IBB_E_IO, err, "out.wim: write");
	assert_int_equal(err.os_errno, EBADF);
	close(fd);
	ibb_wim_close(w);
}

/* In a child, for the limit stays. Exit 0: failed as it should. */
static int append_below(const char *path, rlim_t limit)
{
	struct rlimit l = {limit, RLIM_INFINITY};
	struct ibb_wim *w = wim_open(path);
	struct ibb_error err = {0};
	struct ibb_undo u = {0};
	int fd = open(path, O_RDONLY | O_CLOEXEC), r;

	signal(SIGXFSZ, SIG_IGN);
	change_image(w);
	assert_ok(ibb_undo_begin(&u, path, fd, WIM_HEADER_BYTES, &err), err);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &l), 0);
	r = ibb_wim_append(w, &opts, &err);
	ibb_wim_close(w);
	if (r != IBB_E_IO || err.os_errno != EFBIG || !strstr(err.msg, "room.wim: write"))
		return 1;
	change_sound(path);
	l.rlim_cur = RLIM_INFINITY;
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &l), 0);
	return ibb_undo_back(&u, &err) ? 2 : 0;
}

static void no_room_to_append(void **state)
{
	const char *path = change_kind(1, "room.wim");
	struct ibb_buf old = {0}, new = {0};
	struct ibb_undo u = {0};
	struct ibb_error err = {0};
	int fd;

	(void)state;
	read_all(path, &old);
	append(path, &u, &fd);
	read_all(path, &new);
	assert_ok(ibb_undo_back(&u, &err), err);
	close(fd);
	/* in the content, in the tables, before the last byte */
	for (unsigned i = 0; i <= 6; i++) {
		const size_t grown = new.len - old.len;
		const rlim_t limit = old.len + (i == 6 ? grown - 1 : grown * i / 6);
		pid_t pid = fork();
		int status;

		assert_true(pid >= 0);
		if (!pid)
			_exit(append_below(path, limit));
		assert_int_equal(waitpid(pid, &status, 0), pid);
		assert_int_equal(status, 0);
		assert_bytes(path, &old);
	}
	ibb_buf_clear(&old);
	ibb_buf_clear(&new);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_kind_written),
		cmocka_unit_test(nothing_changed),
		cmocka_unit_test(the_same_twice),
		cmocka_unit_test(copied_raw),
		cmocka_unit_test(every_kind_appended),
		cmocka_unit_test(not_appendable),
		cmocka_unit_test(integrity),
		cmocka_unit_test(moved_away),
		cmocka_unit_test(locked),
		cmocka_unit_test(cancelled),
		cmocka_unit_test(no_room_for_a_file),
		cmocka_unit_test(no_room_to_append),
	};

	return cmocka_run_group_tests(tests, NULL, img_teardown) ? 1 : 0;
}
