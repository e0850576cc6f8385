/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Registry hives, on bytes.
 *
 * Format facts: msuhanov/regf, "Windows registry file format specification". Every offset and size
 * of the file is checked before it is used. Keys are named by the offset of their key node (nk)
 * cell relative to the first hive bin; a handle is valid until the key is deleted.
 * Key paths use '\' between names; names compare by Windows' upcase table. An empty name in a path
 * is IBB_E_INVALID. U+0000 in a name of the hive is shown as U+2400; such a name is not found by
 * its spelling.
 */
#ifndef IBB_HIVE_HIVE_H
#define IBB_HIVE_HIVE_H

#include "base/buf.h"
#include "base/hash.h"
#include "base/limits.h"

struct ibb_hive;
typedef uint32_t ibb_key;

/* winnt.h value types; types of 0xFFFF0000 | DEVPROPTYPE occur in DriverDatabase as well. */
enum {
	IBB_REG_NONE = 0,
	IBB_REG_SZ = 1,
	IBB_REG_EXPAND_SZ = 2,
	IBB_REG_BINARY = 3,
	IBB_REG_DWORD = 4,
	IBB_REG_DWORD_BE = 5,
	IBB_REG_LINK = 6,
	IBB_REG_MULTI_SZ = 7,
	IBB_REG_QWORD = 11
};

/* The base block, readable also when the hive as a whole is not. */
struct ibb_hive_header {
	uint32_t seq1, seq2;
	uint64_t last_written; /* FILETIME */
	uint32_t major, minor; /* 1.3 to 1.6 */
	uint32_t file_type;    /* 0 primary */
	uint32_t root_cell;
	uint32_t bins_bytes;
	uint32_t checksum, computed_checksum;
	bool checksum_ok, dirty;    /* dirty: sequence numbers differ or the checksum is wrong */
	char file_name[64 * 3 + 1]; /* UTF-8, as stored */
};
/* Signature and size only are required. IBB_E_CORRUPT. `name` is used in messages everywhere. */
int ibb_hive_header_read(const char *name, struct ibb_bytes bytes, struct ibb_hive_header *ret,
			 struct ibb_error *err) IBB_MUST_CHECK;

/*
 * Open a hive for reading and editing. Ownership of *bytes moves to the
 * hive on success (it is emptied). Checks: signature, version 1.3-1.6, file type, checksum, equal
 * sequence numbers (else IBB_E_DIRTY; hint: boot Windows once and shut it down), bins size against
 * file size, every bin header, the cell chain of every bin. Trees are checked as they are walked.
 */
int ibb_hive_open(const char *name, struct ibb_buf *bytes, struct ibb_hive **ret,
		  struct ibb_error *err) IBB_MUST_CHECK;
/* The same to read only, on bytes that stay the caller's and must outlive the hive. */
int ibb_hive_open_view(const char *name, struct ibb_bytes bytes, struct ibb_hive **ret,
		       struct ibb_error *err) IBB_MUST_CHECK;
/* A new, minimal hive (format 1.5, one bin, root key with the given name, SYSTEM/Administrators
 * full control). For tests and generators. */
int ibb_hive_new(const char *root_name, uint64_t time, struct ibb_hive **ret,
		 struct ibb_error *err) IBB_MUST_CHECK;
void ibb_hive_close(struct ibb_hive *h);
IBB_DEFINE_CLEANUP(struct ibb_hive *, ibb_hive_close)
const char *ibb_hive_name(const struct ibb_hive *h);
/* As opened; only bins_bytes follows edits. */
const struct ibb_hive_header *ibb_hive_header(const struct ibb_hive *h);

/* ---- reading ---- */

ibb_key ibb_hive_root(const struct ibb_hive *h);
/* Walk `path` (may be "") from `from`. IBB_E_NOTFOUND is expected; IBB_E_CORRUPT. */
int ibb_hive_find(const struct ibb_hive *h, ibb_key from, const char *path, ibb_key *ret,
		  struct ibb_error *err) IBB_MUST_CHECK;

struct ibb_key_info {
	const char *name;      /* UTF-8; valid during the callback, or until the next call */
	uint64_t last_written; /* FILETIME */
	uint32_t n_subkeys, n_values;
	uint16_t flags;
	uint32_t security_cell; /* sk */
	bool is_link;		/* symbolic link key: not followed */
};
int ibb_hive_key_info(struct ibb_hive *h, ibb_key k, struct ibb_key_info *ret,
		      struct ibb_error *err) IBB_MUST_CHECK;
/* In hive order (sorted by upper-cased name). A non-zero return stops and is passed on. */
typedef int (*ibb_subkey_fn)(void *ctx, ibb_key k, const char *name, struct ibb_error *err);
int ibb_hive_subkeys(const struct ibb_hive *h, ibb_key k, ibb_subkey_fn fn, void *ctx,
		     struct ibb_error *err) IBB_MUST_CHECK;

struct ibb_value {
	const char *name; /* UTF-8, "" for the default value; valid during the callback */
	uint32_t type;
	const uint8_t *data; /* valid while the hive is not edited; for big data: the callback */
	uint32_t size;
};
typedef int (*ibb_value_fn)(void *ctx, const struct ibb_value *v, struct ibb_error *err);
int ibb_hive_values(const struct ibb_hive *h, ibb_key k, ibb_value_fn fn, void *ctx,
		    struct ibb_error *err) IBB_MUST_CHECK;

/* One value. *ret_data receives a copy appended to an empty buffer. IBB_E_NOTFOUND expected. */
int ibb_hive_get(const struct ibb_hive *h, ibb_key k, const char *value, uint32_t *ret_type,
		 struct ibb_buf *ret_data, struct ibb_error *err) IBB_MUST_CHECK;
/* Typed convenience; `path` below `from`. Wrong type or size: IBB_E_CORRUPT. */
int ibb_hive_get_dword(const struct ibb_hive *h, ibb_key from, const char *path, const char *value,
		       uint32_t *ret, struct ibb_error *err) IBB_MUST_CHECK;
/* REG_SZ or REG_EXPAND_SZ as UTF-8 up to the first NUL; free() it. */
int ibb_hive_get_string(const struct ibb_hive *h, ibb_key from, const char *path, const char *value,
			char **ret, struct ibb_error *err) IBB_MUST_CHECK;

/* ---- recovery ---- */

#define IBB_HIVE_MAX_LOGS 3
/* Words of a bitmap with one bit for each 4096-byte page that hive bins data may have. */
#define IBB_HIVE_PAGE_WORDS (IBB_LIMIT_HIVE_BYTES / 4096 / 64)

/* A transaction log file as found beside the hive (.LOG, .LOG1, .LOG2, in that order). */
struct ibb_hive_log {
	const char *name; /* for messages */
	struct ibb_bytes bytes;
};
enum ibb_hive_log_format {
	IBB_HIVE_LOG_EMPTY,  /* no bytes, or no base block at all (zeros): nothing in it */
	IBB_HIVE_LOG_OLD,    /* DIRT: dirty vector and pages */
	IBB_HIVE_LOG_NEW,    /* HvLE: log entries */
	IBB_HIVE_LOG_UNKNOWN /* something else */
};
struct ibb_hive_log_report {
	enum ibb_hive_log_format format;
	bool base_ok;	     /* signature, checksum, file type, equal sequence numbers */
	uint32_t seq1, seq2; /* of its base block */
	uint32_t n_entries;  /* both hashes right, anywhere in it, remnants too; old: 0 or 1 */
	uint32_t first_sequence, last_sequence; /* lowest and highest of these */
	uint32_t n_applied;			/* entries; old format: 0 or 1 */
	char why[200]; /* why nothing, or nothing more, of it was applied; "" otherwise */
};
struct ibb_hive_recovery {
	bool dirty;	     /* as found */
	bool replayed;	     /* something of a log was applied */
	bool base_recovered; /* the base block came from a log */
	bool accepted; /* what the logs lack is done without, because the caller accepts that */
	/* accepted although sound entries up to this number follow behind a gap; 0: none */
	uint32_t lost_to;
	/* The highest in the hive, the logs' base blocks and every sound log entry. */
	uint32_t max_sequence;
	uint32_t bins_before, bins_after; /* bytes of hive bins */
	uint64_t bytes_applied;
	size_t n_logs;
	struct ibb_hive_log_report logs[IBB_HIVE_MAX_LOGS];
};
/*
 * Make a hive that was read from a volume clean: a dirty one is brought up to date from its
 * transaction logs, in *hive (which may grow). A clean one is left as it is and its logs are only
 * looked at (max_sequence). The result has equal sequence numbers (that of the last entry applied)
 * and a right checksum. `pages` (may be NULL, IBB_HIVE_PAGE_WORDS words, zeroed by the caller) gets
 * a bit for every page of hive bins data that was written.
 * Dirty and no log can be applied, or only a part while sound entries follow behind a gap (Windows
 * would stop there as well, and lose them): IBB_E_DIRTY, with the reason of each log in the message
 * and the remedy as hint, unless accept_dirty. *hive is untouched on failure. IBB_E_CORRUPT,
 * IBB_E_LIMIT, IBB_E_NOMEM; IBB_E_UNSUPPORTED when it is dirty and a sequence number is 0xffffffff,
 * above which no write can go. *ret is filled also when the result is IBB_E_DIRTY. What the logs
 * say about cells is not looked at: ibb_hive_open() and ibb_hive_check() do that to the result.
 */
int ibb_hive_recover(const char *name, struct ibb_buf *hive, const struct ibb_hive_log *logs,
		     size_t n_logs, bool accept_dirty, uint64_t *pages,
		     struct ibb_hive_recovery *ret, struct ibb_error *err) IBB_MUST_CHECK;

/*
 * ibb_hive_recover() and ibb_hive_open() in one. Sealing writes what was recovered, with sequence
 * numbers above every one seen; without an edit hive and logs stay as they are in the volume.
 */
int ibb_hive_open_logged(const char *name, struct ibb_buf *bytes, const struct ibb_hive_log *logs,
			 size_t n_logs, bool accept_dirty, struct ibb_hive_recovery *ret_recovery,
			 struct ibb_hive **ret, struct ibb_error *err) IBB_MUST_CHECK;

/* ---- editing ---- */

/*
 * The first edit checks the whole hive as ibb_hive_check() does (a few milliseconds) and refuses a
 * damaged one: IBB_E_CORRUPT. Only security reference counts that are too high are tolerated, and
 * put right when the hive is sealed.
 * Every edit is done whole or, when it fails, not at all. Data and descriptors given may lie in the
 * hive itself. Creating or deleting a subkey sets the parent's time as Windows does.
 * IBB_E_NOMEM, IBB_E_LIMIT; handles of other keys stay valid, pointers into the hive do not.
 */

/* Where a new key takes its security descriptor from. */
enum ibb_key_security {
	IBB_KEY_SECURITY_PARENT, /* the parent's sk cell, shared */
	IBB_KEY_SECURITY_LIKE	 /* the sk cell of another key, shared */
};
/*
 * Make sure `path` below `from` exists; missing keys are created with the given time and
 * security. *ret_created (may be NULL) is the number of keys created. IBB_E_UNSUPPORTED below a
 * symbolic link: Windows would look for the key elsewhere.
 */
int ibb_hive_create(struct ibb_hive *h, ibb_key from, const char *path,
		    enum ibb_key_security security, ibb_key like, uint64_t time, ibb_key *ret,
		    unsigned *ret_created, struct ibb_error *err) IBB_MUST_CHECK;
/* Give a key a descriptor of its own (found among the hive's sk cells, or added). */
int ibb_hive_set_security(struct ibb_hive *h, ibb_key k, struct ibb_bytes sd,
			  struct ibb_error *err) IBB_MUST_CHECK;
int ibb_hive_get_security(const struct ibb_hive *h, ibb_key k, struct ibb_bytes *ret,
			  struct ibb_error *err) IBB_MUST_CHECK;
/*
 * Set or replace a value of up to IBB_LIMIT_HIVE_VALUE_BYTES (IBB_E_LIMIT); the key's time becomes
 * `time`. Data of more than 16344 bytes is stored as big data, in one cell before format 1.4.
 * IBB_E_UNSUPPORTED for a key that stands for a predefined handle.
 */
int ibb_hive_set(struct ibb_hive *h, ibb_key k, const char *value, uint32_t type, const void *data,
		 size_t n, uint64_t time, struct ibb_error *err) IBB_MUST_CHECK;
/* IBB_E_NOTFOUND when it is not there. */
int ibb_hive_unset(struct ibb_hive *h, ibb_key k, const char *value, uint64_t time,
		   struct ibb_error *err) IBB_MUST_CHECK;
/*
 * Delete a key and everything below it. Not the root (IBB_E_INVALID). IBB_E_UNSUPPORTED when a key
 * marked as not to be deleted lies in it.
 */
int ibb_hive_delete(struct ibb_hive *h, ibb_key k, uint64_t time,
		    struct ibb_error *err) IBB_MUST_CHECK;

/*
 * The hive as clean bytes, which stay the hive's and are valid until the next edit: sequence
 * numbers equal and above every one seen in the hive and its logs, checksum right, last-written =
 * time. The hive stays usable; sealing again raises the numbers again. A hive that was neither
 * edited nor recovered from its logs gives the bytes it was opened from. IBB_E_UNSUPPORTED when no
 * higher sequence number exists.
 */
int ibb_hive_seal(struct ibb_hive *h, uint64_t time, struct ibb_bytes *ret,
		  struct ibb_error *err) IBB_MUST_CHECK;
/* The same, copied into *ret. */
int ibb_hive_serialize(struct ibb_hive *h, uint64_t time, struct ibb_buf *ret,
		       struct ibb_error *err) IBB_MUST_CHECK;
bool ibb_hive_edited(const struct ibb_hive *h);
/*
 * The hive as it was opened (and recovered), to be read while `h` is edited further; it lives and
 * dies with `h`. Its memory is proportional to what the edits changed.
 */
const struct ibb_hive *ibb_hive_before(const struct ibb_hive *h);
/* May the 4096 bytes at this offset of the file differ from the file that was opened? */
bool ibb_hive_page_changed(const struct ibb_hive *h, uint64_t file_offset);

/* ---- proof ---- */

/*
 * Check the whole cell graph: every reachable cell allocated and in bounds, no cell used twice,
 * subkey lists sorted and hashed right, value counts right, sk reference counts and ring right.
 * Unreferenced allocated cells and security cells that count too many keys are counted, not an
 * error: both only waste space.
 */
struct ibb_hive_check {
	uint64_t keys, values, security_cells, big_values;
	uint64_t free_bytes, leaked_cells;
	/* security cells that count more keys than use them; sealing an edited hive puts them right
	 */
	uint64_t excess_counts;
};
int ibb_hive_check(const struct ibb_hive *h, struct ibb_hive_check *ret,
		   struct ibb_error *err) IBB_MUST_CHECK;

/* Differences between two hives, in the order of the tree. */
enum ibb_hive_diff_kind {
	IBB_DIFF_KEY_ADDED,
	IBB_DIFF_KEY_REMOVED,
	IBB_DIFF_KEY_SECURITY, /* another security descriptor */
	IBB_DIFF_KEY_KIND,     /* other flags (symbolic link...) or another class name */
	IBB_DIFF_VALUE_ADDED,
	IBB_DIFF_VALUE_REMOVED,
	IBB_DIFF_VALUE_CHANGED /* type or data */
};
struct ibb_hive_diff {
	enum ibb_hive_diff_kind kind;
	const char *path;		/* key, without the root's name */
	const char *value;		/* NULL for key differences */
	struct ibb_value before, after; /* where they apply */
};
/* An added or removed key is reported once, then its values and subkeys one by one. */
typedef int (*ibb_hive_diff_fn)(void *ctx, const struct ibb_hive_diff *d, struct ibb_error *err);
int ibb_hive_compare(const struct ibb_hive *before, const struct ibb_hive *after,
		     ibb_hive_diff_fn fn, void *ctx, struct ibb_error *err) IBB_MUST_CHECK;

#endif
