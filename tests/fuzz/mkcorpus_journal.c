/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Seeds of the journal's target: sound ones, and every way to be torn. */
#include "mkcorpus.h"

#include "base/le.h"
#include "fuzz_journal.h"

void mkcorpus_journals(void)
{
	struct ibb_buf whole = {0}, bare = {0};

	fuzz_make_journal("image.manifest.json", &whole);
	fuzz_make_journal(NULL, &bare);
	mkcorpus_write("journal", "whole", whole.data, whole.len);
	mkcorpus_write("journal", "no-manifest", bare.data, bare.len);
	mkcorpus_write("journal", "no-trailer", whole.data, whole.len - 512);
	mkcorpus_write("journal", "head-only", whole.data, 1024);
	mkcorpus_write("journal", "short", whole.data, 700);
	mkcorpus_write("journal", "empty", "", 0);
	bare.data[600 + 1024] ^= 1; /* content that its digest does not know */
	mkcorpus_write("journal", "rotten", bare.data, bare.len);
	bare.data[600 + 1024] ^= 1;
	ibb_put_le64(bare.data + 512 + 16, 8192); /* sectors that were never like this */
	fuzz_reseal_journal(bare.data, bare.len);
	mkcorpus_write("journal", "elsewhere", bare.data, bare.len);
	memset(bare.data + 512, 0, bare.len - 1024);
	mkcorpus_write("journal", "torn", bare.data, bare.len);
	ibb_buf_clear(&whole);
	ibb_buf_clear(&bare);
}
