/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "manifest/manifest.h"

#include <stdlib.h>

#include "base/time.h"

void ibb_identity_clear(struct ibb_identity *id)
{
	for (size_t i = 0; i < id->n_parents; i++)
		free(id->parents[i].file_name);
	free(id->parents);
	free(id->file_name);
	*id = (struct ibb_identity){0};
}

static void guid_json(struct ibb_jb *b, struct ibb_json *obj, const char *key, bool has,
		      const struct ibb_guid *g)
{
	char text[IBB_GUID_STR_SIZE];

	ibb_guid_format(g, text);
	ibb_jb_str(b, obj, key, has ? text : NULL);
}

void ibb_digest_json(struct ibb_jb *b, struct ibb_json *obj, const char *kind,
		     const struct ibb_sha256 *d)
{
	char hex[IBB_SHA256_HEX_SIZE];
	struct ibb_json *o;

	if (!kind) {
		ibb_jb_null(b, obj, "digest");
		return;
	}
	o = ibb_jb_object(b, obj, "digest");
	ibb_sha256_hex(d, hex);
	ibb_jb_str(b, o, "kind", kind);
	ibb_jb_str(b, o, "sha256", hex);
}

static void parents_json(const struct ibb_identity *id, struct ibb_jb *b, struct ibb_json *obj)
{
	struct ibb_json *list = ibb_jb_array(b, obj, "parents"), *o;

	for (size_t i = 0; i < id->n_parents; i++) {
		const struct ibb_identity_parent *p = &id->parents[i];

		o = ibb_jb_object(b, list, NULL);
		ibb_jb_str(b, o, "file", p->file_name);
		ibb_jb_str(b, o, "container", p->container);
		ibb_jb_str(b, o, "identifier", p->id);
		ibb_jb_u64(b, o, "file_bytes", p->file_bytes);
		ibb_jb_u64(b, o, "disk_bytes", p->disk_bytes);
		ibb_jb_str(b, o, "found_by", p->found_by);
		if (p->has_time)
			ibb_jb_bool(b, o, "time_agrees", p->time_agrees);
		else
			ibb_jb_null(b, o, "time_agrees");
		ibb_digest_json(b, o, id->digest_kind, &p->digest);
	}
}

void ibb_opinion_json(const struct ibb_identity_opinion *x, struct ibb_jb *b, struct ibb_json *obj)
{
	struct ibb_json *o = ibb_jb_object(b, obj, "second_opinion");

	ibb_jb_str(b, o, "result", x->result);
	ibb_jb_str(b, o, "reader", x->version ? "libvhdi" : NULL);
	ibb_jb_str(b, o, "version", x->version);
	ibb_jb_int(b, o, "blocks", (int64_t)x->blocks);
	ibb_jb_str(b, o, "reason", *x->reason ? x->reason : NULL);
}

/* What the container is, beyond the disk in it. */
static void container_json(const struct ibb_identity *id, struct ibb_jb *b, struct ibb_json *obj)
{
	if (id->has_vhd_id)
		ibb_jb_hex(b, obj, "vhd_unique_id", id->vhd_id.b, sizeof(id->vhd_id.b));
	else
		ibb_jb_null(b, obj, "vhd_unique_id");
	guid_json(b, obj, "vhdx_disk_id", id->has_vhdx_id, &id->vhdx_id);
	if (id->block_bytes)
		ibb_jb_u64(b, obj, "block_bytes", id->block_bytes);
	else
		ibb_jb_null(b, obj, "block_bytes");
	if (id->log_replayed)
		ibb_jb_u64(b, obj, "log_replayed_bytes", id->log_bytes);
	else
		ibb_jb_null(b, obj, "log_replayed_bytes");
	parents_json(id, b, obj);
	ibb_opinion_json(&id->opinion, b, obj);
}

void ibb_identity_json(const struct ibb_identity *id, struct ibb_jb *b, struct ibb_json *obj)
{
	struct ibb_json *p;

	ibb_jb_str(b, obj, "file", id->file_name);
	ibb_jb_str(b, obj, "container", id->container);
	ibb_jb_u64(b, obj, "file_bytes", id->file_bytes);
	ibb_jb_u64(b, obj, "disk_bytes", id->disk_bytes);
	ibb_jb_int(b, obj, "sector_bytes", id->sector_bytes);
	container_json(id, b, obj);
	ibb_jb_str(b, obj, "partition_table", id->table);
	guid_json(b, obj, "disk_guid", id->has_disk_guid, &id->disk_guid);
	if (id->has_disk_guid)
		ibb_jb_null(b, obj, "mbr_signature");
	else
		ibb_jb_fmt(b, obj, "mbr_signature", "%08x", id->mbr_signature);
	p = ibb_jb_object(b, obj, "partition");
	ibb_jb_int(b, p, "number", id->partition);
	ibb_jb_u64(b, p, "offset_bytes", id->partition_off);
	ibb_jb_u64(b, p, "bytes", id->partition_bytes);
	guid_json(b, p, "guid", id->has_partition_guid, &id->partition_guid);
	ibb_jb_str(b, p, "ntfs_serial", id->ntfs_serial);
	ibb_digest_json(b, obj, id->digest_kind, &id->digest);
}

static void logs_json(const struct ibb_fact_hive *h, struct ibb_jb *b, struct ibb_json *obj)
{
	static const char *const formats[] = {"empty", "old", "new", "unknown"};
	struct ibb_json *list = ibb_jb_array(b, obj, "transaction_logs"), *o;

	for (size_t i = 0; i < h->n_logs; i++) {
		const struct ibb_hive_log_report *l = &h->recovery.logs[i];

		o = ibb_jb_object(b, list, NULL);
		ibb_jb_str(b, o, "path", h->logs[i].path);
		ibb_jb_u64(b, o, "bytes", h->logs[i].size_bytes);
		if (i >= h->recovery.n_logs) /* the hive was not read so far */
			continue;
		ibb_jb_str(b, o, "format", formats[l->format]);
		if (l->format == IBB_HIVE_LOG_EMPTY || l->format == IBB_HIVE_LOG_UNKNOWN)
			continue;
		ibb_jb_bool(b, o, "sound", l->base_ok);
		ibb_jb_int(b, o, "sequence1", l->seq1);
		ibb_jb_int(b, o, "sequence2", l->seq2);
		ibb_jb_int(b, o, "entries", l->n_entries);
		ibb_jb_int(b, o, "applied", l->n_applied);
		ibb_jb_str(b, o, "reason", *l->why ? l->why : NULL);
	}
}

/* What became of a hive that was not cleanly closed. */
static void recovery_json(const struct ibb_fact_hive *h, struct ibb_jb *b, struct ibb_json *obj)
{
	const struct ibb_hive_recovery *c = &h->recovery;
	struct ibb_json *o;

	if (!c->dirty) {
		ibb_jb_null(b, obj, "recovery");
		return;
	}
	o = ibb_jb_object(b, obj, "recovery");
	ibb_jb_str(b, o, "result",
		   !h->hive			? "refused"
		   : c->accepted && c->replayed ? "replayed-in-part"
		   : c->accepted		? "accepted-as-it-is"
						: "replayed");
	ibb_jb_bool(b, o, "base_block_recovered", c->base_recovered);
	ibb_jb_int(b, o, "bins_bytes_before", c->bins_before);
	ibb_jb_int(b, o, "bins_bytes_after", c->bins_after);
	ibb_jb_u64(b, o, "bytes_applied", c->bytes_applied);
}

static void check_json(const struct ibb_fact_hive *h, struct ibb_jb *b, struct ibb_json *obj)
{
	struct ibb_json *o;

	if (!h->checked)
		return;
	o = ibb_jb_object(b, obj, "check");
	ibb_jb_bool(b, o, "sound", !h->unsound.code);
	ibb_jb_str(b, o, "problem", h->unsound.code ? h->unsound.msg : NULL);
	if (h->unsound.code)
		return;
	ibb_jb_int(b, o, "keys", (int64_t)h->check.keys);
	ibb_jb_int(b, o, "values", (int64_t)h->check.values);
	ibb_jb_int(b, o, "security_cells", (int64_t)h->check.security_cells);
	ibb_jb_int(b, o, "big_values", (int64_t)h->check.big_values);
	ibb_jb_u64(b, o, "free_bytes", h->check.free_bytes);
	ibb_jb_int(b, o, "unreferenced_cells", (int64_t)h->check.leaked_cells);
	ibb_jb_int(b, o, "excess_counts", (int64_t)h->check.excess_counts);
}

static void hive_json(const struct ibb_fact_hive *h, struct ibb_jb *b, struct ibb_json *arr)
{
	struct ibb_json *o = ibb_jb_object(b, arr, NULL);
	char hex[IBB_SHA256_HEX_SIZE];

	ibb_jb_str(b, o, "path", h->path);
	ibb_jb_u64(b, o, "bytes", h->size_bytes);
	ibb_sha256_hex(&h->sha256, hex);
	ibb_jb_str(b, o, "sha256", hex);
	if (h->header_ok) {
		ibb_jb_fmt(b, o, "format", "%u.%u", h->header.major, h->header.minor);
		ibb_jb_int(b, o, "sequence1", h->header.seq1);
		ibb_jb_int(b, o, "sequence2", h->header.seq2);
		ibb_jb_bool(b, o, "dirty", h->header.dirty);
	}
	ibb_jb_int(b, o, "logs", (int64_t)h->n_logs);
	logs_json(h, b, o);
	recovery_json(h, b, o);
	check_json(h, b, o);
	ibb_jb_str(b, o, "problem", h->hive ? NULL : h->problem.msg);
}

static void device_json(const struct ibb_fact_device *d, struct ibb_jb *b, struct ibb_json *arr)
{
	struct ibb_json *o = ibb_jb_object(b, arr, NULL);

	ibb_jb_str(b, o, "control_set", d->control_set);
	ibb_jb_fmt(b, o, "instance", "%s\\%s", d->device_id, d->instance);
	ibb_jb_str(b, o, "driver", d->driver);
}

void ibb_facts_json(const struct ibb_facts *f, struct ibb_jb *b, struct ibb_json *obj)
{
	struct ibb_json *w = ibb_jb_object(b, obj, "windows"), *s, *list;
	size_t oem = 0;

	ibb_jb_str(b, w, "directory", f->windows_dir);
	ibb_jb_str(b, w, "product", f->product_name);
	ibb_jb_str(b, w, "edition", f->edition);
	ibb_jb_str(b, w, "installation_type", f->installation_type);
	ibb_jb_str(b, w, "release", f->display_version);
	ibb_jb_fmt(b, w, "version", "%u.%u.%u", f->target.major, f->target.minor, f->target.build);
	ibb_jb_int(b, w, "ubr", f->ubr);
	/* both come from the SYSTEM hive: unknown when that cannot be opened */
	ibb_jb_str(b, w, "arch", f->control_set ? ibb_arch_name(f->target.arch) : NULL);
	ibb_jb_str(b, w, "product_type", f->product_type);
	ibb_jb_str(b, w, "kind", !f->product_type ? NULL : f->server ? "server" : "client");
	ibb_jb_bool(b, w, "windows_pe", f->pe);
	ibb_jb_str(b, w, "control_set", f->control_set);
	list = ibb_jb_array(b, w, "control_sets");
	for (size_t i = 0; i < f->n_control_sets; i++)
		ibb_jb_str(b, list, NULL, f->control_sets[i]);

	s = ibb_jb_object(b, obj, "state");
	ibb_jb_str(b, s, "image_state", f->image_state);
	ibb_jb_int(b, s, "setup_type", f->setup_type);
	ibb_jb_int(b, s, "system_setup_in_progress", f->setup_in_progress);
	ibb_jb_bool(b, s, "generalized", f->generalized);
	ibb_jb_bool(b, s, "audit_mode", f->audit);
	ibb_jb_bool(b, s, "setup_unfinished", f->setup_unfinished);
	ibb_jb_bool(b, s, "pending_servicing", f->pending_xml || f->reboot_pending);
	ibb_jb_int(b, s, "shadow_copies", f->vss_snapshots);
	ibb_jb_bool(b, s, "usn_journal", f->usn_journal);
	ibb_jb_str(b, s, "winof2", f->winof2);
	list = ibb_jb_array(b, s, "vm_extension");
	for (size_t i = 0; i < f->n_extensions; i++)
		ibb_jb_str(b, list, NULL, f->extensions[i]);

	list = ibb_jb_array(b, obj, "hives");
	for (int i = 0; i < IBB_N_HIVES; i++)
		if (f->hives[i].present)
			hive_json(&f->hives[i], b, list);
	s = ibb_jb_object(b, obj, "driver_store");
	for (size_t i = 0; i < f->n_packages; i++)
		oem += f->packages[i].oem;
	ibb_jb_int(b, s, "packages", (int64_t)f->n_packages);
	ibb_jb_int(b, s, "oem_packages", (int64_t)oem);
	list = ibb_jb_array(b, obj, "mellanox_devices");
	for (size_t i = 0; i < f->n_devices; i++)
		device_json(&f->devices[i], b, list);
}

static void file_state(struct ibb_jb *b, struct ibb_json *obj, const char *key, uint64_t bytes,
		       const struct ibb_sha256 *d)
{
	struct ibb_json *o = ibb_jb_object(b, obj, key);
	char hex[IBB_SHA256_HEX_SIZE];

	ibb_sha256_hex(d, hex);
	ibb_jb_u64(b, o, "bytes", bytes);
	ibb_jb_str(b, o, "sha256", hex);
}

static void files_json(const struct ibb_applied *a, struct ibb_jb *b, struct ibb_json *obj)
{
	struct ibb_json *list = ibb_jb_array(b, obj, "files");

	for (size_t i = 0; i < a->n_files; i++) {
		const struct ibb_applied_file *f = &a->files[i];
		struct ibb_json *o = ibb_jb_object(b, list, NULL);

		ibb_jb_str(b, o, "path", f->path);
		ibb_jb_str(b, o, "kind", f->kind);
		if (f->existed)
			file_state(b, o, "before", f->before_bytes, &f->before);
		else
			ibb_jb_null(b, o, "before");
		if (f->removed)
			ibb_jb_null(b, o, "after");
		else
			file_state(b, o, "after", f->after_bytes, &f->after);
	}
}

static void trust_files_json(struct ibb_jb *b, struct ibb_json *obj, const char *key,
			     const struct ibb_trust_file *files, size_t n)
{
	struct ibb_json *list = ibb_jb_array(b, obj, key);
	char hex[IBB_SHA256_HEX_SIZE];

	for (size_t i = 0; i < n; i++) {
		struct ibb_json *o = ibb_jb_object(b, list, NULL);

		ibb_sha256_hex(&files[i].digest, hex);
		ibb_jb_str(b, o, "path", files[i].path);
		ibb_jb_str(b, o, "sha256", hex);
	}
}

void ibb_manifest_options_json(const struct ibb_manifest_options *o, struct ibb_jb *b,
			       struct ibb_json *obj)
{
	struct ibb_json *x = ibb_jb_object(b, obj, "options"), *c, *list;

	ibb_jb_bool(b, x, "force", o->force);
	ibb_jb_bool(b, x, "allow_unsupported", o->allow_unsupported);
	ibb_jb_bool(b, x, "accept_dirty_hives", o->accept_dirty_hives);
	ibb_jb_bool(b, x, "second_opinion_off", o->second_opinion_off);
	ibb_jb_bool(b, x, "accept_changed_parent", o->accept_changed_parent);
	list = ibb_jb_array(b, x, "allow");
	for (unsigned bit = 1; bit <= IBB_TRUST_ALLOW_UNTRUSTED_ROOT; bit <<= 1)
		if (o->allow & bit)
			ibb_jb_str(b, list, NULL, ibb_trust_allow_name(bit));
	trust_files_json(b, x, "trust_anchors", o->trust_anchors, o->n_trust_anchors);
	trust_files_json(b, x, "crls", o->crls, o->n_crls);
	if (o->bundle) {
		c = ibb_jb_object(b, x, "bundle");
		ibb_jb_str(b, c, "path", o->bundle);
		ibb_jb_str(b, c, "sha256", o->bundle_sha256);
		ibb_jb_str(b, c, "key", o->bundle_key);
		ibb_jb_bool(b, c, "key_asked", o->bundle_key_known);
	} else {
		ibb_jb_null(b, x, "bundle");
	}
	ibb_jb_bool(b, x, "dry_run", o->dry_run);
	c = ibb_jb_object(b, obj, "catalog");
	ibb_jb_str(b, c, "as_of", o->catalog_as_of);
	ibb_jb_str(b, c, "sha256", o->catalog_sha256);
}

void ibb_manifest_head_json(const char *schema, const struct ibb_manifest_options *options,
			    struct ibb_jb *b, struct ibb_json *root)
{
	char when[IBB_ISO8601_SIZE];
	struct ibb_json *o;

	ibb_unix_format(options->unix_time, when);
	ibb_jb_str(b, root, "schema", schema);
	o = ibb_jb_object(b, root, "tool");
	ibb_jb_str(b, o, "name", "ibbake");
	ibb_jb_str(b, o, "version", options->version);
	ibb_jb_str(b, root, "time", when);
}

void ibb_manifest_part_json(const struct ibb_manifest_input *in, struct ibb_jb *b,
			    struct ibb_json *obj)
{
	struct ibb_json *list = ibb_jb_array(b, obj, "targets"), *o;

	for (size_t i = 0; i < in->n_selections; i++) {
		o = ibb_jb_object(b, list, NULL);
		ibb_resolution_json(in->selections[i].resolution, b,
				    ibb_jb_object(b, o, "resolution"));
		ibb_selection_json(&in->selections[i], b, ibb_jb_object(b, o, "selection"));
	}
	ibb_plan_json(in->plan, b, obj);
	files_json(in->applied, b, obj);
	list = ibb_jb_array(b, obj, "left_out");
	for (size_t i = 0; i < in->n_left_out; i++) {
		o = ibb_jb_object(b, list, NULL);
		ibb_jb_str(b, o, "inf", in->left_out[i].path);
		ibb_jb_str(b, o, "reason", in->left_out[i].reason);
	}
	list = ibb_jb_array(b, obj, "warnings");
	for (size_t i = 0; i < in->n_warnings; i++)
		ibb_jb_str(b, list, NULL, in->warnings[i]);
}

void ibb_manifest_archives_json(const struct ibb_json *archives, struct ibb_jb *b,
				struct ibb_json *obj)
{
	if (archives)
		ibb_jb_copy(b, obj, "archives", archives);
	else
		ibb_jb_array(b, obj, "archives");
}

int ibb_manifest_build(const struct ibb_manifest_input *in, struct ibb_json **ret,
		       struct ibb_error *err)
{
	struct ibb_jb b = {0};
	struct ibb_json *root = ibb_jb_object(&b, NULL, NULL), *o;

	ibb_manifest_head_json(IBB_MANIFEST_SCHEMA, &in->options, &b, root);
	ibb_jb_str(&b, root, "signature", ibb_plan_signature(in->plan));
	/* the number the VM extension would have returned */
	ibb_jb_int(&b, root, "extension_exit_code", 0);
	ibb_identity_json(in->input, &b, ibb_jb_object(&b, root, "input"));
	ibb_identity_json(in->output, &b, ibb_jb_object(&b, root, "output"));
	ibb_facts_json(in->facts, &b, ibb_jb_object(&b, root, "image"));
	ibb_azure_json(in->azure, in->azure_enforced, &b, ibb_jb_object(&b, root, "azure"));
	ibb_manifest_options_json(&in->options, &b, root);
	o = ibb_jb_object(&b, root, "writing");
	ibb_jb_str(&b, o, "format", in->writing.format);
	ibb_jb_str(&b, o, "sparse", in->writing.sparse);
	ibb_jb_u64(&b, o, "grown_bytes", in->writing.grown_bytes);
	ibb_manifest_archives_json(in->archives, &b, root);
	ibb_manifest_part_json(in, &b, root);
	if (in->winre)
		ibb_jb_copy(&b, root, "winre", in->winre);
	else
		ibb_jb_null(&b, root, "winre");
	return ibb_jb_done(&b, ret, err);
}
