/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "authenticode/der.h"

#include "base/limits.h"
#include "base/time.h"

void ibb_der_init(struct ibb_der *d, const char *name, struct ibb_bytes all)
{
	*d = (struct ibb_der){.name = name, .origin = all.data, .rest = all};
}

size_t ibb_der_offset(const struct ibb_der *d)
{
	return d->rest.data ? (size_t)(d->rest.data - d->origin) : 0;
}

int ibb_der_bad(const struct ibb_der *d, const char *what, const char *why, struct ibb_error *err)
{
	return ibb_err(err, IBB_E_CORRUPT, "%s: %s is damaged: %s at 0x%zx", d->name, what, why,
		       ibb_der_offset(d));
}

int ibb_der_inside(const struct ibb_der *d, struct ibb_bytes v, struct ibb_der *ret,
		   struct ibb_error *err)
{
	if (d->depth >= IBB_LIMIT_DER_DEPTH)
		return ibb_err(err, IBB_E_CORRUPT, "%s: elements are nested too deep at 0x%zx",
			       d->name, ibb_der_offset(d));
	*ret = (struct ibb_der){d->name, d->origin, v, d->depth + 1};
	return IBB_OK;
}

/*
 * Tag and length: bytes of the header, 0 with *why when there is none. Four bytes of length are
 * enough for what IBB_LIMIT_CAT_BYTES lets in.
 */
static size_t header(const struct ibb_der *d, size_t *ret_len, const char **why)
{
	const uint8_t *p = d->rest.data;
	size_t n, len = 0;

	*why = "it is cut off";
	if (d->rest.len < 2)
		return 0;
	n = p[1] & 0x80 ? p[1] & 0x7f : 0;
	if ((p[0] & 0x1f) == 0x1f)
		*why = "a tag of more than one byte";
	else if (p[1] == 0x80)
		*why = "a length that is not definite";
	else if (n > 4)
		*why = "an impossible length";
	else if (2 + n <= d->rest.len)
		*why = NULL;
	if (*why)
		return 0;
	for (size_t i = 0; i < n; i++)
		len = len << 8 | p[2 + i];
	if (!n)
		len = p[1];
	else if (len < 0x80 || p[2] == 0)
		*why = "a length that is not in its shortest form";
	if (!*why && len > d->rest.len - 2 - n)
		*why = "it is longer than what it lies in";
	*ret_len = len;
	return *why ? 0 : 2 + n;
}

int ibb_der_any(struct ibb_der *d, const char *what, int *ret_tag, struct ibb_bytes *ret,
		struct ibb_error *err)
{
	const char *why = NULL;
	size_t len = 0, head;

	if (!d->rest.len)
		return ibb_err(err, IBB_E_CORRUPT, "%s: %s is missing at 0x%zx", d->name, what,
			       ibb_der_offset(d));
	head = header(d, &len, &why);
	if (why)
		return ibb_der_bad(d, what, why, err);
	*ret_tag = d->rest.data[0];
	*ret = (struct ibb_bytes){d->rest.data + head, len};
	d->rest.data += head + len;
	d->rest.len -= head + len;
	return IBB_OK;
}

int ibb_der_get(struct ibb_der *d, int tag, const char *what, struct ibb_bytes *ret,
		struct ibb_error *err)
{
	int found;

	if (ibb_der_more(d) && !ibb_der_is(d, tag))
		return ibb_err(err, IBB_E_CORRUPT,
			       "%s: %s is missing at 0x%zx (tag 0x%02x, not 0x%02x)", d->name, what,
			       ibb_der_offset(d), d->rest.data[0], (unsigned)tag);
	return ibb_der_any(d, what, &found, ret, err);
}

int ibb_der_enter(struct ibb_der *d, int tag, const char *what, struct ibb_der *ret,
		  struct ibb_error *err)
{
	struct ibb_der at = *d;
	struct ibb_bytes v;
	int r = ibb_der_get(&at, tag, what, &v, err);

	if (!r)
		r = ibb_der_inside(d, v, ret, err);
	if (!r)
		*d = at;
	return r;
}

int ibb_der_u32(struct ibb_der *d, const char *what, uint32_t *ret, struct ibb_error *err)
{
	struct ibb_der at = *d;
	struct ibb_bytes v;
	uint32_t n = 0;
	int r = ibb_der_get(&at, IBB_DER_INTEGER, what, &v, err);

	if (r)
		return r;
	/* the shortest form: a leading zero only where the next bit would be taken for a sign */
	if (!v.len || v.data[0] & 0x80 || v.len > 5 || (v.len == 5 && v.data[0]) ||
	    (v.len > 1 && !v.data[0] && !(v.data[1] & 0x80)))
		return ibb_der_bad(d, what, "no number of 32 bits", err);
	for (size_t i = 0; i < v.len; i++)
		n = n << 8 | v.data[i];
	*ret = n;
	*d = at;
	return IBB_OK;
}

int ibb_der_algorithm(struct ibb_der *d, const char *what, struct ibb_bytes *ret,
		      struct ibb_error *err)
{
	struct ibb_der at = *d, a;
	struct ibb_bytes oid, none;
	int r = ibb_der_enter(&at, IBB_DER_SEQUENCE, what, &a, err);

	if (!r)
		r = ibb_der_get(&a, IBB_DER_OID, what, &oid, err);
	if (!r && ibb_der_more(&a)) {
		r = ibb_der_get(&a, IBB_DER_NULL, what, &none, err);
		if (!r && none.len)
			r = ibb_der_bad(&a, what, "a NULL with content", err);
	}
	if (!r)
		r = ibb_der_end(&a, what, err);
	if (r)
		return r;
	*ret = oid;
	*d = at;
	return IBB_OK;
}

/* n digits at p; -1. */
static int digits(const uint8_t *p, unsigned n)
{
	int v = 0;

	while (n--) {
		if (*p < '0' || *p > '9')
			return -1;
		v = v * 10 + *p++ - '0';
	}
	return v;
}

/* YYMMDDhhmmssZ or YYYYMMDDhhmmssZ; years of two digits are those from 1950 to 2049. */
static bool parse_time(struct ibb_bytes v, unsigned year_digits, int64_t *ret)
{
	int year, hour, minute, second;
	uint64_t filetime;
	const uint8_t *p;

	if (v.len != year_digits + 11 || v.data[v.len - 1] != 'Z')
		return false;
	p = v.data + year_digits;
	year = digits(v.data, year_digits);
	if (year >= 0 && year_digits == 2)
		year += year < 50 ? 2000 : 1900;
	hour = digits(p + 4, 2);
	minute = digits(p + 6, 2);
	second = digits(p + 8, 2);
	if (hour < 0 || hour > 23 || minute < 0 || minute > 59 || second < 0 || second > 59 ||
	    !ibb_filetime_from_date(year, digits(p, 2), digits(p + 2, 2), &filetime))
		return false;
	*ret = ibb_filetime_to_unix(filetime) + hour * 3600 + minute * 60 + second;
	return true;
}

int ibb_der_time(struct ibb_der *d, const char *what, int64_t *ret, struct ibb_error *err)
{
	bool utc = ibb_der_is(d, IBB_DER_UTC_TIME);
	struct ibb_der at = *d;
	struct ibb_bytes v;
	int r = ibb_der_get(&at, utc ? IBB_DER_UTC_TIME : IBB_DER_TIME, what, &v, err);

	if (r)
		return r;
	if (!parse_time(v, utc ? 2 : 4, ret))
		return ibb_der_bad(d, what, "no time", err);
	*d = at;
	return IBB_OK;
}

int ibb_der_end(const struct ibb_der *d, const char *what, struct ibb_error *err)
{
	return ibb_der_more(d) ? ibb_der_bad(d, what, "something follows", err) : IBB_OK;
}
