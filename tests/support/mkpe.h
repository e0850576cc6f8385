/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A PE32+ driver image that is well formed and does nothing: its entry returns an error. */
#ifndef IBB_TEST_MKPE_H
#define IBB_TEST_MKPE_H

#include "base/buf.h"

/* `tag` is stored in the image, so that images of different tags differ. IBB_E_NOMEM. */
int mkpe_driver(const char *tag, struct ibb_buf *ret) IBB_MUST_CHECK;

#endif
