/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Changing the image itself instead of making another one. */
#ifndef IBB_API_INPLACE_H
#define IBB_API_INPLACE_H

#include "api/output.h"

/*
 * May this image be changed in place? Refuses kinds that have no flat content, a file with several
 * names (the journal lies beside one of them), and an image in use; takes its locks.
 */
int ibb_inplace_begin(struct ibb_session *s, struct ibb_error *err) IBB_MUST_CHECK;
/*
 * What of that goes for every image file: several names, outputs that are the image, who uses it;
 * takes its locks.
 */
int ibb_inplace_claim(const struct ibb_request *q, struct ibb_disk *file,
		      const struct ibb_file_id *id, struct ibb_error *err) IBB_MUST_CHECK;
/*
 * The overlay goes into the image by way of a journal (disk/journal.h), then the manifest to its
 * place.
 */
int ibb_inplace_write(struct ibb_session *s, ibb_manifest_fn fn, void *ctx,
		      struct ibb_error *err) IBB_MUST_CHECK;
/* The lock that a command with `-o IMAGE --overwrite` takes as well. */
int ibb_inplace_lock(struct ibb_lock *l, const char *image, struct ibb_error *err) IBB_MUST_CHECK;
/* The directory for changed blocks that memory has no room for: the request's, else where the
 * result goes. free() it. */
char *ibb_spill_dir(const struct ibb_request *q) IBB_MUST_CHECK;

#endif
