/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Looking up sizes and Windows versions by the names people type. */
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "catalog/model.h"

static const char *bare(const char *name)
{
	return strncasecmp(name, "Standard_", 9) == 0 ? name + 9 : name;
}

static bool same_size(const char *a, const char *b)
{
	return strcasecmp(bare(a), bare(b)) == 0;
}

/*
 * The documentation prints constrained names with other separators, or without
 * ("HB368_336rsv5" for HB368-336rs_v5): '-' and '_' do not count for those.
 */
static bool same_loosely(const char *a, const char *b)
{
	a = bare(a);
	b = bare(b);
	for (;;) {
		while (*a == '-' || *a == '_')
			a++;
		while (*b == '-' || *b == '_')
			b++;
		if (tolower((unsigned char)*a) != tolower((unsigned char)*b))
			return false;
		if (!*a)
			return true;
		a++;
		b++;
	}
}

static const struct cat_size *find(const struct ibb_catalog *c, const char *name)
{
	const struct cat_size *s = CAT_ITEMS(c, CAT_SIZE, struct cat_size), *loose = NULL;
	size_t n = c->tables[CAT_SIZE].n;

	for (size_t i = 0; i < n; i++)
		if (same_size(s[i].pub.name, name))
			return &s[i];
	for (size_t i = 0; i < n; i++) {
		if (!s[i].pub.constrained_of || !same_loosely(s[i].pub.name, name))
			continue;
		if (loose)
			return NULL;
		loose = &s[i];
	}
	return loose;
}

static int refuse_known(const struct ibb_catalog *c, const char *name, struct ibb_error *err)
{
	const struct cat_not_rdma *n = CAT_ITEMS(c, CAT_NOT_RDMA, struct cat_not_rdma);
	const struct cat_misprint *m = CAT_ITEMS(c, CAT_MISPRINT, struct cat_misprint);

	for (size_t i = 0; i < c->tables[CAT_NOT_RDMA].n; i++)
		if (same_size(n[i].name, name))
			return ibb_err(err, IBB_E_UNSUPPORTED, "%s is not InfiniBand capable: %s",
				       n[i].name, n[i].reason);
	for (size_t i = 0; i < c->tables[CAT_MISPRINT].n; i++) {
		if (!same_size(m[i].name, name))
			continue;
		ibb_err(err, IBB_E_UNSUPPORTED, "%s is not a size: a misprint of %s in \"%s\"",
			m[i].name, m[i].size->pub.name, m[i].source->title);
		return ibb_err_hint(err, IBB_E_UNSUPPORTED, "give %s if you mean that one",
				    m[i].size->pub.name);
	}
	return IBB_OK;
}

int ibb_catalog_find_size(const struct ibb_catalog *c, const char *name,
			  const struct ibb_size **ret, struct ibb_error *err)
{
	const struct cat_size *s = find(c, name);
	char near[512];
	int rc;

	if (s) {
		*ret = &s->pub;
		return IBB_OK;
	}
	rc = refuse_known(c, name, err);
	if (rc)
		return rc;
	if (cat_nearest(c, CAT_SIZE, name, near, sizeof(near)))
		ibb_err(err, IBB_E_UNSUPPORTED, "unknown size '%.80s'; the nearest: %s", name,
			near);
	else
		ibb_err(err, IBB_E_UNSUPPORTED, "unknown size '%.80s'", name);
	return ibb_err_hint(err, IBB_E_UNSUPPORTED,
			    "'ibbake sizes' lists the known ones; a size is named as in Azure, "
			    "such as Standard_HB120rs_v3");
}

static bool has_name(const struct cat_windows *w, const char *name)
{
	if (strcasecmp(w->id, name) == 0 || strcasecmp(w->name, name) == 0)
		return true;
	for (size_t i = 0; i < w->aliases.n; i++)
		if (strcasecmp(w->aliases.v[i], name) == 0)
			return true;
	return false;
}

/* "20348" or "10.0.20348" */
static bool parse_build(const char *name, unsigned *ret)
{
	const char *p = name;
	char *end;
	unsigned long n;

	if (strncmp(p, "10.0.", 5) == 0 || strncmp(p, "6.1.", 4) == 0 ||
	    strncmp(p, "6.2.", 4) == 0 || strncmp(p, "6.3.", 4) == 0)
		p = strrchr(p, '.') + 1;
	if (!isdigit((unsigned char)*p) || strlen(p) > 6)
		return false;
	n = strtoul(p, &end, 10);
	if (*end)
		return false;
	*ret = (unsigned)n;
	return true;
}

static void fill(struct ibb_windows *w, const struct cat_windows *from)
{
	*w = (struct ibb_windows){
		.id = from->id,
		.name = from->name,
		.major = from->major,
		.minor = from->minor,
		.build = from->build,
		.server = strcmp(from->product, "server") == 0,
		.arch = "x64",
	};
}

static int unknown_windows(const struct ibb_catalog *c, const char *name, struct ibb_error *err)
{
	const struct cat_windows *w = CAT_ITEMS(c, CAT_WINDOWS, struct cat_windows);
	char known[768] = "";
	size_t used = 0;

	for (size_t i = 0; i < c->tables[CAT_WINDOWS].n; i++) {
		int len = snprintf(known + used, sizeof(known) - used, "%s%s", used ? ", " : "",
				   w[i].id);

		if (len < 0 || (size_t)len >= sizeof(known) - used) {
			known[used] = '\0';
			break;
		}
		used += (size_t)len;
	}
	ibb_err(err, IBB_E_INVALID, "unknown Windows '%.80s'; known: %s", name, known);
	return ibb_err_hint(err, IBB_E_INVALID, "a build number such as 20348 works too");
}

size_t ibb_catalog_n_windows(const struct ibb_catalog *c)
{
	return c->tables[CAT_WINDOWS].n;
}

void ibb_catalog_windows_at(const struct ibb_catalog *c, size_t i, struct ibb_windows *ret)
{
	fill(ret, &CAT_ITEMS(c, CAT_WINDOWS, struct cat_windows)[i]);
}

int ibb_catalog_find_windows(const struct ibb_catalog *c, const char *name, struct ibb_windows *ret,
			     struct ibb_error *err)
{
	const struct cat_windows *w = CAT_ITEMS(c, CAT_WINDOWS, struct cat_windows), *hit = NULL;
	size_t n = c->tables[CAT_WINDOWS].n;
	unsigned build;

	for (size_t i = 0; i < n; i++) {
		if (has_name(&w[i], name)) {
			fill(ret, &w[i]);
			return IBB_OK;
		}
	}
	if (!parse_build(name, &build))
		return unknown_windows(c, name, err);
	for (size_t i = 0; i < n; i++) {
		if (w[i].build != build)
			continue;
		if (hit) {
			ibb_err(err, IBB_E_INVALID, "build %u is both %s and %s", build, hit->id,
				w[i].id);
			return ibb_err_hint(err, IBB_E_INVALID, "name the one you mean");
		}
		hit = &w[i];
	}
	if (!hit)
		return unknown_windows(c, name, err);
	fill(ret, hit);
	return IBB_OK;
}

void ibb_catalog_name_windows(const struct ibb_catalog *c, struct ibb_windows *w)
{
	const struct cat_windows *known = CAT_ITEMS(c, CAT_WINDOWS, struct cat_windows);

	w->id = NULL;
	w->name = NULL;
	for (size_t i = 0; i < c->tables[CAT_WINDOWS].n; i++) {
		const struct cat_windows *k = &known[i];

		if (k->major == w->major && k->minor == w->minor && k->build == w->build &&
		    (strcmp(k->product, "server") == 0) == w->server) {
			w->id = k->id;
			w->name = k->name;
			return;
		}
	}
}
