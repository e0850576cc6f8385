/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <string.h>

#include "base/le.h"
#include "base/limits.h"
#include "disk/crc32c.h"
#include "disk/vhdx_internal.h"

enum {
	H_CHECKSUM = 4,
	H_SEQUENCE = 8,
	H_DATA_WRITE = 32,
	H_LOG_ID = 48,
	H_LOG_VERSION = 64,
	H_VERSION = 66,
	H_LOG_LENGTH = 68,
	H_LOG_OFFSET = 72
};

uint32_t ibb_vhdx_sum(const uint8_t *b, size_t n)
{
	static const uint8_t zero[4];
	uint32_t crc = ibb_crc32c(0, b, H_CHECKSUM);

	crc = ibb_crc32c(crc, zero, sizeof(zero));
	return ibb_crc32c(crc, b + H_CHECKSUM + 4, n - H_CHECKSUM - 4);
}

bool ibb_vhdx_sum_ok(const uint8_t *b, size_t n)
{
	return ibb_get_le32(b + H_CHECKSUM) == ibb_vhdx_sum(b, n);
}

static void decode(const uint8_t *b, struct ibb_vhdx_header *h)
{
	h->sequence = ibb_get_le64(b + H_SEQUENCE);
	memcpy(h->data_write_id.b, b + H_DATA_WRITE, 16);
	memcpy(h->log_id.b, b + H_LOG_ID, 16);
	h->log_version = ibb_get_le16(b + H_LOG_VERSION);
	h->version = ibb_get_le16(b + H_VERSION);
	h->log.len_bytes = ibb_get_le32(b + H_LOG_LENGTH);
	h->log.off_bytes = ibb_get_le64(b + H_LOG_OFFSET);
}

static int check_log_place(const struct ibb_disk *file, const struct ibb_vhdx_header *h,
			   struct ibb_error *err)
{
	const struct ibb_vhdx_range *l = &h->log;
	const char *wrong = NULL;

	if (!l->len_bytes)
		wrong = ibb_guid_is_zero(&h->log_id) ? NULL
						     : "has no log, but an identifier of one";
	else if (l->off_bytes % IBB_VHDX_MIB || l->len_bytes % IBB_VHDX_MIB || !l->off_bytes)
		wrong = "has a log that is not aligned to 1 MiB";
	else if (!ibb_in_range(l->off_bytes, l->len_bytes, file->size_bytes))
		wrong = "has a log behind the end of the file, which is cut short";
	if (!wrong)
		return IBB_OK;
	return ibb_err(err, IBB_E_CORRUPT,
		       "%s: the VHDX header at offset %llu %s (offset %llu, %llu bytes)",
		       file->name, (unsigned long long)h->at, wrong,
		       (unsigned long long)l->off_bytes, (unsigned long long)l->len_bytes);
}

static int check_current(const struct ibb_disk *file, const struct ibb_vhdx_header *h,
			 struct ibb_error *err)
{
	if (h->version != 1)
		return ibb_err(err, IBB_E_UNSUPPORTED,
			       "%s: VHDX version %u is not supported (1 is), says the header at "
			       "offset %llu",
			       file->name, h->version, (unsigned long long)h->at);
	if (h->log_version != 0 && !ibb_guid_is_zero(&h->log_id))
		return ibb_err(err, IBB_E_UNSUPPORTED,
			       "%s: the VHDX log has version %u (0 is supported), says the header "
			       "at offset %llu",
			       file->name, h->log_version, (unsigned long long)h->at);
	return check_log_place(file, h, err);
}

/* Whichever is valid, and then the newer one: 2.2.2. */
static int choose(const struct ibb_disk *file, const uint8_t *one, const uint8_t *two,
		  const uint8_t **ret, uint32_t *ret_bad, struct ibb_error *err)
{
	bool ok1 = memcmp(one, "head", 4) == 0 && ibb_vhdx_sum_ok(one, IBB_VHDX_HEADER_BYTES);
	bool ok2 = memcmp(two, "head", 4) == 0 && ibb_vhdx_sum_ok(two, IBB_VHDX_HEADER_BYTES);
	uint64_t s1 = ibb_get_le64(one + H_SEQUENCE), s2 = ibb_get_le64(two + H_SEQUENCE);

	if (!ok1 && !ok2)
		return ibb_err(err, IBB_E_CORRUPT,
			       "%s: both VHDX headers (offsets %u and %u) are damaged: signature "
			       "or checksum",
			       file->name, IBB_VHDX_HEADER1, IBB_VHDX_HEADER2);
	if (ok1 && ok2 && s1 == s2 && memcmp(one, two, IBB_VHDX_HEADER_BYTES) != 0)
		return ibb_err(err, IBB_E_CORRUPT,
			       "%s: neither VHDX header is the current one: both have the "
			       "sequence number %llu, and they differ",
			       file->name, (unsigned long long)s1);
	*ret = ok1 && (!ok2 || s1 >= s2) ? one : two;
	*ret_bad = ok1 && ok2 ? 0 : ok1 ? IBB_VHDX_HEADER2 : IBB_VHDX_HEADER1;
	return IBB_OK;
}

int ibb_vhdx_header_read(struct ibb_disk *file, struct ibb_vhdx_header *ret, struct ibb_error *err)
{
	IBB_AUTO_FREE uint8_t *b = ibb_alloc(2 * IBB_VHDX_HEADER_BYTES);
	struct ibb_vhdx_header h = {0};
	const uint8_t *current = NULL;
	int r;

	if (!b)
		return ibb_err_nomem(err);
	if (file->size_bytes < IBB_VHDX_MIB)
		return ibb_err(err, IBB_E_CORRUPT,
			       "%s: a VHDX file has at least 1 MiB, this one has %llu bytes",
			       file->name, (unsigned long long)file->size_bytes);
	r = ibb_disk_pread(file, b, 8, 0, err);
	if (!r && memcmp(b, "vhdxfile", 8) != 0)
		r = ibb_err(err, IBB_E_CORRUPT, "%s: no VHDX: it does not begin with \"vhdxfile\"",
			    file->name);
	if (!r)
		r = ibb_disk_pread(file, b, IBB_VHDX_HEADER_BYTES, IBB_VHDX_HEADER1, err);
	if (!r)
		r = ibb_disk_pread(file, b + IBB_VHDX_HEADER_BYTES, IBB_VHDX_HEADER_BYTES,
				   IBB_VHDX_HEADER2, err);
	if (!r)
		r = choose(file, b, b + IBB_VHDX_HEADER_BYTES, &current, &h.bad_at, err);
	if (r)
		return r;
	decode(current, &h);
	h.at = current == b ? IBB_VHDX_HEADER1 : IBB_VHDX_HEADER2;
	r = check_current(file, &h, err);
	if (!r)
		*ret = h;
	return r;
}
