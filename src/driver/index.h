/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Inside the driver layer: the ID index that match.c makes and package.c frees. */
#ifndef IBB_DRIVER_INDEX_H
#define IBB_DRIVER_INDEX_H

#include "driver/package.h"

/* NULL is allowed. */
void ibb_package_index_free(struct ibb_package_index *x);

#endif
