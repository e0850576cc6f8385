/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * CertificateTrustList ::= SEQUENCE {
 *     version           INTEGER DEFAULT v1,
 *     subjectUsage      SEQUENCE OF OBJECT IDENTIFIER,
 *     listIdentifier    OCTET STRING OPTIONAL,
 *     sequenceNumber    INTEGER OPTIONAL,
 *     ctlThisUpdate     Time,
 *     ctlNextUpdate     Time OPTIONAL,
 *     subjectAlgorithm  AlgorithmIdentifier,
 *     trustedSubjects   SEQUENCE OF TrustedSubject OPTIONAL,
 *     ctlExtensions     [0] EXPLICIT SEQUENCE OF Extension OPTIONAL }
 *
 * Source: Microsoft, wincrypt.h (CTL_INFO, CTL_ENTRY); how catalogs use it is read off
 * real ones, all of which look alike.
 */
#include "authenticode/cat.h"

#include <stdlib.h>

#include "authenticode/cat_internal.h"
#include "base/limits.h"
#include "base/utf16.h"

#define OID_CATALOG_LIST IBB_OID_MS("\x0c\x01\x01") /* 1.3.6.1.4.1.311.12.1.1 */
#define OID_MEMBER_V1	 IBB_OID_MS("\x0c\x01\x02") /* 1.3.6.1.4.1.311.12.1.2 */
#define OID_MEMBER_V2	 IBB_OID_MS("\x0c\x01\x03") /* 1.3.6.1.4.1.311.12.1.3 */

#define FLAG_TEXT 0x10000u /* CRYPTCAT_ATTR_DATAASCII of mscat.h: as opposed to Base64 */

/* ---- text ---- */

/* UTF-16LE into the arena. Why not, or NULL with *ret NULL when memory is short. */
static const char *text(struct ibb_cat_reader *r, struct ibb_bytes v, const char **ret)
{
	*ret = NULL;
	if (v.len % 2)
		return "text of half a character";
	if (v.len && !v.data[v.len - 2] && !v.data[v.len - 1])
		v.len -= 2; /* its end, which every value in a real catalog has */
	if (v.len / 2 > IBB_LIMIT_CAT_TEXT_CHARS)
		return "text that is too long";
	r->scratch.len = 0;
	if (ibb_utf8_append(&r->scratch, v.data, v.len))
		return NULL;
	/* What is behind a NUL would be seen by some readers only, and text goes into messages. */
	if (!ibb_utf8_is_plain((const char *)r->scratch.data, r->scratch.len))
		return "text with a control character";
	*ret = ibb_arena_strndup(&r->c->arena, (const char *)r->scratch.data, r->scratch.len);
	return NULL;
}

static int read_text(struct ibb_cat_reader *r, const struct ibb_der *at, struct ibb_bytes v,
		     const char **ret, struct ibb_error *err)
{
	const char *why = text(r, v, ret);

	if (why)
		return ibb_der_bad(at, "an attribute", why, err);
	return *ret ? IBB_OK : ibb_err_nomem(err);
}

/* A BMPString, which is big-endian. Not all that is in one has to be in plane 0: as UTF-16. */
static int read_name(struct ibb_cat_reader *r, const struct ibb_der *at, struct ibb_bytes v,
		     const char **ret, struct ibb_error *err)
{
	IBB_AUTO_BUF struct ibb_buf le = {0};

	if (v.len / 2 > IBB_LIMIT_CAT_TEXT_CHARS)
		return ibb_der_bad(at, "an attribute", "a name that is too long", err);
	if (ibb_buf_append(&le, v.data, v.len))
		return ibb_err_nomem(err);
	for (size_t i = 0; i + 1 < le.len; i += 2) {
		uint8_t high = le.data[i];

		le.data[i] = le.data[i + 1];
		le.data[i + 1] = high;
	}
	return read_text(r, at, ibb_buf_bytes(&le), ret, err);
}

int ibb_cat_name_value(struct ibb_cat_reader *r, struct ibb_der *d, struct ibb_cat_attr *ret,
		       struct ibb_error *err)
{
	static const char what[] = "an attribute";
	struct ibb_cat_attr a = {0};
	struct ibb_bytes name, value;
	struct ibb_der in, at = *d;
	uint32_t flags;
	int rc;

	rc = ibb_der_enter(d, IBB_DER_SEQUENCE, what, &in, err);
	if (!rc)
		rc = ibb_der_end(d, what, err);
	if (!rc)
		rc = ibb_der_get(&in, IBB_DER_BMP_STRING, "the name of an attribute", &name, err);
	if (!rc)
		rc = ibb_der_u32(&in, "the flags of an attribute", &flags, err);
	if (!rc)
		rc = ibb_der_get(&in, IBB_DER_OCTETS, "the value of an attribute", &value, err);
	if (!rc)
		rc = ibb_der_end(&in, what, err);
	if (!rc)
		rc = read_name(r, &at, name, &a.name, err);
	if (!rc && flags & FLAG_TEXT)
		rc = read_text(r, &at, value, &a.value, err);
	if (!rc)
		*ret = a;
	return rc;
}

/* ---- the list ---- */

int ibb_cat_count(struct ibb_der d, const char *what, size_t limit, size_t *ret,
		  struct ibb_error *err)
{
	struct ibb_bytes v;
	size_t n = 0;
	int tag, rc;

	while (ibb_der_more(&d)) {
		rc = ibb_der_any(&d, what, &tag, &v, err);
		if (rc)
			return rc;
		if (n++ == limit)
			return ibb_err(err, IBB_E_LIMIT, "%s: %s: there are more than %zu at 0x%zx",
				       d.name, what, limit, ibb_der_offset(&d));
	}
	*ret = n;
	return IBB_OK;
}

/* The catalog list OID tells a catalog from a list of roots or of certificates not to be trusted.
 */
static int read_usage(struct ibb_der *d, struct ibb_error *err)
{
	static const char what[] = "the usage of the list";
	struct ibb_bytes oid;
	struct ibb_der in;
	int rc;

	rc = ibb_der_enter(d, IBB_DER_SEQUENCE, what, &in, err);
	if (!rc)
		rc = ibb_der_get(&in, IBB_DER_OID, what, &oid, err);
	if (!rc)
		rc = ibb_der_end(&in, what, err);
	if (!rc && !IBB_DER_OID_IS(oid, OID_CATALOG_LIST))
		return ibb_err(err, IBB_E_CORRUPT,
			       "%s: a certificate trust list, but not a list of files"
			       " (1.3.6.1.4.1.311.12.1.1) at 0x%zx",
			       d->name, (size_t)(oid.data - d->origin));
	return rc;
}

/* From the list's identifier to its dates. */
static int read_dates(struct ibb_cat *c, struct ibb_der *d, struct ibb_error *err)
{
	struct ibb_bytes skipped;
	int64_t next;
	int rc = IBB_OK;

	if (ibb_der_is(d, IBB_DER_OCTETS))
		rc = ibb_der_get(d, IBB_DER_OCTETS, "the list's identifier", &skipped, err);
	if (!rc && ibb_der_is(d, IBB_DER_INTEGER))
		rc = ibb_der_get(d, IBB_DER_INTEGER, "the list's number", &skipped, err);
	if (!rc)
		rc = ibb_der_time(d, "the list's date", &c->created, err);
	/* No catalog has it, and Windows lets a list of files grow as old as it likes. */
	if (!rc && (ibb_der_is(d, IBB_DER_UTC_TIME) || ibb_der_is(d, IBB_DER_TIME)))
		rc = ibb_der_time(d, "the date of the next list", &next, err);
	return rc;
}

static int read_version(struct ibb_cat *c, struct ibb_der *d, struct ibb_error *err)
{
	size_t at = ibb_der_offset(d);
	struct ibb_bytes oid;
	int rc = ibb_der_algorithm(d, "the form of the members", &oid, err);

	if (rc)
		return rc;
	c->version = IBB_DER_OID_IS(oid, OID_MEMBER_V1) ? 1 : 2;
	c->alg = c->version == 1 ? IBB_ALG_SHA1 : IBB_ALG_SHA256;
	if (c->version == 2 && !IBB_DER_OID_IS(oid, OID_MEMBER_V2))
		return ibb_err(err, IBB_E_UNSUPPORTED,
			       "%s: neither a catalog of version 1 nor of version 2 at 0x%zx",
			       d->name, at);
	return IBB_OK;
}

/* Extension: SEQUENCE { OID, BOOLEAN critical DEFAULT FALSE, OCTET STRING DER } */
static int read_extension(struct ibb_cat_reader *r, struct ibb_der *d, struct ibb_error *err)
{
	static const char what[] = "an extension";
	struct ibb_bytes oid, critical = {0}, value;
	struct ibb_cat_attr a;
	struct ibb_der in, inner;
	size_t at = ibb_der_offset(d);
	int rc;

	rc = ibb_der_enter(d, IBB_DER_SEQUENCE, what, &in, err);
	if (!rc)
		rc = ibb_der_get(&in, IBB_DER_OID, what, &oid, err);
	if (!rc && ibb_der_is(&in, IBB_DER_BOOLEAN))
		rc = ibb_der_get(&in, IBB_DER_BOOLEAN, what, &critical, err);
	if (!rc)
		rc = ibb_der_get(&in, IBB_DER_OCTETS, what, &value, err);
	if (!rc)
		rc = ibb_der_end(&in, what, err);
	if (rc)
		return rc;
	if (!IBB_DER_OID_IS(oid, IBB_OID_NAME_VALUE))
		return critical.len && critical.data[0]
			       ? ibb_err(err, IBB_E_UNSUPPORTED,
					 "%s: an unknown extension that is critical at 0x%zx",
					 d->name, at)
			       : IBB_OK;
	rc = ibb_der_inside(&in, value, &inner, err);
	if (!rc)
		rc = ibb_cat_name_value(r, &inner, &a, err);
	if (!rc && a.value)
		r->c->attrs[r->c->n_attrs++] = a;
	return rc;
}

static int read_extensions(struct ibb_cat_reader *r, struct ibb_der *d, struct ibb_error *err)
{
	static const char what[] = "the extensions";
	struct ibb_der outer, in;
	size_t n = 0;
	int rc;

	rc = ibb_der_enter(d, IBB_DER_EXPLICIT(0), what, &outer, err);
	if (!rc)
		rc = ibb_der_enter(&outer, IBB_DER_SEQUENCE, what, &in, err);
	if (!rc)
		rc = ibb_der_end(&outer, what, err);
	if (!rc)
		rc = ibb_cat_count(in, what, IBB_LIMIT_CAT_ATTRS, &n, err);
	if (rc)
		return rc;
	r->c->attrs = ibb_arena_array(&r->c->arena, n, sizeof(r->c->attrs[0]));
	if (!r->c->attrs)
		return ibb_err_nomem(err);
	while (!rc && ibb_der_more(&in))
		rc = read_extension(r, &in, err);
	return rc;
}

static int read_list(struct ibb_cat_reader *r, struct ibb_der *all, struct ibb_error *err)
{
	static const char what[] = "the certificate trust list";
	uint32_t version;
	struct ibb_der d, members;
	int rc;

	rc = ibb_der_enter(all, IBB_DER_SEQUENCE, what, &d, err);
	if (!rc)
		rc = ibb_der_end(all, what, err);
	if (!rc && ibb_der_is(&d, IBB_DER_INTEGER))
		rc = ibb_der_u32(&d, "the list's version", &version, err);
	if (!rc)
		rc = read_usage(&d, err);
	if (!rc)
		rc = read_dates(r->c, &d, err);
	if (!rc)
		rc = read_version(r->c, &d, err);
	if (!rc && ibb_der_is(&d, IBB_DER_SEQUENCE)) {
		rc = ibb_der_enter(&d, IBB_DER_SEQUENCE, "the list of members", &members, err);
		if (!rc)
			rc = ibb_cat_members(r, members, err);
	}
	if (!rc && ibb_der_is(&d, IBB_DER_EXPLICIT(0)))
		rc = read_extensions(r, &d, err);
	if (!rc)
		rc = ibb_der_end(&d, what, err);
	return rc;
}

int ibb_cat_parse(const char *name, struct ibb_bytes ctl, struct ibb_cat **ret,
		  struct ibb_error *err)
{
	IBB_AUTO(ibb_cat_free) struct ibb_cat *c = NULL;
	struct ibb_cat_reader r = {0};
	struct ibb_der d;
	int rc;

	if (ctl.len > IBB_LIMIT_CAT_BYTES)
		return ibb_err(err, IBB_E_LIMIT, "%s: %zu bytes are too many for a catalog", name,
			       ctl.len);
	r.c = c = ibb_zalloc(sizeof(*c));
	if (!c)
		return ibb_err_nomem(err);
	ibb_der_init(&d, name, ctl);
	rc = read_list(&r, &d, err);
	ibb_buf_clear(&r.scratch);
	if (!rc)
		*ret = IBB_TAKE(c);
	return rc;
}

void ibb_cat_free(struct ibb_cat *c)
{
	if (!c)
		return;
	ibb_arena_clear(&c->arena);
	free(c);
}

const char *ibb_cat_attr(const struct ibb_cat *c, const char *name)
{
	for (size_t i = 0; i < c->n_attrs; i++)
		if (strcmp(c->attrs[i].name, name) == 0)
			return c->attrs[i].value;
	return NULL;
}
