/* SPDX-License-Identifier: GPL-3.0-or-later */
/* An output takes its place, and that of the image and the manifest that were there before. */
#ifndef IBB_API_REPLACE_H
#define IBB_API_REPLACE_H

#include "base/io.h"
#include "ibbake/ibbake.h"

/*
 * Give the finished image its name, and then the manifest its own: q->manifest with `text`; NULL:
 * none. An image may lack its manifest, but never has that of another one: everything is durable
 * under temporary names before the old manifest is put aside, and it comes back when the image
 * cannot be renamed. Only who is killed between these two renames leaves the old image without its
 * manifest, which then lies beside it as
 * ".NAME.ibbake-PID-0.old".
 */
int ibb_replace_publish(const struct ibb_request *q, struct ibb_atomic *image, const char *text,
			struct ibb_error *err) IBB_MUST_CHECK;
#endif
