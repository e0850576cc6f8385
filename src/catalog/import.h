/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The VM extension's own list of drivers (resources.json), made into an overlay. Pure over text. */
#ifndef IBB_CATALOG_IMPORT_H
#define IBB_CATALOG_IMPORT_H

#include "base/json.h"
#include "catalog/catalog.h"

struct ibb_import_counts {
	size_t entries;		/* of the file */
	size_t used;		/* of them; one extension entry may stand for several */
	size_t new_entries;	/* of the overlay: NIC and URL */
	size_t new_releases;	/* whose URL `base` does not have */
	size_t recommendations; /* for a Windows for which `base` has none */
	size_t repairs;
};

/*
 * Every form that the file ever had: a byte order mark, any line ends, and a comma before a closing
 * bracket, which no reading but one is possible for; each is told with line and column. Other
 * faults of the JSON are IBB_E_CORRUPT, another document than such a list is IBB_E_UNSUPPORTED.
 *
 * `base` knows NICs, Windows and releases. What was done with every entry goes into the object
 * `report` ("repairs", "entries"). *ret_overlay is a catalog for ibb_catalog_load_all() behind
 * `base`; NULL when nothing could be used. ibb_json_free() it.
 */
int ibb_catalog_import_text(const struct ibb_catalog *base, const struct ibb_catalog_text *file,
			    struct ibb_jb *b, struct ibb_json *report,
			    struct ibb_import_counts *ret, struct ibb_json **ret_overlay,
			    struct ibb_error *err) IBB_MUST_CHECK;

#endif
