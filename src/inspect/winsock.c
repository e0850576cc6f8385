/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * NetworkDirect providers in the Winsock catalog. A PackedCatalogItem is char path[260] followed by
 * a WSAPROTOCOL_INFOW of 628 bytes, whose fifth DWORD holds dwProviderFlags; NetworkDirect
 * providers carry PFL_NETWORKDIRECT_PROVIDER (winsock2.h).
 */
#include "inspect/internal.h"

#include <stdlib.h>
#include <string.h>

#include "base/le.h"

#define ITEM_BYTES		   888
#define PATH_BYTES		   260
#define PROVIDER_FLAGS_OFFSET	   (PATH_BYTES + 4 * 4)
#define PFL_NETWORKDIRECT_PROVIDER 0x10u

struct ctx {
	struct ibb_facts *f;
	const struct ibb_hive *h;
};

static int look_at_entry(void *ctx, ibb_key k, const char *name, struct ibb_error *err)
{
	struct ctx *c = ctx;
	IBB_AUTO_BUF struct ibb_buf item = {0};
	uint32_t type;
	int r = ibb_hive_get(c->h, k, "PackedCatalogItem", &type, &item, err);

	(void)name;
	if (r)
		return r == IBB_E_NOTFOUND ? IBB_OK : r;
	if (item.len != ITEM_BYTES || c->f->nd_provider ||
	    !(ibb_get_le32(item.data + PROVIDER_FLAGS_OFFSET) & PFL_NETWORKDIRECT_PROVIDER))
		return IBB_OK;
	c->f->nd_provider =
		ibb_strndup((const char *)item.data, strnlen((const char *)item.data, PATH_BYTES));
	return c->f->nd_provider ? IBB_OK : ibb_err_nomem(err);
}

/* The 64-bit catalog of the current control set: what a 64-bit MS-MPI enumerates. */
int ibb_facts_read_winsock(struct ibb_facts *f, struct ibb_error *err)
{
	struct ctx c = {f, f->hives[IBB_HIVE_SYSTEM].hive};
	IBB_AUTO_FREE char *path = NULL;
	ibb_key k;
	int r;

	if (!c.h)
		return IBB_OK;
	path = ibb_asprintf("%s\\Services\\WinSock2\\Parameters\\Protocol_Catalog9\\"
			    "Catalog_Entries64",
			    f->control_set);
	if (!path)
		return ibb_err_nomem(err);
	r = ibb_hive_find(c.h, ibb_hive_root(c.h), path, &k, err);
	if (!r)
		r = ibb_hive_subkeys(c.h, k, look_at_entry, &c, err);
	return r == IBB_E_NOTFOUND ? IBB_OK : r;
}
