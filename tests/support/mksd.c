/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "mksd.h"

#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/le.h"

#define SE_DACL_PRESENT	       0x0004u
#define SE_DACL_AUTO_INHERITED 0x0400u
#define SE_DACL_PROTECTED      0x1000u
#define SE_SELF_RELATIVE       0x8000u
#define SD_HEADER_BYTES	       20
#define ACL_HEADER_BYTES       8

struct sid_def {
	char code[3];
	uint8_t authority, n;
	uint32_t sub[6];
};
static const struct sid_def sid_defs[] = {
	{"WD", 1, 1, {0}},
	{"CO", 3, 1, {0}},
	{"OW", 3, 1, {4}},
	{"AU", 5, 1, {11}},
	{"SY", 5, 1, {18}},
	{"BA", 5, 2, {32, 544}},
	{"BU", 5, 2, {32, 545}},
	/* NT SERVICE\TrustedInstaller has no SDDL code of its own */
	{"TI", 5, 6, {80, 956008885, 3418522649, 1831038044, 1853292631, 2271478464}},
	{"AC", 15, 2, {2, 1}},
};

struct code_def {
	char code[3];
	uint32_t bits;
};
static const struct code_def flag_defs[] = {
	{"OI", 0x01}, {"CI", 0x02}, {"NP", 0x04}, {"IO", 0x08}, {"ID", 0x10},
};
static const struct code_def right_defs[] = {
	{"FA", 0x1f01ff}, {"KA", 0xf003f},    {"KR", 0x20019},	  {"RC", 0x20000},
	{"SD", 0x10000},  {"GA", 0x10000000}, {"GX", 0x20000000}, {"GW", 0x40000000},
	{"LC", 0x4},	  {"GR", 0x80000000},
};

struct parser {
	const char *text, *p;
	struct ibb_error *err;
};

static int syntax(struct parser *s, const char *what)
{
	return ibb_err(s->err, IBB_E_INVALID, "SDDL '%s': %s at column %td", s->text, what,
		       s->p - s->text + 1);
}

static int take(struct parser *s, const char *token)
{
	size_t n = strlen(token);

	if (strncmp(s->p, token, n) != 0)
		return syntax(s, token);
	s->p += n;
	return IBB_OK;
}

static int parse_codes(struct parser *s, const struct code_def *defs, size_t n, uint32_t *ret)
{
	uint32_t bits = 0;
	char *end;

	if (strncmp(s->p, "0x", 2) == 0) {
		*ret = (uint32_t)strtoul(s->p, &end, 16);
		s->p = end;
		return IBB_OK;
	}
	while (*s->p && *s->p != ';') {
		size_t i = 0;

		while (i < n && strncmp(s->p, defs[i].code, 2) != 0)
			i++;
		if (i == n)
			return syntax(s, "unknown code");
		bits |= defs[i].bits;
		s->p += 2;
	}
	*ret = bits;
	return IBB_OK;
}

static int append_sid(struct parser *s, struct ibb_buf *out)
{
	for (size_t i = 0; i < IBB_ARRAY_SIZE(sid_defs); i++) {
		const struct sid_def *d = &sid_defs[i];
		uint8_t b[8 + 6 * 4] = {1, d->n, 0, 0, 0, 0, 0, d->authority};

		if (strncmp(s->p, d->code, 2) != 0)
			continue;
		for (size_t k = 0; k < d->n; k++)
			ibb_put_le32(b + 8 + 4 * k, d->sub[k]);
		s->p += 2;
		return ibb_buf_append(out, b, 8 + 4u * d->n) ? ibb_err_nomem(s->err) : IBB_OK;
	}
	return syntax(s, "unknown SID");
}

static int append_ace(struct parser *s, struct ibb_buf *out)
{
	uint8_t head[8] = {0}; /* ACCESS_ALLOWED_ACE_TYPE */
	size_t at = out->len;
	uint32_t flags = 0, rights = 0;
	int r = take(s, "(A;");

	if (!r)
		r = parse_codes(s, flag_defs, IBB_ARRAY_SIZE(flag_defs), &flags);
	if (!r)
		r = take(s, ";");
	if (!r)
		r = parse_codes(s, right_defs, IBB_ARRAY_SIZE(right_defs), &rights);
	if (!r)
		r = take(s, ";;;");
	if (!r && ibb_buf_append(out, head, sizeof(head)))
		r = ibb_err_nomem(s->err);
	if (!r)
		r = append_sid(s, out);
	if (!r)
		r = take(s, ")");
	if (r)
		return r;
	out->data[at + 1] = (uint8_t)flags;
	ibb_put_le16(out->data + at + 2, (uint16_t)(out->len - at));
	ibb_put_le32(out->data + at + 4, rights);
	return IBB_OK;
}

static int append_dacl(struct parser *s, struct ibb_buf *out, uint16_t *control)
{
	size_t at = out->len;
	uint16_t n = 0;
	int r = take(s, "D:");

	if (r)
		return r;
	*control = SE_SELF_RELATIVE | SE_DACL_PRESENT;
	if (*s->p == 'P') {
		*control |= SE_DACL_PROTECTED;
		s->p++;
	}
	if (strncmp(s->p, "AI", 2) == 0) {
		*control |= SE_DACL_AUTO_INHERITED;
		s->p += 2;
	}
	if (ibb_buf_append_zero(out, ACL_HEADER_BYTES))
		return ibb_err_nomem(s->err);
	for (; *s->p == '('; n++) {
		r = append_ace(s, out);
		if (r)
			return r;
	}
	if (*s->p)
		return syntax(s, "something behind the ACEs");
	out->data[at] = 2; /* ACL_REVISION */
	ibb_put_le16(out->data + at + 2, (uint16_t)(out->len - at));
	ibb_put_le16(out->data + at + 4, n);
	return IBB_OK;
}

int mksd(const char *sddl, struct ibb_buf *ret, struct ibb_error *err)
{
	struct parser s = {sddl, sddl, err};
	IBB_AUTO_BUF struct ibb_buf out = {0};
	uint32_t owner = SD_HEADER_BYTES, group, dacl;
	uint16_t control = 0;
	int r = take(&s, "O:");

	if (!r && ibb_buf_append_zero(&out, SD_HEADER_BYTES))
		r = ibb_err_nomem(err);
	if (!r)
		r = append_sid(&s, &out);
	group = (uint32_t)out.len;
	if (!r)
		r = take(&s, "G:");
	if (!r)
		r = append_sid(&s, &out);
	dacl = (uint32_t)out.len;
	if (!r)
		r = append_dacl(&s, &out, &control);
	if (r)
		return r;
	out.data[0] = 1;
	ibb_put_le16(out.data + 2, control);
	ibb_put_le32(out.data + 4, owner);
	ibb_put_le32(out.data + 8, group);
	ibb_put_le32(out.data + 16, dacl);
	ibb_buf_clear(ret);
	*ret = out;
	out = (struct ibb_buf){0};
	return IBB_OK;
}
