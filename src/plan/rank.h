/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Microsoft's driver rank, for one device function: a package that is at hand against what the
 * driver database of the image records. Feature score, identifier score, DriverVer date and version
 * all stand in the database (DeviceIds, Version), for inbox packages as well, so no INF of the
 * image has to be read. The signature part is equal for all packages Windows
 * trusts; what is not signed ranks below all of them. Source:
 * Microsoft, "How Windows Ranks Drivers", "Identifier Score", "Feature Score".
 */
#ifndef IBB_PLAN_RANK_H
#define IBB_PLAN_RANK_H

#include "driver/package.h"
#include "inspect/facts.h"

#define IBB_MAX_RANK_IDS 16

/* The IDs a device function reports: hardware IDs first, then compatible ones. */
struct ibb_rank_ids {
	const char *ids[IBB_MAX_RANK_IDS];
	bool compatible[IBB_MAX_RANK_IDS];
	unsigned place[IBB_MAX_RANK_IDS]; /* among the hardware or the compatible IDs */
	size_t n;
	char text[4][128];
};
/*
 * From a device ID. For PCI\VEN_v&DEV_d&SUBSYS_s&REV_r these are, in Windows' order, the hardware
 * IDs VEN&DEV&SUBSYS&REV and VEN&DEV&SUBSYS and the compatible IDs VEN&DEV&REV and VEN&DEV (the
 * class code forms in between are left out: no class code is known offline). Other IDs stand alone.
 */
void ibb_rank_ids_of(const char *id, struct ibb_rank_ids *ret);

struct ibb_rank {
	unsigned feature, identifier; /* lower is better */
	uint64_t date, version;	      /* higher is better */
	bool unsigned_;		      /* loses to every signed one, before all else */
};
/* The THHH of Microsoft's rank for one device ID and one ID of a models line. */
unsigned ibb_rank_identifier(bool dev_compatible, unsigned place, bool inf_compatible,
			     unsigned inf_index);

/* <0: a is chosen over b; 0: they rank alike. *ret_why is static text. */
int ibb_rank_compare(const struct ibb_rank *a, const struct ibb_rank *b, const char **ret_why);

/* How the package ranks for the device; *ret_id is NULL when it does not serve it. */
int ibb_rank_package(struct ibb_package *p, const struct ibb_rank_ids *dev, struct ibb_rank *ret,
		     const char **ret_id, struct ibb_error *err) IBB_MUST_CHECK;

/*
 * The best package of the image for the device, `but` (may be NULL) and what is identical to it
 * left out; ret->package is NULL when there is none. Only active packages count.
 */
int ibb_rank_image(const struct ibb_facts *f, const struct ibb_rank_ids *dev,
		   const struct ibb_package *but, struct ibb_fact_match *ret,
		   struct ibb_rank *ret_rank, struct ibb_error *err) IBB_MUST_CHECK;

#endif
