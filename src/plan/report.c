/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Readiness, and the plan as JSON. */
#include <stdio.h>
#include <string.h>

#include "base/time.h"
#include "base/url.h"
#include "driver/trust.h"
#include "plan/plan.h"

const char *ibb_ready_name(enum ibb_ready r)
{
	return r == IBB_READY_YES ? "ready" : r == IBB_READY_AT_BOOT ? "at boot" : "absent";
}

/* The two lines that no driver package decides. */
static void readiness_beyond_driver(const struct ibb_facts *f, struct ibb_readiness *ret)
{
	/* Windows has no offline setting for it: the address comes from the host at run time */
	ret->address = IBB_READY_NO;
	ret->address_reason = "nothing in the image gives the IPoIB interface its address";
	ret->user_nd = f->nd_provider ? IBB_READY_YES : IBB_READY_NO;
	snprintf(ret->user_nd_reason, sizeof(ret->user_nd_reason), "%s%s",
		 f->nd_provider
			 ? "NetworkDirect provider registered: "
			 : "MS-MPI will not use RDMA: no NetworkDirect provider is registered",
		 f->nd_provider ? f->nd_provider : "");
}

void ibb_plan_readiness(const struct ibb_selection *s, struct ibb_readiness *ret)
{
	const struct ibb_package *p = s->package;

	*ret = (struct ibb_readiness){0};
	readiness_beyond_driver(s->facts, ret);
	if (p->trust && !p->trust->judgement.loads) {
		ret->driver = IBB_READY_NO;
		snprintf(ret->driver_reason, sizeof(ret->driver_reason), "%s %s is %s: %.300s",
			 p->inf_name, p->version.version_text,
			 ibb_verdict_name(p->trust->judgement.verdict), p->trust->judgement.reason);
	} else if (!p->signed_) {
		ret->driver = IBB_READY_NO;
		snprintf(ret->driver_reason, sizeof(ret->driver_reason),
			 "%s %s is not signed: Windows for amd64 loads no unsigned driver",
			 p->inf_name, p->version.version_text);
	} else if (s->n_bound) {
		ret->driver = IBB_READY_NO;
		snprintf(ret->driver_reason, sizeof(ret->driver_reason),
			 "needs-install-at-boot: %zu device instance(s) of the image already run a "
			 "driver, first %s\\%s; Windows does not search again for them",
			 s->n_bound, s->bound[0]->device_id, s->bound[0]->instance);
	} else if (!s->wins) {
		ret->driver = IBB_READY_NO;
		snprintf(ret->driver_reason, sizeof(ret->driver_reason), "%s", s->rank_reason);
	} else {
		ret->driver = IBB_READY_YES;
		snprintf(ret->driver_reason, sizeof(ret->driver_reason),
			 "%s %s serves %s; %s; signature %s", p->inf_name, p->version.version_text,
			 s->matched_id, s->rank_reason,
			 p->trust ? ibb_verdict_name(p->trust->judgement.verdict) : "not verified");
	}
}

void ibb_plan_readiness_in_image(const struct ibb_facts *f, const struct ibb_fact_match *m,
				 bool bare, struct ibb_readiness *ret)
{
	const struct ibb_fact_package *p = m->package;

	bool unsigned_ = p && p->oem && (!p->signer || !*p->signer);

	*ret = (struct ibb_readiness){.driver = p && !bare && !unsigned_ ? IBB_READY_YES
									 : IBB_READY_NO};
	readiness_beyond_driver(f, ret);
	if (!p)
		snprintf(ret->driver_reason, sizeof(ret->driver_reason),
			 "no package of the image is registered for the function");
	else if (unsigned_ && !bare)
		snprintf(ret->driver_reason, sizeof(ret->driver_reason),
			 "%s serves %s, but has no signer: Windows for amd64 loads no unsigned "
			 "driver",
			 p->published, m->id);
	else
		snprintf(ret->driver_reason, sizeof(ret->driver_reason), "%s%s serves %s",
			 bare ? "only the bare device ID: " : "",
			 p->published ? p->published : p->name, m->id);
}

void ibb_readiness_json(const struct ibb_readiness *r, struct ibb_jb *b, struct ibb_json *obj)
{
	const struct {
		const char *key;
		enum ibb_ready state;
		const char *reason;
	} lines[] = {{"driver", r->driver, r->driver_reason},
		     {"address", r->address, r->address_reason},
		     {"user-nd", r->user_nd, r->user_nd_reason}};

	for (size_t i = 0; i < IBB_ARRAY_SIZE(lines); i++) {
		struct ibb_json *o = ibb_jb_object(b, obj, lines[i].key);

		ibb_jb_str(b, o, "state", ibb_ready_name(lines[i].state));
		ibb_jb_str(b, o, "reason", lines[i].reason);
	}
}

void ibb_reg_type_name(uint32_t type, char out[24])
{
	static const char *const names[] = {"REG_NONE",	  "REG_SZ",	  "REG_EXPAND_SZ",
					    "REG_BINARY", "REG_DWORD",	  "REG_DWORD_BIG_ENDIAN",
					    "REG_LINK",	  "REG_MULTI_SZ", "REG_RESOURCE_LIST",
					    NULL,	  NULL,		  "REG_QWORD"};

	if (type < IBB_ARRAY_SIZE(names) && names[type])
		snprintf(out, 24, "%s", names[type]);
	else
		snprintf(out, 24, "0x%08x", type);
}

static void value_json(struct ibb_jb *b, struct ibb_json *obj, const char *key, uint32_t type,
		       struct ibb_bytes data)
{
	struct ibb_json *o = ibb_jb_object(b, obj, key);
	char name[24];

	ibb_reg_type_name(type, name);
	ibb_jb_str(b, o, "type", name);
	ibb_jb_hex(b, o, "data", data.data, data.len);
}

static void op_json(const struct ibb_op *op, struct ibb_jb *b, struct ibb_json *arr)
{
	static const char *const kinds[] = {"mkdir", "put",	   "key",
					    "value", "clear-log",  "remove",
					    "unset", "delete-key", "mark-clean"};
	struct ibb_json *o = ibb_jb_object(b, arr, NULL);
	char hex[IBB_SHA256_HEX_SIZE];

	ibb_jb_str(b, o, "op", kinds[op->kind]);
	if (op->path)
		ibb_jb_str(b, o, "path", op->path);
	if (op->kind == IBB_OP_PUT) {
		ibb_sha256_hex(&op->file->sha256, hex);
		ibb_jb_int(b, o, "size", (int64_t)op->file->bytes.len);
		ibb_jb_str(b, o, "sha256", hex);
		if (op->may_replace)
			ibb_jb_bool(b, o, "may_replace", true);
	}
	if (op->key) {
		ibb_jb_str(b, o, "hive", ibb_hive_id_name(op->hive));
		ibb_jb_str(b, o, "key", op->key);
	}
	if (op->kind == IBB_OP_VALUE || op->kind == IBB_OP_UNSET) {
		ibb_jb_str(b, o, "value", op->value);
		if (op->had_before)
			value_json(b, o, "before", op->before_type, op->before);
		else
			ibb_jb_null(b, o, "before");
		if (op->kind == IBB_OP_VALUE)
			value_json(b, o, "after", op->type, op->data);
		else
			ibb_jb_null(b, o, "after");
	}
	ibb_jb_str(b, o, "reason", op->reason);
	ibb_jb_str(b, o, "evidence", op->evidence);
}

static void security_json(const struct ibb_plan *p, struct ibb_jb *b, struct ibb_json *obj)
{
	struct ibb_json *sec = ibb_jb_object(b, obj, "key_security");

	for (int n = 0; n < IBB_N_HIVES; n++) {
		const struct ibb_key_security_plan *s = &p->security[n];
		struct ibb_json *o;

		if (!s->needed)
			continue;
		o = ibb_jb_object(b, sec, ibb_hive_id_name((enum ibb_hive_id)n));
		if (s->like)
			ibb_jb_str(b, o, "like", s->like);
		else
			ibb_jb_hex(b, o, "descriptor", s->sd.data, s->sd.len);
	}
}

static void plan_package_json(const struct ibb_plan_package *pp, struct ibb_jb *b,
			      struct ibb_json *arr)
{
	const struct ibb_package *p = pp->package;
	struct ibb_json *o = ibb_jb_object(b, arr, NULL), *files, *list;
	char hex[IBB_SHA256_HEX_SIZE], guid[IBB_GUID_STR_SIZE];
	char date[16];

	ibb_guid_format(&p->version.class_guid, guid);
	snprintf(date, sizeof(date), "%04d-%02d-%02d", p->version.year, p->version.month,
		 p->version.day);
	ibb_jb_str(b, o, "inf", p->inf_name);
	ibb_jb_str(b, o, "directory", p->dir);
	ibb_jb_str(b, o, "provider", p->version.provider);
	ibb_jb_str(b, o, "class", p->version.class_name);
	ibb_jb_str(b, o, "class_guid", guid);
	ibb_jb_str(b, o, "date", date);
	ibb_jb_str(b, o, "version", p->version.version_text);
	ibb_jb_str(b, o, "catalog", p->catalog_name);
	ibb_jb_str(b, o, "signer", p->signed_ ? p->signer.name : NULL);
	ibb_package_trust_json(p, b, o, "signature");
	ibb_jb_str(b, o, "published", pp->published);
	ibb_jb_str(b, o, "package_name", pp->name);
	ibb_jb_str(b, o, "node", pp->node == IBB_NODE_SYSTEM ? "SYSTEM" : "DRIVERS");
	ibb_jb_str(b, o, "node_reason", pp->node_reason);
	list = ibb_jb_object(b, o, "reflect");
	ibb_jb_bool(b, list, "done", pp->reflect.done);
	ibb_jb_str(b, list, "rule", pp->reflect.rule);
	ibb_jb_bool(b, o, "already_staged", pp->existing != NULL);
	ibb_jb_int(b, o, "device_ids", (int64_t)pp->n_device_ids);
	ibb_jb_fmt(b, o, "status_flags", "0x%08x", pp->status_flags);
	ibb_jb_fmt(b, o, "signer_score", "0x%08x", pp->signer_score);
	list = ibb_jb_array(b, o, "models_sections");
	for (size_t i = 0; i < p->models.n_sections; i++) {
		struct ibb_json *s = ibb_jb_object(b, list, NULL);

		ibb_jb_str(b, s, "section", p->models.sections[i]);
		ibb_jb_int(b, s, "line", p->models.section_lines[i]);
		ibb_jb_str(b, s, "reason", p->models.reasons[i]);
	}
	files = ibb_jb_array(b, o, "files");
	for (size_t i = 0; i < p->n_files; i++) {
		struct ibb_json *f = ibb_jb_object(b, files, NULL);

		ibb_sha256_hex(&p->files[i].sha256, hex);
		ibb_jb_str(b, f, "path", p->files[i].path);
		ibb_jb_int(b, f, "size", (int64_t)p->files[i].bytes.len);
		ibb_jb_str(b, f, "sha256", hex);
	}
}

const char *ibb_plan_signature(const struct ibb_plan *p)
{
	const char *say = p->n_packages ? "verified" : "none";

	for (size_t i = 0; i < p->n_packages; i++) {
		const struct ibb_package_trust *t = p->packages[i].package->trust;

		if (!t)
			return "not verified";
		if (t->judgement.verdict == IBB_VERDICT_ANCHORED)
			say = "test trust";
		else if (t->allowed && strcmp(say, "verified") == 0)
			say = "allowed";
	}
	return say;
}

static void signature_json(const struct ibb_signature *s, struct ibb_jb *b, struct ibb_json *o)
{
	char when[IBB_ISO8601_SIZE];

	ibb_jb_str(b, o, "signer", s->signer.name);
	ibb_jb_str(b, o, "issuer", s->signer.issuer);
	ibb_jb_str(b, o, "serial", s->signer.serial);
	ibb_jb_str(b, o, "root", *s->anchor_name ? s->anchor_name : NULL);
	ibb_jb_str(b, o, "root_sha1", *s->anchor_sha1 ? s->anchor_sha1 : NULL);
	ibb_jb_str(b, o, "fault", s->fault ? ibb_signature_fault_name(s->fault) : NULL);
	if (s->timestamped) {
		ibb_unix_format(s->signed_at, when);
		ibb_jb_str(b, o, "signed_at", when);
		ibb_jb_str(b, o, "timestamp_authority", s->authority);
	} else {
		ibb_jb_null(b, o, "signed_at");
		ibb_jb_null(b, o, "timestamp_authority");
	}
}

void ibb_package_trust_json(const struct ibb_package *p, struct ibb_jb *b, struct ibb_json *obj,
			    const char *key)
{
	const struct ibb_package_trust *t = p->trust;
	const struct ibb_judgement *g;
	struct ibb_json *o, *list;
	size_t members = 0;

	if (!t) {
		ibb_jb_null(b, obj, key);
		return;
	}
	g = &t->judgement;
	o = ibb_jb_object(b, obj, key);
	ibb_jb_str(b, o, "verdict", ibb_verdict_name(g->verdict));
	ibb_jb_bool(b, o, "loads", g->loads);
	ibb_jb_bool(b, o, "allowed", t->allowed);
	ibb_jb_str(b, o, "reason", g->reason);
	ibb_jb_str(b, o, "policy", g->policy);
	if (g->signature)
		signature_json(g->signature, b, ibb_jb_object(b, o, "by"));
	else
		ibb_jb_null(b, o, "by");
	for (size_t i = 0; i < t->n_files; i++)
		members += t->files[i].member;
	ibb_jb_int(b, o, "members", (int64_t)members);
	ibb_jb_str(b, o, "digest", t->n_files ? t->alg == IBB_ALG_SHA1 ? "sha1" : "sha256" : NULL);
	ibb_jb_str(b, o, "submission_id", t->submission);
	ibb_jb_str(b, o, "certified_for", t->os_list);
	list = ibb_jb_array(b, o, "warnings");
	for (size_t i = 0; i < t->n_warnings; i++)
		ibb_jb_str(b, list, NULL, t->warnings[i]);
}

void ibb_plan_json(const struct ibb_plan *p, struct ibb_jb *b, struct ibb_json *obj)
{
	struct ibb_json *pkgs = ibb_jb_array(b, obj, "packages"), *list, *ops;

	for (size_t i = 0; i < p->n_packages; i++)
		plan_package_json(&p->packages[i], b, pkgs);
	list = ibb_jb_array(b, obj, "removed");
	for (size_t i = 0; i < p->n_removed; i++) {
		const struct ibb_fact_package *f = p->removed[i];
		struct ibb_json *o = ibb_jb_object(b, list, NULL);

		ibb_jb_str(b, o, "published", f->published);
		ibb_jb_str(b, o, "package_name", f->name);
		ibb_jb_str(b, o, "inf", f->inf_name);
		ibb_jb_str(b, o, "provider", f->provider);
		ibb_jb_str(b, o, "node", f->node == IBB_NODE_SYSTEM ? "SYSTEM" : "DRIVERS");
	}
	security_json(p, b, obj);
	ops = ibb_jb_array(b, obj, "operations");
	for (size_t i = 0; i < p->n_ops; i++)
		op_json(&p->ops[i], b, ops);
}

void ibb_resolution_json(const struct ibb_resolution *r, struct ibb_jb *b, struct ibb_json *obj)
{
	struct ibb_json *w = ibb_jb_object(b, obj, "windows"), *list, *fn;
	const struct ibb_function *f = r->size->function;
	IBB_AUTO_FREE char *url = r->recommended_url ? ibb_url_public(r->recommended_url) : NULL;

	ibb_jb_str(b, w, "id", r->windows.id);
	ibb_jb_str(b, w, "name", r->windows.name);
	ibb_jb_fmt(b, w, "version", "%u.%u.%u", r->windows.major, r->windows.minor,
		   r->windows.build);
	ibb_jb_str(b, w, "kind", r->windows.server ? "server" : "client");
	ibb_jb_str(b, w, "arch", r->windows.arch);
	ibb_jb_str(b, obj, "size", r->size->name);
	ibb_jb_str(b, obj, "series", r->size->series);
	ibb_jb_str(b, obj, "nic", r->size->nic);
	ibb_jb_str(b, obj, "state", ibb_support_name(r->state));
	ibb_jb_str(b, obj, "driver_set", r->driver_set);
	ibb_jb_str(b, obj, "driver_set_name", r->driver_set_name);
	ibb_jb_str(b, obj, "inf", r->package_inf);
	ibb_jb_str(b, obj, "recommended_version", r->recommended_version);
	ibb_jb_str(b, obj, "recommended_reason", r->recommended_reason);
	if (r->recommended_url && !url)
		b->rc = IBB_E_NOMEM;
	ibb_jb_str(b, obj, "recommended_url", url);
	fn = f ? ibb_jb_object(b, obj, "function") : NULL;
	if (f) {
		ibb_jb_str(b, fn, "id", f->id);
		ibb_jb_str(b, fn, "confidence", f->confidence);
		list = ibb_jb_array(b, fn, "hardware_ids");
		for (size_t i = 0; i < f->n_ids; i++)
			ibb_jb_str(b, list, NULL, f->hardware_ids[i]);
	}
	list = ibb_jb_array(b, obj, "rules");
	for (size_t i = 0; i < r->n_trace; i++) {
		const struct ibb_rule_trace *t = &r->trace[i];
		struct ibb_json *o = ibb_jb_object(b, list, NULL);

		ibb_jb_str(b, o, "rule", t->rule);
		ibb_jb_bool(b, o, "decided", t->decided);
		ibb_jb_str(b, o, "state", ibb_support_name(t->state));
		ibb_jb_str(b, o, "reason", t->reason);
		ibb_jb_str(b, o, "confidence", t->confidence);
		ibb_jb_str(b, o, "source", t->source ? t->source->title : NULL);
		ibb_jb_str(b, o, "locator", t->source ? t->source->locator : NULL);
	}
	list = ibb_jb_array(b, obj, "warnings");
	for (size_t i = 0; i < r->n_warnings; i++)
		ibb_jb_str(b, list, NULL, r->warnings[i]);
}

void ibb_selection_json(const struct ibb_selection *s, struct ibb_jb *b, struct ibb_json *obj)
{
	struct ibb_readiness ready;
	struct ibb_json *list, *o;

	ibb_jb_str(b, obj, "package", s->package->inf_name);
	ibb_jb_str(b, obj, "directory", s->package->dir);
	ibb_jb_str(b, obj, "matched_id", s->matched_id);
	ibb_jb_str(b, obj, "install_section", s->match.model->install_section);
	ibb_jb_fmt(b, obj, "evidence", "%s:%u", s->package->inf_name, s->match.model->line);
	ibb_jb_bool(b, obj, "windows_will_choose_it", s->wins);
	ibb_jb_str(b, obj, "old_driver", s->rival ? s->rival->published : NULL);
	ibb_jb_str(b, obj, "rank", s->rank_reason);
	list = ibb_jb_array(b, obj, "also_takes_over");
	for (size_t i = 0; i < s->n_taken_over; i++) {
		o = ibb_jb_object(b, list, NULL);
		ibb_jb_str(b, o, "id", s->taken_over[i].id);
		ibb_jb_str(b, o, "install_section", s->taken_over[i].install_section);
		ibb_jb_fmt(b, o, "evidence", "%s:%u", s->package->inf_name, s->taken_over[i].line);
		ibb_jb_str(b, o, "old_driver",
			   s->taken_over[i].old ? s->taken_over[i].old->published : NULL);
		ibb_jb_bool(b, o, "windows_will_choose_it", s->taken_over[i].wins);
	}
	list = ibb_jb_array(b, obj, "left_out");
	for (size_t i = 0; i < s->n_rejected; i++) {
		o = ibb_jb_object(b, list, NULL);
		ibb_jb_str(b, o, "inf", s->rejected[i].package->inf_name);
		ibb_jb_str(b, o, "directory", s->rejected[i].package->dir);
		ibb_jb_str(b, o, "version", s->rejected[i].package->version.version_text);
		ibb_jb_str(b, o, "reason", s->rejected[i].reason);
	}
	list = ibb_jb_array(b, obj, "needs_install_at_boot");
	for (size_t i = 0; i < s->n_bound; i++) {
		o = ibb_jb_object(b, list, NULL);
		ibb_jb_str(b, o, "control_set", s->bound[i]->control_set);
		ibb_jb_fmt(b, o, "instance", "%s\\%s", s->bound[i]->device_id,
			   s->bound[i]->instance);
		ibb_jb_str(b, o, "driver", s->bound[i]->driver);
	}
	ibb_plan_readiness(s, &ready);
	ibb_readiness_json(&ready, b, ibb_jb_object(b, obj, "readiness"));
}
