/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * An MSI's database. Microsoft documents its tables ("Windows Installer, Database Tables") and not
 * their form in the file; that is known from Wine's and msitools' readers of it: a stream a table,
 * column by column, strings by their number in a pool, integers with the top bit turned over.
 */
#ifndef IBB_UNPACK_MSI_INTERNAL_H
#define IBB_UNPACK_MSI_INTERNAL_H

#include "unpack/cfb.h"

/* ---- names and texts (msi_names.c) ---- */

/*
 * The name of a stream as UTF-8: two letters of 64 are packed into one unit. A table's begins with
 * a '!'. NULL: no memory.
 */
char *msi_stream_name(const struct cfb_stream *s) IBB_MUST_CHECK;
/* NULL: there is none. *ret_oom when memory is short. */
const struct cfb_stream *msi_find_stream(const struct cfb *c, const char *name, bool *ret_oom);

/*
 * Bytes of a code page to UTF-8. Plain ASCII is right in every one. IBB_E_UNSUPPORTED for a code
 * page that this system cannot convert, IBB_E_CORRUPT when the bytes are none of it.
 */
int msi_text(const char *name, unsigned code_page, const char *p, size_t n, char **ret,
	     struct ibb_error *err) IBB_MUST_CHECK;

/* ---- tables (msi_tables.c) ---- */

struct msi_db {
	struct cfb c;
	const char *name; /* for messages, borrowed */
	unsigned code_page, ref_bytes;
	struct ibb_buf strings;
	uint32_t *at; /* n_strings + 1 offsets into it; number 0 is the empty string */
	uint32_t n_strings;
	struct ibb_buf tables, columns;
};

int msi_open(const struct unpack_source *s, struct msi_db *ret,
	     struct ibb_error *err) IBB_MUST_CHECK;
void msi_close(struct msi_db *db);
/* The bytes of a string; numbers from msi_str() only. */
struct ibb_bytes msi_string(const struct msi_db *db, uint32_t number);
/* The number of a string that is equal to this text; 0 when there is none. */
uint32_t msi_string_number(const struct msi_db *db, const char *text);

#define MSI_MAX_COLUMNS 32

struct msi_table {
	struct ibb_buf data;
	uint32_t n_rows;
	unsigned n_columns;
	struct {
		uint32_t name;
		uint16_t type;
		unsigned bytes;
		size_t at; /* of its first row in data */
	} columns[MSI_MAX_COLUMNS];
	const char *name;
};
/* A table that does not exist has no rows and no columns. */
int msi_load(const struct msi_db *db, const char *table, struct msi_table *ret,
	     struct ibb_error *err) IBB_MUST_CHECK;
void msi_table_clear(struct msi_table *t);
/* Which column has this name; IBB_E_CORRUPT when there is none. */
int msi_column(const struct msi_db *db, const struct msi_table *t, const char *name, bool string,
	       unsigned *ret, struct ibb_error *err) IBB_MUST_CHECK;
/* A field of a string column: a number below n_strings, 0 for NULL. */
int msi_str(const struct msi_db *db, const struct msi_table *t, uint32_t row, unsigned column,
	    uint32_t *ret, struct ibb_error *err) IBB_MUST_CHECK;
/* A field of an integer column; false for NULL. */
bool msi_int(const struct msi_table *t, uint32_t row, unsigned column, int32_t *ret);

/* ---- what is to be written (msi_plan.c) ---- */

#define MSI_NO_MEDIUM UINT32_MAX

struct msi_file {
	uint32_t key;	    /* a string */
	uint32_t component; /* likewise */
	uint32_t variant;   /* a number of msi_variants.c */
	uint32_t size;
	int32_t sequence;
	uint32_t medium; /* index of the one whose cabinet has it, or MSI_NO_MEDIUM */
	char *path;	 /* where it is installed */
	char *source;	 /* where it lies beside the MSI when in no cabinet, else NULL */
	bool came;
};
struct msi_medium {
	int32_t disk, last;
	char *cabinet; /* NULL: none; "#name": a stream */
};
struct msi_plan {
	struct msi_file *files; /* by sequence */
	size_t n_files;
	struct msi_medium *media; /* by their last sequence */
	size_t n_media;
};
/* No two files have one path; what that took, the tree is warned of. */
int msi_plan_make(const struct msi_db *db, struct unpack_tree *t, struct msi_plan *ret,
		  struct ibb_error *err) IBB_MUST_CHECK;
void msi_plan_clear(struct msi_plan *p);

/* ---- files with one target path (msi_variants.c) ---- */

/* Changes paths. IBB_E_CONFLICT when one component has two files of one name. */
int msi_keep_apart(const struct msi_db *db, struct msi_plan *p, struct unpack_tree *t,
		   struct ibb_error *err) IBB_MUST_CHECK;

/* ---- cabinets (msi_cab.c) ---- */

/*
 * Takes the files of medium `m` out of its cabinet; `cab` says where that lies. Every file is there
 * with its size, which is looked up before anything is written.
 */
int msi_extract_cab(const struct msi_db *db, struct msi_plan *p, uint32_t m,
		    const struct unpack_source *cab, struct unpack_tree *t,
		    struct ibb_error *err) IBB_MUST_CHECK;
/* IBB_E_UNSUPPORTED with the remedy that works for every MSI. */
int msi_refuse(struct ibb_error *err, const char *fmt, ...) IBB_PRINTF(2, 3);

#endif
