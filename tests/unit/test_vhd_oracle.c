/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Our reader and writer of VHD against qemu-img. Skipped as a whole (77) where it is not installed.
 */
#include "vhdsink.h"

#include <errno.h>

#define SECTORS(mib) ((uint64_t)(mib)*2048)

static char *path(const char *name)
{
	static char p[4][1024];
	static unsigned slot;

	snprintf(p[++slot % 4], sizeof(p[0]), "%s/%s", test_dir(), name);
	return p[slot % 4];
}

static int IBB_PRINTF(1, 2) run(const char *fmt, ...)
{
	char cmd[8192];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(cmd, sizeof(cmd), fmt, ap);
	va_end(ap);
	return system(cmd);
}

/* The virtual size that qemu-img sees. */
static uint64_t qemu_size(const char *file)
{
	char cmd[2048], line[256];
	uint64_t size = 0;
	FILE *f;

	snprintf(cmd, sizeof(cmd), "qemu-img info --output=json -f vpc '%s'", file);
	f = popen(cmd, "r");
	assert_non_null(f);
	while (fgets(line, sizeof(line), f)) {
		const char *p = strstr(line, "\"virtual-size\": ");

		if (p)
			size = strtoull(p + 16, NULL, 10);
	}
	assert_int_equal(pclose(f), 0);
	return size;
}

/* The same bytes, all of them. */
static void assert_same(struct ibb_disk *d, const char *raw)
{
	struct ibb_error err = {0};
	struct ibb_disk *r = NULL;
	struct ibb_file_id id;
	uint8_t *a = malloc(MIB), *b = malloc(MIB);

	assert_non_null(a);
	assert_non_null(b);
	assert_ok(ibb_disk_file_open(raw, &id, &r, &err), err);
	assert_int_equal(r->size_bytes, d->size_bytes);
	for (uint64_t o = 0; o < d->size_bytes; o += MIB) {
		const uint64_t left = d->size_bytes - o;
		const size_t n = left < MIB ? (size_t)left : MIB;

		assert_ok(ibb_disk_pread(d, a, n, o, &err), err);
		assert_ok(ibb_disk_pread(r, b, n, o, &err), err);
		assert_memory_equal(a, b, n);
	}
	ibb_disk_unref(r);
	free(a);
	free(b);
}

static void test_real(void **state)
{
	static const char *const names[] = {"dynamic.vhd", "fixed.vhd"};

	(void)state;
	for (size_t i = 0; i < IBB_ARRAY_SIZE(names); i++) {
		const char *file = unpack_vhd(names[i]);
		struct opened o = open_vhd(file);

		assert_int_equal(
			run("qemu-img convert -f vpc -O raw '%s' '%s'", file, path("real.raw")), 0);
		assert_same(o.d, path("real.raw"));
		close_vhd(&o);
	}
}

/* What qemu-img wrote. Without force_size it rounds the size up to what the geometry can say. */
static void test_read(void **state)
{
	static const struct {
		const char *options;
		unsigned type;
	} cases[] = {
		{"subformat=dynamic,force_size=on", IBB_VHD_DYNAMIC},
		{"subformat=dynamic", IBB_VHD_DYNAMIC},
		{"subformat=fixed,force_size=on", IBB_VHD_FIXED},
	};
	uint8_t b[4096];
	uint64_t seed = test_seed();

	(void)state;
	make_sparse(path("in.raw"), 33 * MIB);
	for (unsigned i = 0; i < 60; i++) {
		const uint64_t at = test_rand(&seed) % (33 * MIB - sizeof(b));

		for (unsigned k = 0; k < sizeof(b); k++)
			b[k] = (uint8_t)test_rand(&seed);
		assert_int_equal(patch_file(path("in.raw"), at, b, test_rand(&seed) % sizeof(b)),
				 0);
	}
	for (size_t i = 0; i < IBB_ARRAY_SIZE(cases); i++) {
		struct opened o;

		assert_int_equal(run("qemu-img convert -f raw -O vpc -o %s '%s' '%s'",
				     cases[i].options, path("in.raw"), path("q.vhd")),
				 0);
		assert_int_equal(run("qemu-img convert -f vpc -O raw '%s' '%s'", path("q.vhd"),
				     path("back.raw")),
				 0);
		o = open_vhd(path("q.vhd"));
		assert_int_equal(o.info.footer.type, cases[i].type);
		assert_true(o.d->size_bytes >= 33 * MIB);
		assert_same(o.d, path("back.raw"));
		close_vhd(&o);
	}
}

/* What we wrote: sound, of exactly this size whatever the geometry can say, and the same data. */
static void test_written(void **state)
{
	static const uint64_t sizes[] = {SECTORS(10), SECTORS(33) + 1,	   4097,
					 1,	      SECTORS(128) * 1024, 0xff000000};

	(void)state;
	for (size_t i = 0; i < IBB_ARRAY_SIZE(sizes); i++) {
		const struct run runs[] = {{0, sizes[i] > 70 ? 70 : sizes[i]},
					   {sizes[i] > 70 ? sizes[i] - 1 : sizes[i], 1}};
		const size_t n = sizes[i] > 70 ? 2 : 1;
		const char *file = path("ours.vhd");
		struct test_sink t = open_sink(file);
		const struct ibb_write_opts o = sink_opts(sizes[i] * 512);
		struct ibb_writer *w = NULL;
		struct ibb_error err = {0};
		struct opened d;

		assert_ok(ibb_writer_vhd_dynamic_new(&t.s, &o, &w, &err), err);
		assert_ok(write_runs(w, runs, n, &err), err);
		assert_ok(w->ops->finish(w, &err), err);
		ibb_writer_free(w);
		close(t.fd);
		assert_int_equal(qemu_size(file), sizes[i] * 512);
		if (sizes[i] > SECTORS(100))
			continue;
		assert_int_equal(
			run("qemu-img convert -f vpc -O raw '%s' '%s'", file, path("ours.raw")), 0);
		assert_int_equal(run("qemu-img compare -f vpc -F raw '%s' '%s' >/dev/null", file,
				     path("ours.raw")),
				 0);
		d = open_vhd(file);
		assert_runs(d.d, runs, n, 0, sizes[i]);
		assert_same(d.d, path("ours.raw"));
		close_vhd(&d);
	}
}

/* The footer that fixed disks get: the same trap with sizes. */
static void test_fixed_size(void **state)
{
	static const uint64_t sizes[] = {10 * MIB, 3 * MIB, 33 * MIB + 512, (127ull << 30) + MIB,
					 2040ull << 30};

	(void)state;
	for (size_t i = 0; i < IBB_ARRAY_SIZE(sizes); i++) {
		const struct ibb_guid id = {{7}};
		struct ibb_vhd_footer f;
		uint8_t b[512];

		ibb_vhd_footer_init(&f, sizes[i], 1600000000, &id);
		ibb_vhd_footer_encode(&f, b);
		make_sparse(path("fixed-size.vhd"), sizes[i] + 512);
		assert_int_equal(patch_file(path("fixed-size.vhd"), sizes[i], b, 512), 0);
		assert_int_equal(qemu_size(path("fixed-size.vhd")), sizes[i]);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_real),
		cmocka_unit_test(test_read),
		cmocka_unit_test(test_written),
		cmocka_unit_test(test_fixed_size),
	};

	if (system("command -v qemu-img >/dev/null")) {
		printf("SKIPPED: qemu-img is not installed\n");
		return 77;
	}
	return cmocka_run_group_tests(tests, test_dir_setup, test_dir_teardown) ? 1 : 0;
}
