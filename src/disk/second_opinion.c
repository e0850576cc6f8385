/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * libvhdi reads the same files through descriptors of our own, and has to see what our readers see.
 * It is only given files that they accepted. Two independent readers that agree are rarely both
 * wrong; libvhdi alone was found to return wrong data without an error. Where that is, and what of
 * the disk is compared, is decided in opinion_sample.c.
 *
 * A contradiction stops. What libvhdi cannot open or read at all is recorded: it knows less of the
 * formats than we do, and an image is not damaged because of that. Whatever else of the chain it
 * can read is compared all the same.
 */
#include <errno.h>
#include <libvhdi.h>

#include "disk/opinion.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/le.h"
#include "base/limits.h"
#include "base/path.h"

static const char source[] = "libvhdi";

struct opinion {
	const struct ibb_chain *c;
	libvhdi_file_t **files; /* one a link */
	uint8_t *ours, *theirs; /* IBB_OPINION_PIECE bytes each */
	struct ibb_opinion_sample sample;
	struct ibb_opinion_result res;
};

/* Of a function here: libvhdi could not, which is noted already. No enum ibb_code has it. */
#define CANNOT 1

const char *ibb_chain_second_version(void)
{
	return libvhdi_get_version();
}

static int remedy(int code, struct ibb_error *err)
{
	return ibb_err_hint(err, code,
			    "one of the two readers is wrong about this image: please report it; "
			    "--second-opinion=off goes on with ibbake's own reader");
}

/*
 * libvhdi failed where we did not. Takes the error over. The first time counts. A lack of memory is
 * ours as well: its allocations leave errno, which is cleared before each question.
 */
static int failed(struct opinion *o, const struct ibb_link *l, const char *what,
		  libvhdi_error_t *error, struct ibb_error *err)
{
	const bool no_memory = errno == ENOMEM;
	char text[4096] = "";

	/* where it began, which is the first line, says most */
	if (error && libvhdi_error_backtrace_sprint(error, text, sizeof(text)) < 0)
		text[0] = '\0';
	text[strcspn(text, "\n")] = '\0';
	for (char *p = text; *p; p++)
		if ((unsigned char)*p < 0x20 || (unsigned char)*p > 0x7e)
			*p = '?';
	libvhdi_error_free(&error);
	if (no_memory)
		return ibb_err_nomem(err);
	if (!*o->res.why)
		snprintf(o->res.why, sizeof(o->res.why), "libvhdi cannot %s of %.100s: %.200s",
			 what, ibb_path_base(l->path), text);
	return CANNOT;
}

static int differs(const struct ibb_link *l, const char *what, const char *theirs, const char *ours,
		   struct ibb_error *err)
{
	ibb_err_lib(err, IBB_E_CORRUPT, source,
		    "%s: second opinion: libvhdi says the %s is %s, ibbake says %s", l->path, what,
		    theirs, ours);
	return remedy(IBB_E_CORRUPT, err);
}

static int same_number(const struct ibb_link *l, const char *what, uint64_t theirs, uint64_t ours,
		       struct ibb_error *err)
{
	char a[24], b[24];

	if (theirs == ours)
		return IBB_OK;
	snprintf(a, sizeof(a), "%llu", (unsigned long long)theirs);
	snprintf(b, sizeof(b), "%llu", (unsigned long long)ours);
	return differs(l, what, a, b, err);
}

/* libvhdi gives the GUIDs of a VHDX in the order they are written in, VHD's as they stand. */
static int same_id(const struct ibb_link *l, const char *what, const uint8_t theirs[16],
		   const struct ibb_guid *ours, struct ibb_error *err)
{
	struct ibb_guid g;
	char a[IBB_GUID_STR_SIZE], b[IBB_GUID_STR_SIZE];

	memcpy(g.b, theirs, 16);
	if (l->kind == IBB_CONTAINER_VHDX) {
		ibb_put_le32(g.b, ibb_get_be32(theirs));
		ibb_put_le16(g.b + 4, ibb_get_be16(theirs + 4));
		ibb_put_le16(g.b + 6, ibb_get_be16(theirs + 6));
	}
	if (ibb_guid_equal(&g, ours))
		return IBB_OK;
	ibb_guid_format(&g, a);
	ibb_guid_format(ours, b);
	return differs(l, what, a, b, err);
}

/* ---- properties of one file ---- */

static uint32_t type_of(const struct ibb_link *l)
{
	if (l->parent.differencing)
		return LIBVHDI_DISK_TYPE_DIFFERENTIAL;
	if (l->kind == IBB_CONTAINER_VHDX ? l->vhdx.fixed : l->kind == IBB_CONTAINER_VHD_FIXED)
		return LIBVHDI_DISK_TYPE_FIXED;
	return LIBVHDI_DISK_TYPE_DYNAMIC;
}

static int check_kind(struct opinion *o, const struct ibb_link *l, libvhdi_file_t *f,
		      struct ibb_error *err)
{
	const int ours =
		l->kind == IBB_CONTAINER_VHDX ? LIBVHDI_FILE_TYPE_VHDX : LIBVHDI_FILE_TYPE_VHD;
	libvhdi_error_t *error = NULL;
	uint32_t type = 0;
	int file_type = 0, r;

	if (libvhdi_file_get_file_type(f, &file_type, &error) != 1 ||
	    libvhdi_file_get_disk_type(f, &type, &error) != 1)
		return failed(o, l, "tell the type", error, err);
	r = same_number(l, "file type", (uint64_t)file_type, (uint64_t)ours, err);
	return r ? r : same_number(l, "disk type", type, type_of(l), err);
}

static int check_ids(struct opinion *o, const struct ibb_link *l, libvhdi_file_t *f,
		     struct ibb_error *err)
{
	const struct ibb_guid *ours =
		l->kind == IBB_CONTAINER_VHDX ? &l->vhdx.data_write_id : &l->vhd.footer.unique_id;
	libvhdi_error_t *error = NULL;
	uint8_t id[16] = {0};
	int r;

	if (libvhdi_file_get_identifier(f, id, sizeof(id), &error) != 1)
		return failed(o, l, "tell the identifier", error, err);
	r = same_id(l, "identifier", id, ours, err);
	if (r || !l->parent.differencing)
		return r;
	if (libvhdi_file_get_parent_identifier(f, id, sizeof(id), &error) != 1)
		return failed(o, l, "tell the parent's identifier", error, err);
	return same_id(l, "parent's identifier", id, &l->parent.id, err);
}

/*
 * Of a VHD libvhdi takes the footer's "original size" for the disk's, which is as large as its
 * "current size". The two differ once the disk was made larger or smaller.
 */
static uint64_t their_size(const struct ibb_link *l)
{
	return l->kind == IBB_CONTAINER_VHDX ? l->disk->size_bytes
					     : l->vhd.footer.original_size_bytes;
}

static int check_sizes(struct opinion *o, const struct ibb_link *l, libvhdi_file_t *f,
		       struct ibb_error *err)
{
	libvhdi_error_t *error = NULL;
	uint32_t sector = 0;
	size64_t size = 0;
	int r;

	if (libvhdi_file_get_media_size(f, &size, &error) != 1 ||
	    libvhdi_file_get_bytes_per_sector(f, &sector, &error) != 1)
		return failed(o, l, "tell the size", error, err);
	r = same_number(l, "size of the disk in bytes", size, their_size(l), err);
	return r ? r : same_number(l, "sector size", sector, l->disk->sector_bytes, err);
}

/* libvhdi knows one name of the parent; it has to be one of those that we know. */
static int check_parent_name(struct opinion *o, const struct ibb_link *l, libvhdi_file_t *f,
			     struct ibb_error *err)
{
	IBB_AUTO_FREE char *name = NULL;
	libvhdi_error_t *error = NULL;
	size_t size = 0;
	int has;

	if (!l->parent.differencing)
		return IBB_OK;
	has = libvhdi_file_get_utf8_parent_filename_size(f, &size, &error);
	if (has == 0 || (has == 1 && size <= 1))
		return IBB_OK;
	if (has != 1 || size > 4 * IBB_LIMIT_PATH_CHARS)
		return failed(o, l, "tell the parent's name", error, err);
	name = ibb_zalloc(size + 1);
	if (!name)
		return ibb_err_nomem(err);
	if (libvhdi_file_get_utf8_parent_filename(f, (uint8_t *)name, size, &error) != 1)
		return failed(o, l, "tell the parent's name", error, err);
	for (size_t i = 0; i < l->parent.n; i++)
		if (strcmp(l->parent.locators[i].path, name) == 0)
			return IBB_OK;
	return differs(l, "parent's name", name,
		       l->parent.n ? l->parent.locators[0].path : "that there is none", err);
}

/* ---- where libvhdi can be asked ---- */

static bool log_replayed(const struct ibb_link *l)
{
	return l->kind == IBB_CONTAINER_VHDX && l->vhdx.log_replayed;
}

/* What libvhdi has two copies of and needs both. */
static bool copy_damaged(const struct ibb_link *l)
{
	return l->kind == IBB_CONTAINER_VHDX && (l->vhdx.bad_header_at || l->vhdx.bad_region_at);
}

/* Is the next link the parent by its second identifier alone? */
static bool by_linkage2(const struct ibb_chain *c, size_t i)
{
	return i + 1 < c->n && c->links[i].kind == IBB_CONTAINER_VHDX &&
	       !ibb_guid_equal(&c->links[i].parent.id, &c->links[i + 1].vhdx.data_write_id);
}

/* libvhdi opens files by name. This one is of the very file that we read, whatever its own name
 * means by now; a bare chroot has no such names. */
static void proc_name(const struct ibb_link *l, char ret[40])
{
	snprintf(ret, 40, "/proc/self/fd/%d", ibb_disk_file_fd(l->file));
}

static bool has_proc_name(const struct ibb_link *l)
{
	char proc[40];

	proc_name(l, proc);
	return access(proc, F_OK) == 0;
}

enum ibb_opinion ibb_chain_opinion(const struct ibb_chain *c, const char **ret_why)
{
	enum ibb_opinion scope = IBB_OPINION_CONTENT;
	const char *why = NULL;

	for (size_t i = 0; i < c->n && scope != IBB_OPINION_NONE; i++) {
		const struct ibb_link *l = &c->links[i];

		if (l->kind == IBB_CONTAINER_RAW) {
			scope = IBB_OPINION_NONE;
			why = "a raw disk has no container to be wrong about";
		} else if (l->vhd.footer_from_copy) {
			scope = IBB_OPINION_NONE;
			why = "libvhdi cannot read a VHD whose last footer is damaged";
		} else if (copy_damaged(l)) {
			scope = IBB_OPINION_NONE;
			why = "libvhdi needs both headers and both region tables of a VHDX to be "
			      "sound";
		} else if (!has_proc_name(l)) {
			scope = IBB_OPINION_NONE;
			why = "libvhdi can only be given a file by /proc/self/fd, which is not "
			      "there";
		} else if (l->vhdx.empty_item) {
			scope = IBB_OPINION_NONE;
			why = "libvhdi cannot read a VHDX with an empty metadata item";
		} else if (by_linkage2(c, i)) {
			scope = IBB_OPINION_IDENTIFIERS;
			why = "libvhdi does not know parents by parent_linkage2";
		} else if (log_replayed(l)) {
			scope = IBB_OPINION_IDENTIFIERS;
			why = "libvhdi does not replay the log of a VHDX";
		}
	}
	*ret_why = why;
	return scope;
}

/* ---- content ---- */

static int read_theirs(struct opinion *o, uint64_t off, size_t n, struct ibb_error *err)
{
	for (size_t done = 0; done < n;) {
		const uint64_t at = off + done,
			       in_block = o->sample.block_bytes - at % o->sample.block_bytes;
		const size_t most = n - done < in_block ? n - done : (size_t)in_block;
		libvhdi_error_t *error = NULL;
		char what[64];
		ssize_t k;

		errno = 0;
		k = libvhdi_file_read_buffer_at_offset(o->files[0], o->theirs + done, most,
						       (off64_t)at, &error);
		snprintf(what, sizeof(what), "read offset %llu of the disk",
			 (unsigned long long)at);
		if (k <= 0)
			return failed(o, &o->c->links[0], what, error, err);
		done += (size_t)k;
	}
	return IBB_OK;
}

static int same_bytes(struct opinion *o, uint64_t off, size_t n, struct ibb_error *err)
{
	char theirs[8], ours[8], what[64];
	size_t i = 0;
	int r = ibb_disk_pread(o->c->disk, o->ours, n, off, err);

	if (!r)
		r = read_theirs(o, off, n, err);
	if (r || memcmp(o->ours, o->theirs, n) == 0)
		return r;
	while (o->ours[i] == o->theirs[i])
		i++;
	snprintf(what, sizeof(what), "byte at offset %llu of the disk",
		 (unsigned long long)(off + i));
	snprintf(theirs, sizeof(theirs), "0x%02x", o->theirs[i]);
	snprintf(ours, sizeof(ours), "0x%02x", o->ours[i]);
	return differs(&o->c->links[0], what, theirs, ours, err);
}

/* A piece of the disk, without the groups of sectors for which libvhdi is not asked. */
static int compare_piece(struct opinion *o, uint64_t off, uint64_t end, struct ibb_error *err)
{
	const uint64_t group = 8ull * o->c->disk->sector_bytes;
	uint64_t from = off; /* [from, off) waits to be compared */
	bool any = false;
	int r = IBB_OK;

	for (; off < end && !r; off += group) {
		bool ask = false;

		r = ibb_opinion_may_ask(&o->sample, off, group < end - off ? group : end - off,
					&ask, err);
		if (r || ask)
			continue;
		if (off > from) {
			any = true;
			r = same_bytes(o, from, (size_t)(off - from), err);
		}
		from = off + group;
	}
	if (!r && from < end) {
		any = true;
		r = same_bytes(o, from, (size_t)(end - from), err);
	}
	o->res.blocks += any && !r;
	return r;
}

/* A piece that libvhdi cannot read does not keep the others from being compared. */
static int compare_content(struct opinion *o, struct ibb_error *err)
{
	const uint64_t size = o->c->disk->size_bytes;
	bool all = true;
	int r = ibb_opinion_sample(o->c, &o->sample, err);

	for (size_t i = 0; i < o->sample.n && !r; i++) {
		const uint64_t at = o->sample.at[i], left = size - at;

		r = compare_piece(o, at, at + (left < IBB_OPINION_PIECE ? left : IBB_OPINION_PIECE),
				  err);
		all = all && r != CANNOT;
		r = r == CANNOT ? IBB_OK : r;
	}
	if (!r && !all)
		o->res.scope = IBB_OPINION_IDENTIFIERS;
	return r;
}

/* ---- all of it ---- */

static int open_theirs(struct opinion *o, const struct ibb_link *l, libvhdi_file_t **ret,
		       struct ibb_error *err)
{
	libvhdi_error_t *error = NULL;
	char proc[40];

	errno = 0;
	proc_name(l, proc);
	if (libvhdi_file_initialize(ret, &error) != 1 ||
	    libvhdi_file_open(*ret, proc, LIBVHDI_OPEN_READ, &error) != 1)
		return failed(o, l, "open the container", error, err);
	return IBB_OK;
}

static int ask_link(struct opinion *o, size_t i, struct ibb_error *err)
{
	const struct ibb_link *l = &o->c->links[i];
	int r = open_theirs(o, l, &o->files[i], err);

	if (!r)
		r = check_kind(o, l, o->files[i], err);
	if (!r)
		r = check_ids(o, l, o->files[i], err);
	if (!r && !log_replayed(l))
		r = check_sizes(o, l, o->files[i], err);
	if (!r && !log_replayed(l))
		r = check_parent_name(o, l, o->files[i], err);
	return r;
}

static int stack_theirs(struct opinion *o, struct ibb_error *err)
{
	const struct ibb_chain *c = o->c;
	int r = IBB_OK;

	for (size_t i = 0; i + 1 < c->n && !r; i++) {
		libvhdi_error_t *error = NULL;

		errno = 0;
		if (libvhdi_file_set_parent_file(o->files[i], o->files[i + 1], &error) != 1)
			r = failed(o, &c->links[i], "use the parent", error, err);
	}
	return r;
}

static int ask(struct opinion *o, struct ibb_error *err)
{
	bool all = true;
	int r = IBB_OK;

	for (size_t i = 0; i < o->c->n && !r; i++) {
		r = ask_link(o, i, err);
		all = all && r != CANNOT;
		r = r == CANNOT ? IBB_OK : r;
	}
	if (r)
		return r;
	if (all && o->res.scope == IBB_OPINION_CONTENT) {
		r = stack_theirs(o, err);
		all = r != CANNOT;
		if (!r)
			r = compare_content(o, err);
	}
	if (!all)
		o->res.scope = IBB_OPINION_NONE;
	return r == CANNOT ? IBB_OK : r;
}

static void clear(struct opinion *o)
{
	/* children before their parents */
	for (size_t i = 0; i < o->c->n && o->files; i++)
		if (o->files[i])
			libvhdi_file_free(&o->files[i], NULL);
	free(o->files);
	ibb_opinion_sample_clear(&o->sample);
	free(o->ours);
	free(o->theirs);
}

int ibb_chain_second_opinion(const struct ibb_chain *c, struct ibb_opinion_result *ret,
			     struct ibb_error *err)
{
	struct opinion o = {.c = c};
	const char *why;
	int r;

	o.res.scope = ibb_chain_opinion(c, &why);
	if (why)
		snprintf(o.res.why, sizeof(o.res.why), "%s", why);
	if (o.res.scope == IBB_OPINION_NONE) {
		*ret = o.res;
		return IBB_OK;
	}
	libvhdi_notify_set_verbose(0);
	o.files = ibb_calloc_array(c->n, sizeof(*o.files));
	o.ours = ibb_alloc(IBB_OPINION_PIECE);
	o.theirs = ibb_alloc(IBB_OPINION_PIECE);
	r = o.files && o.ours && o.theirs ? ask(&o, err) : ibb_err_nomem(err);
	clear(&o);
	if (!r)
		*ret = o.res;
	return r;
}
