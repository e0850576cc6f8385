/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "hivebuild.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "base/le.h"
#include "base/utf16.h"
#include "mksd.h"

void hivebuild_begin(struct hivebuild *b, uint64_t time)
{
	*b = (struct hivebuild){.time = time};
	b->rc = ibb_hive_new("ROOT", time, &b->hive, &b->err);
	if (!b->rc)
		b->key = ibb_hive_root(b->hive);
}

void hivebuild_key(struct hivebuild *b, const char *path, ...)
{
	char text[1024];
	va_list ap;
	int n;

	if (b->rc)
		return;
	va_start(ap, path);
	n = vsnprintf(text, sizeof(text), path, ap);
	va_end(ap);
	if (n < 0 || (size_t)n >= sizeof(text)) {
		b->rc = ibb_err(&b->err, IBB_E_INVALID, "key path too long: %s", text);
		return;
	}
	b->rc = ibb_hive_create(b->hive, ibb_hive_root(b->hive), text, IBB_KEY_SECURITY_PARENT, 0,
				b->time, &b->key, NULL, &b->err);
}

void hivebuild_raw(struct hivebuild *b, const char *name, uint32_t type, const void *data, size_t n)
{
	if (!b->rc)
		b->rc = ibb_hive_set(b->hive, b->key, name, type, data, n, b->time, &b->err);
}

/* Text in UTF-16LE with `zeros` terminators; '|' separates items when `split`. */
static void set_text(struct hivebuild *b, const char *name, uint32_t type, const char *text,
		     bool split)
{
	IBB_AUTO_BUF struct ibb_buf data = {0};
	int r = b->rc;

	if (r)
		return;
	r = ibb_utf16le_append(&data, text);
	for (size_t i = 0; !r && split && i + 1 < data.len; i += 2)
		if (data.data[i] == '|' && !data.data[i + 1])
			data.data[i] = 0;
	if (!r)
		r = ibb_buf_append_zero(&data, split ? 4 : 2);
	if (r)
		b->rc = ibb_err(&b->err, r, "value %s: cannot encode '%s'", name, text);
	hivebuild_raw(b, name, type, data.data, data.len);
}

void hivebuild_sz(struct hivebuild *b, const char *name, const char *text)
{
	set_text(b, name, IBB_REG_SZ, text, false);
}

void hivebuild_expand(struct hivebuild *b, const char *name, const char *text)
{
	set_text(b, name, IBB_REG_EXPAND_SZ, text, false);
}

void hivebuild_multi(struct hivebuild *b, const char *name, const char *items)
{
	set_text(b, name, IBB_REG_MULTI_SZ, items, true);
}

void hivebuild_dword(struct hivebuild *b, const char *name, uint32_t value)
{
	uint8_t le[4];

	ibb_put_le32(le, value);
	hivebuild_raw(b, name, IBB_REG_DWORD, le, sizeof(le));
}

void hivebuild_qword(struct hivebuild *b, const char *name, uint64_t value)
{
	uint8_t le[8];

	ibb_put_le64(le, value);
	hivebuild_raw(b, name, IBB_REG_QWORD, le, sizeof(le));
}

void hivebuild_security(struct hivebuild *b, const char *sddl)
{
	IBB_AUTO_BUF struct ibb_buf sd = {0};

	if (!b->rc)
		b->rc = mksd(sddl, &sd, &b->err);
	if (!b->rc)
		b->rc = ibb_hive_set_security(b->hive, b->key, ibb_buf_bytes(&sd), &b->err);
}

int hivebuild_done(struct hivebuild *b, struct ibb_buf *ret, struct ibb_error *err)
{
	struct ibb_hive_check check;
	int r = b->rc;

	if (!r)
		r = ibb_hive_check(b->hive, &check, &b->err);
	if (!r)
		r = ibb_hive_serialize(b->hive, b->time, ret, &b->err);
	if (r && err)
		*err = b->err;
	ibb_hive_close(b->hive);
	b->hive = NULL;
	return r;
}
