/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Where the driver packages of a request come from. Directories are taken as they are; an archive
 * of a vendor is taken apart into a private directory (ibbake-XXXXXX, mode 0700, in temp_dir, else
 * /tmp) that goes when the sources are closed; only a kill leaves it.
 */
#ifndef IBB_API_SOURCES_H
#define IBB_API_SOURCES_H

#include "base/json.h"
#include "ibbake/ibbake.h"
#include "unpack/unpack.h"

struct ibb_source_archive {
	char *path;   /* as it was named */
	char *sha256; /* of the file */
	struct ibb_unpack_result unpacked;
};
struct ibb_sources {
	char **dirs;  /* to search for packages */
	char **names; /* what each is called in messages and documents: that of an archive is its
		       * path with '!' behind it, NULL: as it is */
	size_t n_dirs, cap_dirs, cap_names;
	struct ibb_source_archive *archives;
	size_t n_archives, cap_archives;
	char *scratch;		     /* the private directory; NULL: none was needed */
	const struct ibb_request *q; /* borrowed: temp_dir, progress */
	bool opened;		     /* by ibb_sources_open(), with whatever result */
};

/* q->driver_dirs, each a directory or an archive. */
int ibb_sources_open(const struct ibb_request *q, struct ibb_sources *ret,
		     struct ibb_error *err) IBB_MUST_CHECK;
/* Nothing so far: for those who name all by ibb_sources_add(). */
void ibb_sources_init(struct ibb_sources *s, const struct ibb_request *q);
/* One more; an archive is taken apart. `name` is shown instead of the path when not NULL. */
int ibb_sources_add(struct ibb_sources *s, const char *path, const char *name,
		    struct ibb_error *err) IBB_MUST_CHECK;
/* The private directory, made when there is none yet. */
int ibb_sources_scratch(struct ibb_sources *s, const char **ret,
			struct ibb_error *err) IBB_MUST_CHECK;
/* "InstallShield ... unverified" and the like: what a user has to be told. */
int ibb_sources_warnings(const struct ibb_sources *s,
			 int (*warn)(void *ctx, const char *text, struct ibb_error *err), void *ctx,
			 struct ibb_error *err) IBB_MUST_CHECK;
/* What was taken apart, as "archives" of obj; nothing when nothing was. */
void ibb_sources_json(const struct ibb_sources *s, struct ibb_jb *b, struct ibb_json *obj);
/* Nothing is left of it. */
void ibb_sources_close(struct ibb_sources *s);

#endif
