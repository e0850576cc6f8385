/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * TrustedSubject ::= SEQUENCE {
 *     subjectIdentifier  OCTET STRING,
 *     subjectAttributes  SET OF SEQUENCE { type OID, values SET OF ANY } OPTIONAL }
 *
 * The identifier is the tag by which Windows looks a file up: its digest, as 40 hexadecimal digits
 * in UTF-16LE with a NUL (version 1, SHA-1) or as 20 or 32 bytes (version 2). Beside it stands what
 * the file's digest was signed as. When the two differ, it depends on who looks which one counts:
 * such a catalog is refused whole.
 */
#include <stdlib.h>

#include "authenticode/cat_internal.h"
#include "authenticode/spc.h"
#include "base/hash.h"
#include "base/limits.h"
#include "base/utf16.h"

#define OID_INDIRECT_DATA  IBB_OID_MS("\x02\x01\x04") /* 1.3.6.1.4.1.311.2.1.4 */
#define OID_MEMBER_INFO	   IBB_OID_MS("\x0c\x02\x02") /* 1.3.6.1.4.1.311.12.2.2 */
#define OID_MEMBER_INFO_V2 IBB_OID_MS("\x0c\x02\x03") /* 1.3.6.1.4.1.311.12.2.3 */

/* One member on the way; what is not there yet is NULL, empty or UNKNOWN. */
struct member {
	struct ibb_cat_member m;
	struct ibb_der at; /* where it begins */
	struct ibb_spc spc;
	bool has_spc, has_info;
	enum ibb_cat_subject info; /* what the member info takes the file for */
};

static int bad(const struct member *m, const char *why, struct ibb_error *err)
{
	return ibb_der_bad(&m->at, "a member", why, err);
}

/* ---- the tag ---- */

static bool hex_tag(struct ibb_bytes t, uint8_t digest[32])
{
	if (t.len == 82 && !t.data[80] && !t.data[81])
		t.len = 80;
	if (t.len != 80)
		return false;
	for (size_t i = 0; i < 40; i++) {
		int v = t.data[2 * i + 1] ? -1 : ibb_hex_digit((char)t.data[2 * i]);

		if (v < 0)
			return false;
		digest[i / 2] = (uint8_t)(digest[i / 2] << 4 | v);
	}
	return true;
}

static int read_tag(const struct ibb_cat *c, struct member *m, struct ibb_bytes t,
		    struct ibb_error *err)
{
	if (c->version == 1) {
		if (!hex_tag(t, m->m.digest))
			return bad(m, "its tag is no SHA-1", err);
		m->m.digest_bytes = 20;
		return IBB_OK;
	}
	if (t.len != 20 && t.len != 32)
		return bad(m, "its tag is neither SHA-1 nor SHA-256", err);
	memcpy(m->m.digest, t.data, t.len);
	m->m.digest_bytes = (uint8_t)t.len;
	return IBB_OK;
}

/* ---- attributes ---- */

static int read_name_value(struct ibb_cat_reader *r, struct member *m, struct ibb_der *values,
			   struct ibb_error *err)
{
	struct ibb_cat_attr a;
	const char **to = NULL;
	int rc = ibb_cat_name_value(r, values, &a, err);

	if (rc)
		return rc;
	/* Whatever Windows makes of the case: no second meaning. */
	if (ibb_caseeq(a.name, "File"))
		to = &m->m.file;
	else if (ibb_caseeq(a.name, "OSAttr"))
		to = &m->m.os_attr;
	if (!to)
		return IBB_OK;
	if (*to)
		return bad(m, "two attributes have the same name", err);
	if (!a.value)
		return bad(m, "an attribute is no text", err);
	*to = a.value;
	return IBB_OK;
}

static int read_indirect(struct member *m, struct ibb_der *values, struct ibb_error *err)
{
	int rc;

	if (m->has_spc)
		return bad(m, "it has indirect data twice", err);
	m->has_spc = true;
	rc = ibb_spc_read(values, &m->spc, err);
	if (!rc)
		rc = ibb_der_end(values, "indirect data", err);
	return rc;
}

static bool bmp_is(struct ibb_bytes v, const char *s)
{
	size_t n = strlen(s);

	if (v.len == 2 * n + 2 && !v.data[2 * n] && !v.data[2 * n + 1])
		v.len -= 2;
	if (v.len != 2 * n)
		return false;
	for (size_t i = 0; i < n; i++) {
		uint8_t c = v.data[2 * i + 1];

		if (v.data[2 * i] || (c >= 'a' && c <= 'z' ? c - 0x20 : c) != (uint8_t)s[i])
			return false;
	}
	return true;
}

/*
 * CatalogMemberInfo: SEQUENCE { BMPString GUID, INTEGER version }, the GUID of who digests such
 * files (Microsoft's subject interface packages; the two below stand in every catalog of drivers).
 */
static int read_info(struct member *m, struct ibb_der *values, struct ibb_error *err)
{
	static const char what[] = "the member info";
	struct ibb_bytes guid, version;
	struct ibb_der in;
	int rc;

	rc = ibb_der_enter(values, IBB_DER_SEQUENCE, what, &in, err);
	if (!rc)
		rc = ibb_der_get(&in, IBB_DER_BMP_STRING, what, &guid, err);
	if (!rc)
		rc = ibb_der_get(&in, IBB_DER_INTEGER, what, &version, err);
	if (!rc)
		rc = ibb_der_end(&in, what, err);
	if (rc)
		return rc;
	if (bmp_is(guid, "{C689AAB8-8E78-11D0-8C47-00C04FC295EE}"))
		m->info = IBB_SUBJECT_PE;
	else if (bmp_is(guid, "{DE351A42-8E59-11D0-8C47-00C04FC295EE}"))
		m->info = IBB_SUBJECT_FLAT;
	return IBB_OK;
}

/* CatalogMemberInfoV2: a choice without content; [0] is a PE image, [2] a flat file. */
static int read_info_v2(struct member *m, struct ibb_der *values, struct ibb_error *err)
{
	struct ibb_bytes v;
	int tag, rc = ibb_der_any(values, "the member info", &tag, &v, err);

	if (!rc && !v.len && tag == IBB_DER_CONTEXT(0))
		m->info = IBB_SUBJECT_PE;
	if (!rc && !v.len && tag == IBB_DER_CONTEXT(2))
		m->info = IBB_SUBJECT_FLAT;
	return rc;
}

static int read_any_info(struct member *m, bool v2, struct ibb_der *values, struct ibb_error *err)
{
	int rc;

	if (m->has_info)
		return bad(m, "it has a member info twice", err);
	m->has_info = true;
	rc = v2 ? read_info_v2(m, values, err) : read_info(m, values, err);
	if (!rc)
		rc = ibb_der_end(values, "the member info", err);
	return rc;
}

static int read_attribute(struct ibb_cat_reader *r, struct member *m, struct ibb_der *d,
			  struct ibb_error *err)
{
	static const char what[] = "an attribute of a member";
	struct ibb_der in, values;
	struct ibb_bytes oid;
	int rc;

	rc = ibb_der_enter(d, IBB_DER_SEQUENCE, what, &in, err);
	if (!rc)
		rc = ibb_der_get(&in, IBB_DER_OID, what, &oid, err);
	if (!rc)
		rc = ibb_der_enter(&in, IBB_DER_SET, what, &values, err);
	if (!rc)
		rc = ibb_der_end(&in, what, err);
	if (rc)
		return rc;
	if (IBB_DER_OID_IS(oid, IBB_OID_NAME_VALUE))
		return read_name_value(r, m, &values, err);
	if (IBB_DER_OID_IS(oid, OID_INDIRECT_DATA))
		return read_indirect(m, &values, err);
	if (IBB_DER_OID_IS(oid, OID_MEMBER_INFO) || IBB_DER_OID_IS(oid, OID_MEMBER_INFO_V2))
		return read_any_info(m, IBB_DER_OID_IS(oid, OID_MEMBER_INFO_V2), &values, err);
	return IBB_OK;
}

/* ---- members ---- */

/* What is said in two places has to be the same. */
static int agree(struct member *m, struct ibb_error *err)
{
	if (!m->has_spc)
		return IBB_OK;
	if (m->spc.digest.len != m->m.digest_bytes ||
	    memcmp(m->spc.digest.data, m->m.digest, m->m.digest_bytes) != 0)
		return bad(m, "its tag is not the digest of its indirect data", err);
	m->m.subject = m->spc.subject;
	if (m->info && m->m.subject && m->info != m->m.subject)
		return bad(m, "its info and its indirect data take it for different kinds of file",
			   err);
	return IBB_OK;
}

static int read_member(struct ibb_cat_reader *r, struct ibb_der *d, struct ibb_cat_member *ret,
		       struct ibb_error *err)
{
	static const char what[] = "a member";
	struct member m = {.at = *d};
	struct ibb_bytes tag;
	struct ibb_der in, attrs;
	int rc;

	rc = ibb_der_enter(d, IBB_DER_SEQUENCE, what, &in, err);
	if (!rc)
		rc = ibb_der_get(&in, IBB_DER_OCTETS, "the tag of a member", &tag, err);
	if (!rc)
		rc = read_tag(r->c, &m, tag, err);
	if (!rc && ibb_der_more(&in)) {
		rc = ibb_der_enter(&in, IBB_DER_SET, what, &attrs, err);
		while (!rc && ibb_der_more(&attrs))
			rc = read_attribute(r, &m, &attrs, err);
	}
	if (!rc)
		rc = ibb_der_end(&in, what, err);
	if (!rc)
		rc = agree(&m, err);
	if (!rc)
		*ret = m.m;
	return rc;
}

static int compare_digests(const struct ibb_cat_member *m, const uint8_t *digest, size_t n)
{
	if (m->digest_bytes != n)
		return m->digest_bytes < n ? -1 : 1;
	return memcmp(m->digest, digest, n);
}

static int compare_text(const char *a, const char *b)
{
	return a && b ? strcmp(a, b) : !b - !a;
}

/* Members of the same digest by name, so that the order is the same on every machine. */
static int compare_members(const void *pa, const void *pb)
{
	const struct ibb_cat_member *a = pa, *b = pb;
	int c = compare_digests(a, b->digest, b->digest_bytes);

	return c ? c : compare_text(a->file, b->file);
}

/*
 * Two files of the same content may well be listed twice. But not under different conditions: which
 * of them counts would be anybody's guess.
 */
static int check_duplicates(const struct ibb_cat *c, const char *name, struct ibb_error *err)
{
	char hex[65];

	for (size_t i = 1; i < c->n_members; i++) {
		const struct ibb_cat_member *a = &c->members[i - 1], *b = a + 1;

		if (compare_digests(a, b->digest, b->digest_bytes) != 0 ||
		    (a->subject == b->subject && !compare_text(a->os_attr, b->os_attr)))
			continue;
		ibb_hex(a->digest, a->digest_bytes, hex);
		return ibb_err(err, IBB_E_CORRUPT,
			       "%s: member %s is listed twice, and not in the same way", name, hex);
	}
	return IBB_OK;
}

int ibb_cat_members(struct ibb_cat_reader *r, struct ibb_der d, struct ibb_error *err)
{
	struct ibb_cat *c = r->c;
	size_t n = 0;
	int rc = ibb_cat_count(d, "the members", IBB_LIMIT_CAT_MEMBERS, &n, err);

	if (rc)
		return rc;
	c->members = ibb_arena_array(&c->arena, n, sizeof(c->members[0]));
	if (!c->members)
		return ibb_err_nomem(err);
	for (; ibb_der_more(&d); c->n_members++) {
		rc = read_member(r, &d, &c->members[c->n_members], err);
		if (rc)
			return rc;
	}
	if (c->n_members)
		qsort(c->members, c->n_members, sizeof(c->members[0]), compare_members);
	return check_duplicates(c, d.name, err);
}

const struct ibb_cat_member *ibb_cat_find(const struct ibb_cat *c, const uint8_t *digest, size_t n)
{
	size_t lo = 0, hi = c->n_members;

	if (n != ibb_alg_bytes(c->alg))
		return NULL;
	while (lo < hi) { /* the first that is not below */
		size_t mid = lo + (hi - lo) / 2;

		if (compare_digests(&c->members[mid], digest, n) < 0)
			lo = mid + 1;
		else
			hi = mid;
	}
	if (lo == c->n_members || compare_digests(&c->members[lo], digest, n) != 0)
		return NULL;
	return &c->members[lo];
}
