/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Which images of a WIM a request is about. */
#include "api/wims.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api/inplace.h"
#include "api/output.h"
#include "base/path.h"
#include "base/utf16.h"

/* ---- what goes with a WIM, and what with a disk ---- */

static int check_for_disk(const struct ibb_request *q, bool part, struct ibb_error *err)
{
	if (q->compact)
		return ibb_err(err, IBB_E_INVALID, "%s: is no WIM: --compact is for WIM files",
			       q->image);
	if (q->n_images && !part) {
		ibb_err(err, IBB_E_INVALID, "%s: is no WIM: --image is for the images of WIM files",
			q->image);
		return ibb_err_hint(err, IBB_E_INVALID,
				    "with several Windows in a disk: --partition N");
	}
	return IBB_OK;
}

static int only_disks(const struct ibb_request *q, const char *option, const char *why,
		      struct ibb_error *err)
{
	return ibb_err(err, IBB_E_INVALID, "%s: is a WIM: %s is for disks (%s)", q->image, option,
		       why);
}

static int check_for_wim(const struct ibb_request *q, struct ibb_error *err)
{
	if (q->partition) {
		only_disks(q, "--partition", "a WIM has images", err);
		return ibb_err_hint(err, IBB_E_INVALID, "say which one with --image N");
	}
	if (q->format_given || q->format != IBB_OUTPUT_VHD || q->sparse != IBB_OUTPUT_SPARSE_AUTO)
		return only_disks(q, "--format or --sparse", "a WIM stays the WIM that it is", err);
	if (q->winre)
		return only_disks(q, "--winre", "a Winre.wim itself is baked like any WIM", err);
	if (q->second_opinion_off)
		return only_disks(q, "--second-opinion", "libvhdi reads no WIM", err);
	if (q->accept_changed_parent)
		return only_disks(q, "--accept-changed-parent", "a WIM has no parent", err);
	if (q->azure) {
		ibb_err(err, IBB_E_UNSUPPORTED,
			"%s: is a WIM: --azure judges disks, and Azure starts from none other",
			q->image);
		return ibb_err_hint(err, IBB_E_UNSUPPORTED,
				    "apply the image to a disk, then: ibbake inspect DISK --azure");
	}
	if (q->compact && !q->in_place)
		return ibb_err(
			err, IBB_E_INVALID,
			"--compact goes with --in-place alone: a new file is always compact");
	return IBB_OK;
}

int ibb_wims_asked(const struct ibb_request *q, bool part, bool *ret, struct ibb_error *err)
{
	IBB_AUTO(ibb_disk_unref) struct ibb_disk *file = NULL;
	struct ibb_file_id id;
	/* that it cannot be read comes before what the output is called */
	int r = ibb_disk_file_open(q->image, &id, &file, err);

	*ret = false;
	if (r)
		return r;
	*ret = ibb_wim_is(file);
	return *ret ? check_for_wim(q, err) : check_for_disk(q, part, err);
}

/* ---- the choice ---- */

static void describe(const struct ibb_wim_image *x, char *out, size_t size)
{
	const char *product = x->display_name ? x->display_name : x->product_name;
	char version[48] = "";

	if (x->major)
		snprintf(version, sizeof(version), "%s%u.%u.%u", product ? ", " : "", x->major,
			 x->minor, x->build);
	snprintf(out, size, "%u '%s'%s%s%s%s", x->index, x->name ? x->name : "",
		 product || *version ? " (" : "", product ? product : "", version,
		 product || *version ? ")" : "");
}

static int several(const struct ibb_request *q, const struct ibb_wim *w, struct ibb_error *err)
{
	const unsigned n = ibb_wim_info(w)->images;
	char list[800] = "", one[256];
	size_t used = 0;
	unsigned i;

	for (i = 1; i <= n; i++) {
		describe(ibb_wim_image(w, i), one, sizeof(one));
		if (used + strlen(one) + 8 > sizeof(list))
			break;
		used += (size_t)snprintf(list + used, sizeof(list) - used, "%s%s",
					 i > 1 ? "; " : "", one);
	}
	ibb_err(err, IBB_E_INVALID, "%s holds %u images: %s%s", q->image, n, list,
		i <= n ? "; ..." : "");
	return ibb_err_hint(err, IBB_E_INVALID,
			    "say which: --image N, --image NAME or --image all");
}

enum choice { NOT, BY_ALL, BY_NAME };

/* choices[i] is of image i + 1. */
static int choose(const struct ibb_request *q, const struct ibb_wim *w, bool all_by_default,
		  uint8_t *choices, struct ibb_error *err)
{
	const unsigned n = ibb_wim_info(w)->images;

	if (!q->n_images && n > 1 && !all_by_default)
		return several(q, w, err);
	if (!q->n_images)
		memset(choices, n == 1 && !all_by_default ? BY_NAME : BY_ALL, n);
	for (size_t i = 0; i < q->n_images; i++) {
		unsigned index;
		int r;

		if (ibb_caseeq(q->images[i], "all")) {
			for (unsigned k = 0; k < n; k++)
				choices[k] = choices[k] == NOT ? BY_ALL : choices[k];
			continue;
		}
		r = ibb_wim_find(w, q->images[i], &index, err);
		/* a wrong argument, not a damaged file */
		if (r == IBB_E_NOTFOUND || r == IBB_E_CONFLICT)
			return err ? err->code = IBB_E_INVALID : IBB_E_INVALID;
		if (r)
			return r;
		choices[index - 1] = BY_NAME;
	}
	return IBB_OK;
}

static int make_items(struct ibb_wims *set, bool all_by_default, struct ibb_error *err)
{
	const unsigned n = ibb_wim_info(set->wim)->images;
	IBB_AUTO_FREE uint8_t *choices = NULL;
	int r;

	if (!n)
		return ibb_err(err, IBB_E_UNSUPPORTED, "%s: holds no image", set->name);
	choices = ibb_calloc_array(n, sizeof(*choices));
	set->items = ibb_calloc_array(n, sizeof(*set->items));
	if (!choices || !set->items)
		return ibb_err_nomem(err);
	r = choose(set->q, set->wim, all_by_default, choices, err);
	for (unsigned i = 0; i < n && !r; i++)
		if (choices[i] != NOT)
			set->items[set->n++] = (struct ibb_wim_item){
				.index = i + 1, .named = choices[i] == BY_NAME};
	return r;
}

int ibb_wims_open_as(const struct ibb_request *q, const char *name, bool all_by_default,
		     struct ibb_wims *ret, struct ibb_error *err)
{
	int r = ibb_session_phase(q, "inspect", 0, 0, err);

	*ret = (struct ibb_wims){.q = q, .name = name, .common = {.q = q}, .signature = "none"};
	if (r)
		return r;
	ret->temp_dir = ibb_spill_dir(q);
	if (!ret->temp_dir)
		return ibb_err_nomem(err);
	r = ibb_wim_open(q->image, name, &ret->wim, err);
	if (!r)
		r = make_items(ret, all_by_default, err);
	if (!r && ibb_wim_info(ret->wim)->write_in_progress)
		r = ibb_session_warn(&ret->common, err,
				     "%s: a program that changed it was interrupted; it holds what "
				     "it held before, and maybe data that nothing refers to",
				     name);
	if (r)
		ibb_wims_close(ret);
	return r;
}

int ibb_wims_open(const struct ibb_request *q, bool all_by_default, struct ibb_wims *ret,
		  struct ibb_error *err)
{
	return ibb_wims_open_as(q, q->image, all_by_default, ret, err);
}

static void clear_item(struct ibb_wim_item *it)
{
	ibb_session_clear(&it->s);
	ibb_applied_clear(&it->applied);
	ibb_json_free(it->doc);
	for (size_t i = 0; i < it->n_paths; i++)
		free(it->paths[i]);
	free(it->paths);
	free(it->skipped);
}

void ibb_wims_close(struct ibb_wims *set)
{
	for (size_t i = 0; i < set->n; i++)
		clear_item(&set->items[i]);
	free(set->items);
	ibb_session_clear(&set->common);
	for (size_t i = 0; i < set->n_locked; i++)
		ibb_lock_entry_clear(&set->locked[i]);
	free(set->locked);
	for (size_t i = 0; set->removed && i < set->q->n_published; i++)
		free(set->removed[i].inf);
	free(set->removed);
	ibb_wim_close(set->wim);
	free(set->temp_dir);
	*set = (struct ibb_wims){0};
}

/* ---- one of them ---- */

int ibb_wims_fail(const struct ibb_wims *set, const struct ibb_wim_item *it, int code,
		  struct ibb_error *err)
{
	const char *name = ibb_wim_image(set->wim, it->index)->name;
	char where[320];
	size_t n;

	if (code == IBB_E_NOMEM || code == IBB_E_CANCELLED || !err)
		return code;
	/* what is staged lies in a file with room for much more than is ever written */
	if (err->os_errno == EFBIG && !*err->hint)
		ibb_err_hint(err, code, "raise the limit for the size of files (ulimit -f)");
	n = (size_t)snprintf(where, sizeof(where), "%s: image %u", set->name, it->index);
	/* the volume's own messages begin with it */
	if (n < sizeof(where) && strncmp(err->msg, where, n) == 0 &&
	    (err->msg[n] == ':' || err->msg[n] == ' '))
		return code;
	return ibb_err_prefix(err, code, "%s: image %u%s%s%s", set->name, it->index,
			      name && *name ? " (" : "", name ? name : "",
			      name && *name ? ")" : "");
}

static int warn_skipped(struct ibb_wims *set, const struct ibb_wim_item *it, struct ibb_error *err)
{
	const char *name = ibb_wim_image(set->wim, it->index)->name;

	return ibb_session_warn(&set->common, err, "image %u (%s) was skipped: %s", it->index,
				name ? name : "no name", it->skipped);
}

int ibb_wims_enter(struct ibb_wims *set, struct ibb_wim_item *it, bool writable,
		   struct ibb_error *err)
{
	int r;

	/* an archive is taken apart once for all images */
	it->s = (struct ibb_session){.q = set->q,
				     .sources = ibb_session_shared_sources(&set->common)};
	r = ibb_session_open_wim(&it->s, set->wim, it->index, writable, set->temp_dir, err);
	if (r == IBB_E_NOTFOUND && !it->named) {
		it->skipped = ibb_strdup(err->msg);
		ibb_wims_leave(set, it);
		return it->skipped ? warn_skipped(set, it, err) : ibb_err_nomem(err);
	}
	if (r == IBB_E_NOTFOUND)
		r = IBB_E_UNSUPPORTED;
	return r ? ibb_wims_fail(set, it, r, err) : IBB_OK;
}

/* What the documents say of all images is kept from the first one. */
void ibb_wims_leave(struct ibb_wims *set, struct ibb_wim_item *it)
{
	if (!set->common.catalog)
		set->common.catalog = IBB_TAKE(it->s.catalog);
	if (!set->common.trust_files)
		set->common.trust_files = IBB_TAKE(it->s.trust_files);
	ibb_session_clear(&it->s);
	it->s = (struct ibb_session){.q = set->q};
}

int ibb_wims_any(const struct ibb_wims *set, struct ibb_error *err)
{
	for (size_t i = 0; i < set->n; i++)
		if (!set->items[i].skipped)
			return IBB_OK;
	return ibb_err(err, IBB_E_UNSUPPORTED,
		       "%s: none of its %zu image(s) holds a Windows (looked "
		       "for " IBB_SYSTEM_HIVE ")",
		       set->name, set->n);
}

int ibb_wims_identity(const struct ibb_request *q, struct ibb_wim *w, const char *path,
		      struct ibb_wim_identity *ret, struct ibb_error *err)
{
	struct ibb_identity id = {0};
	int r = ibb_output_digest(q, ibb_wim_file(w), &id, err);

	if (r)
		return r;
	*ret = (struct ibb_wim_identity){.file_name = ibb_path_base(path),
					 .info = *ibb_wim_info(w),
					 .digest_kind = id.digest_kind,
					 .digest = id.digest};
	return IBB_OK;
}
