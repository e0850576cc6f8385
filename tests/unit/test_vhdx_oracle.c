/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * VHDX against qemu-img, and our files against libvhdi as well. Skipped as a whole (77) where
 * qemu-img is not installed.
 */
#include "vhdx_dirty.h"

#ifdef IBB_HAVE_VHDI
#include <libvhdi.h>
#endif

#include "disk/chain.h"
#include "disk/writer.h"

static int run(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
static int run(const char *fmt, ...)
{
	char cmd[4096], full[4800];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(cmd, sizeof(cmd), fmt, ap);
	va_end(ap);
	snprintf(full, sizeof(full), "cd '%s' && { %s; } >log 2>&1", test_dir(), cmd);
	return system(full);
}

/* It must do; what it said otherwise stands in the test's log. */
#define RUN(...)                                                       \
	do {                                                           \
		if (run(__VA_ARGS__)) {                                \
			(void)system_cat();                            \
			fail_msg("%s", "a command failed, see above"); \
		}                                                      \
	} while (0)

static int system_cat(void)
{
	char cmd[700];

	snprintf(cmd, sizeof(cmd), "cat '%s/log' >&2", test_dir());
	return system(cmd);
}

static const char *in_dir(const char *name)
{
	static char path[4][700];
	static unsigned slot;
	char *p = path[slot++ % 4];

	snprintf(p, sizeof(path[0]), "%s/%s", test_dir(), name);
	return p;
}

static struct ibb_disk *open_file(const char *name)
{
	struct ibb_error err = {0};
	struct ibb_disk *file = NULL;
	struct ibb_file_id id;

	assert_ok(ibb_disk_file_open(in_dir(name), &id, &file, &err), err);
	return file;
}

/* The disk in one of the scratch files against the raw disk in another. */
static void assert_same(const char *vhdx, const char *raw)
{
	struct ibb_disk *file = open_file(vhdx), *model = open_file(raw);
	struct ibb_error err = {0};
	struct vhdx_opened o;

	assert_ok(vhdx_open(file, &o, &err), err);
	assert_disk_is(o.d, model);
	vhdx_close(&o);
	ibb_disk_unref(file);
	ibb_disk_unref(model);
}

static void test_windows_files(void **state)
{
	static const char *const names[] = {"dynamic.vhdx", "fixed.vhdx"};

	(void)state;
	for (size_t i = 0; i < 2; i++) {
		char rel[64];
		const char *gz;

		snprintf(rel, sizeof(rel), "vhds/%s.gz", names[i]);
		gz = test_data(rel);
		if (!gz) {
			print_message("SKIPPED: no test data (%s)\n", rel);
			skip();
		}
		RUN("gzip -dc '%s' > a.vhdx", gz);
		RUN("qemu-img convert -O raw a.vhdx a.raw");
		assert_same("a.vhdx", "a.raw");
	}
}

/* Made by qemu-img, and by mkvhdx; a chunk ends at 4 GiB. */
static void test_made_files(void **state)
{
	static const char *const kinds[] = {"dynamic", "fixed"};
	struct mkvhdx m = vhdx_make(&(struct mkvhdx_opts){
		.disk_bytes = 4160 * MIB, .block_bytes = 32 * MIB, .fixed = true});
	struct ibb_disk *model = vhdx_model(4160 * MIB);
	struct ibb_error err = {0};
	uint64_t seed = test_seed();

	(void)state;
	for (size_t i = 0; i < 2; i++) {
		RUN("qemu-img create -f vhdx -o subformat=%s,block_size=8M q.vhdx "
		    "4105M",
		    kinds[i]);
		RUN("qemu-io -f vhdx -c 'write -P 1 4095M 3M' -c 'write -P 2 4104M "
		    "1M' -c 'write -P 3 512 1k' q.vhdx");
		RUN("qemu-img convert -f vhdx -O raw q.vhdx q.raw");
		assert_same("q.vhdx", "q.raw");
	}
	/* else qemu-img reads 4 GiB of zeros */
	for (uint64_t i = 0; i < m.n_blocks; i++)
		if (i < 126 || (i > 129 && i < m.n_blocks - 1))
			assert_ok(mkvhdx_state(&m, i, MKVHDX_NOT_PRESENT, &err), err);
	vhdx_scribble(&m, model, 4 * GIB - 65536, 131072, &seed);
	vhdx_scribble(&m, model, 4160 * MIB - 65536, 65536, &seed);
	assert_ok(mkvhdx_save(&m, in_dir("f.vhdx"), &err), err);
	RUN("qemu-img check -f vhdx f.vhdx");
	RUN("qemu-img convert -f vhdx -O raw f.vhdx f.raw && rm q.*");
	assert_same("f.vhdx", "f.raw");
	ibb_disk_unref(model);
	mkvhdx_clear(&m);
}

/*
 * qemu replays a log by writing to the file; what it makes of a copy is what we read. Sequences
 * that go on at the ring's begin are left out: qemu 7.2 does not ask for an entry's tail (2.3.3),
 * so that it takes what lies there for the whole sequence and forgets the entries before.
 */
static void test_replay(void **state)
{
	uint64_t seed = test_seed();

	(void)state;
	for (unsigned i = 0; i < 12; i++) {
		struct dirty *y = dirty_make(&(struct mkvhdx_opts){.disk_bytes = (8 + i) * MIB},
					     (uint32_t)(test_rand(&seed) % 150),
					     1 + (test_rand(&seed) >> (i * 5)), &seed);
		struct ibb_error err = {0};

		assert_ok(mkvhdx_save(&y->m, in_dir("d.vhdx"), &err), err);
		RUN("cp d.vhdx r.vhdx && qemu-img check -r all -f vhdx r.vhdx");
		assert_int_not_equal(run("cmp d.vhdx r.vhdx"), 0);
		RUN("qemu-img convert -f vhdx -O raw r.vhdx r.raw");
		assert_same("d.vhdx", "r.raw"); /* ours, in memory */
		assert_same("r.vhdx", "r.raw"); /* qemu's, in the file */
		dirty_clear(y);
	}
}

/* ---- our files ---- */

struct file_sink {
	struct ibb_sink s;
	int fd;
};

static int sink_pwrite(struct ibb_sink *s, const void *b, size_t n, uint64_t off,
		       struct ibb_error *err)
{
	return ibb_pwrite_full(((struct file_sink *)s)->fd, b, n, off, s->name, err);
}

static int sink_truncate(struct ibb_sink *s, uint64_t size, struct ibb_error *err)
{
	if (ftruncate(((struct file_sink *)s)->fd, (off_t)size) == 0)
		return IBB_OK;
	return ibb_err(err, IBB_E_IO, "truncate");
}

static void write_both(struct ibb_writer *w, int raw, uint64_t off, size_t n, uint64_t *seed)
{
	struct ibb_error err = {0};
	uint8_t *b = malloc(n);

	assert_non_null(b);
	for (size_t i = 0; i < n; i++)
		b[i] = (uint8_t)(test_rand(seed) | 1);
	assert_ok(w->ops->write(w, b, n, off, &err), err);
	assert_ok(ibb_pwrite_full(raw, b, n, off, "raw", &err), err);
	free(b);
}

/* w.vhdx by our writer, and w.raw of the same content. */
static void make_ours(uint64_t size, uint32_t sector, uint64_t *seed)
{
	int fd = open(in_dir("w.vhdx"), O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	int raw = open(in_dir("w.raw"), O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	struct file_sink s = {{"w.vhdx", sink_pwrite, sink_truncate}, fd};
	struct ibb_write_opts o = {size, sector, vhdx_disk_id, 0};
	struct ibb_error err = {0};
	struct ibb_writer *w = NULL;

	assert_true(fd >= 0 && raw >= 0);
	assert_int_equal(ftruncate(raw, (off_t)size), 0);
	assert_ok(ibb_writer_vhdx_new(&s.s, &o, &w, &err), err);
	for (uint64_t at = 32 * MIB; at + 40 * MIB < size; at += 2032 * MIB) {
		write_both(w, raw, at - 4096, 65536, seed);
		write_both(w, raw, at + 17 * MIB, 4096, seed);
	}
	write_both(w, raw, size - 4096, 4096, seed);
	assert_ok(w->ops->finish(w, &err), err);
	ibb_writer_free(w);
	close(fd);
	close(raw);
}

#ifdef IBB_HAVE_VHDI
static libvhdi_file_t *vhdi_open(const char *vhdx)
{
	libvhdi_file_t *f = NULL;

	assert_int_equal(libvhdi_file_initialize(&f, NULL), 1);
	assert_int_equal(libvhdi_file_open(f, in_dir(vhdx), libvhdi_get_access_flags_read(), NULL),
			 1);
	return f;
}

static void vhdi_close(libvhdi_file_t *f)
{
	libvhdi_file_close(f, NULL);
	libvhdi_file_free(&f, NULL);
}

/* Has libvhdi's disk these bytes, as far as they are no hole (and in some holes)? */
static bool vhdi_same(libvhdi_file_t *f, struct ibb_disk *model)
{
	static uint8_t a[1048576], b[1048576];
	struct ibb_error err = {0};
	size64_t size = 0;
	bool same = true;

	assert_int_equal(libvhdi_file_get_media_size(f, &size, NULL), 1);
	assert_int_equal(size, model->size_bytes);
	for (uint64_t off = 0; same && off < size; off += sizeof(a)) {
		size_t n = size - off < sizeof(a) ? (size_t)(size - off) : sizeof(a);

		if (off % (64 * MIB) && !vhdx_any_data(model, off, n))
			continue;
		assert_int_equal(libvhdi_file_read_buffer_at_offset(f, a, n, (off64_t)off, NULL),
				 (ssize_t)n);
		assert_ok(ibb_disk_pread(model, b, n, off, &err), err);
		same = memcmp(a, b, n) == 0;
	}
	return same;
}

/* What Windows wrote, VHD and VHDX: libvhdi and we read the same in every sector. */
static void test_vhdi_windows(void **state)
{
	static const char *const names[] = {"dynamic.vhd", "fixed.vhd", "dynamic.vhdx",
					    "fixed.vhdx"};
	static uint8_t a[1048576], b[1048576];

	(void)state;
	for (size_t i = 0; i < 4; i++) {
		struct ibb_error err = {0};
		struct ibb_chain c;
		libvhdi_file_t *f;
		size64_t size = 0;
		char rel[64];
		const char *gz;

		snprintf(rel, sizeof(rel), "vhds/%s.gz", names[i]);
		gz = test_data(rel);
		if (!gz) {
			print_message("SKIPPED: no test data (%s)\n", rel);
			skip();
		}
		RUN("gzip -dc '%s' > %s", gz, names[i]);
		assert_ok(ibb_chain_open(in_dir(names[i]), &c, &err), err);
		f = vhdi_open(names[i]);
		assert_int_equal(libvhdi_file_get_media_size(f, &size, NULL), 1);
		assert_int_equal(size, c.disk->size_bytes);
		assert_int_equal(size, 10 * MIB);
		for (uint64_t off = 0; off < size; off += sizeof(a)) {
			assert_int_equal(libvhdi_file_read_buffer_at_offset(f, a, sizeof(a),
									    (off64_t)off, NULL),
					 sizeof(a));
			assert_ok(ibb_disk_pread(c.disk, b, sizeof(b), off, &err), err);
			assert_memory_equal(a, b, sizeof(a));
		}
		vhdi_close(f);
		ibb_chain_clear(&c);
	}
}

static void assert_vhdi_same(const char *vhdx, const char *raw)
{
	struct ibb_disk *model = open_file(raw);
	libvhdi_file_t *f = vhdi_open(vhdx);

	assert_true(vhdi_same(f, model));
	vhdi_close(f);
	ibb_disk_unref(model);
}

/* Debian's version is wrong here; a later one may be right, but we always are. */
static void assert_vhdi_wrong(libvhdi_file_t *f, struct ibb_disk *model)
{
	if (strcmp(libvhdi_get_version(), "20210425") == 0)
		assert_false(vhdi_same(f, model));
	else
		print_message("SKIPPED: libvhdi %s is another one\n", libvhdi_get_version());
}

/* It leaves out the sector bitmap entries of fixed disks, which have more than one chunk here. */
static void test_vhdi_fixed(void **state)
{
	struct mkvhdx m = vhdx_make(&(struct mkvhdx_opts){
		.disk_bytes = 4160 * MIB, .block_bytes = 32 * MIB, .fixed = true});
	struct ibb_disk *model = vhdx_model(4160 * MIB);
	struct ibb_error err = {0};
	struct vhdx_opened o;
	libvhdi_file_t *f;
	uint64_t seed = test_seed();

	(void)state;
	vhdx_scribble(&m, model, 4 * GIB, 65536, &seed);
	assert_ok(mkvhdx_save(&m, in_dir("f.vhdx"), &err), err);
	assert_ok(vhdx_open(m.file, &o, &err), err);
	assert_disk_is(o.d, model);
	f = vhdi_open("f.vhdx");
	assert_vhdi_wrong(f, model);
	vhdi_close(f);
	vhdx_close(&o);
	ibb_disk_unref(model);
	mkvhdx_clear(&m);
}

/* It takes the file's first bytes for the sector bitmap of a chunk that has none. */
static void test_vhdi_untouched_child(void **state)
{
	struct mkvhdx p = vhdx_make(&(struct mkvhdx_opts){.disk_bytes = 16 * MIB}), c;
	struct ibb_disk *model = vhdx_model(16 * MIB);
	struct ibb_error err = {0};
	struct vhdx_opened o, parent;
	libvhdi_file_t *f, *below;
	uint64_t seed = test_seed();

	(void)state;
	c = vhdx_make(&(struct mkvhdx_opts){
		.disk_bytes = 16 * MIB, .differencing = true, .relative = "p.vhdx"});
	vhdx_scribble(&p, model, 0, 16 * MIB, &seed);
	assert_ok(mkvhdx_save(&p, in_dir("p.vhdx"), &err), err);
	assert_ok(mkvhdx_save(&c, in_dir("c.vhdx"), &err), err);
	assert_ok(vhdx_open(p.file, &parent, &err), err);
	assert_ok(vhdx_open(c.file, &o, &err), err);
	assert_ok(ibb_disk_vhdx_set_parent(o.d, parent.d, &err), err);
	assert_disk_is(o.d, model);
	below = vhdi_open("p.vhdx");
	f = vhdi_open("c.vhdx");
	assert_true(vhdi_same(below, model));
	assert_int_equal(libvhdi_file_set_parent_file(f, below, NULL), 1);
	assert_vhdi_wrong(f, model);
	vhdi_close(f);
	vhdi_close(below);
	vhdx_close(&o);
	vhdx_close(&parent);
	ibb_disk_unref(model);
	mkvhdx_clear(&p);
	mkvhdx_clear(&c);
}
#endif

static void test_our_files(void **state)
{
	static const struct {
		uint64_t size;
		uint32_t sector;
	} disks[] = {{8192, 512},
		     {100 * MIB, 512},
		     {4200 * MIB + 512, 512},
		     {33 * MIB + 4096, 4096},
		     {34 * GIB, 4096}};
	uint64_t seed = test_seed();

	(void)state;
	for (size_t i = 0; i < IBB_ARRAY_SIZE(disks); i++) {
		make_ours(disks[i].size, disks[i].sector, &seed);
		assert_same("w.vhdx", "w.raw");
		if (disks[i].sector == 512) { /* qemu 7 knows no other */
			RUN("qemu-img check -f vhdx w.vhdx");
			RUN("qemu-img compare -f vhdx -F raw w.vhdx w.raw");
		}
#ifdef IBB_HAVE_VHDI
		assert_vhdi_same("w.vhdx", "w.raw");
#else
		print_message("SKIPPED: libvhdi is not installed\n");
#endif
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_windows_files),
		cmocka_unit_test(test_made_files),
		cmocka_unit_test(test_replay),
		cmocka_unit_test(test_our_files),
#ifdef IBB_HAVE_VHDI
		cmocka_unit_test(test_vhdi_windows),
		cmocka_unit_test(test_vhdi_fixed),
		cmocka_unit_test(test_vhdi_untouched_child),
#endif
	};

	if (system("command -v qemu-img >/dev/null && command -v qemu-io >/dev/null") != 0) {
		printf("SKIPPED: qemu-img is not installed\n");
		return 77;
	}
	return cmocka_run_group_tests(tests, test_dir_setup, test_dir_teardown) ? 1 : 0;
}
