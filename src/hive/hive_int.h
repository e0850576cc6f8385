/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Inside of the hive layer. Names and offsets as in "Windows registry file format specification"
 * (msuhanov/regf). A cell is named by the offset of its size field from the first hive bin;
 * pointers to a cell point behind that field.
 */
#ifndef IBB_HIVE_INT_H
#define IBB_HIVE_INT_H

#include "base/le.h"
#include "base/limits.h"
#include "hive/hive.h"

#define HV_BASE	     4096u /* base block */
#define HV_BIN_ALIGN 4096u
#define HV_PAGE	     4096u
#define HV_BIN_HEAD  32u
#define HV_NONE	     0xFFFFFFFFu

/* Fields of a key node (nk), from the start of the cell's data. */
enum {
	NK_FLAGS = 2,
	NK_TIME = 4,
	NK_PARENT = 16,
	NK_N_SUBKEYS = 20,
	NK_LIST = 28,
	NK_VOLATILE_LIST = 32,
	NK_N_VALUES = 36,
	NK_VALUES = 40,
	NK_SECURITY = 44,
	NK_CLASS = 48,
	NK_MAX_NAME = 52, /* 16 bits; the upper half of the field holds virtualisation flags */
	NK_MAX_VALUE_NAME = 60,
	NK_MAX_VALUE_DATA = 64,
	NK_NAME_LEN = 72,
	NK_CLASS_LEN = 74,
	NK_NAME = 76
};
enum {
	NK_VOLATILE = 0x01,
	NK_HIVE_EXIT = 0x02,
	NK_HIVE_ENTRY = 0x04,
	NK_NO_DELETE = 0x08,
	NK_SYM_LINK = 0x10,
	NK_COMP_NAME = 0x20,
	/* NK_N_VALUES holds a handle: Perflib\\009 in SOFTWARE. Such a key has no values. */
	NK_PREDEF_HANDLE = 0x40
};
enum { VK_NAME_LEN = 2, VK_SIZE = 4, VK_DATA = 8, VK_TYPE = 12, VK_FLAGS = 16, VK_NAME = 20 };
enum { SK_FLINK = 4, SK_BLINK = 8, SK_REFS = 12, SK_SIZE = 16, SK_SD = 20 };
#define VK_RESIDENT  0x80000000u
#define VK_COMP_NAME 0x0001u
enum { DB_N = 2, DB_LIST = 4, DB_LEN = 8 };
#define DB_SEGMENT    16344u /* bytes of big data in one segment */
#define HV_NAME_BYTES 512u   /* 255 characters are documented; 256 were seen */

/* Free cells by size: one class per multiple of 8 up to 1024, then one per power of two. */
#define HV_EXACT_CLASSES 128u
#define HV_CLASSES	 (HV_EXACT_CLASSES + 22u)
struct hv_class {
	uint32_t *off;
	size_t n, cap;
};

struct ibb_hive {
	char *name;
	struct ibb_hive_header header;
	const uint8_t *img; /* base block and bins */
	uint8_t *own;	    /* the same, where it is the hive's to change and to free */
	size_t file_bytes;  /* as opened, with what follows the bins */
	size_t cap;
	uint32_t bins_bytes;
	uint64_t *starts; /* one bit per 8 bytes: a cell, allocated or free, begins here */
	size_t n_words;
	/*
	 * What the first edit leaves behind: the hive as it was. It has the bins that were changed
	 * since, in `img` at their places and marked in `saved`; all others it reads from `now`.
	 */
	struct ibb_hive *before;
	const struct ibb_hive *now;
	uint64_t *saved;    /* one bit per page of 4096 bytes */
	uint64_t *bins;	    /* one bit per page as opened: a bin begins here */
	uint64_t *replayed; /* one bit per page as opened: written by log replay */
	uint32_t pages_opened;
	/*
	 * One bit per 8 bytes as opened: the subkey list of this key was walked and is in order, so
	 * that what a search in it does not find is not there. Not asked once the hive is sound.
	 */
	uint64_t *in_order;
	/*
	 * Offsets of free cells. Entries may be out of date (the image decides); a push that finds
	 * no memory only clears `indexed`, so that freeing never fails.
	 */
	struct hv_class classes[HV_CLASSES];
	size_t n_entries;
	bool indexed;
	bool sound; /* the whole cell graph was checked; edits keep it so */
	/* what some security cells count too much; taken off when the hive is sealed */
	struct hv_excess {
		uint32_t sk, n;
	} * excess;
	size_t n_excess;
	bool edited;
	bool recovered; /* the bytes are not the file's: logs were replayed, or done without */
	uint32_t max_sequence;	/* seen in the hive and its logs */
	struct ibb_buf scratch; /* the name ibb_hive_key_info() returns */
};

/* IBB_E_CORRUPT, "hive NAME: cell at 0x...: what". */
int hv_bad(const struct ibb_hive *h, uint32_t off, struct ibb_error *err, const char *fmt, ...)
	IBB_PRINTF(4, 5);

/* ---- cells (cell.c) ---- */

static inline bool hv_bit(const uint64_t *map, uint32_t i)
{
	return map[i / 64] >> (i % 64) & 1;
}
/* The bytes of the bins at `off`, up to the end of the bin they lie in. */
static inline const uint8_t *hv_at(const struct ibb_hive *h, uint32_t off)
{
	if (h->now && !hv_bit(h->saved, off / HV_PAGE))
		return h->now->img + HV_BASE + off;
	return h->img + HV_BASE + off;
}
static inline const uint8_t *hv_ptr(const struct ibb_hive *h, uint32_t off)
{
	return hv_at(h, off) + 4;
}
/*
 * The only way to write into a hive: what the bin held before its first change is kept. The same
 * pointer as hv_at() and hv_ptr(), valid until the hive grows.
 */
uint8_t *hv_mut_at(struct ibb_hive *h, uint32_t off);
static inline uint8_t *hv_mut(struct ibb_hive *h, uint32_t off)
{
	return hv_mut_at(h, off) + 4;
}
static inline bool hv_is_start(const struct ibb_hive *h, uint32_t off)
{
	return !(off & 7) && off < h->bins_bytes && (h->starts[off / 512] >> (off / 8 % 64) & 1);
}
/* The size field: negative when allocated. Only for a start of a cell. */
static inline int32_t hv_raw_size(const struct ibb_hive *h, uint32_t off)
{
	return (int32_t)ibb_get_le32(hv_at(h, off));
}
/* Bytes behind the size field of an allocated cell. */
static inline uint32_t hv_capacity(const struct ibb_hive *h, uint32_t off)
{
	return (uint32_t)-hv_raw_size(h, off) - 4;
}
/* The data of an allocated cell of at least `min` bytes, or IBB_E_CORRUPT. */
int hv_cell(const struct ibb_hive *h, uint32_t off, uint32_t min, const char *what,
	    const uint8_t **ret, uint32_t *ret_len, struct ibb_error *err) IBB_MUST_CHECK;
int hv_map_bins(struct ibb_hive *h, struct ibb_error *err) IBB_MUST_CHECK;

/*
 * An edit first adds up what it may allocate, reserves that, and from then on cannot fail: an edit
 * is done whole or not at all.
 */
struct hv_need {
	uint64_t bytes;
};
void hv_need_cell(struct hv_need *need, uint64_t len);
/* A cell that hv_regrow() may have to move. */
void hv_need_regrow(struct hv_need *need, uint64_t len);
/* Pointers into the hive are invalid afterwards. IBB_E_NOMEM, IBB_E_LIMIT. */
int hv_reserve(struct ibb_hive *h, const struct hv_need *need,
	       struct ibb_error *err) IBB_MUST_CHECK;
/* Zeroed. Covered by hv_reserve(), so it cannot fail. */
uint32_t hv_alloc(struct ibb_hive *h, uint32_t len);
void hv_free(struct ibb_hive *h, uint32_t off);
/* Make a cell hold at least len bytes of which `used` are kept; where it is now. */
uint32_t hv_regrow(struct ibb_hive *h, uint32_t off, uint32_t len, uint32_t used);
void hv_classes_clear(struct ibb_hive *h);

/* ---- names (name.c) ---- */

/* A name in the hive or UTF-16LE from a caller: n characters (UTF-16 units). */
struct hv_name {
	const uint8_t *p;
	uint32_t n;
	bool latin1; /* compressed: one byte U+00XX each */
};
static inline uint16_t hv_unit(const struct hv_name *s, uint32_t i)
{
	return s->latin1 ? s->p[i] : ibb_get_le16(s->p + 2 * (size_t)i);
}
int hv_name_cmp(const struct hv_name *a, const struct hv_name *b);
bool hv_name_eq(const struct hv_name *a, const struct hv_name *b);
uint32_t hv_name_hash(const struct hv_name *s);
/* The hint of an lf entry: the first four characters, nothing when one is beyond U+00FF. */
void hv_name_hint(const struct hv_name *s, uint8_t hint[4]);
/* Does every character fit in one byte? */
bool hv_name_compressible(const struct hv_name *s);
/* Write it as stored; bytes written. */
uint32_t hv_name_store(const struct hv_name *s, bool latin1, uint8_t *p);
/* Append as UTF-8 with a NUL behind it that is not counted; U+0000 appears as U+2400. */
int hv_name_utf8(const struct hv_name *s, struct ibb_buf *out) IBB_MUST_CHECK;
/* UTF-8 to UTF-16LE. IBB_E_INVALID. The buffer owns what *ret points to. */
int hv_name_encode(const char *s, struct ibb_buf *buf, struct hv_name *ret,
		   struct ibb_error *err) IBB_MUST_CHECK;
/*
 * Cut the first component off a path. IBB_E_INVALID when it is empty or longer than 255.
 */
int hv_path_next(struct hv_name *path, struct hv_name *ret, struct ibb_error *err) IBB_MUST_CHECK;

/* ---- keys and subkey lists (list.c, list_edit.c) ---- */

struct hv_key {
	uint32_t off;
	const uint8_t *p;
	struct hv_name name;
};
static inline uint32_t hv_key_u32(const struct hv_key *k, unsigned field)
{
	return ibb_get_le32(k->p + field);
}
static inline bool hv_key_flag(const struct hv_key *k, unsigned flag)
{
	return ibb_get_le16(k->p + NK_FLAGS) & flag;
}
static inline uint32_t hv_n_values(const struct hv_key *k)
{
	return hv_key_flag(k, NK_PREDEF_HANDLE) ? 0 : hv_key_u32(k, NK_N_VALUES);
}
int hv_key(const struct ibb_hive *h, uint32_t off, struct hv_key *ret,
	   struct ibb_error *err) IBB_MUST_CHECK;
/* The class name as stored (UTF-16LE); empty when there is none. */
int hv_class(const struct ibb_hive *h, const struct hv_key *k, struct ibb_bytes *ret,
	     struct ibb_error *err) IBB_MUST_CHECK;

enum hv_list_kind { HV_LI, HV_LF, HV_LH, HV_RI };
struct hv_list {
	uint32_t off;
	const uint8_t *elems;
	uint32_t n, elem_bytes;
	enum hv_list_kind kind;
};
static inline uint32_t hv_elem(const struct hv_list *l, uint32_t i)
{
	return ibb_get_le32(l->elems + (size_t)i * l->elem_bytes);
}
/* An index root is refused unless root_allowed: roots do not nest. */
int hv_list(const struct ibb_hive *h, uint32_t off, bool root_allowed, struct hv_list *ret,
	    struct ibb_error *err) IBB_MUST_CHECK;

/*
 * Goes through the subkeys of a key. Checks that the names ascend, that each subkey names the key
 * as its parent, and that there are as many as the key says; so a walk from the root ends.
 */
struct hv_iter {
	const struct ibb_hive *h;
	struct hv_key parent;
	struct hv_list root, leaf;
	uint32_t root_i, leaf_i, seen;
	struct hv_name prev;
};
int hv_iter_begin(struct hv_iter *it, const struct ibb_hive *h, const struct hv_key *k,
		  struct ibb_error *err) IBB_MUST_CHECK;
/* ret->off is HV_NONE at the end. */
int hv_iter_next(struct hv_iter *it, struct hv_key *ret, struct ibb_error *err) IBB_MUST_CHECK;
/* Is the hash or hint beside the subkey that was returned last right? */
bool hv_iter_hash_ok(const struct hv_iter *it, const struct hv_key *child);

/* Where a subkey is, or where it belongs. */
struct hv_pos {
	uint32_t root; /* the key's list cell, HV_NONE when it has no subkeys */
	bool is_ri;
	uint32_t leaf_i; /* in the index root */
	uint32_t leaf;
	uint32_t i;
	uint32_t child; /* HV_NONE when it is not there */
};
int hv_find_child(const struct ibb_hive *h, const struct hv_key *k, const struct hv_name *name,
		  struct hv_pos *ret, struct ibb_error *err) IBB_MUST_CHECK;
/* Need a sound hive, and hv_reserve() of what these say. */
int hv_need_insert(const struct ibb_hive *h, const struct hv_pos *pos, struct hv_need *need,
		   struct ibb_error *err) IBB_MUST_CHECK;
void hv_need_remove(struct hv_need *need);
void hv_list_insert(struct ibb_hive *h, uint32_t parent, struct hv_pos pos, uint32_t child);
void hv_list_remove(struct ibb_hive *h, uint32_t parent, const struct hv_pos *pos);

/* ---- values (value.c) ---- */

struct hv_value {
	uint32_t off;
	struct hv_name name;
	uint32_t type, size;
	uint32_t data_cell;  /* HV_NONE when there is none */
	const uint8_t *data; /* NULL for big data */
	bool big;
};
int hv_value(const struct ibb_hive *h, uint32_t off, struct hv_value *ret,
	     struct ibb_error *err) IBB_MUST_CHECK;
/* The value list of a key: *ret_n offsets at *ret. */
int hv_values(const struct ibb_hive *h, const struct hv_key *k, const uint8_t **ret,
	      uint32_t *ret_n, struct ibb_error *err) IBB_MUST_CHECK;
/* ret->off is HV_NONE and *ret_i the number of values when it is not there. */
int hv_find_value(const struct ibb_hive *h, const struct hv_key *k, const struct hv_name *name,
		  struct hv_value *ret, uint32_t *ret_i, struct ibb_error *err) IBB_MUST_CHECK;
/* Big data: the list of segments, after all of them were checked. */
int hv_big(const struct ibb_hive *h, const struct hv_value *v, const uint8_t **ret_segments,
	   uint32_t *ret_n, uint32_t *ret_list, struct ibb_error *err) IBB_MUST_CHECK;
/* The data in one piece: in the hive, or for big data copied into *tmp. */
int hv_value_data(const struct ibb_hive *h, const struct hv_value *v, struct ibb_buf *tmp,
		  struct ibb_bytes *ret, struct ibb_error *err) IBB_MUST_CHECK;

/* ---- security (security.c) ---- */

struct hv_sk {
	uint32_t off, flink, blink, refs;
	struct ibb_bytes sd;
};
int hv_sk(const struct ibb_hive *h, uint32_t off, struct hv_sk *ret,
	  struct ibb_error *err) IBB_MUST_CHECK;
/* Take n references away; the last one frees the cell. Sound hive. */
void hv_sk_release(struct ibb_hive *h, uint32_t off, uint32_t n);

/* ---- the hive as it was (before.c) ---- */

/* Called by the first edit, and before a hive that was recovered is sealed without one. */
int hv_keep_before(struct ibb_hive *h, struct ibb_error *err) IBB_MUST_CHECK;

/* ---- recovery (log.c, log_new.c, log_old.c, marvin.c): raw bytes, no struct ibb_hive ---- */

/* Marvin32 with the seed of log entries. */
uint64_t hv_marvin32(const void *p, size_t n);

#define HV_SECTOR 512u
/* Fields of a base block. */
enum {
	HV_BB_SEQ1 = 4,
	HV_BB_SEQ2 = 8,
	HV_BB_TIME = 12,
	HV_BB_TYPE = 28,
	HV_BB_FORMAT = 32,
	HV_BB_ROOT = 36,
	HV_BB_BINS = 40,
	HV_BB_CLUSTERING = 44,
	HV_BB_FLAGS = 144,
	HV_BB_CHECKSUM = 508
};

/* A log while it is looked at; bytes[0..start) is its base block when that is sound. */
struct hv_log {
	struct ibb_bytes bytes;
	struct ibb_hive_log_report *report;
	bool sound;   /* its base block can be relied on */
	bool damaged; /* its base block cannot, and no interrupted writer explains that */
	uint32_t start;
	uint32_t seq, bins;
	uint64_t time;
	uint32_t n_run;	  /* new format: entries that follow one another from `start` */
	uint32_t n_late;  /* of a damaged log: entries that the hive may not hold yet */
	uint32_t n_dirty; /* old format: pages; 0 when the log cannot be applied */
	size_t pages_at;
};

struct hv_recovery {
	struct ibb_buf *hive;
	struct hv_log logs[IBB_HIVE_MAX_LOGS];
	size_t n_logs;
	bool is_regf, base_ok; /* base_ok: signature and checksum */
	uint32_t seq1, seq2, bins;
	uint64_t time; /* last written; from the first bin when the base block is bad */
	uint64_t *pages;
	struct ibb_hive_recovery *ret;
};

/* The logs to apply, in order. */
struct hv_plan {
	struct hv_log *logs[IBB_HIVE_MAX_LOGS];
	size_t n;
};

/* Set the reason why nothing, or nothing more, of a log is applied. */
void hv_log_why(struct hv_log *log, const char *fmt, ...) IBB_PRINTF(2, 3);
/* Find the sound entries; *max rises to their highest sequence number. */
void hv_log_scan(struct hv_log *log, uint32_t late_from, uint32_t *max);
/* The log a bad base block is restored from: of those with entries the newest. NULL: none. */
struct hv_log *hv_new_newest(struct hv_recovery *rec);
void hv_new_plan(struct hv_recovery *rec, struct hv_plan *ret);
/* Sequence number of the last entry that can be applied. */
uint32_t hv_new_last(const struct hv_log *log);
int hv_new_apply(struct hv_recovery *rec, const struct hv_plan *plan,
		 struct ibb_error *err) IBB_MUST_CHECK;
/* Find the dirty vector and its pages. */
void hv_old_scan(struct hv_log *log);
void hv_old_plan(struct hv_recovery *rec, struct hv_plan *ret);
int hv_old_apply(struct hv_recovery *rec, const struct hv_plan *plan,
		 struct ibb_error *err) IBB_MUST_CHECK;

/*
 * The steps of applying. The first is the only one that can fail: it makes room for `bins` bytes
 * of hive bins, of which the first `keep` are the hive's, and the others zero.
 */
int hv_rec_resize(struct hv_recovery *rec, uint32_t keep, uint32_t bins,
		  struct ibb_error *err) IBB_MUST_CHECK;
void hv_rec_base(struct hv_recovery *rec, const struct hv_log *log);
void hv_rec_write(struct hv_recovery *rec, uint32_t off, const uint8_t *p, uint32_t n);
void hv_rec_finish(struct hv_recovery *rec, uint32_t seq, uint32_t bins);

/* ---- editing (edit.c, check.c) ---- */

/* Called by every edit first: checks the whole hive once. */
int hv_begin_edit(struct ibb_hive *h, struct ibb_error *err) IBB_MUST_CHECK;
void hv_set_time(struct ibb_hive *h, uint32_t key, uint64_t time);
uint32_t hv_checksum(const uint8_t *base);

#endif
