/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef IBB_CATALOG_SHOW_H
#define IBB_CATALOG_SHOW_H

#include "base/json.h"
#include "catalog/catalog.h"

/* What a catalog holds besides sizes and rules, as members of an object. */
void ibb_catalog_show_json(const struct ibb_catalog *c, struct ibb_jb *b, struct ibb_json *root);

#endif
