/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "volume/wim_internal.h"

#include <stdlib.h>
#include <string.h>

#include "base/limits.h"

/* ---- the library ---- */

/*
 * wimlib before 1.14 reads XML with libxml2, which prints what it does not like on stderr unless
 * told otherwise. We neither link nor need it: it is there when libwim brought it.
 */
typedef void (*xml_error_fn)(void *ctx, const char *fmt, ...);
void xmlSetGenericErrorFunc(void *ctx, xml_error_fn fn) __attribute__((weak));
xml_error_fn *__xmlGenericError(void) __attribute__((weak));
void **__xmlGenericErrorContext(void) __attribute__((weak));

static IBB_PRINTF(2, 3) void say_nothing(void *ctx, const char *fmt, ...)
{
	(void)ctx;
	(void)fmt;
}

/* wimlib_open_wim() without a word; what the program had set is set again. */
static int open_quietly(const char *path, WIMStruct **ret)
{
	xml_error_fn fn = NULL;
	void *ctx = NULL;
	bool xml = xmlSetGenericErrorFunc && __xmlGenericError && __xmlGenericErrorContext;
	int code;

	if (xml) {
		fn = *__xmlGenericError();
		ctx = *__xmlGenericErrorContext();
		xmlSetGenericErrorFunc(NULL, say_nothing);
	}
	code = wimlib_open_wim(path, 0, ret);
	if (xml)
		xmlSetGenericErrorFunc(ctx, fn);
	return code;
}

static int count_entry(const struct wimlib_dir_entry *e, void *ctx)
{
	(void)e;
	++*(unsigned *)ctx;
	return 0;
}

/*
 * wimlib ignores the flags of a second initialisation without a word, so look whether names are
 * compared case-insensitively: in an image in memory with one file, which stands for `some_file`
 * (of which nothing is read).
 */
static int check_case(const char *some_file, bool *ret_insensitive)
{
	WIMStruct *probe = NULL;
	unsigned n = 0;
	int code = wimlib_create_new_wim(WIMLIB_COMPRESSION_TYPE_NONE, &probe);

	if (!code)
		code = wimlib_add_empty_image(probe, NULL, NULL);
	if (!code)
		code = wimlib_add_tree(probe, 1, some_file, "/A",
				       WIMLIB_ADD_FLAG_DEREFERENCE | WIMLIB_ADD_FLAG_NORPFIX);
	if (!code)
		code = wimlib_iterate_dir_tree(probe, 1, "/a", 0, count_entry, &n);
	wimlib_free(probe);
	*ret_insensitive = n == 1;
	return code == WIMLIB_ERR_PATH_DOES_NOT_EXIST ? 0 : code;
}

static int init_library(const struct ibb_wim *w, struct ibb_error *err)
{
	static bool checked;
	bool insensitive = false;
	int code = wimlib_global_init(WIMLIB_INIT_FLAG_DEFAULT_CASE_INSENSITIVE);

	if (!code)
		code = wimlib_set_print_errors(false);
	if (!code && !checked)
		code = check_case(w->path, &insensitive);
	if (code)
		return ibb_wim_fail(w, code, err, "initialise libwim");
	checked |= insensitive;
	if (checked)
		return IBB_OK;
	(void)ibb_err(err, IBB_E_INVALID,
		      "%s: this program initialised wimlib to compare names case-sensitively",
		      w->name);
	return ibb_err_hint(err, IBB_E_INVALID,
			    "call wimlib_global_init() with "
			    "WIMLIB_INIT_FLAG_DEFAULT_CASE_INSENSITIVE, or not at all");
}

/* ---- open ---- */

static const char *compression_name(int type)
{
	static const char *const names[] = {"none", "XPRESS", "LZX", "LZMS"};

	return type >= 0 && type < (int)IBB_ARRAY_SIZE(names) ? names[type] : NULL;
}

static int read_info(struct ibb_wim *w, struct ibb_error *err)
{
	struct wimlib_wim_info in = {0};
	int code = wimlib_get_wim_info(w->lib, &in);

	if (code)
		return ibb_wim_fail(w, code, err, "header");
	/* what was checked has to be what wimlib has */
	if (in.part_number != w->header.part || in.total_parts != w->header.parts ||
	    in.pipable != w->header.pipable ||
	    memcmp(in.guid, w->header.guid.b, sizeof(in.guid)) != 0)
		return ibb_err(err, IBB_E_CHANGED, "%s: changed while it was opened", w->name);
	/* it leaves out images that it finds no metadata of */
	if (in.image_count != w->header.images)
		return ibb_wim_fail(w, WIMLIB_ERR_IMAGE_COUNT, err, "header");
	w->info = (struct ibb_wim_info){
		.file_bytes = w->file->size_bytes,
		.guid = w->header.guid,
		.compression = compression_name(in.compression_type),
		.chunk_bytes = in.compression_type ? in.chunk_size : 0,
		.pipable = in.pipable,
		.integrity = in.has_integrity_table,
		.marked_readonly = in.is_marked_readonly,
		.write_in_progress = in.write_in_progress,
		.part = in.part_number,
		.parts = in.total_parts,
		.boot_index = in.boot_index,
		.images = in.image_count,
	};
	if (!w->info.compression)
		return ibb_err(err, IBB_E_UNSUPPORTED, "%s: unknown compression %d", w->name,
			       in.compression_type);
	w->compression = (enum wimlib_compression_type)in.compression_type;
	if (w->info.chunk_bytes > IBB_LIMIT_WIM_CHUNK)
		return ibb_err(err, IBB_E_LIMIT, "%s: compressed in chunks of %u bytes (limit %u)",
			       w->name, w->info.chunk_bytes, IBB_LIMIT_WIM_CHUNK);
	return IBB_OK;
}

struct table {
	const struct ibb_wim *w;
	uint64_t metadata_bytes; /* of the largest image */
	bool solid, outside;
};

/* Does the resource lie in its file? */
static bool is_inside(const struct ibb_wim *w, const struct wimlib_resource_entry *e)
{
	uint64_t off = e->packed ? e->raw_resource_offset_in_wim : e->offset;
	uint64_t n = e->packed ? e->raw_resource_compressed_size : e->compressed_size;

	if (e->part_number < 1 || e->part_number > w->header.parts)
		return false;
	return ibb_in_range(
		off, n, w->parts ? w->parts[e->part_number - 1]->size_bytes : w->file->size_bytes);
}

static int on_blob(const struct wimlib_resource_entry *e, void *ctx)
{
	struct table *t = ctx;

	if (e->is_metadata && e->uncompressed_size > t->metadata_bytes)
		t->metadata_bytes = e->uncompressed_size;
	t->solid |= e->packed;
	t->outside |= !is_inside(t->w, e);
	return 0;
}

static int check_table(struct ibb_wim *w, struct ibb_error *err)
{
	struct table t = {.w = w};
	int code = wimlib_iterate_lookup_table(w->lib, 0, on_blob, &t);

	if (code)
		return ibb_wim_fail(w, code, err, "table of contents");
	if (t.outside)
		return ibb_err(err, IBB_E_CORRUPT,
			       "%s: its table of contents leads outside of the file: it is "
			       "truncated or damaged",
			       w->name);
	/* wimlib holds the metadata of an image in memory, as large as it says that it is */
	if (t.metadata_bytes > IBB_LIMIT_WIM_METADATA)
		return ibb_err(err, IBB_E_LIMIT, "%s: an image has %llu bytes of names (limit %u)",
			       w->name, (unsigned long long)t.metadata_bytes,
			       IBB_LIMIT_WIM_METADATA);
	w->info.solid = t.solid;
	return IBB_OK;
}

static int open_file(struct ibb_wim *w, bool held, struct ibb_error *err)
{
	char *name;
	int rc = held ? ibb_disk_file_open_with_journal(w->path, &w->id, &w->file, err)
		      : ibb_disk_file_open(w->path, &w->id, &w->file, err);

	if (rc)
		return rc;
	name = ibb_strdup(w->name);
	if (!name)
		return ibb_err_nomem(err);
	free(w->file->name);
	w->file->name = name;
	rc = ibb_wim_header_read(w->file, &w->header, err);
	if (!rc && w->header.part > 1)
		rc = ibb_wim_not_first(w, err);
	if (!rc && w->header.flags & WIM_FLAG_RESOURCE_ONLY)
		rc = ibb_wim_fail(w, WIMLIB_ERR_METADATA_NOT_FOUND, err, "open");
	return rc;
}

/* By the name that it was opened with; the file's own is that of messages. */
int ibb_wim_unchanged(struct ibb_wim *w, struct ibb_error *err)
{
	char *name = w->file->name;
	int rc;

	w->file->name = w->path;
	rc = ibb_disk_file_unchanged(w->file, &w->id, err);
	w->file->name = name;
	return rc;
}

static int open_library(struct ibb_wim *w, struct ibb_error *err)
{
	int code, rc = init_library(w, err);

	if (rc)
		return rc;
	code = open_quietly(w->path, &w->lib);
	if (code)
		return ibb_wim_fail(w, code, err, "open");
	rc = read_info(w, err);
	if (!rc && w->header.parts > 1)
		rc = ibb_wim_parts_reference(w, err);
	/* by now wimlib has its own descriptors: did both of us open the same files? */
	if (!rc)
		rc = ibb_wim_unchanged(w, err);
	for (unsigned i = 1; !rc && w->parts && i < w->header.parts; i++)
		rc = ibb_disk_file_unchanged(w->parts[i], &w->part_ids[i], err);
	return rc;
}

static int open_wim(const char *path, const char *sibling_of, bool held, struct ibb_wim **ret,
		    struct ibb_error *err)
{
	IBB_AUTO(ibb_wim_close) struct ibb_wim *w = ibb_zalloc(sizeof(*w));
	int rc;

	if (!w)
		return ibb_err_nomem(err);
	w->path = ibb_strdup(path);
	w->name = ibb_strdup(sibling_of ? sibling_of : path);
	if (!w->path || !w->name)
		return ibb_err_nomem(err);
	rc = open_file(w, held, err);
	if (!rc && w->header.parts > 1)
		rc = ibb_wim_parts_open(w, err);
	if (!rc)
		rc = open_library(w, err);
	if (!rc && !w->info.images)
		rc = ibb_err(err, IBB_E_UNSUPPORTED, "%s: a WIM without any image", w->name);
	if (!rc)
		rc = check_table(w, err);
	if (!rc)
		rc = ibb_wim_images_read(w, err);
	if (rc)
		return rc;
	w->changed = ibb_calloc_array(w->info.images, sizeof(*w->changed));
	if (!w->changed)
		return ibb_err_nomem(err);
	*ret = IBB_TAKE(w);
	return IBB_OK;
}

int ibb_wim_open(const char *path, const char *sibling_of, struct ibb_wim **ret,
		 struct ibb_error *err)
{
	return open_wim(path, sibling_of, false, ret, err);
}

int ibb_wim_open_held(const char *path, const char *sibling_of, struct ibb_wim **ret,
		      struct ibb_error *err)
{
	return open_wim(path, sibling_of, true, ret, err);
}

void ibb_wim_close(struct ibb_wim *w)
{
	if (!w)
		return;
	wimlib_free(w->lib);
	for (unsigned i = 0; w->images && i < w->info.images; i++)
		ibb_wim_image_clear(&w->images[i]);
	for (unsigned i = 1; w->parts && i < w->header.parts; i++)
		ibb_disk_unref(w->parts[i]);
	for (size_t i = 0; i < w->n_staged_fds; i++)
		ibb_close_fd(&w->staged_fds[i]);
	ibb_disk_unref(w->file);
	ibb_buf_clear(&w->chunk.data);
	free(w->staged_fds);
	free(w->parts);
	free(w->part_ids);
	free(w->images);
	free(w->changed);
	free(w->counted);
	free(w->path);
	free(w->name);
	free(w);
}

/* ---- what it says ---- */

const struct ibb_wim_info *ibb_wim_info(const struct ibb_wim *w)
{
	return &w->info;
}

struct ibb_disk *ibb_wim_file(const struct ibb_wim *w)
{
	return w->file;
}

const struct ibb_file_id *ibb_wim_file_id(const struct ibb_wim *w)
{
	return &w->id;
}

/* ---- may it be changed ---- */

int ibb_wim_check_writable(const struct ibb_wim *w, bool in_place, struct ibb_error *err)
{
	if (w->info.parts > 1) {
		(void)ibb_err(err, IBB_E_UNSUPPORTED,
			      "%s: a split WIM (%u parts) cannot be changed", w->name,
			      w->info.parts);
		return ibb_wim_hint_join(w, IBB_E_UNSUPPORTED, err);
	}
	if (in_place && w->info.marked_readonly) {
		(void)ibb_err(err, IBB_E_UNSUPPORTED, "%s: the WIM is marked read-only", w->name);
		return ibb_err_hint(err, IBB_E_UNSUPPORTED, "write the result to a new file");
	}
	if (in_place && w->info.pipable) {
		(void)ibb_err(err, IBB_E_UNSUPPORTED,
			      "%s: nothing can be appended to a pipable WIM", w->name);
		return ibb_err_hint(err, IBB_E_UNSUPPORTED, "write the result to a new file");
	}
	return in_place ? ibb_wim_check_append(w, err) : IBB_OK;
}
