/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Reading the base block and opening: a file as it is, and with its base block repaired. */
#include "fuzz_hive.h"

#include "base/utf16.h"

static bool header_same(const struct ibb_hive_header *a, const struct ibb_hive_header *b)
{
	return a->seq1 == b->seq1 && a->seq2 == b->seq2 && a->last_written == b->last_written &&
	       a->major == b->major && a->minor == b->minor && a->file_type == b->file_type &&
	       a->root_cell == b->root_cell && a->bins_bytes == b->bins_bytes &&
	       a->checksum == b->checksum && a->dirty == b->dirty &&
	       !strcmp(a->file_name, b->file_name);
}

static bool read_header(const struct ibb_buf *b, struct ibb_hive_header *ret)
{
	struct ibb_hive_header filler;
	struct ibb_error err = {0};
	int r;

	memset(&filler, 0xa5, sizeof(filler));
	memcpy(ret, &filler, sizeof(filler));
	r = ibb_hive_header_read("fuzz", ibb_buf_bytes(b), ret, &err);
	if (r) {
		FUZZ_CHECK(r == IBB_E_CORRUPT && err.msg[0], "header: %d %s", r, err.msg);
		FUZZ_CHECK(!memcmp(ret, &filler, sizeof(filler)), "output touched");
		return false;
	}
	FUZZ_CHECK(ret->dirty == (ret->seq1 != ret->seq2 || !ret->checksum_ok), "dirty?");
	FUZZ_CHECK(memchr(ret->file_name, 0, sizeof(ret->file_name)), "file name has no end");
	FUZZ_CHECK(ibb_utf8_valid(ret->file_name, strlen(ret->file_name)), "file name");
	return true;
}

static void opened(struct ibb_hive *h, const uint8_t *data, size_t size)
{
	struct ibb_error err = {0};
	struct ibb_key_info info;
	struct ibb_buf out;
	int r = ibb_hive_key_info(h, ibb_hive_root(h), &info, &err);

	FUZZ_CHECK(!r, "root: %d %s", r, err.msg);
	FUZZ_CHECK(!ibb_hive_edited(h), "edited?");
	out = fuzz_serialize(h);
	FUZZ_CHECK(out.len == size && !memcmp(out.data, data, size), "other bytes come out");
	ibb_buf_clear(&out);
}

static void try_open(const uint8_t *data, size_t size)
{
	struct ibb_buf b = fuzz_copy(data, size);
	struct ibb_hive_header hd;
	struct ibb_error err = {0};
	struct ibb_hive *h = NULL;
	bool known = read_header(&b, &hd);
	int r = ibb_hive_open("fuzz", &b, &h, &err);

	if (r) {
		FUZZ_CHECK(r == IBB_E_CORRUPT || r == IBB_E_DIRTY || r == IBB_E_UNSUPPORTED,
			   "open: %d %s", r, err.msg);
		FUZZ_CHECK(err.msg[0] && !h, "failed without a message, or with a hive");
		FUZZ_CHECK(b.data && b.len == size && !memcmp(b.data, data, size),
			   "bytes taken or touched by a failure");
	} else {
		FUZZ_CHECK(!b.data, "bytes not taken");
		FUZZ_CHECK(known && !hd.dirty, "a dirty hive was opened");
		FUZZ_CHECK(header_same(&hd, ibb_hive_header(h)), "two headers");
		opened(h, data, size);
	}
	ibb_hive_close(h);
	ibb_buf_clear(&b);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct ibb_buf b = fuzz_copy(data, size);

	try_open(data, size);
	fuzz_repair_base(b.data, b.len);
	try_open(b.data, b.len);
	ibb_buf_clear(&b);
	return 0;
}

size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max_size, unsigned seed)
{
	uint64_t state = seed;

	return fuzz_rnd(&state, 2) ? fuzz_mutate_hive(data, size, max_size, &state)
				   : LLVMFuzzerMutate(data, size, max_size);
}
