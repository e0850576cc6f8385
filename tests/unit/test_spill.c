/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Changed blocks past the memory limit: the temporary file, its limits and its failures. */
#include "disktest.h"

#include <errno.h>
#include <signal.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "base/limits.h"
#include "listing.h"

#define MIB (1u << 20)

static struct ibb_disk *overlay_of(struct ibb_disk *low, uint64_t limit)
{
	struct ibb_disk *ov = NULL;
	struct ibb_error err = {0};

	assert_ok(ibb_disk_overlay_new(low, limit, &ov, &err), err);
	return ov;
}

static struct ibb_disk *low_disk(uint64_t size)
{
	struct ibb_disk *low = NULL;
	struct ibb_error err = {0};

	assert_ok(ibb_disk_mem_new(size, 512, &low, &err), err);
	return low;
}

static void put(struct ibb_disk *d, uint64_t block, uint8_t value)
{
	struct ibb_error err = {0};
	uint8_t b[4096];

	memset(b, value, sizeof(b));
	assert_ok(ibb_disk_pwrite(d, b, sizeof(b), block * 4096, &err), err);
}

static void assert_block(struct ibb_disk *d, uint64_t block, uint8_t value)
{
	struct ibb_error err = {0};
	uint8_t b[4096], want[4096];

	memset(want, value, sizeof(want));
	assert_ok(ibb_disk_pread(d, b, sizeof(b), block * 4096, &err), err);
	assert_memory_equal(b, want, sizeof(b));
}

/* Places that are free again are used again, and nothing is seen of the file. */
static void test_places(void **state)
{
	struct ibb_disk *low = low_disk(64 * MIB), *ov = overlay_of(low, 8 * 4096);
	struct ibb_error err = {0};
	uint64_t memory, file;
	unsigned before = files_in(test_dir());

	(void)state;
	assert_ok(ibb_disk_overlay_spill(ov, test_dir(), &err), err);
	for (unsigned i = 0; i < 100; i++)
		put(ov, i, (uint8_t)(i + 1));
	ibb_disk_overlay_usage(ov, &memory, &file);
	assert_int_equal(memory, 8 * 4096);
	assert_int_equal(file, 92 * 4096);
	assert_int_equal(files_in(test_dir()), before);
	for (unsigned i = 8; i < 100; i += 2)
		put(ov, i, 0); /* as it was */
	for (unsigned i = 0; i < 46; i++)
		put(ov, 1000 + i, (uint8_t)(i + 3));
	ibb_disk_overlay_usage(ov, &memory, &file);
	assert_int_equal(file, 92 * 4096);
	for (unsigned i = 0; i < 100; i++)
		assert_block(ov, i, i >= 8 && i % 2 == 0 ? 0 : (uint8_t)(i + 1));
	for (unsigned i = 0; i < 46; i++)
		assert_block(ov, 1000 + i, (uint8_t)(i + 3));
	assert_int_equal(ibb_disk_overlay_dirty_bytes(ov), 100 * 4096);
	/* a spilled block changes in part */
	assert_ok(ibb_disk_pwrite(ov, "xyz", 3, 1010 * 4096 + 4094, &err), err);
	{
		uint8_t b[4];

		assert_ok(ibb_disk_pread(ov, b, 4, 1010 * 4096 + 4093, &err), err);
		assert_memory_equal(b, "\x0dxyz", 4);
	}
	ibb_disk_unref(ov);
	ibb_disk_unref(low);
}

/* The directory is known to who lays a further overlay over a part of the stack. */
static void test_directory(void **state)
{
	struct ibb_disk *low = low_disk(MIB), *ov = overlay_of(low, 4096), *slice = NULL, *f = NULL;
	struct ibb_fault plan = {.fail_at = {-1, -1, -1}, .cut_after = -1};
	struct ibb_error err = {0};

	(void)state;
	assert_null(ibb_disk_spill_dir(low));
	assert_null(ibb_disk_spill_dir(ov));
	assert_ok(ibb_disk_slice_new(ov, 4096, 8192, &slice, &err), err);
	assert_ok(ibb_disk_fault_new(slice, &plan, &f, &err), err);
	assert_null(ibb_disk_spill_dir(f));
	assert_ok(ibb_disk_overlay_spill(ov, "/somewhere", &err), err);
	assert_string_equal(ibb_disk_spill_dir(f), "/somewhere");
	ibb_disk_unref(f);
	ibb_disk_unref(slice);
	ibb_disk_unref(ov);
	ibb_disk_unref(low);
}

static void test_no_directory(void **state)
{
	struct ibb_disk *low = low_disk(MIB), *ov = overlay_of(low, 4096);
	struct ibb_error err = {0};

	(void)state;
	assert_ok(ibb_disk_overlay_spill(ov, "/nowhere/at/all", &err), err);
	put(ov, 0, 1); /* it is not needed */
	assert_fails(ibb_disk_pwrite(ov, "x", 1, 4096, &err), IBB_E_IO, err,
		     "temporary file in /nowhere/at/all: create");
	memset(&err, 0, sizeof(err)); /* it stays */
	assert_fails(ibb_disk_flush(ov, &err), IBB_E_IO, err, "/nowhere/at/all");
	ibb_disk_unref(ov);
	ibb_disk_unref(low);
}

/* A file system without room: here, a process that may not write more. */
static void test_full(void **state)
{
	struct ibb_disk *low = low_disk(64 * MIB), *ov = overlay_of(low, 4096);
	struct rlimit was, tight;
	struct ibb_error err = {0};
	uint8_t b[4096];
	char text[700];
	int r = IBB_OK;

	(void)state;
	memset(b, 7, sizeof(b));
	assert_ok(ibb_disk_overlay_spill(ov, test_dir(), &err), err);
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &was), 0);
	signal(SIGXFSZ, SIG_IGN);
	tight = (struct rlimit){MIB, was.rlim_max};
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &tight), 0);
	for (unsigned i = 0; i < 1000 && !r; i++)
		r = ibb_disk_pwrite(ov, b, sizeof(b), (uint64_t)i * 4096, &err);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &was), 0);
	snprintf(text, sizeof(text), "temporary file in %s: write at offset 1048576", test_dir());
	assert_int_equal(r, IBB_E_IO);
	assert_non_null(strstr(err.msg, text));
	assert_non_null(strstr(err.hint, "TMPDIR"));
	memset(&err, 0, sizeof(err)); /* there is room again, but a block is missing */
	assert_fails(ibb_disk_pwrite(ov, b, 1, 0, &err), IBB_E_IO, err, text);
	ibb_disk_unref(ov);
	ibb_disk_unref(low);
}

/* Every write and read of the file fails once. */
static void test_faults(void **state)
{
	(void)state;
	for (int kind = IBB_FAULT_READ; kind <= IBB_FAULT_WRITE; kind++) {
		for (long n = 0; n < 20; n++) {
			struct ibb_fault plan = {.fail_at = {-1, -1, -1},
						 .cut_after = -1,
						 .os_errno = n % 2 ? ENOSPC : EIO};
			struct ibb_disk *low = low_disk(MIB), *file = low_disk(MIB), *bad = NULL;
			struct ibb_disk *ov = overlay_of(low, 4 * 4096);
			struct ibb_error err = {0};
			uint8_t b[4096];
			int code = n % 2 ? IBB_E_NOSPACE : IBB_E_IO, r = IBB_OK;

			plan.fail_at[kind] = n;
			assert_ok(ibb_disk_fault_new(file, &plan, &bad, &err), err);
			ibb_disk_overlay_spill_to(ov, bad);
			for (unsigned i = 0; i < 24 && !r; i++) {
				memset(b, (int)i + 1, sizeof(b));
				r = ibb_disk_pwrite(ov, b, sizeof(b), (uint64_t)i * 4096, &err);
			}
			for (unsigned i = 0; i < 24 && !r; i++)
				r = ibb_disk_pread(ov, b, sizeof(b), (uint64_t)i * 4096, &err);
			assert_int_equal(r, code);
			/* for good, though the file works again */
			memset(&err, 0, sizeof(err));
			if (kind == IBB_FAULT_WRITE)
				r = ibb_disk_flush(ov, &err);
			else
				r = ibb_disk_pread(ov, b, 1, 23 * 4096, &err);
			assert_int_equal(r, code);
			assert_true(err.msg[0]);
			ibb_disk_unref(ov);
			ibb_disk_unref(bad);
			ibb_disk_unref(file);
			ibb_disk_unref(low);
		}
	}
}

static void test_limit(void **state)
{
	struct ibb_disk *low = low_disk(64 * MIB), *file = low_disk(MIB);
	struct ibb_disk *ov = overlay_of(low, MIB);
	struct ibb_error err = {0};

	(void)state;
	ibb_disk_overlay_spill_to(ov, file);
	for (unsigned i = 0; i < 512; i++)
		put(ov, i, 9);
	assert_fails(ibb_disk_pwrite(ov, "x", 1, 32 * MIB, &err), IBB_E_LIMIT, err,
		     "more than 2 MiB of changed blocks");
	assert_non_null(strstr(err.hint, "driver packages"));
	ibb_disk_unref(ov);
	ibb_disk_unref(file);
	ibb_disk_unref(low);
}

static void test_no_memory(void **state)
{
	(void)state;
	for (long n = 0; n < 60; n++) {
		struct ibb_disk *low = low_disk(MIB), *ov = overlay_of(low, 4096);
		struct ibb_error err = {0};
		int r;

		ibb_mem_fail_at(n, false);
		r = ibb_disk_overlay_spill(ov, test_dir(), &err);
		for (unsigned i = 0; i < 100 && !r; i++)
			r = ibb_disk_pwrite(ov, "new", 3, (uint64_t)i * 4096, &err);
		for (unsigned i = 0; i < 100 && !r; i++)
			r = ibb_disk_pwrite(ov, "\0\0\0", 3, (uint64_t)i * 4096, &err);
		ibb_mem_fail_at(-1, false);
		assert_true(r == IBB_E_NOMEM || (!r && n > 4));
		if (!r)
			assert_int_equal(ibb_disk_overlay_dirty_bytes(ov), 0);
		ibb_disk_unref(ov);
		ibb_disk_unref(low);
	}
}

/* ---- files in memory ---- */

/* A limit for the size of files is met by words, not by a signal that ends the program. */
static void test_memory_limit(void **state)
{
	struct ibb_disk *d = NULL;
	struct ibb_error err = {0};
	struct rlimit old, small;

	(void)state;
	signal(SIGXFSZ, SIG_DFL);
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &old), 0);
	small = old;
	small.rlim_cur = 64 * MIB - 1;
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
	assert_fails(ibb_disk_memfd_new("changes", 64 * MIB, NULL, &d, &err), IBB_E_IO, err,
		     "changes: takes a file of 64 MiB");
	assert_non_null(strstr(err.hint, "ulimit -f"));
	small.rlim_cur = 64 * MIB;
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
	assert_ok(ibb_disk_memfd_new("changes", 64 * MIB, NULL, &d, &err), err);
	small.rlim_cur = 32 * MIB;
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
	assert_fails(ibb_disk_memfd_to_file(d, test_dir(), &err), IBB_E_IO, err, "64 MiB");
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &old), 0);
	ibb_disk_unref(d);
}

/* From here on memfd_create fails, as under a kernel or a sandbox without it. */
static void forbid_memfd(int os_errno)
{
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_memfd_create, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | (unsigned)os_errno),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	const struct sock_fprog prog = {IBB_ARRAY_SIZE(code), code};

	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) ||
	    prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &prog))
		_exit(77);
}

/* In a process of its own; 0: all as it should be. */
static int without_memfd(int os_errno)
{
	struct ibb_disk *d = NULL;
	struct ibb_error err = {0};
	char b[4] = "1234";

	forbid_memfd(os_errno);
	if (ibb_disk_memfd_new("changes", MIB, NULL, &d, &err) != IBB_E_IO ||
	    err.os_errno != os_errno || !strstr(err.msg, "changes: a file in memory"))
		return 1;
	if (ibb_disk_memfd_new("changes", MIB, test_dir(), &d, &err))
		return 2;
	if (ibb_disk_memfd_bytes(d) || ibb_disk_pwrite(d, "xyz", 3, MIB - 3, &err) ||
	    ibb_disk_pread(d, b, 4, MIB - 4, &err) || memcmp(b, "\0xyz", 4) != 0)
		return 3;
	ibb_disk_unref(d);
	return 0;
}

static void test_no_memfd(void **state)
{
	static const int errors[] = {ENOSYS, EPERM};
	const unsigned before = files_in(test_dir());

	(void)state;
	for (size_t i = 0; i < IBB_ARRAY_SIZE(errors); i++) {
		int status;
		pid_t pid = fork();

		assert_true(pid >= 0);
		if (!pid)
			_exit(without_memfd(errors[i]));
		assert_int_equal(waitpid(pid, &status, 0), pid);
		assert_true(WIFEXITED(status));
		if (WEXITSTATUS(status) == 77)
			skip();
		assert_int_equal(WEXITSTATUS(status), 0);
	}
	assert_int_equal(files_in(test_dir()), before);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_places),	     cmocka_unit_test(test_directory),
		cmocka_unit_test(test_no_directory), cmocka_unit_test(test_full),
		cmocka_unit_test(test_faults),	     cmocka_unit_test(test_limit),
		cmocka_unit_test(test_no_memory),    cmocka_unit_test(test_memory_limit),
		cmocka_unit_test(test_no_memfd),
	};

	return cmocka_run_group_tests(tests, test_dir_setup, test_dir_teardown) ? 1 : 0;
}
