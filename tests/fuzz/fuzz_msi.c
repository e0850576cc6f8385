/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * An MSI or, when the first byte is odd, what lies behind an InstallShield program. It comes apart
 * or is refused with one line; the tree holds what was announced, and nothing else is left.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "fuzz.h"

#include <ftw.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/io.h"
#include "base/le.h"
#include "unpack/tree.h"

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
	static char dir[] = "/dev/shm/ibb-fuzz-msi-XXXXXX", other[] = "/tmp/ibb-fuzz-msi-XXXXXX";

	if (made)
		return made;
	made = mkdtemp(dir) ? dir : mkdtemp(other);
	FUZZ_CHECK(made && !atexit(remove_directory), "no directory");
	return made;
}

static void check_tree(struct unpack_tree *t)
{
	struct ibb_error err = {0};

	for (size_t i = 0; i < unpack_tree_n(t); i++) {
		const struct unpack_node *n = unpack_tree_at(t, i);
		IBB_AUTO_FD int fd = -1;
		struct stat st;

		if (n->dir)
			continue;
		FUZZ_CHECK(!unpack_tree_open(t, i, &fd, &err), "%s", err.msg);
		FUZZ_CHECK(!fstat(fd, &st) && (uint64_t)st.st_size == n->size_bytes, "%s", n->path);
	}
}

static void take_apart(const struct unpack_source *s, bool installshield)
{
	const struct ibb_unpack_limits limits = {.bytes = 16u << 20, .files = 200};
	struct ibb_unpack_result result = {0};
	struct unpack_tree *t = NULL;
	struct ibb_error err = {0};
	int rc;

	FUZZ_CHECK(!unpack_tree_new(directory(), NULL, directory(), &limits, &result, &t, &err),
		   "%s", err.msg);
	(void)unpack_is_msi(s);
	(void)unpack_is_installshield(s);
	rc = installshield ? unpack_installshield(s, t, &err) : unpack_msi(s, t, &err);
	if (rc) {
		FUZZ_CHECK(rc == IBB_E_CORRUPT || rc == IBB_E_UNSUPPORTED || rc == IBB_E_CONFLICT ||
				   rc == IBB_E_LIMIT,
			   "%d %s", rc, err.msg);
		FUZZ_CHECK(err.msg[0] && !strchr(err.msg, '\n'), "%s", err.msg);
		FUZZ_CHECK(!installshield || *err.hint, "no hint: %s", err.msg);
	} else {
		check_tree(t);
	}
	unpack_tree_free(t);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct unpack_source s = {.fd = memfd_create("msi", MFD_CLOEXEC), .name = "fuzz"};

	FUZZ_CHECK(s.fd >= 0, "memfd");
	if (size) {
		FUZZ_CHECK(write(s.fd, data + 1, size - 1) == (ssize_t)(size - 1), "write");
		s.size_bytes = size - 1;
		take_apart(&s, data[0] & 1);
		FUZZ_CHECK(!nftw(directory(), zap, 16, FTW_DEPTH | FTW_PHYS), "remove");
	}
	close(s.fd);
	return 0;
}

/* ---- damage: 32-bit numbers near what is there, and bytes where something is ---- */

size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max_size, unsigned seed)
{
	static const uint32_t values[] = {
		0, 1, 2, 0xfffffffe, 0xffffffff, 0x7fffffff, 0x80000000, 0xfffffffd, 0x1000, 64};
	uint64_t state = seed;

	if (size < 600 || !fuzz_rnd(&state, 5))
		return LLVMFuzzerMutate(data, size, max_size);
	for (unsigned k = 1 + fuzz_rnd(&state, 4); k--;) {
		size_t at = 1 + fuzz_rnd(&state, (uint32_t)(size - 5));

		for (unsigned i = 0; i < 512 && at + 5 < size && !data[at]; i++)
			at++;
		switch (fuzz_rnd(&state, 4)) {
		case 0:
			ibb_put_le32(data + at, values[fuzz_rnd(&state, 10)]);
			break;
		case 1:
			ibb_put_le32(data + at, ibb_get_le32(data + at) + fuzz_rnd(&state, 5) - 2);
			break;
		case 2:
			data[at] = (uint8_t)values[fuzz_rnd(&state, 10)];
			break;
		default:
			data[at] ^= (uint8_t)(1u << fuzz_rnd(&state, 8));
		}
	}
	return size;
}
