/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What vendors ship, taken apart without running anything: zip, cabinet, 7z, tar, MSI, a
 * self-extracting program around one of them, an InstallShield program around an MSI, and these in
 * one another. Out comes a tree of files below a directory of the caller.
 */
#ifndef IBB_UNPACK_UNPACK_H
#define IBB_UNPACK_UNPACK_H

#include "base/buf.h"

enum ibb_unpack_kind {
	IBB_UNPACK_NONE, /* none that is known */
	IBB_UNPACK_ZIP,
	IBB_UNPACK_CAB,
	IBB_UNPACK_7Z,
	IBB_UNPACK_TAR, /* also compressed */
	IBB_UNPACK_MSI,
	IBB_UNPACK_INSTALLSHIELD, /* a program with an InstallShield payload behind its last section
				   */
	IBB_UNPACK_SFX		  /* a program with a zip, 7z or cabinet behind its last section */
};
const char *ibb_unpack_kind_name(enum ibb_unpack_kind k); /* "zip", "InstallShield" */

/*
 * What is this file? By its bytes, never by its name. IBB_UNPACK_NONE is no error. IBB_E_IO,
 * IBB_E_NOTFOUND.
 */
int ibb_unpack_detect(const char *path, enum ibb_unpack_kind *ret,
		      struct ibb_error *err) IBB_MUST_CHECK;

struct ibb_unpack_limits {
	uint64_t bytes; /* of all files written together; 0: IBB_LIMIT_UNPACK_BYTES */
	unsigned files; /* 0: IBB_LIMIT_UNPACK_FILES */
	unsigned depth; /* of archives in archives; 0: IBB_LIMIT_UNPACK_DEPTH */
	/* called now and then; what it returns, when not 0, ends the work. NULL: nobody asks */
	int (*tick)(void *ctx, struct ibb_error *err);
	void *tick_ctx;
};

/* An archive that was taken apart: the outermost one first. */
struct ibb_unpacked_archive {
	char *path; /* relative to the directory; "" for the outermost */
	enum ibb_unpack_kind kind;
	/* NULL, or why the reader of this form has to be taken with care: no real file of it was
	 * at hand when it was written */
	const char *unverified;
};
struct ibb_unpack_result {
	struct ibb_unpacked_archive *archives;
	size_t n_archives, cap_archives;
	uint64_t files, bytes; /* written and kept */
	char **warnings;       /* "docs.zip: kept as it is: ...: encrypted" */
	size_t n_warnings, cap_warnings;
};
void ibb_unpack_result_clear(struct ibb_unpack_result *r);

/*
 * Take `path` apart into `dir`, an empty directory that the caller made and, should this fail,
 * removes. The content of the outermost archive lies in dir itself, that of an archive inside of it
 * in a directory beside it that is named after it, with ".d" appended. Only regular files and
 * directories are made, with modes 0600 and 0700; nothing is ever written outside of dir, whatever
 * names, links or directories the archive brings. Names go through ibb_path_normalize().
 *
 * Archives inside:
 * - What lies in, or below, a directory that holds an INF may be a file of that driver package and
 *   is left as it is. (autorun.inf is no driver's.)
 * - Other archives and installers are taken apart, and then removed. One that cannot be read (an
 *   encrypted zip of documentation, an unrelated program that looks like one) is kept as a file,
 *   which `warnings` tells. Limits, links, names that are refused and I/O end everything.
 * - Cabinets are taken apart only when the whole tree holds no INF otherwise: else they are what an
 *   INF names and the reader of driver packages looks into, or what an MSI took its files from.
 *   They stay.
 * - Office documents, Java archives, single compressed files (a.sy_) and programs that are no *.exe
 *   are no archives here.
 *
 * An MSI may install different files under one name (components that exclude one another): each
 * variant but the first gets directories of its own, DIR.COMPONENT beside DIR, whole; `warnings`
 * tells it. See msi_variants.c.
 *
 * A zip's names that are not UTF-8, and do not claim it, are read as code page 437, which
 * `warnings` tells.
 *
 * `temp_dir` is where what needs room meanwhile goes, as unnamed files; NULL: dir.
 *
 * IBB_E_UNSUPPORTED: no archive, or a form, compression or encryption that cannot be read (the hint
 * says what to do instead); a link, device or other special member; a name that escapes, is
 * absolute or that Windows cannot have. IBB_E_CORRUPT: damaged or truncated. IBB_E_LIMIT: more
 * bytes, files or archives in archives than allowed. IBB_E_CONFLICT: two members with one name
 * (upper and lower case do not differ). IBB_E_IO, IBB_E_NOSPACE.
 */
int ibb_unpack(const char *path, const char *dir, const char *temp_dir,
	       const struct ibb_unpack_limits *limits, struct ibb_unpack_result *ret,
	       struct ibb_error *err) IBB_MUST_CHECK;

#endif
