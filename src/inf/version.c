/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Microsoft, "INF Version Section" and "INF DriverVer Directive". */
#include "inf/internal.h"

#include <stdio.h>
#include <string.h>

#include "base/path.h"
#include "base/time.h"
#include "base/utf16.h"

#define VERSION "Version"

static int corrupt(const struct ibb_inf *inf, const struct ibb_inf_line *l, struct ibb_error *err,
		   const char *what)
{
	return ibb_inf_err(inf, l->line, IBB_E_CORRUPT, err, "%s '%.80s'", what,
			   ibb_inf_field(l, 0));
}

/* The line of a key that must be there and not empty. */
static int required(const struct ibb_inf *inf, const char *key, const struct ibb_inf_line **ret,
		    struct ibb_error *err)
{
	const struct ibb_inf_line *l = ibb_inf_find(inf, VERSION, key);

	if (!l)
		return ibb_inf_err(inf, ibb_inf_section(inf, VERSION)->line, IBB_E_CORRUPT, err,
				   "[Version] has no %s", key);
	if (!*ibb_inf_field(l, 0))
		return ibb_inf_err(inf, l->line, IBB_E_CORRUPT, err, "%s is empty", key);
	*ret = l;
	return IBB_OK;
}

static int check_signature(const struct ibb_inf *inf, struct ibb_error *err)
{
	const struct ibb_inf_line *l;
	int r;

	if (!ibb_inf_section(inf, VERSION))
		return ibb_inf_err(inf, 0, IBB_E_CORRUPT, err, "no [Version] section: not an INF?");
	r = required(inf, "Signature", &l, err);
	if (r)
		return r;
	if (!ibb_caseeq(l->fields[0], "$Windows NT$") && !ibb_caseeq(l->fields[0], "$Chicago$"))
		return corrupt(inf, l, err, "Signature must be $Windows NT$ or $Chicago$, not");
	return IBB_OK;
}

/* 1 to `max` digits; *s goes behind them. */
static bool digits(const char **s, unsigned max, unsigned *ret)
{
	unsigned v = 0, n = 0;

	for (; **s >= '0' && **s <= '9' && n < max; n++)
		v = v * 10 + (unsigned)(*(*s)++ - '0');
	*ret = v;
	return n > 0;
}

static bool parse_date(const char *s, struct ibb_inf_version *v)
{
	unsigned year, month, day;
	char separator;

	if (!digits(&s, 2, &month))
		return false;
	separator = *s++;
	if ((separator != '/' && separator != '-') || !digits(&s, 2, &day) || *s++ != separator)
		return false;
	if (strlen(s) != 4 || !digits(&s, 4, &year) || *s)
		return false;
	v->year = (int)year;
	v->month = (int)month;
	v->day = (int)day;
	return ibb_filetime_from_date(v->year, v->month, v->day, &v->date);
}

static bool parse_version(const char *s, struct ibb_inf_version *v)
{
	memset(v->version, 0, sizeof(v->version));
	for (size_t i = 0; *s && i < IBB_ARRAY_SIZE(v->version); i++) {
		unsigned part;

		if (!digits(&s, 9, &part) || part > UINT16_MAX)
			return false;
		v->version[i] = (uint16_t)part;
		if (!*s)
			return true;
		if (*s++ != '.' || !*s)
			return false;
	}
	return !*s;
}

static int driver_ver(const struct ibb_inf *inf, struct ibb_inf_version *v, struct ibb_error *err)
{
	const struct ibb_inf_line *l;
	int r = required(inf, "DriverVer", &l, err);

	if (r)
		return r;
	v->driver_ver_line = l->line;
	if (!parse_date(l->fields[0], v))
		return corrupt(inf, l, err, "DriverVer needs a date mm/dd/yyyy that exists, not");
	if (!parse_version(ibb_inf_field(l, 1), v))
		return ibb_inf_err(inf, l->line, IBB_E_CORRUPT, err,
				   "DriverVer needs a version w.x.y.z, parts up to 65535, not "
				   "'%.80s'",
				   ibb_inf_field(l, 1));
	snprintf(v->version_text, sizeof(v->version_text), "%u.%u.%u.%u", v->version[0],
		 v->version[1], v->version[2], v->version[3]);
	return IBB_OK;
}

/* The decorated entry for the architecture goes before .NT, that before the plain one. */
static int catalog(const struct ibb_inf *inf, const struct ibb_inf_target *t,
		   struct ibb_inf_version *v, struct ibb_error *err)
{
	const struct ibb_inf_line *l;
	char key[64];
	const char *why;

	snprintf(key, sizeof(key), "CatalogFile.NT%s", ibb_arch_name(t->arch));
	l = ibb_inf_find(inf, VERSION, key);
	if (!l)
		l = ibb_inf_find(inf, VERSION, "CatalogFile.NT");
	if (!l)
		l = ibb_inf_find(inf, VERSION, "CatalogFile");
	if (!l || !*ibb_inf_field(l, 0))
		return IBB_OK;
	why = ibb_name_problem(l->fields[0], strlen(l->fields[0]));
	if (why)
		return ibb_inf_err(inf, l->line, IBB_E_CORRUPT, err, "CatalogFile '%.80s': %s",
				   l->fields[0], why);
	v->catalog = l->fields[0];
	v->catalog_line = l->line;
	return IBB_OK;
}

static bool is_one(const struct ibb_inf *inf, const char *key)
{
	const char *s = ibb_inf_value(inf, VERSION, key, 0);
	uint64_t n;

	return s && ibb_inf_number(s, UINT32_MAX, &n) && n == 1;
}

int ibb_inf_version(const struct ibb_inf *inf, const struct ibb_inf_target *t,
		    struct ibb_inf_version *ret, struct ibb_error *err)
{
	struct ibb_inf_version v = {0};
	const struct ibb_inf_line *l;
	int r = check_signature(inf, err);

	if (r)
		return r;
	v.class_name = ibb_inf_value(inf, VERSION, "Class", 0);
	if (!v.class_name)
		v.class_name = "";
	r = required(inf, "ClassGuid", &l, err);
	if (r)
		return r;
	if (!ibb_guid_parse(l->fields[0], &v.class_guid))
		return corrupt(inf, l, err, "ClassGuid is not a GUID:");
	r = required(inf, "Provider", &l, err);
	if (r)
		return r;
	v.provider = l->fields[0];
	r = driver_ver(inf, &v, err);
	if (!r)
		r = catalog(inf, t, &v, err);
	if (r)
		return r;
	v.pnp_lockdown = is_one(inf, "PnpLockDown");
	v.extension_id = ibb_inf_value(inf, VERSION, "ExtensionId", 0);
	*ret = v;
	return IBB_OK;
}
