/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The tree that is written, for those who drive it; the readers of the forms see internal.h. */
#ifndef IBB_UNPACK_TREE_H
#define IBB_UNPACK_TREE_H

#include "unpack/internal.h"

/* A file or directory of the tree, in the order in which they came. */
struct unpack_node {
	char *path; /* relative to the directory */
	bool dir, removed;
	uint64_t size_bytes;
	uint64_t hash; /* of the path, whatever its case */
};

/*
 * `host_path`: the outermost archive; warnings go to `out`. All are borrowed.
 */
int unpack_tree_new(const char *dir, const char *temp_dir, const char *host_path,
		    const struct ibb_unpack_limits *limits, struct ibb_unpack_result *out,
		    struct unpack_tree **ret, struct ibb_error *err) IBB_MUST_CHECK;
void unpack_tree_free(struct unpack_tree *t);
IBB_DEFINE_CLEANUP(struct unpack_tree *, unpack_tree_free)

/*
 * From now on an archive is taken apart: `archive` is its path in the tree, NULL for the outermost.
 * Paths count from `archive` with ".d" appended. Borrowed.
 */
void unpack_tree_enter(struct unpack_tree *t, const char *archive);
size_t unpack_tree_n(const struct unpack_tree *t);
/* Valid until the next file comes. */
const struct unpack_node *unpack_tree_at(const struct unpack_tree *t, size_t i);
/* A file that was written. The caller closes it. */
int unpack_tree_open(struct unpack_tree *t, size_t i, int *ret_fd,
		     struct ibb_error *err) IBB_MUST_CHECK;
/* Take a file (or empty directory) out again. What it cost stays counted. */
int unpack_tree_remove(struct unpack_tree *t, size_t i, struct ibb_error *err) IBB_MUST_CHECK;
/* Take out all that came from node `from` on. */
int unpack_tree_rewind(struct unpack_tree *t, size_t from, struct ibb_error *err) IBB_MUST_CHECK;
/* Something was refused that a file inside an archive must not excuse. */
bool unpack_tree_is_hostile(const struct unpack_tree *t);
/* A member that is a link or a device; IBB_E_UNSUPPORTED. */
int unpack_tree_refuse(struct unpack_tree *t, const char *path, const char *what,
		       struct ibb_error *err);
/* Asks limits.tick. */
int unpack_tree_tick(struct unpack_tree *t, struct ibb_error *err) IBB_MUST_CHECK;
/* How many bytes may still be written. */
uint64_t unpack_tree_room(const struct unpack_tree *t);

/* detect.c: what it is, and for a self-extracting program which archive lies where in it. */
struct unpack_found {
	enum ibb_unpack_kind kind, inner; /* inner: of IBB_UNPACK_SFX, else the same */
	struct unpack_source source;	  /* the stretch that the reader takes */
};
int unpack_detect(const struct unpack_source *s, struct unpack_found *ret,
		  struct ibb_error *err) IBB_MUST_CHECK;
/* gzip.c: is the data what its digests say? IBB_E_CORRUPT, IBB_E_LIMIT. */
int unpack_check_gzip(const struct unpack_source *s, struct unpack_tree *t,
		      struct ibb_error *err) IBB_MUST_CHECK;
/* A zip that is a document or a Java archive. */
bool unpack_is_document(const struct unpack_source *s);

#endif
