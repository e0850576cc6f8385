/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The form of an undo record: its bytes, without a thought about who wrote them. */
#include <stdlib.h>
#include <string.h>

#include "base/le.h"
#include "disk/undo_int.h"

#define DIGEST_AT 480u
#define VERSION	  1u

static const uint8_t head_magic[8] = "ibbakeUR", trailer_magic[8] = "ibbakeUT";

static size_t round_up(size_t n)
{
	return (n + UNDO_UNIT - 1) / UNDO_UNIT * UNDO_UNIT;
}

static size_t content_bytes(const struct undo_record *u)
{
	return round_up(u->header_bytes) + round_up(u->n_samples * UNDO_SAMPLE_ENTRY);
}

size_t ibb_undo_record_bytes(const struct undo_record *u)
{
	return UNDO_UNIT + content_bytes(u) + UNDO_UNIT;
}

size_t ibb_undo_sample_bytes(const struct undo_record *u, uint64_t off)
{
	const uint64_t rest = u->old_bytes - off;

	return rest < UNDO_SAMPLE_BYTES ? (size_t)rest : UNDO_SAMPLE_BYTES;
}

static int seal_unit(uint8_t *unit)
{
	struct ibb_sha256 d;

	if (ibb_sha256(unit, DIGEST_AT, &d))
		return IBB_E_NOMEM;
	memcpy(unit + DIGEST_AT, d.b, sizeof(d.b));
	return IBB_OK;
}

static int unit_is_sound(const uint8_t *unit, const uint8_t magic[8], bool *ret)
{
	struct ibb_sha256 d;

	if (ibb_sha256(unit, DIGEST_AT, &d))
		return IBB_E_NOMEM;
	*ret = memcmp(unit, magic, 8) == 0 && memcmp(unit + DIGEST_AT, d.b, sizeof(d.b)) == 0;
	return IBB_OK;
}

int ibb_undo_put(const struct undo_record *u, uint8_t *out)
{
	uint8_t *content = out + UNDO_UNIT, *samples = content + round_up(u->header_bytes);
	uint8_t *trailer = content + content_bytes(u);
	struct ibb_sha256 d;

	memset(out, 0, ibb_undo_record_bytes(u));
	memcpy(content, u->header, u->header_bytes);
	for (size_t i = 0; i < u->n_samples; i++) {
		ibb_put_le64(samples + i * UNDO_SAMPLE_ENTRY, u->samples[i].off_bytes);
		memcpy(samples + i * UNDO_SAMPLE_ENTRY + 8, u->samples[i].digest.b,
		       IBB_SHA256_SIZE);
	}
	if (ibb_sha256(content, content_bytes(u), &d))
		return IBB_E_NOMEM;
	memcpy(out, head_magic, 8);
	ibb_put_le32(out + 8, VERSION);
	ibb_put_le32(out + 12, u->header_bytes);
	ibb_put_le64(out + 16, u->old_bytes);
	ibb_put_le32(out + 24, u->n_samples);
	memcpy(out + 32, d.b, sizeof(d.b));
	if (seal_unit(out))
		return IBB_E_NOMEM;
	memcpy(trailer, trailer_magic, 8);
	ibb_put_le64(trailer + 8, ibb_undo_record_bytes(u));
	memcpy(trailer + 32, out + DIGEST_AT, IBB_SHA256_SIZE);
	return seal_unit(trailer);
}

bool ibb_undo_is(const uint8_t *p, size_t n)
{
	return (n >= 8 && memcmp(p, head_magic, 8) == 0) ||
	       (n >= UNDO_UNIT && memcmp(p + n - UNDO_UNIT, trailer_magic, 8) == 0);
}

/* What the head says, all of it within bounds. */
static bool get_head(const uint8_t *p, struct undo_record *ret)
{
	ret->header_bytes = ibb_get_le32(p + 12);
	ret->old_bytes = ibb_get_le64(p + 16);
	ret->n_samples = ibb_get_le32(p + 24);
	return ibb_get_le32(p + 8) == VERSION && ret->header_bytes &&
	       ret->header_bytes <= IBB_UNDO_MAX_HEADER && ret->n_samples <= IBB_UNDO_MAX_SAMPLES &&
	       ret->old_bytes <= INT64_MAX && ret->header_bytes <= ret->old_bytes;
}

/* Ascending, without overlap, behind the header and before the old end. */
static bool get_samples(const uint8_t *p, struct undo_record *ret)
{
	uint64_t from = ret->header_bytes;

	for (uint32_t i = 0; i < ret->n_samples; i++, p += UNDO_SAMPLE_ENTRY) {
		const uint64_t off = ibb_get_le64(p);

		if (off < from || off >= ret->old_bytes)
			return false;
		ret->samples[i].off_bytes = off;
		memcpy(ret->samples[i].digest.b, p + 8, IBB_SHA256_SIZE);
		from = off + ibb_undo_sample_bytes(ret, off);
	}
	return true;
}

static int get_content(const uint8_t *p, size_t n, struct undo_record *ret, bool *ret_sound)
{
	struct ibb_sha256 d;

	*ret_sound = false;
	if (n < UNDO_UNIT + content_bytes(ret))
		return IBB_OK;
	if (ibb_sha256(p + UNDO_UNIT, content_bytes(ret), &d))
		return IBB_E_NOMEM;
	if (memcmp(d.b, p + 32, sizeof(d.b)) != 0)
		return IBB_OK;
	memcpy(ret->header, p + UNDO_UNIT, ret->header_bytes);
	*ret_sound = get_samples(p + UNDO_UNIT + round_up(ret->header_bytes), ret);
	return IBB_OK;
}

int ibb_undo_get(const uint8_t *p, size_t n, struct undo_record *ret)
{
	const uint8_t *trailer = n >= UNDO_UNIT ? p + n - UNDO_UNIT : NULL;
	bool head = false;

	*ret = (struct undo_record){0};
	if (trailer && unit_is_sound(trailer, trailer_magic, &ret->has_trailer))
		return IBB_E_NOMEM;
	if (n >= UNDO_UNIT && unit_is_sound(p, head_magic, &head))
		return IBB_E_NOMEM;
	ret->has_head = head && get_head(p, ret);
	if (ret->has_head && get_content(p, n, ret, &ret->has_content))
		return IBB_E_NOMEM;
	ret->fits = ret->has_trailer && ret->has_content && ibb_get_le64(trailer + 8) == n &&
		    ibb_undo_record_bytes(ret) == n &&
		    memcmp(trailer + 32, p + DIGEST_AT, IBB_SHA256_SIZE) == 0;
	return IBB_OK;
}
