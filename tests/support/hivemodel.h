/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What a hive ought to hold after edits: a tree of plain structs, kept beside the hive by a test
 * and sharing nothing with it. Lack of memory ends the program: it is a test's.
 */
#ifndef TEST_HIVEMODEL_H
#define TEST_HIVEMODEL_H

#include "hivedump.h"

struct m_sd {
	char sum[DUMP_SD_SIZE];
	uint8_t *data;
	size_t n;
};

struct m_value {
	char *name;
	uint32_t type;
	uint8_t *data;
	size_t n;
};

struct m_key {
	char *name;
	struct m_key *parent;
	struct m_key **sub;
	size_t n_sub, cap_sub;
	struct m_value *val;
	size_t n_val, cap_val;
	uint64_t time;
	const struct m_sd *sd;
	size_t at;   /* in model.all */
	bool added;  /* since the beginning */
	bool pinned; /* marked as not to be deleted */
	bool link;   /* symbolic link: nothing is made below it */
	bool handle; /* stands for a predefined handle: no values are set */
	bool odd;    /* cannot be named by a path: U+2400 or '\' in it, or no name */
};

struct model {
	struct m_key *root;
	struct m_key **all;
	size_t n_all, cap_all;
	struct m_sd **sd;
	size_t n_sd, cap_sd;
};

void model_load(struct model *m, struct ibb_hive *h);
void model_clear(struct model *m);
/* Names are equal when they differ in case only: in the scripts that the test's names are of. */
bool model_same_name(const char *a, const char *b);
struct m_key *model_sub(const struct m_key *k, const char *name);
struct m_value *model_value(const struct m_key *k, const char *name);
const struct m_sd *model_sd(struct model *m, const uint8_t *data, size_t n);
struct m_key *model_add(struct model *m, struct m_key *parent, const char *name, uint64_t time,
			const struct m_sd *sd);
void model_set(struct m_key *k, const char *name, uint32_t type, const uint8_t *data, size_t n);
void model_unset(struct m_key *k, struct m_value *v);
void model_delete(struct model *m, struct m_key *k);
/* As ibb_hive_find() takes it; free() it. */
char *model_path(const struct m_key *k);
void model_dump(const struct model *m, struct dump *d);

_Noreturn void die(const char *fmt, ...) IBB_PRINTF(1, 2);
/* Memory, or the end. */
void *must(void *p);

#endif
