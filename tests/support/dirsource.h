/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A package source over a host directory, for tests: case-insensitive, as Windows looks names up.
 */
#ifndef IBB_TEST_DIRSOURCE_H
#define IBB_TEST_DIRSOURCE_H

#include "driver/package.h"

/* The source borrows dir. */
struct ibb_package_source dirsource(const char *dir);

#endif
