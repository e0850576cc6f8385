/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What vendors ship, and what was said about it when catalogs were laid over each other. */
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "catalog/model.h"

size_t ibb_catalog_n_releases(const struct ibb_catalog *c)
{
	return c->tables[CAT_RELEASE].n;
}

const struct ibb_release *ibb_catalog_release_at(const struct ibb_catalog *c, size_t i)
{
	return &CAT_ITEMS(c, CAT_RELEASE, struct cat_release)[i].pub;
}

static bool is_called(const struct ibb_release *r, const char *name)
{
	return strcasecmp(r->version, name) == 0 ||
	       (r->package && strcasecmp(r->package, name) == 0);
}

static int several(const struct ibb_catalog *c, const char *name, struct ibb_error *err)
{
	char ids[512] = "";
	size_t used = 0;

	for (size_t i = 0; i < ibb_catalog_n_releases(c); i++) {
		const struct ibb_release *r = ibb_catalog_release_at(c, i);
		int n;

		if (!is_called(r, name))
			continue;
		n = snprintf(ids + used, sizeof(ids) - used, "%s%s", used ? ", " : "", r->id);
		if (n < 0 || (size_t)n >= sizeof(ids) - used)
			break;
		used += (size_t)n;
	}
	ibb_err(err, IBB_E_UNSUPPORTED, "'%.80s' is several releases: %s", name, ids);
	return ibb_err_hint(err, IBB_E_UNSUPPORTED, "give the one you mean by that id");
}

static int unknown(const struct ibb_catalog *c, const char *name, struct ibb_error *err)
{
	char near[512];

	if (cat_nearest(c, CAT_RELEASE, name, near, sizeof(near)))
		ibb_err(err, IBB_E_UNSUPPORTED, "unknown release '%.80s'; the nearest: %s", name,
			near);
	else
		ibb_err(err, IBB_E_UNSUPPORTED, "unknown release '%.80s'", name);
	return ibb_err_hint(err, IBB_E_UNSUPPORTED,
			    "'ibbake catalog show' lists the known ones; a version or the name of "
			    "the vendor's file works too");
}

int ibb_catalog_find_release(const struct ibb_catalog *c, const char *name,
			     const struct ibb_release **ret, struct ibb_error *err)
{
	const struct cat_release *by_id = cat_lookup(c, CAT_RELEASE, name);
	const struct ibb_release *hit = by_id ? &by_id->pub : NULL;

	for (size_t i = 0; i < ibb_catalog_n_releases(c) && !by_id; i++) {
		const struct ibb_release *r = ibb_catalog_release_at(c, i);

		if (!is_called(r, name))
			continue;
		if (hit)
			return several(c, name, err);
		hit = r;
	}
	if (!hit)
		return unknown(c, name, err);
	*ret = hit;
	return IBB_OK;
}

const struct ibb_companion_file *ibb_catalog_companions(const struct ibb_catalog *c,
							const char *driver_set, size_t *ret_n)
{
	const struct cat_driver_set *d = cat_lookup(c, CAT_DRIVER_SET, driver_set);

	*ret_n = d ? d->n_companions : 0;
	return d && d->n_companions ? d->companions : NULL;
}

size_t ibb_catalog_n_conflicts(const struct ibb_catalog *c)
{
	return c->n_conflicts;
}

const char *ibb_catalog_conflict_at(const struct ibb_catalog *c, size_t i)
{
	return c->conflicts[i];
}
