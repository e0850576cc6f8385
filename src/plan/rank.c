/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "plan/rank.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/utf16.h"

static void add_id(struct ibb_rank_ids *r, const char *id, bool compatible)
{
	unsigned place = 0;

	for (size_t i = 0; i < r->n; i++)
		place += r->compatible[i] == compatible;
	r->ids[r->n] = id;
	r->compatible[r->n] = compatible;
	r->place[r->n++] = place;
}

/* The length of "&NAME_xxxx" beginning at s, 0 when it is not there. */
static size_t part(const char *s, const char *name)
{
	size_t n = strlen(name);

	if (ibb_ncasecmp(s, strnlen(s, n), name, n) != 0)
		return 0;
	return n + strcspn(s + n, "&");
}

void ibb_rank_ids_of(const char *id, struct ibb_rank_ids *ret)
{
	size_t ven, dev, subsys, rev;
	const char *s = id;
	int base;

	*ret = (struct ibb_rank_ids){0};
	add_id(ret, id, false);
	ven = part(s, "PCI\\VEN_");
	dev = ven ? part(s + ven, "&DEV_") : 0;
	if (!dev || strlen(id) >= sizeof(ret->text[0]))
		return;
	base = (int)(ven + dev);
	s += base;
	subsys = part(s, "&SUBSYS_");
	rev = part(s + subsys, "&REV_");
	if (s[subsys + rev])
		return;
	ret->n = 0;
	if (subsys && rev)
		add_id(ret, id, false);
	if (subsys) {
		snprintf(ret->text[0], sizeof(ret->text[0]), "%.*s", base + (int)subsys, id);
		add_id(ret, ret->text[0], false);
	}
	if (rev) {
		snprintf(ret->text[1], sizeof(ret->text[1]), "%.*s%.*s", base, id, (int)rev,
			 s + subsys);
		add_id(ret, ret->text[1], true);
	}
	snprintf(ret->text[2], sizeof(ret->text[2]), "%.*s", base, id);
	add_id(ret, ret->text[2], true);
}

static unsigned at_most(unsigned n, unsigned max)
{
	return n < max ? n : max;
}

/*
 * Microsoft, "Identifier Score" and "Driver Package Rank Example": the place is that of the
 * device's ID in the device's list; the INF's place counts only between two compatible IDs, and
 * there before the device's: HwID_i 0x0000+i and 0x1000+i, CID_i 0x2000+i and, with INF_CID_j,
 * 0x3000+j*0x100+i.
 */
unsigned ibb_rank_identifier(bool dev_compatible, unsigned place, bool inf_compatible,
			     unsigned inf_index)
{
	if (!dev_compatible)
		return (inf_compatible ? 0x1000u : 0) + at_most(place, 0xfff);
	if (!inf_compatible)
		return 0x2000u + at_most(place, 0xfff);
	return 0x3000u + at_most(inf_index, 0xf) * 0x100u + at_most(place, 0xff);
}

static unsigned identifier(const struct ibb_rank_ids *dev, size_t i, bool inf_compatible,
			   unsigned inf_index)
{
	return ibb_rank_identifier(dev->compatible[i], dev->place[i], inf_compatible, inf_index);
}

static uint64_t version_number(const uint16_t v[4])
{
	return (uint64_t)v[0] << 48 | (uint64_t)v[1] << 32 | (uint64_t)v[2] << 16 | v[3];
}

int ibb_rank_compare(const struct ibb_rank *a, const struct ibb_rank *b, const char **ret_why)
{
	*ret_why = "a signature";
	if (a->unsigned_ != b->unsigned_)
		return b->unsigned_ ? -1 : 1;
	*ret_why = "feature score";
	if (a->feature != b->feature)
		return a->feature < b->feature ? -1 : 1;
	*ret_why = "a more specific device ID";
	if (a->identifier != b->identifier)
		return a->identifier < b->identifier ? -1 : 1;
	*ret_why = "a later DriverVer date";
	if (a->date != b->date)
		return a->date > b->date ? -1 : 1;
	*ret_why = "a higher DriverVer version";
	if (a->version != b->version)
		return a->version > b->version ? -1 : 1;
	*ret_why = "nothing: they rank alike";
	return 0;
}

int ibb_rank_package(struct ibb_package *p, const struct ibb_rank_ids *dev, struct ibb_rank *ret,
		     const char **ret_id, struct ibb_error *err)
{
	const char *why;

	*ret_id = NULL;
	for (size_t i = 0; i < dev->n; i++) {
		struct ibb_rank rank;
		struct ibb_match m;
		int r = ibb_package_match(p, dev->ids[i], &m, err);

		if (r)
			return r;
		if (!m.model)
			continue;
		rank = (struct ibb_rank){
			m.feature_score, identifier(dev, i, m.compatible, (unsigned)m.index),
			p->version.date, version_number(p->version.version),
			!p->signed_,
		};
		if (!*ret_id || ibb_rank_compare(&rank, ret, &why) < 0) {
			*ret = rank;
			*ret_id = dev->ids[i];
		}
	}
	return IBB_OK;
}

static bool same_inf(const struct ibb_fact_package *f, const struct ibb_package *p)
{
	return p && f->digest_known &&
	       memcmp(&f->inf_sha256, &p->files[0].sha256, sizeof(f->inf_sha256)) == 0;
}

int ibb_rank_image(const struct ibb_facts *f, const struct ibb_rank_ids *dev,
		   const struct ibb_package *but, struct ibb_fact_match *ret,
		   struct ibb_rank *ret_rank, struct ibb_error *err)
{
	struct ibb_fact_match best = {0};
	struct ibb_rank best_rank = {0};
	const char *why;

	for (size_t i = 0; i < dev->n; i++) {
		IBB_AUTO_FREE struct ibb_fact_match *m = NULL;
		size_t n;
		int r = ibb_facts_matches(f, dev->ids[i], &m, &n, err);

		if (r)
			return r;
		for (size_t k = 0; k < n; k++) {
			const struct ibb_fact_package *p = m[k].package;
			struct ibb_rank rank = {
				m[k].data[1],
				identifier(dev, i, m[k].data[0] == 2, m[k].data[2] | (unsigned)m[k].data[3] << 8),
				p->version.date,
				version_number(p->version.version),
				p->unsigned_,
			};

			/* nothing leads from the ID to a package that is not the active one; an
			 * Extension INF adds to a driver, it is none */
			if (!p->active || m[k].data[0] == 3 || same_inf(p, but) ||
			    (best.package && ibb_rank_compare(&rank, &best_rank, &why) >= 0))
				continue;
			best = m[k];
			best_rank = rank;
		}
	}
	*ret = best;
	*ret_rank = best_rank;
	return IBB_OK;
}
