/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The parts of the NTFS checker; included by ntfscheck*.c only. */
#ifndef IBB_TEST_NTFSCHECK_INTERNAL_H
#define IBB_TEST_NTFSCHECK_INTERNAL_H

#include <string.h>

#include "base/le.h"
#include "base/utf16.h"
#include "ntfscheck.h"

#define AT_STANDARD	0x10u
#define AT_LIST		0x20u
#define AT_NAME		0x30u
#define AT_OBJECT_ID	0x40u
#define AT_SECURITY	0x50u
#define AT_VOLUME_INFO	0x70u
#define AT_STREAM	0x80u
#define AT_INDEX_ROOT	0x90u
#define AT_INDEX_BLOCKS 0xa0u
#define AT_BITS		0xb0u
#define AT_REPARSE	0xc0u
#define AT_END		0xffffffffu

#define REC_MFT	    0u
#define REC_MIRROR  1u
#define REC_VOLUME  3u
#define REC_ROOT    5u
#define REC_BITMAP  6u
#define REC_BADCLUS 8u
#define REC_SECURE  9u
#define REC_UPCASE  10u
#define REC_EXTEND  11u
#define REC_USER    24u /* the first that is not reserved for the file system */

#define FLAG_IN_USE 0x01u
#define FLAG_DIR    0x02u /* has an index $I30 */
#define FLAG_VIEW   0x08u /* has an index of another kind */

#define ATTR_COMPRESSED 0x00ffu
#define ATTR_SPARSE	0x8000u

#define FILE_REPARSE 0x400u
#define FILE_DUP_DIR 0x10000000u /* in file names: the record has an index $I30 */

#define REF_NO(ref)  ((ref)&0xffffffffffffull)
#define REF_SEQ(ref) ((unsigned)((ref) >> 48))

struct nc_run {
	uint64_t vcn, len, lcn;
	bool hole;
};

/* One attribute with all its pieces. Pointers lead into the table of records. */
struct nc_attr {
	uint32_t type;
	unsigned name_len, flags, unit;
	const uint8_t *name;
	bool resident, broken; /* broken: cannot be read */
	const uint8_t *value;
	uint64_t alloc, size, init, packed; /* packed: what a sparse one really takes */
	struct nc_run *runs;
	size_t n_runs, cap_runs;
	uint64_t next_vcn, real_clusters;
};

struct nc_inode {
	uint64_t no;
	struct nc_attr *attrs;
	size_t n, cap;
};

enum nc_state {
	NC_EMPTY, /* no record */
	NC_FREE,
	NC_BAD, /* in use, but not to be believed */
	NC_BASE,
	NC_EXTENSION
};

struct nc_rec {
	uint8_t state;
	bool in_use, listed, has_std, has_i30, has_reparse, has_object;
	uint8_t walk; /* of the parent chain: 0 not yet, 1 on the way, 2 ends in the root, 3 not */
	uint16_t seq, flags, links;
	unsigned plain_names; /* without those of the DOS name space */
	uint32_t attributes, security_id, tag;
	uint64_t size, alloc, packed;
	size_t first_name, n_names;
};

struct nc_name {
	uint64_t no;
	const uint8_t *fn;
	bool seen;
};

struct nc {
	struct ibb_disk *d;
	struct ibb_error *err;
	struct ntfscheck *out;
	int rc;	    /* the first failure; findings are no failures */
	bool quiet; /* a second look at what was judged already */
	char at[4][200];
	unsigned at_slot;

	uint32_t cluster, rec_size, index_size, mirror_n;
	uint64_t n_clusters, mft_lcn, mirror_lcn;
	unsigned major;

	uint8_t *mft; /* all records, fixups undone */
	uint64_t n_recs, n_loaded;
	struct nc_rec *recs;
	struct nc_name *names;
	size_t n_names, cap_names;

	uint8_t *owned; /* a bit for each cluster */
	size_t owned_bytes;
	uint64_t owned_steps;
	uint16_t *upcase;
};

/* ntfscheck.c */
void nc_fail(struct nc *c, int rc);
const char *nc_at(struct nc *c, const char *fmt, ...) IBB_PRINTF(2, 3);
const char *nc_at_attr(struct nc *c, uint64_t no, uint32_t type, const uint8_t *name, unsigned n);
void nc_error(struct nc *c, const char *code, const char *place, const char *fmt, ...)
	IBB_PRINTF(4, 5);
void nc_note(struct nc *c, const char *code, const char *place, const char *fmt, ...)
	IBB_PRINTF(4, 5);
/* An error about [first, first+n) of something. */
void nc_error_range(struct nc *c, const char *code, const char *place, uint64_t first, uint64_t n);
/* Undo the fixups of a record or block: false, with its error, when they do not fit. */
bool nc_fixup(struct nc *c, uint8_t *p, uint32_t size, const char *code, const char *place);

/* ntfscheck_boot.c */
bool nc_boot(struct nc *c);

/* ntfscheck_mft.c */
bool nc_mft_load(struct nc *c);
void nc_mft_mirror(struct nc *c);
static inline uint8_t *nc_record(const struct nc *c, uint64_t no)
{
	return c->mft + no * c->rec_size;
}
/* The attribute behind `a` (NULL: the first) of a record whose chain was found sound, or NULL. */
const uint8_t *nc_next(const struct nc *c, uint64_t no, const uint8_t *a);
/* Does a reference lead to a base record in use with this sequence number? */
bool nc_ref_ok(const struct nc *c, uint64_t ref);

/* ntfscheck_attr.c */
void nc_add_piece(struct nc *c, struct nc_inode *in, uint64_t no, const uint8_t *a);
bool nc_same_attr(const struct nc_attr *x, uint32_t type, const uint8_t *name, unsigned n);
/* Everything of a base record; nothing of another. */
void nc_assemble(struct nc *c, uint64_t no, struct nc_inode *in);
void nc_inode_clear(struct nc_inode *in);
/* By an ASCII name; NULL when there is none. */
struct nc_attr *nc_attr(struct nc_inode *in, uint32_t type, const char *name);
/* Bytes of an attribute; holes and what is past the initialized size read as zeros. */
bool nc_read(struct nc *c, const struct nc_attr *a, uint64_t off, void *buf, size_t n);

/* ntfscheck_inode.c */
/* Every record in use: gather, check, take the clusters. */
void nc_inodes(struct nc *c);
void nc_extensions(struct nc *c);

/* ntfscheck_bitmap.c */
void nc_own(struct nc *c, const char *place, const struct nc_attr *a);
struct nc_bits {
	const char *place, *clear, *set, *trail; /* codes; trail: of the bits behind the last */
	const uint8_t *want;
	uint64_t n;
	bool trailing; /* what the bits behind the last shall be */
};
void nc_bits_compare(struct nc *c, const struct nc_attr *a, const struct nc_bits *b);
void nc_bitmaps(struct nc *c);

/* ntfscheck_index.c */
struct nc_walk {
	struct nc *c;
	struct nc_inode *in;
	const char *name;
	struct nc_attr *blocks;
	uint32_t block, unit; /* unit: what a VCN counts */
	uint32_t collation;
	uint64_t n_blocks;
	uint8_t *seen; /* a bit for each block */
	uint8_t prev[1024];
	size_t prev_len;
	int leaf_depth;
	/* each entry but the last ones, in order; sizes are checked */
	void (*entry)(struct nc_walk *w, const uint8_t *e);
	void *ctx;
};
void nc_index(struct nc_walk *w);
static inline uint32_t nc_key_len(const uint8_t *e)
{
	return ibb_get_le16(e + 10);
}

/* ntfscheck_dir.c */
void nc_upcase_load(struct nc *c);
void nc_dirs(struct nc *c);

/* ntfscheck_secure.c */
void nc_secure(struct nc *c);
/* $ObjId, $Reparse, $Quota */
void nc_views(struct nc *c);

#endif
