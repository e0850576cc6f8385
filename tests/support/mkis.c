/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "mkmsi.h"

#include <stdlib.h>

#include <zlib.h>

#include "base/le.h"
#include "base/utf16.h"
#include "mkpe.h"

static void need(bool ok)
{
	if (!ok)
		abort();
}

static struct ibb_buf packed(const struct mkis_file *f)
{
	uLongf n = compressBound(f->len);
	struct ibb_buf b = {0};

	need(!ibb_buf_reserve(&b, n));
	need(compress(b.data, &n, f->data, f->len) == Z_OK);
	b.len = n;
	return b;
}

/* The other way round: turned over, combined with the key, halves swapped. */
static void hide(struct ibb_buf *b, const char *name, unsigned flags)
{
	static const uint8_t four[4] = {0x13, 0x35, 0x86, 0x07};
	size_t n_key = strlen(name);

	if (!(flags & 6))
		return;
	for (size_t i = 0; i < b->len; i++) {
		size_t k = (flags & 4 ? i % 1024 : i) % n_key;
		uint8_t v = (uint8_t)~b->data[i] ^ (uint8_t)name[k] ^ four[k % 4];

		b->data[i] = (uint8_t)(v << 4 | v >> 4);
	}
}

static void put_record(struct ibb_buf *out, enum mkis_form form, const struct mkis_file *f,
		       size_t len)
{
	struct ibb_buf name = {0};
	uint8_t r[312] = {0};

	if (form == MKIS_OLD) {
		memcpy(r, f->name, strlen(f->name));
		ibb_put_le32(r + 260, f->flags);
		ibb_put_le32(r + 268, (uint32_t)len);
		ibb_put_le16(r + 280, f->packed);
		need(!ibb_buf_append(out, r, 312));
		return;
	}
	need(!ibb_utf16le_append(&name, f->name));
	ibb_put_le32(r, (uint32_t)name.len);
	ibb_put_le32(r + 4, f->flags);
	ibb_put_le32(r + 10, (uint32_t)len);
	ibb_put_le16(r + 22, f->packed);
	need(!ibb_buf_append(out, r, form == MKIS_STREAM_4 ? 48 : 24));
	need(!ibb_buf_append(out, name.data, name.len));
	ibb_buf_clear(&name);
}

struct ibb_buf mkis(enum mkis_form form, const struct mkis_file *f, size_t n)
{
	struct ibb_buf out = {0};
	uint8_t h[46] = {0};

	memcpy(h, form == MKIS_OLD ? "InstallShield" : "ISSetupStream", 13);
	ibb_put_le16(h + 14, (uint16_t)n);
	ibb_put_le32(h + 16, form == MKIS_STREAM_4 ? 4 : form == MKIS_STREAM ? 2 : 0);
	need(!ibb_buf_append(&out, h, sizeof(h)));
	for (size_t i = 0; i < n; i++) {
		struct ibb_buf b = {0};

		if (f[i].packed)
			b = packed(&f[i]);
		else
			need(!ibb_buf_append(&b, f[i].data, f[i].len));
		hide(&b, f[i].name, f[i].flags);
		put_record(&out, form, &f[i], b.len);
		need(!ibb_buf_append(&out, b.data, b.len));
		ibb_buf_clear(&b);
	}
	return out;
}

struct ibb_buf mkis_program(enum mkis_form form, const struct mkis_file *f, size_t n)
{
	struct ibb_buf payload = mkis(form, f, n), out = {0};

	need(!mkpe_driver("setup", &out));
	need(!ibb_buf_append(&out, payload.data, payload.len));
	ibb_buf_clear(&payload);
	return out;
}
