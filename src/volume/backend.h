/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What a back end of volume.h implements; private to this layer. */
#ifndef IBB_VOLUME_BACKEND_H
#define IBB_VOLUME_BACKEND_H

#include "volume/volume.h"

/* Names of one directory, collected before the caller's function sees any of them, so that it may
 * use the volume itself. */
struct ibb_dirents {
	struct ibb_dirent {
		char *name;
		enum ibb_file_type type;
	} * items;
	size_t n, cap;
};

/* Takes ownership of name, also on failure. IBB_E_NOMEM, IBB_E_LIMIT. */
int ibb_dirents_add(struct ibb_dirents *l, char *name, enum ibb_file_type type,
		    struct ibb_error *err) IBB_MUST_CHECK;
void ibb_dirents_clear(struct ibb_dirents *l);

/* As the functions of volume.h; paths are checked, state and read-only access as well. */
struct ibb_volume_ops {
	int (*info)(struct ibb_volume *v, struct ibb_volume_info *ret, struct ibb_error *err);
	int (*stat)(struct ibb_volume *v, const char *path, struct ibb_stat *ret,
		    struct ibb_error *err);
	int (*spelling)(struct ibb_volume *v, const char *path, char **ret, struct ibb_error *err);
	int (*list)(struct ibb_volume *v, const char *dir, struct ibb_dirents *out,
		    struct ibb_error *err);
	int (*read)(struct ibb_volume *v, const char *path, uint64_t limit, struct ibb_buf *ret,
		    struct ibb_error *err);
	/* NULL: read() and one piece */
	int (*stream)(struct ibb_volume *v, const char *path, uint64_t limit, ibb_piece_fn fn,
		      void *ctx, struct ibb_error *err);
	int (*put)(struct ibb_volume *v, const char *path, struct ibb_bytes content,
		   enum ibb_put_mode mode, const struct ibb_meta *meta, struct ibb_error *err);
	int (*mkdir)(struct ibb_volume *v, const char *path, const struct ibb_meta *meta,
		     struct ibb_error *err);
	int (*remove)(struct ibb_volume *v, const char *path, struct ibb_error *err);
	int (*security)(struct ibb_volume *v, const char *path, struct ibb_buf *ret,
			struct ibb_error *err);
	int (*touch)(struct ibb_volume *v, const char *path, const struct ibb_meta *meta,
		     struct ibb_error *err);
	int (*commit)(struct ibb_volume *v, struct ibb_error *err);
	void (*close)(struct ibb_volume *v);
};

/* First member of every back end. */
struct ibb_volume {
	const struct ibb_volume_ops *ops;
	bool writable;
	bool committed;
	/*
	 * Set by a back end before the first change of an operation. When the operation then fails,
	 * what is staged is half of something: every later change and the commit are refused.
	 */
	bool changed;
	int failed_code;
	struct ibb_error failed;
};

#endif
