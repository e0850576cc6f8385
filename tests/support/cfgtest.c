/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "test.h"

#include "cfgtest.h"

#include "base/le.h"
#include "base/utf16.h"

static int get(void *ctx, const char *name, struct ibb_inf **ret, struct ibb_error *err)
{
	struct cfg_bed *b = ctx;

	for (struct cfg_inf *i = b->infs; i->name; i++) {
		const struct ibb_bytes text = {(const uint8_t *)i->text, strlen(i->text)};
		int rc = IBB_OK;

		if (!ibb_caseeq(i->name, name))
			continue;
		if (!i->inf)
			rc = ibb_inf_parse(i->name, text, &i->inf, err);
		if (!rc)
			*ret = i->inf;
		return rc;
	}
	return ibb_err(err, IBB_E_NOTFOUND, "%s is not there", name);
}

struct ibb_inf_provider cfg_provider(struct cfg_bed *b)
{
	return (struct ibb_inf_provider){get, b};
}

void cfg_load(struct cfg_bed *b, const char *text)
{
	struct ibb_package_source src = memsource(&b->dir);
	struct ibb_error err = {0};

	memdir_add(&b->dir, "disk.inf", text, 0);
	memdir_add(&b->dir, "disk.sys", "MZ", 0);
	memdir_add(&b->dir, "sub/filter.sys", "MZ", 0);
	if (!b->target.major)
		b->target = server_2022;
	assert_ok(ibb_package_load(&src, "disk.inf", &b->target, &b->p, &err), err);
}

int cfg_build(struct cfg_bed *b, struct ibb_configuration **ret, struct ibb_error *err)
{
	const struct ibb_configure_opts o = {"oem7.inf", "disk.inf_amd64_0123456789abcdef",
					     cfg_provider(b)};

	return ibb_configure_build(b->p, &o, ret, err);
}

void cfg_free(struct cfg_bed *b)
{
	ibb_package_free(b->p);
	for (struct cfg_inf *i = b->infs; i->name; i++)
		ibb_inf_free(i->inf);
	*b = (struct cfg_bed){0};
}

static void dump_data(const struct ibb_configure_value *v, struct ibb_buf *out)
{
	uint32_t type = v->type & 0xffff;
	bool text = v->type >> 16 == 0xffff ? type == 0x12 : type == 1 || type == 2 || type == 7;
	int rc = 0;

	if (!text) {
		for (size_t i = 0; i < v->data.len; i++)
			rc |= ibb_buf_printf(out, "%02x", v->data.data[i]);
		assert_int_equal(rc, 0);
		return;
	}
	for (size_t i = 0; i + 2 <= v->data.len; i += 2) {
		if (!ibb_get_le16(v->data.data + i))
			rc |= ibb_buf_append_str(out, "~");
		else
			rc |= ibb_utf8_append(out, v->data.data + i, 2);
	}
	assert_int_equal(rc, 0);
}

void cfg_dump(const struct ibb_configuration *c, struct ibb_buf *out)
{
	static const char *const roots[] = {"package", "inf", "control", "software"};
	static const char *const ops[] = {"set", "absent", "append", "unset", "delete", "key"};

	for (size_t i = 0; i < c->values.n; i++) {
		const struct ibb_configure_value *v = &c->values.items[i];

		assert_non_null(v->evidence);
		assert_int_equal(
			ibb_buf_printf(out, "%s %s %s", roots[v->root], ops[v->op], v->key), 0);
		if (v->name)
			assert_int_equal(ibb_buf_printf(out, " : %s = %x ", v->name, v->type), 0);
		if (v->name)
			dump_data(v, out);
		assert_int_equal(ibb_buf_append_str(out, "\n"), 0);
	}
	assert_non_null(ibb_buf_cstr(out));
}
