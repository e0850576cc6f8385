/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "plan/plan.h"

#include <stdlib.h>

#include "base/time.h"
#include "plan/build.h"
#include "plan/keysec.h"
#include "plan/remove.h"

/* What concerns the whole database. */

static int plan_update_date(struct ibb_pb *b, enum ibb_hive_id hive)
{
	struct ibb_hive *h = ibb_pb_hive(b, hive);
	IBB_AUTO_BUF struct ibb_buf data = {0};
	uint32_t type;
	ibb_key k;
	int r = ibb_hive_find(h, ibb_hive_root(h), IBB_DATABASE, &k, b->err);

	if (!r)
		r = ibb_hive_get(h, k, "UpdateDate", &type, &data, b->err);
	if (r == IBB_E_NOTFOUND)
		return IBB_OK; /* only newer builds have it */
	return r ? r
		 : ibb_pb_filetime(b, hive, IBB_DATABASE, "UpdateDate", "time of the last import");
}

static int plan_logs(struct ibb_pb *b, enum ibb_hive_id id)
{
	const struct ibb_fact_hive *fh = &b->f->hives[id];

	b->logs_planned[id] = true;

	for (size_t i = 0; i < fh->n_logs; i++) {
		struct ibb_op *op;

		if (!fh->logs[i].size_bytes)
			continue;
		op = ibb_pb_op(b, IBB_OP_CLEAR_LOG);
		if (!op)
			return IBB_E_NOMEM;
		op->path = ibb_arena_strdup(&b->plan->arena, fh->logs[i].path);
		op->reason =
			ibb_pb_fmt(b, "old transactions of %s must not be replayed over the edit",
				   ibb_hive_id_name(id));
		op->evidence = "regf: a log without a valid base block is ignored";
		if (!op->path || ibb_pb_finish(b, op))
			return ibb_err_nomem(b->err);
	}
	return IBB_OK;
}

/*
 * A hive that the user accepted as it is must not meet Windows dirty, with logs that do not fit it:
 * it is written clean also when nothing else is to be done in it.
 */
static int plan_accepted(struct ibb_pb *b)
{
	int r = IBB_OK;

	for (int id = 0; id < IBB_N_HIVES && !r; id++) {
		const struct ibb_fact_hive *fh = &b->f->hives[id];
		struct ibb_op *op;

		if (!fh->hive || !fh->recovery.accepted)
			continue;
		op = ibb_pb_op(b, IBB_OP_MARK_CLEAN);
		if (!op)
			return IBB_E_NOMEM;
		op->hive = (enum ibb_hive_id)id;
		op->path = ibb_arena_strdup(&b->plan->arena, fh->path);
		op->reason = "the hive was not cleanly closed and is accepted as it is";
		op->evidence = "--accept-dirty-hives";
		if (!op->path || ibb_pb_finish(b, op))
			return ibb_err_nomem(b->err);
		if (!b->logs_planned[id])
			r = plan_logs(b, (enum ibb_hive_id)id);
	}
	return r;
}

static bool touches(const struct ibb_plan *p, enum ibb_hive_id hive)
{
	for (size_t i = 0; i < p->n_ops; i++)
		if (p->ops[i].key && p->ops[i].hive == hive)
			return true;
	return false;
}

static int plan_database(struct ibb_pb *b)
{
	struct ibb_plan *p = b->plan;
	bool touched[IBB_N_NODES] = {false};
	int r = IBB_OK;

	for (size_t i = 0; i < p->n_packages; i++)
		touched[p->packages[i].node] |= !p->packages[i].existing;
	for (size_t i = 0; i < p->n_removed; i++)
		touched[p->removed[i]->node] = true;
	if (!touched[IBB_NODE_SYSTEM] && !touched[IBB_NODE_DRIVERS])
		return IBB_OK;
	/* the map lives in SYSTEM and covers both nodes; where it is not, a removal makes none */
	if (b->oem_map.len)
		r = ibb_pb_value(b, IBB_HIVE_SYSTEM, IBB_DATABASE, "OemInfMap", IBB_REG_BINARY,
				 b->oem_map.data, b->oem_map.len,
				 p->n_removed ? "published names in use" : "published name taken",
				 "lowest free number");
	for (int n = 0; n < IBB_N_NODES && !r; n++)
		if (touched[n])
			r = plan_update_date(b, ibb_node_hive(n));
	if (!r)
		r = plan_logs(b, IBB_HIVE_SYSTEM);
	if (!r && touched[IBB_NODE_DRIVERS])
		r = plan_logs(b, IBB_HIVE_DRIVERS);
	if (!r && touches(p, IBB_HIVE_SOFTWARE))
		r = plan_logs(b, IBB_HIVE_SOFTWARE);
	for (int n = 0; n < IBB_N_NODES && !r; n++)
		if (p->security[ibb_node_hive(n)].needed)
			r = ibb_keysec_plan(ibb_pb_hive(b, ibb_node_hive(n)), b->f, n,
					    &p->security[ibb_node_hive(n)], b->err);
	return r;
}

static int stage_all(struct ibb_pb *b, struct ibb_package *const *packages, size_t n)
{
	int r = IBB_OK;

	for (size_t i = 0; i < n && !r; i++) {
		b->pkg = &b->plan->packages[b->plan->n_packages++];
		b->pkg->package = packages[i];
		r = ibb_pb_stage(b);
	}
	return r;
}

static int remove_all(struct ibb_pb *b, const struct ibb_removal *removals, size_t m)
{
	for (size_t i = 0; i < m; i++)
		b->plan->removed[b->plan->n_removed++] = removals[i].package;
	return ibb_pb_remove(b, removals, m);
}

int ibb_plan_build_changes(const struct ibb_facts *f, struct ibb_package *const *packages, size_t n,
			   const struct ibb_removal *removals, size_t m,
			   const struct ibb_plan_opts *o, struct ibb_plan **ret,
			   struct ibb_error *err)
{
	IBB_AUTO(ibb_plan_free) struct ibb_plan *plan = ibb_zalloc(sizeof(*plan));
	IBB_AUTO_FREE struct ibb_pb *b = ibb_zalloc(sizeof(*b));
	int r = IBB_OK;

	if (!plan || !b)
		return ibb_err_nomem(err);
	plan->time = ibb_filetime_from_unix(o->unix_time);
	plan->packages = ibb_calloc_array(n, sizeof(*plan->packages));
	plan->removed = ibb_calloc_array(m, sizeof(*plan->removed));
	*b = (struct ibb_pb){.f = f,
			     .plan = plan,
			     .opts = o,
			     .removals = removals,
			     .n_removals = m,
			     .fields = ibb_store_fields_for(&f->target),
			     .err = err};
	if (!plan->packages || !plan->removed ||
	    ibb_buf_append(&b->oem_map, f->oem_map.data, f->oem_map.len))
		r = ibb_err_nomem(err);
	if (!r)
		r = stage_all(b, packages, n);
	if (!r)
		r = remove_all(b, removals, m);
	if (!r)
		r = plan_database(b);
	if (!r)
		r = plan_accepted(b);
	for (int i = 0; i < IBB_N_HIVES; i++) {
		ibb_keyset_clear(&b->made[i]);
		ibb_keyset_clear(&b->used[i]);
	}
	ibb_keyset_clear(&b->claimed);
	ibb_buf_clear(&b->oem_map);
	if (!r)
		*ret = IBB_TAKE(plan);
	return r;
}

int ibb_plan_build(const struct ibb_facts *f, struct ibb_package *const *packages, size_t n,
		   int64_t unix_time, struct ibb_plan **ret, struct ibb_error *err)
{
	struct ibb_plan_opts o = {.unix_time = unix_time};

	return ibb_plan_build_changes(f, packages, n, NULL, 0, &o, ret, err);
}

void ibb_plan_free(struct ibb_plan *p)
{
	if (!p)
		return;
	for (size_t i = 0; i < p->n_packages; i++)
		free(p->packages[i].name);
	for (int n = 0; n < IBB_N_HIVES; n++) {
		free(p->security[n].like);
		ibb_buf_clear(&p->security[n].sd);
	}
	free(p->packages);
	free(p->removed);
	free(p->warnings);
	free(p->ops);
	ibb_arena_clear(&p->arena);
	free(p);
}

int ibb_plan_check_space(const struct ibb_plan *p, const struct ibb_volume_info *info,
			 struct ibb_error *err)
{
	uint64_t cluster = info->cluster_bytes ? info->cluster_bytes : 4096, need = 0;

	for (size_t i = 0; i < p->n_ops; i++) {
		if (p->ops[i].kind == IBB_OP_PUT)
			need += (p->ops[i].file->bytes.len + cluster - 1) / cluster * cluster +
				1024;
		else if (p->ops[i].kind == IBB_OP_MKDIR)
			need += cluster + 1024;
	}
	if (need)
		need += p->registry_bytes + 1024 * 1024; /* hives grow by bins, indexes by blocks */
	if (need > info->free_bytes)
		return ibb_err(
			err, IBB_E_UNSUPPORTED,
			"the Windows volume has %llu KiB free, the plan needs about %llu KiB",
			(unsigned long long)(info->free_bytes / 1024),
			(unsigned long long)(need / 1024));
	return IBB_OK;
}
