/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What the tests of the unpack layer share: a private directory, archives in it, trees as text. */
#ifndef IBB_TEST_UNPACKTEST_H
#define IBB_TEST_UNPACKTEST_H

#include "mkarchive.h"
#include "test.h"
#include "unpack/unpack.h"

/* A directory of its own; freed with unpack_world_end(), which fails the test when anything but
 * `out` and what was put there lies in it. */
struct unpack_world {
	char top[64], out[80];
	unsigned n_files;
};
void unpack_world_begin(struct unpack_world *w);
void unpack_world_end(struct unpack_world *w);
/* A file in it; static storage for a few. Clears b. */
const char *unpack_put(struct unpack_world *w, const char *name, struct ibb_buf *b);
/* Empty `out`, take `path` apart into it. */
int unpack_run(struct unpack_world *w, const char *path, const struct ibb_unpack_limits *limits,
	       struct ibb_unpack_result *ret, struct ibb_error *err);
/* The same with bytes. Clears b. */
int unpack_bytes(struct unpack_world *w, struct ibb_buf *b, struct ibb_unpack_result *ret,
		 struct ibb_error *err);
/* "a/\na/b.inf=content\n", sorted; binary or long content as its length. free() it. */
char *unpack_tree_text(const char *dir);
/* How many mutations: `usual`, or IBB_TEST_MUTATIONS (ci/campaign). */
unsigned unpack_mutations(unsigned usual);
/* The text of the tree in `out` is this. */
void unpack_assert_tree(struct unpack_world *w, const char *want);

#endif
