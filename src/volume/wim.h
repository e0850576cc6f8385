/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * WIM files (install.wim, boot.wim, ESD): several images of Windows in one file, each of them a
 * volume as volume.h has it. By wimlib, but for the reading of file content, which wimlib offers
 * into directories only.
 *
 * Formats: "Windows Imaging File Format (WIM)", Microsoft, 2007; what came later (LZMS, solid
 * resources, pipable WIMs) as wimlib documents it in its header and man pages.
 *
 * wimlib keeps its settings for the whole process: names are compared case-insensitively from the
 * first ibb_wim_open() on, and it prints no errors and warnings any more
 * (wimlib_set_print_errors(false)). A program that uses wimlib itself and initialised it otherwise
 * before gets IBB_E_INVALID here. The first WIM that is written sets wimlib's level for LZX, too.
 * Not thread safe for one struct ibb_wim and the volumes in it.
 */
#ifndef IBB_VOLUME_WIM_H
#define IBB_VOLUME_WIM_H

#include "base/guid.h"
#include "volume/volume.h"

struct ibb_wim;

struct ibb_wim_info {
	uint64_t file_bytes;
	struct ibb_guid guid;
	const char *compression; /* "none", "XPRESS", "LZX", "LZMS" */
	uint32_t chunk_bytes;	 /* of the default compression; 0: none */
	bool solid;		 /* many files in one resource, as ESD files have them */
	bool pipable, integrity, marked_readonly;
	bool write_in_progress; /* an append was interrupted; the file is what it was before */
	unsigned part, parts;	/* of a split WIM; 1 and 1 otherwise */
	unsigned boot_index;	/* 0: none */
	unsigned images;	/* numbered from 1 */
};

/* What the XML data says of an image; texts may be NULL. */
struct ibb_wim_image {
	unsigned index;
	char *name, *description, *display_name;
	char *flags;					  /* edition, as Setup uses it */
	char *product_name, *edition, *installation_type; /* "Client", "Server", "WindowsPE" */
	unsigned major, minor, build, spbuild;		  /* 0 when it does not say */
	int arch; /* PROCESSOR_ARCHITECTURE_*: 0 x86, 9 amd64, 12 arm64; -1: not said */
	uint64_t files, directories, total_bytes;
};

/* Does the file begin like a WIM, also a pipable one? Short or unreadable: false. */
bool ibb_wim_is(struct ibb_disk *file);

/*
 * Open a WIM with all of its images' XML data. The file itself is opened as every image file
 * (ibb_disk_file_open(): shared lock, no journal beside it). Of a split WIM the other parts are
 * looked for beside it ("name*.swm"); a part that is missing: IBB_E_NOTFOUND.
 * `sibling_of` (may be NULL) is the name that messages use instead of `path`.
 * IBB_E_UNSUPPORTED: an encrypted ESD, a WIM without metadata, an unknown version. IBB_E_CORRUPT.
 */
int ibb_wim_open(const char *path, const char *sibling_of, struct ibb_wim **ret,
		 struct ibb_error *err) IBB_MUST_CHECK;
/* The same although an undo record lies beside it: for the one who holds that, to read back. */
int ibb_wim_open_held(const char *path, const char *sibling_of, struct ibb_wim **ret,
		      struct ibb_error *err) IBB_MUST_CHECK;
/* The volumes opened from it have to be closed first. Accepts NULL. */
void ibb_wim_close(struct ibb_wim *w);
IBB_DEFINE_CLEANUP(struct ibb_wim *, ibb_wim_close)

const struct ibb_wim_info *ibb_wim_info(const struct ibb_wim *w);
const struct ibb_wim_image *ibb_wim_image(const struct ibb_wim *w, unsigned index);
/* The file, for digests and "did it change meanwhile". */
struct ibb_disk *ibb_wim_file(const struct ibb_wim *w);
const struct ibb_file_id *ibb_wim_file_id(const struct ibb_wim *w);

/*
 * The image that `which` means: its number, or its name (case-insensitively). IBB_E_NOTFOUND with
 * the names there are; IBB_E_CONFLICT when several have this name.
 */
int ibb_wim_find(const struct ibb_wim *w, const char *which, unsigned *ret,
		 struct ibb_error *err) IBB_MUST_CHECK;

/*
 * May it be changed? IBB_E_UNSUPPORTED for a part of a split WIM (the hint has the command that
 * joins the parts), and in place also for one that is marked read-only or pipable, or laid out in
 * a way to which nothing can be appended. Of the integrity table, in place, the chunks are checked
 * that an append gives new digests (the last one, if it is not whole): IBB_E_CORRUPT. The others
 * keep the digests they have, right or wrong.
 */
int ibb_wim_check_writable(const struct ibb_wim *w, bool in_place,
			   struct ibb_error *err) IBB_MUST_CHECK;

/*
 * Image `index` as a volume. Changes are staged in a small NTFS volume of our own that lives in
 * memory, and beyond IBB_LIMIT_WIM_STAGED in an unnamed file of `temp_dir` (NULL: memory only, then
 * IBB_E_LIMIT). Either is a file of 16 GiB, nearly all of it a hole, which the limit for the size
 * of files (RLIMIT_FSIZE) has to allow: IBB_E_IO. ibb_volume_commit() hands them to the WIM, in
 * memory; ibb_wim_write() and ibb_wim_append() write them. The WIM has to outlive the volume.
 * Differences to other back ends: an existing directory keeps its times (wimlib has no way to set
 * them), so ibb_volume_touch() of one does nothing; after the commit of an image, the images of
 * this struct ibb_wim are not opened again: what was written is opened instead. Refused with
 * IBB_E_UNSUPPORTED are a change in place of a file with several names, and every change at a path
 * that two names of the image stand for, which differ in case only. A file that is changed in place
 * loses what Windows noted of its old content (extended attributes $KERNEL.* and $CI.*), and what
 * wimlib keeps for UNIX alone (owner, mode, attributes security.* and system.*); with any other
 * extended attribute it is not changed: IBB_E_UNSUPPORTED.
 */
int ibb_volume_open_wim(struct ibb_wim *w, unsigned index, bool writable, const char *temp_dir,
			struct ibb_volume **ret, struct ibb_error *err) IBB_MUST_CHECK;

/* ---- writing; wim_write.c ---- */

/* done and total in bytes; a non-zero return stops: IBB_E_CANCELLED. `phase`: "write",
 * "integrity", "check" */
typedef int (*ibb_wim_progress_fn)(void *ctx, const char *phase, uint64_t done, uint64_t total);

struct ibb_wim_write_opts {
	ibb_wim_progress_fn progress; /* may be NULL */
	void *ctx;
	unsigned threads; /* 0: one a processor */
	/* modification time of the images that were changed, seconds since 1970 */
	int64_t unix_time;
	bool scratch; /* a temporary copy of ours is appended to: nothing is synced */
};

/*
 * The whole WIM, with what was committed, to a new file that is open for reading and writing, empty
 * and seekable. Compression, integrity table, boot index, GUID, flags and XML data stay; data that
 * no image refers to any more is left out. Nothing is synced. IBB_E_NOSPACE, IBB_E_IO, ...
 */
int ibb_wim_write(struct ibb_wim *w, int fd, const char *name, const struct ibb_wim_write_opts *o,
		  struct ibb_error *err) IBB_MUST_CHECK;

/*
 * Let go of the shared lock that ibb_wim_open() took. wimlib locks the file itself while it appends
 * (LOCK_EX, by a descriptor of its own), and every other lock of ours is in its way, too.
 */
void ibb_wim_unlock(struct ibb_wim *w);

/*
 * What was committed is appended to the WIM's own file: new data behind the old, the header last.
 * The caller holds the undo record (disk/undo.h), which keeps other ibbakes away, and no flock on
 * the file by any descriptor but this struct's, which lets go of its own until wimlib is done:
 * every other struct ibb_wim of this file is unlocked before. Synced on return; only
 * ibb_wim_close() may follow, and ibb_wim_compare() with another struct of the same file that was
 * opened before: what that refers to is still there. When this fails the file may be longer than it
 * was, but its old content is whole: the undo record restores it. Nothing committed: nothing is
 * written. wimlib opens the file by its name: one that took its place right before is written to,
 * until that is seen: IBB_E_CHANGED.
 */
int ibb_wim_append(struct ibb_wim *w, const struct ibb_wim_write_opts *o,
		   struct ibb_error *err) IBB_MUST_CHECK;

#define IBB_WIM_HEADER_BYTES 208u /* what a WIM begins with, and an append changes last */

/* How much of the file nothing refers to: what appending left behind. IBB_E_CORRUPT, ... */
int ibb_wim_dead_bytes(struct ibb_wim *w, uint64_t *ret, struct ibb_error *err) IBB_MUST_CHECK;

/*
 * Is everything in image `index` of `now` as it is in `before`, but for the paths in `changed`
 * (each with what lies below it) and the directories' own lists of names? Names, attributes, times,
 * security, short names, hard links, streams by digest and size (ibb_wim_check_content() is for
 * their bytes), object IDs; XML data but for the counts and the time of this image (without any
 * `changed` those as well), for its comments, and for elements that say nothing; what the header
 * says. Not seen: extended attributes, other than wimlib's UNIX data, and a reparse point's content
 * beside its target. Nothing was committed to `before`. IBB_E_DIFFERS with the first difference.
 */
struct ibb_wim_changed {
	const char *const *paths; /* normal form, any case; each stands for one name */
	size_t n;
};
int ibb_wim_compare(struct ibb_wim *before, struct ibb_wim *now, unsigned index,
		    const struct ibb_wim_changed *changed, struct ibb_error *err) IBB_MUST_CHECK;

/*
 * Was everything that `now` refers to written as it was meant? Each resource is read: those that
 * `before` has too, stored alike, against its bytes; all others as content, against their digest.
 * When both are the same file, to which was appended since `before` was opened, only what is new is
 * read. Then the integrity table, if there is one. Whether every file still has its content is for
 * ibb_wim_compare(). `progress` may be NULL; its phase is "check". IBB_E_IO or IBB_E_CORRUPT with
 * the first place that is damaged; IBB_E_CHANGED: the source is another one by now.
 */
int ibb_wim_check_content(struct ibb_wim *before, struct ibb_wim *now, ibb_wim_progress_fn progress,
			  void *ctx, struct ibb_error *err) IBB_MUST_CHECK;

#endif
