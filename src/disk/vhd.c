/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "disk/vhd_internal.h"

#include <string.h>

#include "base/le.h"

/* Offsets of "Hard Disk Footer Format"; all integers are big endian. */
enum {
	F_COOKIE = 0,
	F_FEATURES = 8,
	F_VERSION = 12,
	F_DATA_OFFSET = 16,
	F_TIMESTAMP = 24,
	F_CREATOR_APP = 28,
	F_CREATOR_VERSION = 32,
	F_CREATOR_OS = 36,
	F_ORIGINAL_SIZE = 40,
	F_CURRENT_SIZE = 48,
	F_CYLINDERS = 56,
	F_HEADS = 58,
	F_SECTORS = 59,
	F_TYPE = 60,
	F_CHECKSUM = 64,
	F_UNIQUE_ID = 68,
	F_SAVED_STATE = 84,
};

#define VERSION_1_0	 0x00010000u
#define FEATURE_RESERVED 2u /* "this bit must always be set to 1" */

/*
 * The creator is more than a name. qemu (block/vpc.c) takes a disk's size from its geometry, which
 * cannot express most sizes, unless it knows that the creator goes by "current size": 7.2 saw a
 * disk of 10 MiB made by "ibbk" as 10 479 616 bytes, without its backup GPT. What we write is what
 * Windows writes, so it is marked as Windows 10 marks it.
 */
#define CREATOR_APP	"win "
#define CREATOR_VERSION 0x000a0000u
#define CREATOR_OS	"Wi2k"

static const uint8_t cookie[8] = {'c', 'o', 'n', 'e', 'c', 't', 'i', 'x'};

bool ibb_vhd_is_footer(const uint8_t b[IBB_VHD_FOOTER_BYTES])
{
	return memcmp(b + F_COOKIE, cookie, sizeof(cookie)) == 0;
}

uint32_t ibb_vhd_checksum(const uint8_t *b, size_t n, size_t at)
{
	uint32_t sum = 0;

	for (size_t i = 0; i < n; i++)
		if (i < at || i >= at + 4)
			sum += b[i];
	return ~sum;
}

static uint32_t checksum(const uint8_t b[IBB_VHD_FOOTER_BYTES])
{
	return ibb_vhd_checksum(b, IBB_VHD_FOOTER_BYTES, F_CHECKSUM);
}

static void decode(const uint8_t *b, struct ibb_vhd_footer *f)
{
	*f = (struct ibb_vhd_footer){
		.features = ibb_get_be32(b + F_FEATURES),
		.version = ibb_get_be32(b + F_VERSION),
		.data_offset = ibb_get_be64(b + F_DATA_OFFSET),
		.timestamp_s = ibb_get_be32(b + F_TIMESTAMP),
		.creator_version = ibb_get_be32(b + F_CREATOR_VERSION),
		.original_size_bytes = ibb_get_be64(b + F_ORIGINAL_SIZE),
		.current_size_bytes = ibb_get_be64(b + F_CURRENT_SIZE),
		.cylinders = ibb_get_be16(b + F_CYLINDERS),
		.heads = b[F_HEADS],
		.sectors_per_track = b[F_SECTORS],
		.type = ibb_get_be32(b + F_TYPE),
		.checksum = ibb_get_be32(b + F_CHECKSUM),
		.saved_state = b[F_SAVED_STATE],
	};
	memcpy(f->creator_app, b + F_CREATOR_APP, 4);
	memcpy(f->creator_os, b + F_CREATOR_OS, 4);
	memcpy(f->unique_id.b, b + F_UNIQUE_ID, 16);
}

int ibb_vhd_footer_parse(const char *name, uint64_t off, const uint8_t b[IBB_VHD_FOOTER_BYTES],
			 struct ibb_vhd_footer *ret, struct ibb_error *err)
{
	const unsigned long long at = off;
	struct ibb_vhd_footer f;

	if (!ibb_vhd_is_footer(b))
		return ibb_err(err, IBB_E_CORRUPT,
			       "%s: no VHD footer at offset %llu: the cookie is not \"conectix\"",
			       name, at);
	decode(b, &f);
	if (f.checksum != checksum(b))
		return ibb_err(
			err, IBB_E_CORRUPT,
			"%s: VHD footer at offset %llu is damaged: checksum 0x%08x, computed "
			"0x%08x",
			name, at, f.checksum, checksum(b));
	if (f.version >> 16 != VERSION_1_0 >> 16)
		return ibb_err(err, IBB_E_CORRUPT,
			       "%s: VHD footer at offset %llu: unknown format version %u.%u", name,
			       at, f.version >> 16, f.version & 0xffff);
	if (f.type < IBB_VHD_FIXED || f.type > IBB_VHD_DIFFERENCING)
		return ibb_err(err, IBB_E_CORRUPT,
			       "%s: VHD footer at offset %llu: unknown disk type %u", name, at,
			       f.type);
	*ret = f;
	return IBB_OK;
}

void ibb_vhd_footer_encode(const struct ibb_vhd_footer *f, uint8_t out[IBB_VHD_FOOTER_BYTES])
{
	memset(out, 0, IBB_VHD_FOOTER_BYTES);
	memcpy(out + F_COOKIE, cookie, sizeof(cookie));
	ibb_put_be32(out + F_FEATURES, f->features);
	ibb_put_be32(out + F_VERSION, f->version);
	ibb_put_be64(out + F_DATA_OFFSET, f->data_offset);
	ibb_put_be32(out + F_TIMESTAMP, f->timestamp_s);
	memcpy(out + F_CREATOR_APP, f->creator_app, 4);
	ibb_put_be32(out + F_CREATOR_VERSION, f->creator_version);
	memcpy(out + F_CREATOR_OS, f->creator_os, 4);
	ibb_put_be64(out + F_ORIGINAL_SIZE, f->original_size_bytes);
	ibb_put_be64(out + F_CURRENT_SIZE, f->current_size_bytes);
	ibb_put_be16(out + F_CYLINDERS, f->cylinders);
	out[F_HEADS] = f->heads;
	out[F_SECTORS] = f->sectors_per_track;
	ibb_put_be32(out + F_TYPE, f->type);
	memcpy(out + F_UNIQUE_ID, f->unique_id.b, 16);
	out[F_SAVED_STATE] = f->saved_state;
	ibb_put_be32(out + F_CHECKSUM, checksum(out));
}

/* The appendix "CHS Calculation", in its own order and with its own rounding. */
void ibb_vhd_geometry(uint64_t size_bytes, uint16_t *ret_c, uint8_t *ret_h, uint8_t *ret_s)
{
	const uint32_t most = 65535u * 16 * 255;
	uint64_t sectors = size_bytes / 512;
	uint32_t total = sectors > most ? most : (uint32_t)sectors;
	uint32_t spt, heads, cylinders_x_heads;

	if (total >= 65535u * 16 * 63) {
		spt = 255;
		heads = 16;
		cylinders_x_heads = total / spt;
	} else {
		spt = 17;
		cylinders_x_heads = total / spt;
		heads = (cylinders_x_heads + 1023) / 1024;
		if (heads < 4)
			heads = 4;
		if (cylinders_x_heads >= heads * 1024 || heads > 16) {
			spt = 31;
			heads = 16;
			cylinders_x_heads = total / spt;
		}
		if (cylinders_x_heads >= heads * 1024) {
			spt = 63;
			heads = 16;
			cylinders_x_heads = total / spt;
		}
	}
	*ret_c = (uint16_t)(cylinders_x_heads / heads);
	*ret_h = (uint8_t)heads;
	*ret_s = (uint8_t)spt;
}

void ibb_vhd_footer_init(struct ibb_vhd_footer *f, uint64_t size_bytes, int64_t unix_time,
			 const struct ibb_guid *unique_id)
{
	int64_t since_2000 = unix_time - IBB_VHD_EPOCH_S;

	if (since_2000 < 0)
		since_2000 = 0;
	if (since_2000 > UINT32_MAX)
		since_2000 = UINT32_MAX;
	*f = (struct ibb_vhd_footer){
		.features = FEATURE_RESERVED,
		.version = VERSION_1_0,
		.data_offset = UINT64_MAX,
		.timestamp_s = (uint32_t)since_2000,
		.creator_app = CREATOR_APP,
		.creator_os = CREATOR_OS,
		.creator_version = CREATOR_VERSION,
		.original_size_bytes = size_bytes,
		.current_size_bytes = size_bytes,
		.type = IBB_VHD_FIXED,
		.unique_id = *unique_id,
	};
	ibb_vhd_geometry(size_bytes, &f->cylinders, &f->heads, &f->sectors_per_track);
}

int ibb_vhd_check_saved(const char *name, const struct ibb_vhd_footer *f, struct ibb_error *err)
{
	if (!f->saved_state)
		return IBB_OK;
	ibb_err(err, IBB_E_UNSUPPORTED, "%s: the VHD belongs to a virtual machine in saved state",
		name);
	return ibb_err_hint(err, IBB_E_UNSUPPORTED,
			    "shut that machine down in an orderly way, then try again");
}

static int check_fixed(const struct ibb_disk *file, uint64_t at, const struct ibb_vhd_footer *f,
		       struct ibb_error *err)
{
	if (f->type != IBB_VHD_FIXED)
		return ibb_err(err, IBB_E_UNSUPPORTED, "%s: is no fixed VHD (disk type %u)",
			       file->name, f->type);
	if (f->current_size_bytes != at)
		return ibb_err(
			err, IBB_E_CORRUPT,
			"%s: VHD footer at offset %llu says %llu bytes of data, the file has "
			"%llu: truncated, or grown without its footer",
			file->name, (unsigned long long)at,
			(unsigned long long)f->current_size_bytes, (unsigned long long)at);
	if (f->saved_state)
		return ibb_vhd_check_saved(file->name, f, err);
	if (at == 0 || at % 512)
		return ibb_err(err, IBB_E_CORRUPT,
			       "%s: VHD data size of %llu bytes is no multiple of 512", file->name,
			       (unsigned long long)at);
	return IBB_OK;
}

int ibb_disk_vhd_fixed_open(struct ibb_disk *file, struct ibb_vhd_footer *ret_footer,
			    struct ibb_disk **ret, struct ibb_error *err)
{
	uint8_t b[IBB_VHD_FOOTER_BYTES];
	struct ibb_vhd_footer f;
	struct ibb_disk *d;
	uint64_t at;
	int r;

	if (file->size_bytes < sizeof(b))
		return ibb_err(err, IBB_E_CORRUPT, "%s: %llu bytes are too few for a VHD",
			       file->name, (unsigned long long)file->size_bytes);
	at = file->size_bytes - sizeof(b);
	r = ibb_disk_pread(file, b, sizeof(b), at, err);
	if (!r)
		r = ibb_vhd_footer_parse(file->name, at, b, &f, err);
	if (!r)
		r = check_fixed(file, at, &f, err);
	if (!r)
		r = ibb_disk_slice_new(file, 0, at, &d, err);
	if (r)
		return r;
	d->sector_bytes = 512;
	*ret_footer = f;
	*ret = d;
	return IBB_OK;
}
