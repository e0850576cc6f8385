/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The boot sector and its copy behind the last cluster. */
#include "ntfscheck_internal.h"

#define BOOT "boot sector"

static bool power_of_2(uint64_t n)
{
	return n && !(n & (n - 1));
}

/* Positive: clusters; negative: the power of 2 of the bytes. 0 when it is nonsense. */
static uint32_t record_bytes(int8_t v, uint32_t cluster)
{
	if (v > 0)
		return power_of_2((uint64_t)v) ? (uint32_t)v * cluster : 0;
	return v <= -9 && v >= -16 ? 1u << -v : 0;
}

/* From 0x80 on it is the negative power of 2 of the sectors: clusters above 64 KiB. */
static uint32_t cluster_sectors(uint8_t v)
{
	if (v <= 0x80)
		return power_of_2(v) ? v : 0;
	return v >= 0xf4 ? 1u << (256 - v) : 0;
}

static bool geometry(struct nc *c, const uint8_t *b)
{
	uint32_t sector = ibb_get_le16(b + 0x0b), per = cluster_sectors(b[0x0d]);
	uint64_t n = ibb_get_le64(b + 0x28);

	if (!power_of_2(sector) || sector < 256 || sector > 4096) {
		nc_error(c, "boot-bytes-per-sector", BOOT, "%u", sector);
		return false;
	}
	if (!per || (uint64_t)per * sector > 2u << 20) {
		nc_error(c, "boot-sectors-per-cluster", BOOT, "0x%02x", b[0x0d]);
		return false;
	}
	if (n < per || n > c->d->size_bytes / sector) {
		nc_error(c, "boot-total-sectors", BOOT, "%llu", (unsigned long long)n);
		return false;
	}
	c->cluster = per * sector;
	c->n_clusters = n / per;
	return true;
}

static bool tables(struct nc *c, const uint8_t *b)
{
	uint64_t mft = ibb_get_le64(b + 0x30), mirror = ibb_get_le64(b + 0x38);
	bool ok = true;

	c->rec_size = record_bytes((int8_t)b[0x40], c->cluster);
	c->index_size = record_bytes((int8_t)b[0x44], c->cluster);
	if (c->rec_size < 512 || c->rec_size > 65536) {
		nc_error(c, "boot-mft-record-size", BOOT, "0x%02x", b[0x40]);
		ok = false;
	}
	if (c->index_size < 512 || c->index_size > 65536)
		nc_error(c, "boot-index-record-size", BOOT, "0x%02x", b[0x44]);
	if (mirror >= c->n_clusters || mirror == mft)
		nc_error(c, "boot-mirror-cluster", BOOT, "%llu", (unsigned long long)mirror);
	if (mft >= c->n_clusters) {
		nc_error(c, "boot-mft-cluster", BOOT, "%llu", (unsigned long long)mft);
		ok = false;
	}
	c->mft_lcn = mft;
	c->mirror_lcn = mirror;
	return ok;
}

static const struct field {
	const char *name;
	unsigned off, len;
} fields[] = {
	{"jump and name", 0, 11},	  {"bytes per sector", 0x0b, 2},
	{"sectors per cluster", 0x0d, 1}, {"reserved fields", 0x0e, 26},
	{"total sectors", 0x28, 8},	  {"cluster of $MFT", 0x30, 8},
	{"cluster of $MFTMirr", 0x38, 8}, {"record size", 0x40, 4},
	{"index record size", 0x44, 4},	  {"serial number", 0x48, 8},
	{"boot code", 0x50, 0x1ae},	  {"signature", 0x1fe, 2},
};

static bool read_boot(struct nc *c, uint64_t off, uint8_t *b)
{
	if (c->rc || !ibb_in_range(off, 512, c->d->size_bytes))
		return false;
	nc_fail(c, ibb_disk_pread(c->d, b, 512, off, c->err));
	return !c->rc;
}

/* Behind the last cluster, which is the last sector of the partition when nothing was resized. */
static void copy(struct nc *c, const uint8_t *b)
{
	uint64_t sector = ibb_get_le16(b + 0x0b), end = 0, size = c->d->size_bytes;
	const uint64_t at[3] = {
		ibb_mul_u64(ibb_get_le64(b + 0x28), sector, &end) && end ? end : size,
		size - c->d->sector_bytes,
		size - 512,
	};
	uint8_t other[512];

	for (size_t i = 0; i < 3; i++) {
		if (!read_boot(c, at[i], other) || memcmp(other + 3, "NTFS    ", 8))
			continue;
		for (size_t k = 0; k < IBB_ARRAY_SIZE(fields); k++)
			if (memcmp(b + fields[k].off, other + fields[k].off, fields[k].len))
				nc_error(c, "boot-copy-differs", fields[k].name, "at offset 0x%x",
					 fields[k].off);
		return;
	}
	if (!c->rc && at[0] < size)
		nc_error(c, "boot-copy-missing", BOOT, "none in the last sector");
	else if (!c->rc)
		nc_note(c, "boot-copy-outside", BOOT, "the volume fills its partition");
}

bool nc_boot(struct nc *c)
{
	uint8_t b[512];
	bool ok;

	if (c->d->size_bytes < 4096) {
		nc_error(c, "boot-total-sectors", BOOT, "too small for a volume");
		return false;
	}
	if (!read_boot(c, 0, b))
		return false;
	copy(c, b);
	ok = !memcmp(b + 3, "NTFS    ", 8);
	if (!ok)
		nc_error(c, "boot-file-system-id", BOOT, "not NTFS");
	if (b[510] != 0x55 || b[511] != 0xaa)
		nc_error(c, "boot-signature", BOOT, "%02x %02x", b[510], b[511]);
	if (!ok || !geometry(c, b) || !tables(c, b) || c->rc)
		return false;
	c->mirror_n = c->cluster <= 4 * c->rec_size ? 4 : c->cluster / c->rec_size;
	c->owned_bytes = (size_t)(c->n_clusters / 8 + 9);
	c->owned = ibb_map_zeroed(c->owned_bytes);
	if (!c->owned)
		nc_fail(c, ibb_err_nomem(c->err));
	return c->owned != NULL;
}
