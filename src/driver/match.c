/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Which device IDs a package serves, how well, and which of two packages Windows prefers. */
#include "driver/package.h"

#include <stdlib.h>
#include <string.h>

#include "base/utf16.h"
#include "driver/index.h"

/* One ID of one models line. */
struct entry {
	const char *id;
	const struct ibb_inf_model *model;
	size_t place;	/* 0 the hardware ID, i + 1 compatible ID i */
	size_t ordinal; /* order of appearance in the INF */
	unsigned feature_score;
};

struct ibb_package_index {
	size_t n;
	struct entry entries[]; /* sorted by compare_entries() */
};

static unsigned char upper(unsigned char c)
{
	return c >= 'a' && c <= 'z' ? (unsigned char)(c - 32) : c;
}

/* ibb_casecmp() with a short cut: device IDs are ASCII but for the odd one. */
static int id_compare(const char *a, const char *b)
{
	for (;; a++, b++) {
		unsigned char x = upper((unsigned char)*a), y = upper((unsigned char)*b);

		if (x >= 0x80 || y >= 0x80)
			return ibb_casecmp(a, b);
		if (x != y)
			return x < y ? -1 : 1;
		if (!x)
			return 0;
	}
}

static int three_way(size_t a, size_t b)
{
	return (a > b) - (a < b);
}

/* By ID; then the best match first: Windows weighs the feature score before the kind of match. */
static int compare_entries(const void *pa, const void *pb)
{
	const struct entry *a = pa, *b = pb;
	int r = id_compare(a->id, b->id);

	if (!r)
		r = three_way(a->feature_score, b->feature_score);
	if (!r)
		r = three_way(a->place, b->place);
	return r ? r : three_way(a->ordinal, b->ordinal);
}

static size_t count_ids(const struct ibb_inf_models *m)
{
	size_t n = 0;

	for (size_t i = 0; i < m->n; i++)
		n += 1 + m->models[i].n_compatible;
	return n;
}

static void add_entry(struct ibb_package_index *x, const struct ibb_inf_model *m, const char *id,
		      size_t place, unsigned feature_score)
{
	if (!id || !*id)
		return;
	x->entries[x->n] = (struct entry){
		.id = id,
		.model = m,
		.place = place,
		.ordinal = x->n,
		.feature_score = feature_score,
	};
	x->n++;
}

static int make_index(struct ibb_package *p, struct ibb_error *err)
{
	size_t max = count_ids(&p->models);
	IBB_AUTO_FREE struct ibb_package_index *x = NULL;

	if (p->index)
		return IBB_OK;
	if (max > (SIZE_MAX - sizeof(*x)) / sizeof(x->entries[0]))
		return ibb_err_nomem(err);
	x = ibb_zalloc(sizeof(*x) + max * sizeof(x->entries[0]));
	if (!x)
		return ibb_err_nomem(err);
	for (size_t i = 0; i < p->models.n; i++) {
		const struct ibb_inf_model *m = &p->models.models[i];
		const struct ibb_inf_install *inst = NULL;
		int rc = ibb_inf_install(p->inf, &p->target, m->install_section, &inst, err);

		if (rc)
			return rc;
		add_entry(x, m, m->hardware_id, 0, inst->feature_score);
		for (size_t c = 0; c < m->n_compatible; c++)
			add_entry(x, m, m->compatible_ids[c], c + 1, inst->feature_score);
	}
	qsort(x->entries, x->n, sizeof(x->entries[0]), compare_entries);
	p->index = IBB_TAKE(x);
	return IBB_OK;
}

void ibb_package_index_free(struct ibb_package_index *x)
{
	free(x);
}

/* The first, and so best, entry for an ID; NULL when there is none. */
static const struct entry *find(const struct ibb_package_index *x, const char *id)
{
	size_t lo = 0, hi = x->n;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;

		if (id_compare(x->entries[mid].id, id) < 0)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo < x->n && id_compare(x->entries[lo].id, id) == 0 ? &x->entries[lo] : NULL;
}

static struct ibb_match to_match(const struct entry *e)
{
	if (!e)
		return (struct ibb_match){.feature_score = 0xff};
	return (struct ibb_match){
		.model = e->model,
		.compatible = e->place > 0,
		.index = e->place ? e->place - 1 : 0,
		.feature_score = e->feature_score,
	};
}

int ibb_package_match(struct ibb_package *p, const char *id, struct ibb_match *ret,
		      struct ibb_error *err)
{
	int rc = make_index(p, err);

	if (rc)
		return rc;
	*ret = to_match(find(p->index, id));
	return IBB_OK;
}

static uint32_t clamp(size_t n, uint32_t max)
{
	return n < max ? (uint32_t)n : max;
}

/*
 * Microsoft, "Driver Package Rank Example": HwID_i with the INF's hardware ID 0x0000+i, with any of
 * its compatible IDs 0x1000+i; CID_i with the hardware ID 0x2000+i, with INF_CID_j
 * 0x3000+j*0x100+i.
 */
static uint32_t rank_of(const struct entry *e, bool device_compatible, size_t position)
{
	uint32_t score = clamp(e->feature_score, 0xff) << 16;

	if (!device_compatible)
		return score | (e->place ? 0x1000u : 0) | clamp(position, 0xfff);
	if (!e->place)
		return score | 0x2000u | clamp(position, 0xfff);
	return score | 0x3000u | clamp(e->place - 1, 0xf) << 8 | clamp(position, 0xff);
}

static void consider(const struct ibb_package_index *x, const char *const *ids, size_t n,
		     bool device_compatible, struct ibb_device_match *best)
{
	for (size_t i = 0; i < n; i++) {
		const struct entry *e = find(x, ids[i]);
		uint32_t rank = e ? rank_of(e, device_compatible, i) : UINT32_MAX;

		if (rank < best->rank)
			*best = (struct ibb_device_match){
				.match = to_match(e),
				.id = ids[i],
				.rank = rank,
			};
	}
}

int ibb_package_match_device(struct ibb_package *p, const struct ibb_device_ids *dev,
			     struct ibb_device_match *ret, struct ibb_error *err)
{
	struct ibb_device_match best = {.match = to_match(NULL), .rank = UINT32_MAX};
	int rc = make_index(p, err);

	if (rc)
		return rc;
	consider(p->index, dev->hardware, dev->n_hardware, false, &best);
	consider(p->index, dev->compatible, dev->n_compatible, true, &best);
	*ret = best;
	return IBB_OK;
}

static int compare_u64(uint64_t a, uint64_t b)
{
	return (a > b) - (a < b);
}

static int compare_versions(const uint16_t a[4], const uint16_t b[4])
{
	for (unsigned i = 0; i < 4; i++)
		if (a[i] != b[i])
			return a[i] > b[i] ? 1 : -1;
	return 0;
}

int ibb_package_rank_device(struct ibb_package *a, struct ibb_package *b,
			    const struct ibb_device_ids *dev, int *ret, const char **ret_reason,
			    struct ibb_error *err)
{
	struct ibb_device_match ma, mb;
	int rc, r;

	rc = ibb_package_match_device(a, dev, &ma, err);
	if (!rc)
		rc = ibb_package_match_device(b, dev, &mb, err);
	if (rc)
		return rc;

	/* Falls through from one criterion to the next until one of them decides. */
	*ret_reason = "only one of them serves the device";
	r = (ma.match.model != NULL) - (mb.match.model != NULL);
	if (!r && !ma.match.model) {
		*ret_reason = "neither serves the device";
		goto out;
	}
	if (!r) {
		*ret_reason = "it is signed and the other is not";
		r = a->signed_ - b->signed_;
	}
	if (!r) {
		*ret_reason = "better feature score";
		r = -compare_u64(ma.rank >> 16, mb.rank >> 16);
	}
	if (!r) {
		*ret_reason = "more specific device ID";
		r = -compare_u64(ma.rank, mb.rank);
	}
	if (!r) {
		*ret_reason = "newer DriverVer date";
		r = compare_u64(a->version.date, b->version.date);
	}
	if (!r) {
		*ret_reason = "higher DriverVer version";
		r = compare_versions(a->version.version, b->version.version);
	}
	if (!r)
		*ret_reason = "equal in ID, date and version";
out:
	*ret = r;
	return IBB_OK;
}

int ibb_package_rank(struct ibb_package *a, struct ibb_package *b, const char *const *ids, size_t n,
		     int *ret, const char **ret_reason, struct ibb_error *err)
{
	struct ibb_device_ids dev = {.hardware = ids, .n_hardware = n};

	return ibb_package_rank_device(a, b, &dev, ret, ret_reason, err);
}

struct ordered_id {
	struct ibb_served_id served;
	size_t ordinal;
};

static int compare_ordinals(const void *a, const void *b)
{
	return three_way(((const struct ordered_id *)a)->ordinal,
			 ((const struct ordered_id *)b)->ordinal);
}

/* Entries [first, first + n) are all of one ID: a hardware ID beats a compatible one, then the
 * better feature score, then the earlier position. */
static struct ordered_id best_of(const struct entry *first, size_t n)
{
	const struct entry *best = first;
	struct ordered_id o = {.ordinal = first->ordinal};
	size_t spelt = 0;

	for (size_t i = 1; i < n; i++) {
		const struct entry *e = &first[i];

		if (best->place && !e->place)
			best = e; /* entries are sorted by feature score already */
		if (e->ordinal < o.ordinal) {
			o.ordinal = e->ordinal;
			spelt = i;
		}
	}
	o.served = (struct ibb_served_id){
		.id = first[spelt].id,
		.compatible = best->place > 0,
		.index = best->place ? best->place - 1 : 0,
		.feature_score = best->feature_score,
		.line = best->model->line,
	};
	return o;
}

int ibb_package_served_ids(struct ibb_package *p, struct ibb_served_id **ret, size_t *ret_n,
			   struct ibb_error *err)
{
	IBB_AUTO_FREE struct ordered_id *ordered = NULL;
	struct ibb_served_id *out;
	size_t n = 0;
	int rc = make_index(p, err);

	if (rc)
		return rc;
	ordered = ibb_calloc_array(p->index->n, sizeof(*ordered));
	out = ibb_calloc_array(p->index->n, sizeof(*out));
	if (!ordered || !out) {
		free(out);
		return ibb_err_nomem(err);
	}
	for (size_t i = 0; i < p->index->n;) {
		const struct entry *first = &p->index->entries[i];
		size_t same = 1;

		while (i + same < p->index->n && id_compare(first[same].id, first->id) == 0)
			same++;
		ordered[n++] = best_of(first, same);
		i += same;
	}
	qsort(ordered, n, sizeof(*ordered), compare_ordinals);
	for (size_t i = 0; i < n; i++)
		out[i] = ordered[i].served;
	*ret = out;
	*ret_n = n;
	return IBB_OK;
}
