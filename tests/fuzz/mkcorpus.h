/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Making seeds: hives cut out of larger ones, cell by cell. */
#ifndef IBB_MKCORPUS_H
#define IBB_MKCORPUS_H

#include "base/buf.h"

#define CUT_MAX (96u << 10) /* of a seed, whatever the budget */

/* The parts that ibbake does not write itself are put in on the way. */
struct cut_how {
	uint32_t budget;      /* bytes: when this is used up, further subkeys are left out */
	unsigned max_subkeys; /* of one key; 0: all */
	char list[3];	      /* "li", "lf": instead of what is there */
	unsigned leaf;	      /* make index roots over leaves of this many */
	bool classes;	      /* give every key a class name */
	bool big;	      /* make the first value with data a big one */
	bool leak;	      /* leave cells that nobody refers to */
	uint32_t minor;	      /* format version 1.x; 0: as it is */
};

/*
 * The subtree of the key at `key` as a hive of its own: the cells byte by byte as they are, but for
 * the offsets in them and for lists that get shorter. `hive` may be damaged; what cannot be
 * followed is left out.
 */
int cut_hive(struct ibb_bytes hive, uint32_t key, const struct cut_how *how, struct ibb_buf *ret);

/* ---- what mkcorpus.c has for the others ---- */

/* Write OUT/TARGET/NAME, or exit. */
void mkcorpus_write(const char *target, const char *name, const void *p, size_t n);
/* Read IBB_TEST_DATA/hives/REL; false when it is not there. */
bool mkcorpus_read(const char *rel, struct ibb_buf *ret);
/* The same of any other part of IBB_TEST_DATA. */
bool mkcorpus_read_from(const char *area, const char *rel, struct ibb_buf *ret);
/* Cut off what follows the bins. */
void mkcorpus_trim(struct ibb_buf *hive);
/* mkcorpus_log.c */
void mkcorpus_logs(void);
/* mkcorpus_vhd.c */
void mkcorpus_vhds(void);
/* mkcorpus_cat.c */
void mkcorpus_catalogs(void);
/* mkcorpus_journal.c */
void mkcorpus_journals(void);
/* mkcorpus_fat.c */
void mkcorpus_fat(void);
/* mkcorpus_msi.c */
void mkcorpus_msi(void);
/* mkcorpus_unpack.c */
void mkcorpus_unpack(void);
/* mkcorpus_wim.c */
void mkcorpus_wim(void);
/* mkcorpus_vhdx.c */
void mkcorpus_vhdx(void);

#endif
