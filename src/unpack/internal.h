/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What the readers of the forms share: where bytes come from, and where files go. */
#ifndef IBB_UNPACK_INTERNAL_H
#define IBB_UNPACK_INTERNAL_H

#include "unpack/unpack.h"

/* A stretch of a file of the host, read with pread(); the descriptor is borrowed. */
struct unpack_source {
	int fd;
	uint64_t offset, size_bytes;
	const char *name; /* for messages: "setup.exe: Driver.msi: Data1.cab" */
};
/* IBB_E_CORRUPT "truncated" past the end of the stretch. `offset` counts from its begin. */
int unpack_read(const struct unpack_source *s, uint64_t offset, void *buf, size_t n,
		struct ibb_error *err) IBB_MUST_CHECK;

/*
 * The tree that is written (tree.c). One file at a time: begin, write..., end. The path is as the
 * archive has it: the tree checks it, makes its directories, and keeps to the limits.
 */
struct unpack_tree;
/* *size_bytes: what the archive announces, NULL when it does not; refused at once if too much. */
int unpack_tree_begin(struct unpack_tree *t, const char *path, const uint64_t *size_bytes,
		      struct ibb_error *err) IBB_MUST_CHECK;
int unpack_tree_write(struct unpack_tree *t, const void *p, size_t n,
		      struct ibb_error *err) IBB_MUST_CHECK;
/* The file is whole; a size that was announced has to be right (IBB_E_CORRUPT). */
int unpack_tree_end(struct unpack_tree *t, struct ibb_error *err) IBB_MUST_CHECK;
int unpack_tree_mkdir(struct unpack_tree *t, const char *path,
		      struct ibb_error *err) IBB_MUST_CHECK;
/*
 * Something that a user has to be told of a file or directory of the archive, for the warnings of
 * the result: "path: text".
 */
int unpack_tree_warn(struct unpack_tree *t, const char *path, const char *text,
		     struct ibb_error *err) IBB_MUST_CHECK;
/*
 * An unnamed file for what is not part of the result (a cabinet inside of an MSI, an inflated
 * stream): counted against the same limit of bytes. The caller closes it.
 */
int unpack_tree_spool(struct unpack_tree *t, int *ret_fd, struct ibb_error *err) IBB_MUST_CHECK;
int unpack_tree_spool_write(struct unpack_tree *t, int fd, const void *p, size_t n,
			    struct ibb_error *err) IBB_MUST_CHECK;
/*
 * A file that lies beside an archive: an external cabinet of an MSI, or a file of it in no cabinet;
 * `name` may lead into directories. Looked up without regard to case beside the archive that is
 * being taken apart, in the tree or, for the outermost one, on the host. IBB_E_NOTFOUND;
 * IBB_E_UNSUPPORTED for a name that leads elsewhere. The caller closes *ret_fd.
 */
int unpack_tree_sibling(struct unpack_tree *t, const char *name, int *ret_fd, uint64_t *ret_size,
			struct ibb_error *err) IBB_MUST_CHECK;

/* One reader a form. Each writes all files of the archive into the tree. */
int unpack_libarchive(const struct unpack_source *s, enum ibb_unpack_kind kind,
		      struct unpack_tree *t, struct ibb_error *err) IBB_MUST_CHECK;
int unpack_msi(const struct unpack_source *s, struct unpack_tree *t,
	       struct ibb_error *err) IBB_MUST_CHECK;
int unpack_installshield(const struct unpack_source *s, struct unpack_tree *t,
			 struct ibb_error *err) IBB_MUST_CHECK;

/*
 * Members of a cabinet that are known by other names than those they shall have (an MSI names them
 * by the keys of its File table): `rename` gives the path for the tree, NULL to pass a member over.
 */
typedef const char *(*unpack_rename_fn)(void *ctx, const char *member);
int unpack_cab_members(const struct unpack_source *s, unpack_rename_fn rename, void *ctx,
		       struct unpack_tree *t, struct ibb_error *err) IBB_MUST_CHECK;

/*
 * Where the bytes behind the last section of a PE file begin (its overlay); IBB_E_NOTFOUND when it
 * is no PE file or has none. A signature at the end (attribute certificates) is not counted in.
 */
int unpack_pe_overlay(const struct unpack_source *s, struct unpack_source *ret,
		      struct ibb_error *err) IBB_MUST_CHECK;
/* Is it one? By magic numbers and, where needed, a look inside; they never fail on bad content. */
bool unpack_is_msi(const struct unpack_source *s);	     /* a compound file with MSI's tables */
bool unpack_is_installshield(const struct unpack_source *s); /* of the overlay of a program */
/* Why a result of it has to be taken with care, for ibb_unpacked_archive.unverified. */
extern const char unpack_installshield_unverified[];
/* What to do instead, for any error on the way through such a program; returns the code. */
int unpack_installshield_hint(struct ibb_error *err, int code);

#endif
