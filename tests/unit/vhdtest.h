/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What the tests of VHD share. */
#ifndef IBB_VHDTEST_H
#define IBB_VHDTEST_H

#include "disktest.h"

#include "disk/vhd.h"
#include "mkvhd.h"

#define KIB 1024u
#define MIB (1024u * 1024u)

struct opened {
	struct ibb_disk *d;
	struct ibb_vhd_info info;
	struct ibb_parent_link link;
};

static inline struct opened open_vhd_disk(struct ibb_disk *file)
{
	struct ibb_error err = {0};
	struct opened o;

	memset(&o, 0xa5, sizeof(o)); /* whatever it does not set is seen */
	assert_ok(ibb_disk_vhd_open(file, &o.info, &o.link, &o.d, &err), err);
	return o;
}

static inline struct opened open_vhd(const char *path)
{
	struct ibb_error err = {0};
	struct ibb_disk *file = NULL;
	struct ibb_file_id id;
	struct opened o;

	assert_ok(ibb_disk_file_open(path, &id, &file, &err), err);
	o = open_vhd_disk(file);
	ibb_disk_unref(file);
	return o;
}

/* Made in memory, and opened. */
static inline struct opened make_vhd(const struct mkvhd *v)
{
	struct ibb_error err = {0};
	struct ibb_disk *file = NULL;
	struct opened o;

	assert_ok(mkvhd_disk(v, "made.vhd", &file, &err), err);
	o = open_vhd_disk(file);
	ibb_disk_unref(file);
	return o;
}

static inline void close_vhd(struct opened *o)
{
	ibb_disk_unref(o->d);
	ibb_parent_link_clear(&o->link);
}

static inline void assert_byte(struct ibb_disk *d, uint64_t off, uint8_t want)
{
	struct ibb_error err = {0};
	uint8_t b = (uint8_t)~want;

	assert_ok(ibb_disk_pread(d, &b, 1, off, &err), err);
	assert_int_equal(b, want);
}

/* n sectors from `sector` on: those that mkvhd_fill() made, or zeros. */
static inline void assert_sectors(struct ibb_disk *d, uint64_t sector, uint64_t n, bool made)
{
	struct ibb_error err = {0};
	uint8_t got[512], want[512] = {0};

	for (; n--; sector++) {
		if (made)
			mkvhd_fill(sector, want);
		memset(got, 0x5a, sizeof(got));
		assert_ok(ibb_disk_pread(d, got, 512, sector * 512, &err), err);
		if (memcmp(got, want, 512) != 0)
			fail_msg("sector %llu is not what it was made", (unsigned long long)sector);
	}
}

#endif
