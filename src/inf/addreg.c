/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * AddReg and DelReg lines. Microsoft, "INF AddReg Directive", "INF DelReg Directive".
 *
 * A line is taken as it stands: the common slip HKR,"key",0x10 names a value "0x10" and gives it an
 * empty string, which is also what Windows makes of it. What cannot be told for certain is refused
 * by line, never guessed.
 */
#include "inf/internal.h"

#include <string.h>

#include "base/le.h"
#include "base/limits.h"
#include "base/utf16.h"

/* FLG_ADDREG_* of setupapi.h */
#define ADDREG_NOCLOBBER     0x00000002u
#define ADDREG_APPEND	     0x00000008u
#define ADDREG_KEYONLY	     0x00000010u
#define ADDREG_TYPE_MASK     0xffff0001u
#define ADDREG_TYPE_BINARY   0x00000001u
#define ADDREG_TYPE_MULTI_SZ 0x00010000u
#define ADDREG_TYPE_DWORD    0x00010001u
#define ADDREG_TYPE_EXPAND   0x00020000u
#define ADDREG_TYPE_NONE     0x00020001u
#define ADDREG_TYPE_QWORD    0x000b0001u

#define FIELD_VALUE 4 /* root, subkey, name, flags, then the value's fields */

/* winnt.h */
enum { SZ = 1, EXPAND_SZ = 2, BINARY = 3, DWORD = 4, MULTI_SZ = 7, QWORD = 11, NONE = 0 };

struct lines {
	struct ibb_inf *inf;
	struct ibb_error *err;
	struct ibb_inf_reg *items;
	size_t n;
	struct ibb_buf scratch;
};

static int refuse(struct lines *x, const struct ibb_inf_line *l, const char *what)
{
	return ibb_inf_err(x->inf, l->line, IBB_E_UNSUPPORTED, x->err, "%s", what);
}

static int read_root(struct lines *x, const struct ibb_inf_line *l, enum ibb_inf_reg_root *ret)
{
	static const char *const names[] = {
		[IBB_INF_HKR] = "HKR",	 [IBB_INF_HKLM] = "HKLM", [IBB_INF_HKCR] = "HKCR",
		[IBB_INF_HKCU] = "HKCU", [IBB_INF_HKU] = "HKU",
	};

	for (size_t i = 0; i < IBB_ARRAY_SIZE(names); i++) {
		if (ibb_caseeq(ibb_inf_field(l, 0), names[i])) {
			*ret = (enum ibb_inf_reg_root)i;
			return IBB_OK;
		}
	}
	return ibb_inf_err(x->inf, l->line, IBB_E_CORRUPT, x->err,
			   "'%.80s' is no registry root (HKR, HKLM, HKCR, HKCU, HKU)",
			   ibb_inf_field(l, 0));
}

/* No empty component, which a leading, trailing or double backslash makes, and none over 255. */
static int check_subkey(struct lines *x, const struct ibb_inf_line *l, const char *s)
{
	unsigned components = 0;

	if (strlen(s) > IBB_LIMIT_INF_SUBKEY_CHARS)
		return ibb_inf_err(x->inf, l->line, IBB_E_LIMIT, x->err,
				   "registry key of more than %u characters",
				   IBB_LIMIT_INF_SUBKEY_CHARS);
	for (const char *p = s; *s;) {
		size_t n = strcspn(p, "\\");

		if (!n)
			return refuse(x, l, "registry key with an empty component");
		if (n > IBB_LIMIT_KEY_NAME_CHARS || ++components > IBB_LIMIT_INF_SUBKEY_DEPTH)
			return ibb_inf_err(x->inf, l->line, IBB_E_LIMIT, x->err,
					   "registry key deeper than %u, or a name of more than %u "
					   "characters in it",
					   IBB_LIMIT_INF_SUBKEY_DEPTH, IBB_LIMIT_KEY_NAME_CHARS);
		p += n;
		if (!*p++)
			break;
	}
	return IBB_OK;
}

static int check_name(struct lines *x, const struct ibb_inf_line *l, const char *s)
{
	if (strlen(s) > IBB_LIMIT_VALUE_NAME_CHARS)
		return ibb_inf_err(x->inf, l->line, IBB_E_LIMIT, x->err,
				   "value name of more than %u characters",
				   IBB_LIMIT_VALUE_NAME_CHARS);
	return IBB_OK;
}

/* Fields of the value, without empty ones at the end. */
static size_t value_fields(const struct ibb_inf_line *l)
{
	size_t n = l->n;

	while (n > FIELD_VALUE && !*l->fields[n - 1])
		n--;
	return n > FIELD_VALUE ? n - FIELD_VALUE : 0;
}

static int append_text(struct lines *x, const struct ibb_inf_line *l, const char *s)
{
	int r = ibb_utf16le_append(&x->scratch, s);

	if (!r)
		r = ibb_buf_append_zero(&x->scratch, 2);
	if (r == IBB_E_INVALID)
		return ibb_inf_err(x->inf, l->line, IBB_E_CORRUPT, x->err,
				   "text that cannot be stored as UTF-16");
	return r ? ibb_err_nomem(x->err) : IBB_OK;
}

static int put_string(struct lines *x, const struct ibb_inf_line *l)
{
	if (value_fields(l) > 1)
		return refuse(x, l, "a string value of several fields; quotes are missing");
	return append_text(x, l, ibb_inf_field(l, FIELD_VALUE));
}

static int put_multi(struct lines *x, const struct ibb_inf_line *l)
{
	size_t n = value_fields(l);
	int r = IBB_OK;

	if (!n)
		return refuse(x, l, "a list of strings without a string");
	for (size_t i = 0; !r && i < n; i++) {
		if (!*l->fields[FIELD_VALUE + i])
			return refuse(x, l, "a list of strings with an empty one in it");
		r = append_text(x, l, l->fields[FIELD_VALUE + i]);
	}
	if (!r && ibb_buf_append_zero(&x->scratch, 2))
		r = ibb_err_nomem(x->err);
	return r;
}

static int put_number(struct lines *x, const struct ibb_inf_line *l, size_t size)
{
	const char *s = ibb_inf_field(l, FIELD_VALUE);
	uint8_t le[8];
	uint64_t v;

	if (value_fields(l) != 1 || !ibb_inf_number(s, size == 4 ? UINT32_MAX : UINT64_MAX, &v))
		return ibb_inf_err(x->inf, l->line, IBB_E_UNSUPPORTED, x->err,
				   "a %zu-bit value that is not one number: '%.80s'", size * 8, s);
	ibb_put_le64(le, v);
	return ibb_buf_append(&x->scratch, le, size) ? ibb_err_nomem(x->err) : IBB_OK;
}

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c |= 0x20;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static int put_binary(struct lines *x, const struct ibb_inf_line *l)
{
	size_t n = value_fields(l);

	for (size_t i = 0; i < n; i++) {
		const char *s = l->fields[FIELD_VALUE + i];
		int hi, lo;
		uint8_t byte;

		if (s[0] == '0' && (s[1] | 0x20) == 'x')
			s += 2;
		hi = hex_digit(s[0]);
		lo = s[0] && s[1] ? hex_digit(s[1]) : hi;
		if (hi < 0 || lo < 0 || (s[1] && s[2]))
			return ibb_inf_err(x->inf, l->line, IBB_E_UNSUPPORTED, x->err,
					   "binary data that are not single bytes: '%.80s'",
					   l->fields[FIELD_VALUE + i]);
		byte = (uint8_t)(s[1] ? hi << 4 | lo : lo);
		if (ibb_buf_append(&x->scratch, &byte, 1))
			return ibb_err_nomem(x->err);
	}
	return IBB_OK;
}

static int put_value(struct lines *x, const struct ibb_inf_line *l, uint32_t flags, uint32_t *type)
{
	switch (flags & ADDREG_TYPE_MASK) {
	case 0:
		*type = SZ;
		return put_string(x, l);
	case ADDREG_TYPE_EXPAND:
		*type = EXPAND_SZ;
		return put_string(x, l);
	case ADDREG_TYPE_MULTI_SZ:
		*type = MULTI_SZ;
		return put_multi(x, l);
	case ADDREG_TYPE_DWORD:
		*type = DWORD;
		return put_number(x, l, 4);
	case ADDREG_TYPE_QWORD:
		*type = QWORD;
		return put_number(x, l, 8);
	case ADDREG_TYPE_BINARY:
		*type = BINARY;
		return put_binary(x, l);
	case ADDREG_TYPE_NONE:
		*type = NONE;
		return put_binary(x, l);
	default:
		return ibb_inf_err(x->inf, l->line, IBB_E_UNSUPPORTED, x->err,
				   "AddReg flags 0x%x name a value type that is not known", flags);
	}
}

static int read_flags(struct lines *x, const struct ibb_inf_line *l, uint32_t *ret)
{
	const char *s = ibb_inf_field(l, 3);
	uint32_t known = ADDREG_TYPE_MASK | ADDREG_NOCLOBBER | ADDREG_APPEND | ADDREG_KEYONLY;
	uint64_t v = 0;

	if (*s && !ibb_inf_number(s, UINT32_MAX, &v))
		return ibb_inf_err(x->inf, l->line, IBB_E_CORRUPT, x->err,
				   "AddReg flags are not a number: '%.80s'", s);
	if (v & ~known)
		return ibb_inf_err(x->inf, l->line, IBB_E_UNSUPPORTED, x->err,
				   "AddReg flags 0x%x are not understood", (unsigned)v);
	if ((v & ADDREG_APPEND) &&
	    ((v & ADDREG_TYPE_MASK) != ADDREG_TYPE_MULTI_SZ || (v & ADDREG_NOCLOBBER)))
		return ibb_inf_err(x->inf, l->line, IBB_E_UNSUPPORTED, x->err,
				   "AddReg flags 0x%x append to what is no list of strings",
				   (unsigned)v);
	*ret = (uint32_t)v;
	return IBB_OK;
}

/* Copy the scratch into the INF's arena as the item's data. */
static int keep_data(struct lines *x, const struct ibb_inf_line *l, struct ibb_inf_reg *item)
{
	uint8_t *p;

	if (x->scratch.len > IBB_LIMIT_INF_VALUE_BYTES)
		return ibb_inf_err(x->inf, l->line, IBB_E_LIMIT, x->err,
				   "registry value of more than %u bytes",
				   IBB_LIMIT_INF_VALUE_BYTES);
	p = ibb_arena_alloc(&x->inf->arena, x->scratch.len);
	if (!p)
		return ibb_err_nomem(x->err);
	if (x->scratch.len)
		memcpy(p, x->scratch.data, x->scratch.len);
	item->data = (struct ibb_bytes){p, x->scratch.len};
	return IBB_OK;
}

static int add_line(struct lines *x, const struct ibb_inf_line *l, struct ibb_inf_reg *item)
{
	uint32_t flags = 0;
	int r = read_flags(x, l, &flags);

	if (r)
		return r;
	if (flags & ADDREG_KEYONLY) {
		item->op = IBB_INF_REG_KEY;
		return IBB_OK;
	}
	if (!*item->name && l->n <= FIELD_VALUE)
		return refuse(x, l, "AddReg line with neither value name nor value");
	item->op = flags & ADDREG_APPEND      ? IBB_INF_REG_APPEND
		   : flags & ADDREG_NOCLOBBER ? IBB_INF_REG_SET_IF_ABSENT
					      : IBB_INF_REG_SET;
	x->scratch.len = 0;
	r = put_value(x, l, flags, &item->type);
	return r ? r : keep_data(x, l, item);
}

static int del_line(struct lines *x, const struct ibb_inf_line *l, struct ibb_inf_reg *item)
{
	if (*ibb_inf_field(l, 3) || value_fields(l))
		return refuse(x, l, "DelReg with flags");
	item->op = *item->name ? IBB_INF_REG_DELETE_VALUE : IBB_INF_REG_DELETE_KEY;
	if (item->op == IBB_INF_REG_DELETE_KEY && !*item->subkey)
		return refuse(x, l, "DelReg of a whole root");
	return IBB_OK;
}

static int read_line(struct lines *x, const struct ibb_inf_line *l,
		     int (*more)(struct lines *, const struct ibb_inf_line *, struct ibb_inf_reg *))
{
	struct ibb_inf_reg item = {.line = l->line};
	int r;

	if (l->key)
		return ibb_inf_err(x->inf, l->line, IBB_E_CORRUPT, x->err,
				   "'%.80s =' in a list of registry changes", l->key);
	item.subkey = ibb_inf_field(l, 1);
	item.name = ibb_inf_field(l, 2);
	r = read_root(x, l, &item.root);
	if (!r)
		r = check_subkey(x, l, item.subkey);
	if (!r)
		r = check_name(x, l, item.name);
	if (!r)
		r = more(x, l, &item);
	if (!r)
		x->items[x->n++] = item;
	return r;
}

static int read_all(struct ibb_inf *inf, const struct ibb_inf_section *s,
		    int (*more)(struct lines *, const struct ibb_inf_line *, struct ibb_inf_reg *),
		    struct ibb_inf_regs *ret, struct ibb_error *err)
{
	struct lines x = {.inf = inf, .err = err};
	int r = IBB_OK;

	x.items = ibb_arena_array(&inf->arena, s->n, sizeof(*x.items));
	if (!x.items)
		return ibb_err_nomem(err);
	for (size_t i = 0; !r && i < s->n; i++)
		r = read_line(&x, &s->lines[i], more);
	ibb_buf_clear(&x.scratch);
	if (r)
		return r;
	*ret = (struct ibb_inf_regs){x.n, x.items};
	return IBB_OK;
}

int ibb_inf_addreg(struct ibb_inf *inf, const struct ibb_inf_section *s, struct ibb_inf_regs *ret,
		   struct ibb_error *err)
{
	return read_all(inf, s, add_line, ret, err);
}

int ibb_inf_delreg(struct ibb_inf *inf, const struct ibb_inf_section *s, struct ibb_inf_regs *ret,
		   struct ibb_error *err)
{
	return read_all(inf, s, del_line, ret, err);
}
