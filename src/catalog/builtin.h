/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The shipped driver catalog, catalogs/azure-rdma.json, as it was when the library was built. */
#ifndef IBB_CATALOG_BUILTIN_H
#define IBB_CATALOG_BUILTIN_H

#include <stddef.h>

/* Not NUL-terminated; for ibb_catalog_load(). */
extern const unsigned char ibb_catalog_builtin[];
extern const size_t ibb_catalog_builtin_len;
#define IBB_CATALOG_BUILTIN_NAME "azure-rdma.json"

#endif
