/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <stdlib.h>

#include "base/le.h"
#include "base/limits.h"
#include "unpack/msi_internal.h"

/* Bits of a column's type, as _Columns has it with the top bit turned over. */
#define TYPE_BYTES  0x00ffu
#define TYPE_VALID  0x0100u
#define TYPE_STRING 0x0800u
#define TYPE_KINDS  0x0f00u

#define LONG_REFS 0x80000000u

static int corrupt(const struct msi_db *db, struct ibb_error *err, const char *what)
{
	return ibb_err(err, IBB_E_CORRUPT, "%s: damaged MSI: %s", db->name, what);
}

/* A stream that need not be there. */
static int load_stream(const struct msi_db *db, const char *name, struct ibb_buf *ret,
		       struct ibb_error *err)
{
	bool oom = false;
	const struct cfb_stream *s = msi_find_stream(&db->c, name, &oom);

	if (oom)
		return ibb_err_nomem(err);
	return s ? cfb_load(&db->c, s, name, IBB_LIMIT_MSI_TABLE, ret, err) : IBB_OK;
}

/* ---- the pool: lengths and counts of references in one stream, bytes in another ---- */

static int read_pool(struct msi_db *db, const struct ibb_buf *pool, struct ibb_error *err)
{
	size_t n = pool->len / 4;
	uint64_t end = 0;

	if (n > IBB_LIMIT_MSI_STRINGS)
		return ibb_err(err, IBB_E_LIMIT, "%s: more than %u strings", db->name,
			       IBB_LIMIT_MSI_STRINGS);
	db->at = ibb_calloc_array(n + 2, sizeof(*db->at));
	if (!db->at)
		return ibb_err_nomem(err);
	db->n_strings = 1;
	for (size_t i = 1; i < n; i++) {
		const uint8_t *e = pool->data + 4 * i;
		uint32_t len = ibb_get_le16(e);

		/* no length, but references: the upper half of the next one's length */
		if (!len && ibb_get_le16(e + 2)) {
			if (++i >= n)
				return corrupt(db, err, "its string pool is cut short");
			len = (uint32_t)ibb_get_le16(e + 2) << 16 | ibb_get_le16(e + 4);
		}
		end += len;
		if (end > db->strings.len)
			return corrupt(db, err, "a string lies behind the end of the pool");
		db->at[++db->n_strings] = (uint32_t)end;
	}
	return IBB_OK;
}

static int open_pool(struct msi_db *db, struct ibb_error *err)
{
	IBB_AUTO_BUF struct ibb_buf pool = {0};
	int rc = load_stream(db, "!_StringPool", &pool, err);
	uint32_t head;

	if (!rc)
		rc = load_stream(db, "!_StringData", &db->strings, err);
	if (rc)
		return rc;
	if (pool.len < 4)
		return corrupt(db, err, "it has no strings");
	head = ibb_get_le32(pool.data);
	db->ref_bytes = head & LONG_REFS ? 3 : 2;
	db->code_page = head & ~LONG_REFS;
	return read_pool(db, &pool, err);
}

struct ibb_bytes msi_string(const struct msi_db *db, uint32_t number)
{
	uint32_t from = db->at[number], to = db->at[number + 1];

	if (from == to)
		return (struct ibb_bytes){(const uint8_t *)"", 0};
	return (struct ibb_bytes){db->strings.data + from, to - from};
}

static bool equals(const struct msi_db *db, uint32_t number, const char *text)
{
	struct ibb_bytes b = msi_string(db, number);

	return b.len == strlen(text) && memcmp(b.data, text, b.len) == 0;
}

uint32_t msi_string_number(const struct msi_db *db, const char *text)
{
	for (uint32_t i = 1; i < db->n_strings; i++)
		if (equals(db, i, text))
			return i;
	return 0;
}

static bool is_installer(const struct msi_db *db)
{
	return msi_string_number(db, "File") && msi_string_number(db, "Component");
}

int msi_open(const struct unpack_source *s, struct msi_db *ret, struct ibb_error *err)
{
	struct msi_db db = {.name = s->name};
	int rc = cfb_open(s, &db.c, err);

	if (!rc)
		rc = open_pool(&db, err);
	if (!rc)
		rc = load_stream(&db, "!_Tables", &db.tables, err);
	if (!rc)
		rc = load_stream(&db, "!_Columns", &db.columns, err);
	if (!rc && !is_installer(&db))
		rc = msi_refuse(err,
				"%s: no installation package: it has no table of files (a patch, "
				"a transform or another database)",
				s->name);
	if (rc) {
		msi_close(&db);
		return rc;
	}
	*ret = db;
	return IBB_OK;
}

void msi_close(struct msi_db *db)
{
	cfb_clear(&db->c);
	free(db->at);
	ibb_buf_clear(&db->strings);
	ibb_buf_clear(&db->tables);
	ibb_buf_clear(&db->columns);
	*db = (struct msi_db){0};
}

/* ---- tables ---- */

static uint32_t get_ref(const struct msi_db *db, const uint8_t *p)
{
	return db->ref_bytes == 3 ? ibb_get_le16(p) | (uint32_t)p[2] << 16 : ibb_get_le16(p);
}

static unsigned field_bytes(const struct msi_db *db, uint16_t type)
{
	/* a stream of its own has a number here that says nothing */
	if ((type & TYPE_KINDS) == (TYPE_STRING | TYPE_VALID) && !(type & TYPE_BYTES))
		return 2;
	if (type & TYPE_STRING)
		return db->ref_bytes;
	return (type & TYPE_BYTES) <= 2 ? 2 : 4;
}

/* The columns of a table: _Columns has Table, Number, Name and Type, one behind the other. */
static int find_columns(const struct msi_db *db, uint32_t table, struct msi_table *t,
			struct ibb_error *err)
{
	size_t row = 2 * (size_t)db->ref_bytes + 4, n = db->columns.len / row;
	const uint8_t *p = db->columns.data;
	unsigned have = 0;

	for (size_t i = 0; i < n; i++) {
		const uint8_t *number = p + n * db->ref_bytes + 2 * i;
		const uint8_t *name = p + n * (db->ref_bytes + 2u) + i * db->ref_bytes;
		const uint8_t *type = p + n * (2 * db->ref_bytes + 2u) + 2 * i;
		unsigned k;

		if (get_ref(db, p + i * db->ref_bytes) != table)
			continue;
		k = (ibb_get_le16(number) ^ 0x8000u) - 1u;
		if (k >= MSI_MAX_COLUMNS || t->columns[k].bytes)
			return ibb_err(err, IBB_E_CORRUPT,
				       "%s: damaged MSI: table %s: its columns are in disorder",
				       db->name, t->name);
		t->columns[k].name = get_ref(db, name);
		t->columns[k].type = ibb_get_le16(type) ^ 0x8000u;
		t->columns[k].bytes = field_bytes(db, t->columns[k].type);
		have++;
	}
	t->n_columns = have;
	for (unsigned k = 0; k < have; k++)
		if (!t->columns[k].bytes)
			return ibb_err(err, IBB_E_CORRUPT,
				       "%s: damaged MSI: table %s lacks its column %u", db->name,
				       t->name, k + 1);
	return IBB_OK;
}

static int lay_out(const struct msi_db *db, struct msi_table *t, struct ibb_error *err)
{
	size_t row = 0, at = 0;

	for (unsigned k = 0; k < t->n_columns; k++)
		row += t->columns[k].bytes;
	if (!row || t->data.len % row)
		return ibb_err(err, IBB_E_CORRUPT,
			       "%s: damaged MSI: table %s: %zu bytes are no whole rows", db->name,
			       t->name, t->data.len);
	if (t->data.len / row > IBB_LIMIT_MSI_ROWS)
		return ibb_err(err, IBB_E_LIMIT, "%s: table %s has more than %u rows", db->name,
			       t->name, IBB_LIMIT_MSI_ROWS);
	t->n_rows = (uint32_t)(t->data.len / row);
	for (unsigned k = 0; k < t->n_columns; k++) {
		t->columns[k].at = at;
		at += (size_t)t->n_rows * t->columns[k].bytes;
	}
	return IBB_OK;
}

int msi_load(const struct msi_db *db, const char *table, struct msi_table *ret,
	     struct ibb_error *err)
{
	struct msi_table t = {.name = table};
	uint32_t number = msi_string_number(db, table);
	char stream[64] = "!";
	int rc = IBB_OK;

	if (number)
		rc = find_columns(db, number, &t, err);
	if (!rc && t.n_columns) {
		strncat(stream, table, sizeof(stream) - 2);
		rc = load_stream(db, stream, &t.data, err);
		if (!rc)
			rc = lay_out(db, &t, err);
	}
	if (rc) {
		msi_table_clear(&t);
		return rc;
	}
	*ret = t;
	return IBB_OK;
}

void msi_table_clear(struct msi_table *t)
{
	ibb_buf_clear(&t->data);
	*t = (struct msi_table){0};
}

int msi_column(const struct msi_db *db, const struct msi_table *t, const char *name, bool string,
	       unsigned *ret, struct ibb_error *err)
{
	for (unsigned k = 0; k < t->n_columns; k++) {
		if (t->columns[k].name >= db->n_strings || !equals(db, t->columns[k].name, name))
			continue;
		if (!(t->columns[k].type & TYPE_STRING) == string ||
		    (string && t->columns[k].bytes != db->ref_bytes))
			break;
		*ret = k;
		return IBB_OK;
	}
	return ibb_err(err, IBB_E_CORRUPT, "%s: damaged MSI: table %s lacks the column %s",
		       db->name, t->name, name);
}

static const uint8_t *field(const struct msi_table *t, uint32_t row, unsigned column)
{
	return t->data.data + t->columns[column].at + (size_t)row * t->columns[column].bytes;
}

int msi_str(const struct msi_db *db, const struct msi_table *t, uint32_t row, unsigned column,
	    uint32_t *ret, struct ibb_error *err)
{
	uint32_t number = get_ref(db, field(t, row, column));

	if (number >= db->n_strings)
		return ibb_err(err, IBB_E_CORRUPT,
			       "%s: damaged MSI: table %s, row %u: string %u is not in the pool",
			       db->name, t->name, row + 1, number);
	*ret = number;
	return IBB_OK;
}

bool msi_int(const struct msi_table *t, uint32_t row, unsigned column, int32_t *ret)
{
	const uint8_t *p = field(t, row, column);

	if (t->columns[column].bytes == 2) {
		uint16_t v = ibb_get_le16(p);

		*ret = v ? (int32_t)v - 0x8000 : 0;
		return v;
	} else {
		uint32_t v = ibb_get_le32(p);

		*ret = v ? (int32_t)(v ^ 0x80000000u) : 0;
		return v;
	}
}
