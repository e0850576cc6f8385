/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Members of archives, through libarchive: of a cabinet that lies in memory, and one after the
 * other of any archive that lies in a file. Cabinets: stored, MSZIP and LZX; not Quantum, and no
 * cabinet that goes on in another one.
 */
#ifndef IBB_BASE_ARCHIVE_H
#define IBB_BASE_ARCHIVE_H

#include "base/buf.h"

struct ibb_archive_member {
	char *name; /* UTF-8, '/' separators; as the archive has it, so check it before use */
	struct ibb_buf bytes;
};

struct ibb_archive {
	size_t n, cap;
	struct ibb_archive_member *members;
};

/* Is a member wanted? Called once for each, in the archive's order. */
typedef bool (*ibb_archive_want_fn)(void *ctx, const char *name);

bool ibb_archive_is_cab(struct ibb_bytes bytes);
/*
 * The wanted members of a cabinet (all when want is NULL), in its order, each with its content;
 * names that are not UTF-8 after libarchive's conversion are passed over. `name` is for messages.
 * IBB_E_CORRUPT when it is no cabinet, truncated or damaged; IBB_E_UNSUPPORTED for a compression
 * that libarchive does not know; IBB_E_LIMIT beyond `limit` bytes of content together.
 */
int ibb_archive_read_cab(const char *name, struct ibb_bytes bytes, ibb_archive_want_fn want,
			 void *ctx, uint64_t limit, struct ibb_archive *ret,
			 struct ibb_error *err) IBB_MUST_CHECK;
void ibb_archive_clear(struct ibb_archive *a);

/* ---- a walk over an archive in a file (archive_walk.c); nothing is held in memory ---- */

enum ibb_archive_format {
	IBB_ARCHIVE_ZIP,
	IBB_ARCHIVE_CAB,
	IBB_ARCHIVE_7Z,
	IBB_ARCHIVE_TAR /* ustar, pax, GNU; plain or through gzip, bzip2, xz, zstd */
};
enum ibb_archive_kind {
	IBB_ARCHIVE_FILE,
	IBB_ARCHIVE_DIRECTORY,
	IBB_ARCHIVE_LINK,   /* symbolic or hard */
	IBB_ARCHIVE_SPECIAL /* a device, a pipe, a socket, or of an unknown kind */
};
struct ibb_archive_entry {
	const char *name; /* UTF-8; as the archive has it, so check it before use */
	enum ibb_archive_kind kind;
	bool has_size;
	uint64_t size_bytes; /* as announced */
	bool encrypted;
	bool cp437; /* of a zip: the name was no UTF-8 and was taken for code page 437 */
};
/*
 * What is called with each member, in the archive's order: begin (which says whether the content
 * is wanted; files only), data for every piece of it, end when the content was whole. What a
 * callback returns ends the walk when it is not 0.
 */
struct ibb_archive_visitor {
	int (*begin)(void *ctx, const struct ibb_archive_entry *e, bool *want,
		     struct ibb_error *err);
	int (*data)(void *ctx, const void *p, size_t n, struct ibb_error *err);
	int (*end)(void *ctx, struct ibb_error *err);
	void *ctx;
};
/* A stretch of a file of the host, read with pread(); the descriptor is borrowed. */
struct ibb_archive_stretch {
	int fd;
	uint64_t offset, size_bytes;
	const char *name; /* for messages */
};
struct ibb_archive_limits {
	uint64_t bytes;	  /* of content, also of members that are not wanted: they are read too */
	unsigned members; /* directories counted */
};
/*
 * IBB_E_CORRUPT: damaged, truncated, or at odds with itself (the local headers and the central
 * directory of a zip, members that overlap). IBB_E_UNSUPPORTED: encrypted, compressed in a way
 * libarchive does not know, a name that is not UTF-8 (of a zip: though its flag says so).
 * IBB_E_LIMIT. IBB_E_IO.
 */
int ibb_archive_walk(const struct ibb_archive_stretch *s, enum ibb_archive_format format,
		     const struct ibb_archive_limits *limits, const struct ibb_archive_visitor *v,
		     struct ibb_error *err) IBB_MUST_CHECK;

#endif
