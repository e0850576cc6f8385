/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "api/image.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/limits.h"
#include "base/path.h"

/* A partition of the overlay, named so that messages say which one. */
static int open_slice(struct ibb_image *im, size_t i, struct ibb_disk **ret, struct ibb_error *err)
{
	const struct ibb_partition *p = &im->table.parts[i];
	char *name = ibb_asprintf("%s: partition %u", im->path, p->number);
	int r;

	if (!name)
		return ibb_err_nomem(err);
	r = ibb_disk_slice_new(im->overlay, p->off_bytes, p->len_bytes, ret, err);
	if (r) {
		free(name);
		return r;
	}
	free((*ret)->name);
	(*ret)->name = name;
	return IBB_OK;
}

/* The partition types that Windows installs itself to: GPT basic data, MBR 07, or no table. */
static bool may_hold_windows(const struct ibb_image *im, const struct ibb_partition *p)
{
	static const char basic_data[] = "{ebd0a0a2-b9e5-4433-87c0-68b6b72699c7}";
	char guid[IBB_GUID_STR_SIZE];

	ibb_guid_format(&p->type, guid);
	return im->table.kind == IBB_PTABLE_NONE ||
	       (im->table.kind == IBB_PTABLE_GPT && strcmp(guid, basic_data) == 0) ||
	       (im->table.kind == IBB_PTABLE_MBR && p->mbr_type == 0x07);
}

int ibb_image_open_partition(struct ibb_image *im, size_t i, bool writable, struct ibb_volume **ret,
			     struct ibb_error *err)
{
	IBB_AUTO(ibb_disk_unref) struct ibb_disk *slice = NULL;
	int r = open_slice(im, i, &slice, err);

	return r ? r : ibb_volume_open_ntfs(slice, writable, ret, err);
}

/* Look into one partition; what stops us is remembered, not returned (but for lack of memory). */
static int look_into(struct ibb_image *im, size_t i, struct ibb_error *err)
{
	IBB_AUTO(ibb_volume_close) struct ibb_volume *v = NULL;
	IBB_AUTO(ibb_disk_unref) struct ibb_disk *slice = NULL;
	struct ibb_found *f = &im->found[i];
	struct ibb_stat st;
	int r = open_slice(im, i, &slice, err);

	if (r)
		return r;
	r = ibb_volume_open_ntfs(slice, false, &v, &f->problem);
	if (!r) {
		f->ntfs = true;
		r = ibb_volume_stat(v, IBB_SYSTEM_HIVE, &st, &f->problem);
		f->windows = !r && st.type == IBB_FILE_REGULAR;
	}
	if (r == IBB_E_NOMEM)
		return ibb_err_nomem(err);
	/* that an EFI system partition is FAT is no problem */
	if (r == IBB_E_NOTFOUND || !r ||
	    (r == IBB_E_UNSUPPORTED && !may_hold_windows(im, &im->table.parts[i])))
		f->problem = (struct ibb_error){0};
	return IBB_OK;
}

int ibb_image_open_chain(const char *path, const struct ibb_image_opts *opts, struct ibb_chain *ret,
			 struct ibb_opinion_result *ret_said, struct ibb_error *err)
{
	struct ibb_opinion_result said = {0};
	struct ibb_chain c = {0};
	int r = ibb_chain_open(path, &c, err);

	if (!r && !opts->accept_changed_parent)
		r = ibb_chain_parents_kept(&c, err);
	if (!r && !opts->second_opinion_off)
		r = ibb_chain_second_opinion(&c, &said, err);
	if (r) {
		ibb_chain_clear(&c);
		return r;
	}
	*ret = c;
	*ret_said = said;
	return IBB_OK;
}

int ibb_image_open(const char *path, const struct ibb_image_opts *opts, struct ibb_image **ret,
		   struct ibb_error *err)
{
	IBB_AUTO(ibb_image_close) struct ibb_image *im = ibb_zalloc(sizeof(*im));
	const struct ibb_image_opts defaults = {0};
	int r;

	if (!im)
		return ibb_err_nomem(err);
	if (!opts)
		opts = &defaults;
	im->second_opinion_off = opts->second_opinion_off;
	im->path = ibb_strdup(path);
	if (!im->path)
		return ibb_err_nomem(err);
	r = ibb_image_open_chain(path, opts, &im->chain, &im->opinion, err);
	if (!r)
		r = ibb_disk_overlay_new(im->chain.disk, IBB_LIMIT_OVERLAY_BYTES, &im->overlay,
					 err);
	if (!r)
		r = ibb_ptable_read(im->overlay, &im->table, err);
	if (r)
		return r;
	im->found = ibb_calloc_array(im->table.n, sizeof(*im->found));
	if (!im->found)
		return ibb_err_nomem(err);
	for (size_t i = 0; i < im->table.n && !r; i++)
		r = look_into(im, i, err);
	if (r)
		return r;
	*ret = IBB_TAKE(im);
	return IBB_OK;
}

static int no_windows(const struct ibb_image *im, struct ibb_error *err)
{
	/* a partition that could not be looked into is the likely place: say why */
	for (size_t i = 0; i < im->table.n; i++)
		if (im->found[i].problem.code) {
			if (err)
				*err = im->found[i].problem;
			return im->found[i].problem.code;
		}
	return ibb_err(err, IBB_E_UNSUPPORTED,
		       "%s: no partition holds a Windows (looked for " IBB_SYSTEM_HIVE
		       " in %zu partition(s))",
		       im->path, im->table.n);
}

static int several(const struct ibb_image *im, struct ibb_error *err)
{
	char list[128] = "";
	size_t n = 0;

	for (size_t i = 0; i < im->table.n && n + 16 < sizeof(list); i++)
		if (im->found[i].windows)
			n += (size_t)snprintf(list + n, sizeof(list) - n, "%s%u", n ? ", " : "",
					      im->table.parts[i].number);
	ibb_err(err, IBB_E_UNSUPPORTED, "%s: several partitions hold a Windows: %s", im->path,
		list);
	return ibb_err_hint(err, IBB_E_UNSUPPORTED, "say which one with --partition N");
}

static int find_windows(const struct ibb_image *im, unsigned number, size_t *ret,
			struct ibb_error *err)
{
	size_t n = 0, at = 0;

	for (size_t i = 0; i < im->table.n; i++) {
		if (number && im->table.parts[i].number == number) {
			*ret = i;
			return IBB_OK;
		}
		if (im->found[i].windows) {
			at = i;
			n++;
		}
	}
	if (number)
		return ibb_err(err, IBB_E_UNSUPPORTED, "%s: there is no partition %u", im->path,
			       number);
	if (!n)
		return no_windows(im, err);
	if (n > 1)
		return several(im, err);
	*ret = at;
	return IBB_OK;
}

int ibb_image_open_windows(struct ibb_image *im, unsigned number, bool writable,
			   struct ibb_error *err)
{
	struct ibb_stat st;
	size_t at = 0;
	int r = find_windows(im, number, &at, err);

	if (!r)
		r = open_slice(im, at, &im->slice, err);
	if (r)
		return r;
	im->windows = at;
	r = ibb_volume_open_ntfs(im->slice, writable, &im->volume, err);
	if (!r)
		r = ibb_volume_stat(im->volume, IBB_SYSTEM_HIVE, &st, err);
	if (r == IBB_E_NOTFOUND)
		return ibb_err(err, IBB_E_UNSUPPORTED,
			       "%s holds no Windows (no " IBB_SYSTEM_HIVE ")", im->slice->name);
	return r ? r : ibb_volume_info(im->volume, &im->info, err);
}

int ibb_image_reopen(struct ibb_image *im, struct ibb_error *err)
{
	ibb_volume_close(im->volume);
	im->volume = NULL;
	return ibb_volume_open_ntfs(im->slice, false, &im->volume, err);
}

void ibb_image_close(struct ibb_image *im)
{
	if (!im)
		return;
	ibb_volume_close(im->volume);
	ibb_disk_unref(im->slice);
	ibb_disk_unref(im->overlay);
	ibb_chain_clear(&im->chain);
	ibb_ptable_clear(&im->table);
	free(im->found);
	free(im->path);
	free(im);
}

static int parents_identity(const struct ibb_image *im, struct ibb_identity *id,
			    struct ibb_error *err)
{
	const struct ibb_chain *c = &im->chain;

	if (c->n == 1)
		return IBB_OK;
	id->parents = ibb_calloc_array(c->n - 1, sizeof(*id->parents));
	if (!id->parents)
		return ibb_err_nomem(err);
	for (size_t i = 1; i < c->n; i++) {
		const struct ibb_link *l = &c->links[i];
		struct ibb_identity_parent *p = &id->parents[i - 1];

		p->file_name = ibb_strdup(ibb_path_base(l->path));
		if (!p->file_name)
			return ibb_err_nomem(err);
		id->n_parents++;
		p->container = ibb_link_kind_name(l);
		p->found_by = ibb_found_by_name(l->found_by);
		p->file_bytes = l->id.size_bytes;
		p->disk_bytes = l->disk->size_bytes;
		/* 0 is what tools write that do not know it */
		p->has_time =
			c->links[i - 1].parent.has_timestamp && c->links[i - 1].parent.timestamp_s;
		p->time_agrees = ibb_link_time_agrees(&c->links[i - 1], l);
		ibb_link_id_text(l, p->id);
	}
	return IBB_OK;
}

void ibb_image_opinion(const struct ibb_chain *c, bool off, const struct ibb_opinion_result *said,
		       struct ibb_identity_opinion *ret)
{
	static const char *const names[] = {
		[IBB_OPINION_NONE] = "not-asked",
		[IBB_OPINION_IDENTIFIERS] = "agrees-in-part",
		[IBB_OPINION_CONTENT] = "agrees",
	};
	struct ibb_identity_opinion o = {0};
	const char *why;

	if (off && ibb_chain_opinion(c, &why) != IBB_OPINION_NONE) {
		o.result = "off";
		snprintf(o.reason, sizeof(o.reason), "--second-opinion=off");
	} else if (off) {
		o.result = names[IBB_OPINION_NONE];
		snprintf(o.reason, sizeof(o.reason), "%s", why);
	} else {
		o.result = names[said->scope];
		o.version = said->scope == IBB_OPINION_NONE ? NULL : ibb_chain_second_version();
		o.blocks = said->blocks;
		snprintf(o.reason, sizeof(o.reason), "%s", said->why);
	}
	*ret = o;
}

static void container_identity(const struct ibb_link *l, struct ibb_identity *id)
{
	if (l->kind == IBB_CONTAINER_VHDX) {
		id->has_vhdx_id = true;
		id->vhdx_id = l->vhdx.disk_id;
		id->block_bytes = l->vhdx.block_bytes;
		id->log_replayed = l->vhdx.log_replayed;
		id->log_bytes = l->vhdx.log_bytes;
	} else if (l->kind != IBB_CONTAINER_RAW) {
		id->has_vhd_id = true;
		id->vhd_id = l->vhd.footer.unique_id;
		id->block_bytes = l->vhd.block_bytes;
	}
}

static void partition_identity(const struct ibb_image *im, struct ibb_identity *id)
{
	const struct ibb_partition *p = &im->table.parts[im->windows];

	id->partition = p->number;
	id->partition_off = p->off_bytes;
	id->partition_bytes = p->len_bytes;
	id->has_partition_guid = id->has_disk_guid;
	id->partition_guid = p->id;
	snprintf(id->ntfs_serial, sizeof(id->ntfs_serial), "%s", im->info.serial);
}

int ibb_image_identity(const struct ibb_image *im, const char *path, struct ibb_identity *ret,
		       struct ibb_error *err)
{
	static const char *const tables[] = {"none", "MBR", "GPT"};
	struct ibb_identity id = {
		.file_name = ibb_strdup(ibb_path_base(path)),
		.container = ibb_link_kind_name(&im->chain.links[0]),
		.file_bytes = ibb_image_file(im)->size_bytes,
		.disk_bytes = ibb_image_disk(im)->size_bytes,
		.sector_bytes = ibb_image_disk(im)->sector_bytes,
		.table = tables[im->table.kind],
		.has_disk_guid = im->table.kind == IBB_PTABLE_GPT,
		.disk_guid = im->table.disk_id,
		.mbr_signature = im->table.mbr_signature,
	};
	int r = id.file_name ? parents_identity(im, &id, err) : ibb_err_nomem(err);

	if (r) {
		ibb_identity_clear(&id);
		return r;
	}
	container_identity(&im->chain.links[0], &id);
	ibb_image_opinion(&im->chain, im->second_opinion_off, &im->opinion, &id.opinion);
	if (im->volume)
		partition_identity(im, &id);
	*ret = id;
	return IBB_OK;
}
