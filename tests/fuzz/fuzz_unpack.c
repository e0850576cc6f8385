/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A file of whatever form, through detection, the walk over its members, nests and all. It comes
 * apart or is refused with one line; what is in the directory is what the result counts.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "fuzz.h"

#include <fcntl.h>
#include <ftw.h>
#include <sys/stat.h>
#include <unistd.h>

#include "unpack/unpack.h"

static uint64_t files, bytes;

static int count(const char *path, const struct stat *st, int type, struct FTW *f)
{
	(void)type;
	(void)f;
	FUZZ_CHECK(S_ISDIR(st->st_mode) || S_ISREG(st->st_mode), "%s", path);
	if (S_ISREG(st->st_mode)) {
		files++;
		bytes += (uint64_t)st->st_size;
	}
	return 0;
}

static int zap(const char *path, const struct stat *st, int type, struct FTW *f)
{
	(void)st;
	(void)type;
	return f->level ? remove(path) : 0;
}

static const char *made;

static void remove_directory(void)
{
	rmdir(made);
}

static const char *directory(void)
{
	static char dir[] = "/dev/shm/ibb-fuzz-unpack-XXXXXX", other[] = "/tmp/ibb-fuzz-XXXXXX";

	if (made)
		return made;
	made = mkdtemp(dir) ? dir : mkdtemp(other);
	FUZZ_CHECK(made && !atexit(remove_directory), "no directory");
	return made;
}

static void take_apart(const char *path, const char *dir)
{
	const struct ibb_unpack_limits limits = {.bytes = 4u << 20, .files = 200};
	struct ibb_unpack_result r = {0};
	struct ibb_error err = {0};
	int rc = ibb_unpack(path, dir, NULL, &limits, &r, &err);

	if (rc) {
		FUZZ_CHECK(rc == IBB_E_CORRUPT || rc == IBB_E_UNSUPPORTED || rc == IBB_E_CONFLICT ||
				   rc == IBB_E_LIMIT,
			   "%d %s", rc, err.msg);
		FUZZ_CHECK(err.msg[0] && !strchr(err.msg, '\n'), "%s", err.msg);
		FUZZ_CHECK(!r.n_archives && !r.n_warnings, "a result beside an error");
		return;
	}
	files = bytes = 0;
	FUZZ_CHECK(!nftw(dir, count, 16, FTW_PHYS), "walk");
	FUZZ_CHECK(files == r.files && bytes == r.bytes, "%llu files, %llu counted",
		   (unsigned long long)files, (unsigned long long)r.files);
	ibb_unpack_result_clear(&r);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char path[64], dir[64];
	int fd;

	snprintf(path, sizeof(path), "%s/archive", directory());
	snprintf(dir, sizeof(dir), "%s/out", directory());
	fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	FUZZ_CHECK(fd >= 0 && !mkdir(dir, 0700), "files");
	FUZZ_CHECK(write(fd, data, size) == (ssize_t)size, "write");
	close(fd);
	take_apart(path, dir);
	FUZZ_CHECK(!nftw(directory(), zap, 16, FTW_DEPTH | FTW_PHYS), "remove");
	return 0;
}

size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max_size, unsigned seed)
{
	uint64_t state = seed;

	if (size < 60 || !fuzz_rnd(&state, 4))
		return LLVMFuzzerMutate(data, size, max_size);
	for (unsigned k = 1 + fuzz_rnd(&state, 4); k--;) {
		size_t at = fuzz_rnd(&state, (uint32_t)size);

		for (unsigned i = 0; i < 512 && at + 1 < size && !data[at]; i++)
			at++;
		data[at] = fuzz_rnd(&state, 2) ? (uint8_t)(data[at] ^ 1u << fuzz_rnd(&state, 8))
					       : (uint8_t)fuzz_rnd(&state, 256);
	}
	return size;
}
