/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Microsoft, "INF CopyINF Directive": since Vista it is processed when a package is imported into
 * the driver store, "recursively for each CopyINF directive that is contained within the specified
 * INF file"; the INFs lie in the directory of the one that names them.
 */
#include "driver/package.h"

#include <stdlib.h>

#include "base/limits.h"
#include "base/utf16.h"

struct companions {
	const struct ibb_package *root;
	struct ibb_package **list;
	size_t n, cap;
};

static bool known(const struct companions *c, const char *inf_name)
{
	if (ibb_caseeq(c->root->inf_name, inf_name))
		return true;
	for (size_t i = 0; i < c->n; i++)
		if (ibb_caseeq(c->list[i]->inf_name, inf_name))
			return true;
	return false;
}

static int load_those_of(const struct ibb_package_source *src, struct companions *c,
			 const struct ibb_package *by, struct ibb_error *err)
{
	for (size_t i = 0; i < by->n_companions; i++) {
		struct ibb_package *p = NULL;
		int rc;

		if (known(c, by->companions[i]))
			continue;
		if (c->n >= IBB_LIMIT_PACKAGES)
			return ibb_err(err, IBB_E_LIMIT, "%s: CopyINF leads to more than %u INFs",
				       c->root->inf_name, IBB_LIMIT_PACKAGES);
		if (ibb_grow(&c->list, &c->cap, c->n, sizeof(*c->list)))
			return ibb_err_nomem(err);
		rc = ibb_package_load(src, by->companions[i], &by->target, &p, err);
		if (rc)
			return ibb_err_prefix(err, rc, "%s names %s by CopyINF", by->inf_name,
					      by->companions[i]);
		c->list[c->n++] = p;
	}
	return IBB_OK;
}

int ibb_package_load_companions(const struct ibb_package_source *src, const struct ibb_package *p,
				struct ibb_package ***ret, size_t *ret_n, struct ibb_error *err)
{
	struct ibb_package_source any = *src;
	struct companions c = {.root = p};
	int rc;

	any.accept = NULL;
	rc = load_those_of(&any, &c, p, err);
	for (size_t i = 0; !rc && i < c.n; i++) /* grows as it goes */
		rc = load_those_of(&any, &c, c.list[i], err);
	if (rc) {
		for (size_t i = 0; i < c.n; i++)
			ibb_package_free(c.list[i]);
		free(c.list);
		return rc;
	}
	*ret = c.list;
	*ret_n = c.n;
	return IBB_OK;
}
