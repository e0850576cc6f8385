/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A plan as text, and texts kept in golden/. Include after plan_fixture.h. */
#ifndef IBB_TEST_PLAN_TEXT_H
#define IBB_TEST_PLAN_TEXT_H

#include "base/le.h"
#include "plan_fixture.h"

/* The 16 digits of a package name depend on the catalog's bytes, and so on OpenSSL. */
static inline void mask_digits(char *s)
{
	for (char *p = s; (p = strstr(p, ".inf_amd64_"));) {
		p += strlen(".inf_amd64_");
		for (int i = 0; i < 16 && p[i]; i++)
			p[i] = '#';
	}
}

/* One NUL at the end, two for a list, whose strings stand apart. */
static inline void print_text(struct ibb_buf *out, uint32_t type, struct ibb_bytes d)
{
	size_t end = type == IBB_REG_MULTI_SZ ? 4 : 2;

	assert_true(d.len >= end);
	for (size_t i = d.len - end; i < d.len; i++)
		assert_int_equal(d.data[i], 0);
	for (size_t off = 0, n; off < d.len - end; off += n + 2) {
		char *text;

		for (n = 0; ibb_get_le16(d.data + off + n);)
			n += 2;
		text = ibb_utf8_from_utf16le(d.data + off, n);
		assert_non_null(text);
		assert_int_equal(ibb_buf_printf(out, "%s\"%s\"", off ? ", " : "", text), 0);
		free(text);
	}
}

static inline void print_data(struct ibb_buf *out, uint32_t type, struct ibb_bytes d)
{
	char name[24];

	ibb_reg_type_name(type, name);
	assert_int_equal(ibb_buf_printf(out, "%s%s", name, d.len ? " " : ""), 0);
	if (type == IBB_REG_SZ || type == IBB_REG_EXPAND_SZ || type == IBB_REG_MULTI_SZ) {
		print_text(out, type, d);
		return;
	}
	for (size_t i = 0; i < d.len; i++)
		assert_int_equal(ibb_buf_printf(out, "%02x", d.data[i]), 0);
}

static inline void print_op(struct ibb_buf *out, const struct ibb_op *op)
{
	static const char *const kinds[] = {"mkdir", "put",	   "key",
					    "value", "clear-log",  "remove",
					    "unset", "delete-key", "mark-clean"};

	assert_int_equal(ibb_buf_printf(out, "%s ", kinds[op->kind]), 0);
	if (op->path)
		assert_int_equal(ibb_buf_printf(out, "%s", op->path), 0);
	else
		assert_int_equal(ibb_buf_printf(out, "%s\\%s", ibb_hive_id_name(op->hive), op->key),
				 0);
	if (op->kind == IBB_OP_PUT)
		assert_int_equal(ibb_buf_printf(out, " <- %s%s", op->file->path,
						op->may_replace ? ", may replace" : ""),
				 0);
	if (op->kind == IBB_OP_VALUE) {
		assert_int_equal(ibb_buf_printf(out, " : %s = ", op->value), 0);
		if (op->had_before) {
			print_data(out, op->before_type, op->before);
			assert_int_equal(ibb_buf_append_str(out, " -> "), 0);
		}
		print_data(out, op->type, op->data);
	}
	assert_int_equal(ibb_buf_printf(out, "\n\t%s (%s)\n", op->reason, op->evidence), 0);
}

static inline void assert_golden(const char *name, const char *text)
{
	char path[512];
	struct ibb_buf want = {0};
	struct ibb_error err = {0};
	FILE *f;

	snprintf(path, sizeof(path), IBB_SOURCE_DIR "/tests/golden/%s", name);
	if (getenv("IBB_GOLDEN_UPDATE")) {
		f = fopen(path, "wb");
		assert_non_null(f);
		assert_int_equal(fwrite(text, 1, strlen(text), f), strlen(text));
		assert_int_equal(fclose(f), 0);
		return;
	}
	assert_ok(ibb_read_file(path, 1u << 20, &want, &err), err);
	assert_non_null(ibb_buf_cstr(&want));
	if (strcmp((char *)want.data, text) != 0) {
		size_t i = 0, line = 1;

		while (want.data[i] && (char)want.data[i] == text[i])
			line += text[i++] == '\n';
		while (i && text[i - 1] != '\n')
			i--;
		fail_msg("%s:%zu differs; the plan says:\n%.400s\n(IBB_GOLDEN_UPDATE=1 rewrites)",
			 path, line, text + i);
	}
	ibb_buf_clear(&want);
}

#endif
