/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Reading records from JSON by a table of fields; every fault names its JSON path. */
#ifndef IBB_CATALOG_READ_H
#define IBB_CATALOG_READ_H

#include "catalog/model.h"

enum cat_type {
	CAT_T_STR,  /* one line of text, not empty */
	CAT_T_WORD, /* one of `words` */
	CAT_T_DATE, /* YYYY, YYYY-MM or YYYY-MM-DD */
	CAT_T_URL,
	CAT_T_SHA256,
	CAT_T_UINT, /* unsigned in [min, max] */
	CAT_T_BOOL,
	CAT_T_STRINGS, /* list of text; `off_n` is where the count goes */
	CAT_T_REF,     /* the record of list `kind` with this id */
	CAT_T_REFS,    /* list of such; `off_n` */
	CAT_T_RANGE,   /* struct cat_range */
	CAT_T_GENS,    /* [1, 2] into two bools, at `off` and `off_n` */
	CAT_T_RECORDS  /* list of objects of the form `sub`; `off_n` */
};

#define CAT_OPT	     1u /* may be absent: what the record held before stays */
#define CAT_NULL     2u /* may be null */
#define CAT_NONEMPTY 4u /* the list needs an item */

struct cat_sub;

struct cat_field {
	const char *key;
	enum cat_type type;
	unsigned flags;
	size_t off, off_n;
	enum cat_kind kind;
	const char *const *words; /* ends with NULL */
	unsigned min, max;
	const struct cat_sub *sub;
};

/* An object inside a record. */
struct cat_sub {
	size_t size;
	const struct cat_field *fields;
	size_t n_fields;
};

/* What a list is called and made of. */
struct cat_list {
	const char *key;  /* "sizes" */
	const char *what; /* "size" */
	size_t size;	  /* of a record */
	const struct cat_field *fields;
	size_t n_fields;
	bool optional, anonymous; /* may be absent; its records have no id */
};
extern const struct cat_list cat_lists[CAT_N_KINDS];

struct cat_reader {
	const char *name; /* of the file that is being read */
	struct ibb_catalog *c;
	struct ibb_error *err;
};

/* IBB_E_CORRUPT "<name>: <path>: ...". */
int cat_fault(struct cat_reader *r, const char *path, const char *fmt, ...)
	IBB_PRINTF(3, 4) IBB_MUST_CHECK;
/* Check one value and put it where the field says. */
int cat_read_field(struct cat_reader *r, const char *path, const struct ibb_json *j,
		   const struct cat_field *f, void *item) IBB_MUST_CHECK;
/* Fill `item` from the object; a member that no field names is a fault too. */
int cat_read_record(struct cat_reader *r, const char *path, const struct ibb_json *j,
		    const struct cat_field *fields, size_t n, void *item) IBB_MUST_CHECK;

/* Name record i of the list as its own file does: "sizes[3]"; faults are of that file from here. */
void cat_place(struct cat_reader *r, enum cat_kind kind, size_t i, char *path, size_t size);

/*
 * Fill the origins of every table from the layers, each record of a later one in the place of the
 * one with its id. What differs is noted as a conflict.
 */
int cat_merge(struct cat_reader *r) IBB_MUST_CHECK;

#endif
