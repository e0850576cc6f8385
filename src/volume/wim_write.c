/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Writing what was committed. What wimlib 1.13.6 keeps by itself, found by trying: compression type
 * and chunk size, integrity table, pipable, boot index, the flags "read-only" and "RP fix", every
 * element of the XML data. What it has to be told: the GUID, and to write solid resources (else it
 * decompresses those of a file whose other resources are not LZMS, and makes many of them).
 */
#include "volume/wim_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "base/le.h"
#include "base/time.h"

#define TIME_TEXT 16
/* Where the header has its resources: 7 bytes size in the file, flags, offset, original size. */
#define TABLE_AT     48u
#define XML_AT	     72u
#define INTEGRITY_AT 124u

/* ---- progress ---- */

struct writing {
	const struct ibb_wim_write_opts *o;
	const struct ibb_wim *in_place; /* NULL: to a new file */
	uint64_t done, total;
	bool cancelled;
};

static enum wimlib_progress_status tell(struct writing *x, const char *phase)
{
	/* wimlib opened it by its name: there may have been another file by then */
	if (x->in_place && !ibb_path_is(x->in_place->path, &x->in_place->id))
		return WIMLIB_PROGRESS_STATUS_ABORT;
	if (!x->o->progress)
		return WIMLIB_PROGRESS_STATUS_CONTINUE;
	x->cancelled |= x->o->progress(x->o->ctx, phase, x->done, x->total) != 0;
	return x->cancelled ? WIMLIB_PROGRESS_STATUS_ABORT : WIMLIB_PROGRESS_STATUS_CONTINUE;
}

static enum wimlib_progress_status on_progress(enum wimlib_progress_msg msg,
					       union wimlib_progress_info *info, void *ctx)
{
	struct writing *x = ctx;

	switch (msg) {
	case WIMLIB_PROGRESS_MSG_WRITE_STREAMS:
		x->done = info->write_streams.completed_bytes;
		x->total = info->write_streams.total_bytes;
		return tell(x, "write");
	case WIMLIB_PROGRESS_MSG_WRITE_METADATA_BEGIN:
	case WIMLIB_PROGRESS_MSG_WRITE_METADATA_END:
		return tell(x, "write");
	case WIMLIB_PROGRESS_MSG_CALC_INTEGRITY:
		x->done = info->integrity.completed_bytes;
		x->total = info->integrity.total_bytes;
		return tell(x, "integrity");
	default:
		return WIMLIB_PROGRESS_STATUS_CONTINUE;
	}
}

/* ---- errors ---- */

/*
 * wimlib says that a write failed, but not why; errno still knows, for nothing that it does to tidy
 * up sets it when it goes well.
 */
static int failed(const struct ibb_wim *w, const struct writing *x, int code, int os_errno,
		  const char *name, struct ibb_error *err)
{
	if (x->cancelled || code == WIMLIB_ERR_ABORTED_BY_PROGRESS)
		return ibb_err(err, IBB_E_CANCELLED, "%s: writing was stopped", name);
	if (code == WIMLIB_ERR_WRITE || code == WIMLIB_ERR_OPEN)
		return ibb_err_os(err, os_errno ? os_errno : EIO, "%s: write", name);
	if (code == WIMLIB_ERR_READ)
		return ibb_err_os(err, os_errno ? os_errno : EIO, "%s: read content to write to %s",
				  w->name, name);
	return ibb_wim_fail(w, code, err, "write %s", name);
}

/* ---- the time of the change ---- */

static bool any_changed(const struct ibb_wim *w)
{
	for (unsigned i = 0; i < w->info.images; i++)
		if (w->changed[i])
			return true;
	return false;
}

/* LASTMODIFICATIONTIME as Windows writes it. */
static int set_time(struct ibb_wim *w, unsigned index, uint64_t filetime, struct ibb_error *err)
{
	static const char *const names[] = {"LASTMODIFICATIONTIME/HIGHPART",
					    "LASTMODIFICATIONTIME/LOWPART"};
	const uint32_t parts[] = {(uint32_t)(filetime >> 32), (uint32_t)filetime};
	int code = 0;

	for (size_t i = 0; !code && i < IBB_ARRAY_SIZE(names); i++) {
		char text[TIME_TEXT];

		snprintf(text, sizeof(text), "0x%08X", parts[i]);
		code = wimlib_set_image_property(w->lib, (int)index, names[i], text);
	}
	return code ? ibb_wim_fail(w, code, err, "image %u: set its time", index) : IBB_OK;
}

static bool has_time(const struct ibb_wim *w, unsigned index)
{
	const char *s =
		wimlib_get_image_property(w->lib, (int)index, "LASTMODIFICATIONTIME/HIGHPART");

	return s && strcmp(s, "0x00000000") != 0;
}

/*
 * wimlib counts the files of changed images when it writes, and sets their time to now, before it
 * looks where to: asked to write a plain WIM to a pipe it does that and refuses. Afterwards there
 * is nothing to count any more, and a time that is set stays.
 */
static int settle_counts(struct ibb_wim *w, struct ibb_error *err)
{
	int fds[2], code;

	/* should it write after all, it fails instead of waiting for a reader */
	if (pipe2(fds, O_CLOEXEC | O_NONBLOCK))
		return ibb_err_os(err, errno, "%s: a pipe", w->name);
	code = wimlib_write_to_fd(w->lib, fds[1], WIMLIB_ALL_IMAGES,
				  WIMLIB_WRITE_FLAG_NOT_PIPABLE | WIMLIB_WRITE_FLAG_RETAIN_GUID |
					  WIMLIB_WRITE_FLAG_NO_CHECK_INTEGRITY,
				  1);
	close(fds[0]);
	close(fds[1]);
	if (code == WIMLIB_ERR_INVALID_PARAM)
		return IBB_OK;
	return ibb_wim_fail(w, code ? code : WIMLIB_ERR_UNSUPPORTED, err,
			    "count the files of its images");
}

/* Of the images that were changed and not counted yet: when a write failed, it may be tried again.
 */
static int set_times(struct ibb_wim *w, const struct ibb_wim_write_opts *o, struct ibb_error *err)
{
	int r = IBB_OK;

	if (!any_changed(w))
		return IBB_OK;
	if (!w->counted && !(w->counted = ibb_calloc_array(w->info.images, sizeof(*w->counted))))
		return ibb_err_nomem(err);
	for (unsigned i = 0; !r && i < w->info.images; i++)
		if (w->changed[i] && !w->counted[i])
			r = set_time(w, i + 1, 0, err);
	if (!r)
		r = settle_counts(w, err);
	for (unsigned i = 0; !r && i < w->info.images; i++) {
		if (!w->changed[i])
			continue;
		/* also what keeps it from writing over its XML data, see ibb_wim_append() */
		if (!w->counted[i] && !has_time(w, i + 1))
			r = ibb_err(err, IBB_E_INTERNAL,
				    "%s: image %u was changed, and wimlib does not know of it",
				    w->name, i + 1);
		else
			r = set_time(w, i + 1, ibb_filetime_from_unix(o->unix_time), err);
		w->counted[i] = !r;
	}
	return r;
}

/* ---- a new file ---- */

static int flags_of(const struct ibb_wim *w)
{
	return WIMLIB_WRITE_FLAG_RETAIN_GUID |
	       (w->info.solid && !w->info.pipable ? WIMLIB_WRITE_FLAG_SOLID : 0);
}

/*
 * The highest level at which wimlib still looks for the next match alone; from 35 on it weighs
 * whole paths. For a hive and a driver the level of 50 that it would take gives 4% less at seven
 * times the time, which is then most of a bake.
 */
#define LZX_LEVEL 34u

static int begin(struct ibb_wim *w, const struct ibb_wim_write_opts *o, struct ibb_error *err)
{
	int r = ibb_wim_unchanged(w, err);

	/* of the whole process, as all of its settings */
	if (!r && wimlib_set_default_compression_level(WIMLIB_COMPRESSION_TYPE_LZX, LZX_LEVEL))
		r = ibb_err(err, IBB_E_INTERNAL, "wimlib has no LZX");

	return r ? r : set_times(w, o, err);
}

int ibb_wim_write(struct ibb_wim *w, int fd, const char *name, const struct ibb_wim_write_opts *o,
		  struct ibb_error *err)
{
	struct writing x = {.o = o};
	int code, e, r = ibb_wim_check_writable(w, false, err);

	if (!r)
		r = begin(w, o, err);
	if (!r && lseek(fd, 0, SEEK_SET) < 0)
		r = ibb_err_os(err, errno, "%s: seek", name);
	if (r)
		return r;
	wimlib_register_progress_function(w->lib, on_progress, &x);
	errno = 0;
	code = wimlib_write_to_fd(w->lib, fd, WIMLIB_ALL_IMAGES, flags_of(w), o->threads);
	e = errno;
	wimlib_register_progress_function(w->lib, NULL, NULL);
	if (code)
		return failed(w, &x, code, e, name, err);
	return ibb_wim_unchanged(w, err);
}

/* ---- behind the old end ---- */

struct place {
	uint64_t off, end;
};

static bool place_of(const uint8_t *p, struct place *ret)
{
	ret->off = ibb_get_le64(p + 8);
	return ibb_add_u64(ret->off, ibb_get_le64(p) & 0xffffffffffffffull, &ret->end);
}

struct furthest {
	uint64_t end;
	bool overflow;
};

static int on_resource(const struct wimlib_resource_entry *e, void *ctx)
{
	struct furthest *f = ctx;
	uint64_t end;

	/* what is not written yet has neither place nor size */
	if (e->packed)
		f->overflow |= !ibb_add_u64(e->raw_resource_offset_in_wim,
					    e->raw_resource_compressed_size, &end);
	else
		f->overflow |= !ibb_add_u64(e->offset, e->compressed_size, &end);
	if (!f->overflow && end > f->end)
		f->end = end;
	return 0;
}

static int not_appendable(const struct ibb_wim *w, const char *why, struct ibb_error *err)
{
	(void)ibb_err(err, IBB_E_UNSUPPORTED, "%s: nothing can be appended to it: %s", w->name,
		      why);
	return ibb_err_hint(err, IBB_E_UNSUPPORTED,
			    "write the result to a new file (-o), or write it anew (--compact)");
}

int ibb_wim_check_append(const struct ibb_wim *w, struct ibb_error *err)
{
	uint8_t p[WIM_HEADER_BYTES];
	struct place table, xml, integrity;
	struct furthest f = {0};
	uint64_t end;
	int code, r = ibb_disk_pread(w->file, p, sizeof(p), 0, err);

	if (r)
		return r;
	if (!place_of(p + TABLE_AT, &table) || !place_of(p + XML_AT, &xml) ||
	    !place_of(p + INTEGRITY_AT, &integrity))
		return ibb_err(err, IBB_E_CORRUPT, "%s: the header is damaged", w->name);
	if (table.end > xml.off || (integrity.off && integrity.off < xml.end))
		return not_appendable(w, "its tables are in an unusual order", err);
	end = integrity.off ? integrity.end : xml.end;
	if (end > w->file->size_bytes)
		return ibb_err(err, IBB_E_CORRUPT, "%s: ends too early: it is truncated", w->name);
	/* wimlib would write over that, and the undo record keeps the size alone */
	if (end < w->file->size_bytes)
		return not_appendable(w,
				      "other data lies behind its end, as an interrupted change "
				      "leaves it",
				      err);
	code = wimlib_iterate_lookup_table(w->lib, 0, on_resource, &f);
	if (code)
		return ibb_wim_fail(w, code, err, "table of contents");
	if (f.overflow || f.end > end)
		return not_appendable(w, "content lies behind its tables", err);
	if (!integrity.off)
		return IBB_OK;
	return ibb_wim_check_appendable(w, err);
}

void ibb_wim_unlock(struct ibb_wim *w)
{
	(void)flock(ibb_disk_file_fd(w->file), LOCK_UN);
}

/*
 * With nothing changed wimlib would write new XML data over the old, and with an order of resources
 * that it does not like, or of a pipable WIM, a whole new file: all of that is excluded before.
 */
int ibb_wim_append(struct ibb_wim *w, const struct ibb_wim_write_opts *o, struct ibb_error *err)
{
	struct writing x = {.o = o, .in_place = w};
	int code, e, r = ibb_wim_check_writable(w, true, err);

	if (r || !any_changed(w))
		return r;
	r = begin(w, o, err);
	if (r)
		return r;
	wimlib_register_progress_function(w->lib, on_progress, &x);
	/* wimlib locks its own descriptor, against ours as well */
	ibb_wim_unlock(w);
	errno = 0;
	code = wimlib_overwrite(w->lib, flags_of(w) | (o->scratch ? 0 : WIMLIB_WRITE_FLAG_FSYNC),
				o->threads);
	e = errno;
	(void)flock(ibb_disk_file_fd(w->file), LOCK_SH | LOCK_NB);
	wimlib_register_progress_function(w->lib, NULL, NULL);
	if (!ibb_path_is(w->path, &w->id)) {
		(void)ibb_err(err, IBB_E_CHANGED,
			      "%s: was moved, removed or replaced while it was changed", w->name);
		return ibb_err_hint(err, IBB_E_CHANGED,
				    "if another file has its name now, that one may have been "
				    "written to instead: check it, too");
	}
	return code ? failed(w, &x, code, e, w->name, err) : IBB_OK;
}
