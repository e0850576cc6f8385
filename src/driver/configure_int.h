/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What the configure*.c files share. Nothing else includes this. */
#ifndef IBB_DRIVER_CONFIGURE_INT_H
#define IBB_DRIVER_CONFIGURE_INT_H

#include "driver/configure.h"

/* winnt.h */
enum {
	CFG_NONE = 0,
	CFG_SZ = 1,
	CFG_EXPAND_SZ = 2,
	CFG_BINARY = 3,
	CFG_DWORD = 4,
	CFG_MULTI_SZ = 7,
	CFG_QWORD = 11
};
/* A property of DEVPROP_TYPE t is stored as a default value of this type. */
#define CFG_DEVPROP(t)	   (0xffff0000u | (t))
#define CFG_DEVPROP_UINT32 CFG_DEVPROP(0x07u)
#define CFG_DEVPROP_STRING CFG_DEVPROP(0x12u)
#define CFG_IS_DEVPROP(t)  (((t) >> 16) == 0xffffu)

struct builder {
	struct ibb_package *p;
	const struct ibb_configure_opts *opts;
	struct ibb_configuration *c;
	struct ibb_error *err;
	struct ibb_inf_files files;
	/* the install section being worked on */
	struct ibb_config_section *section;
	const struct ibb_merge_step *step;
	bool have_service;
};

/* ---- configure_data.c: registry data ---- */

/* Data in the arena; IBB_E_NOMEM or, for text that is no UTF-8, IBB_E_CORRUPT. */
int ibb_cfg_sz(struct ibb_arena *a, const char *s, struct ibb_bytes *ret, struct ibb_error *err);
int ibb_cfg_multi_sz(struct ibb_arena *a, const struct ibb_string_list *list, struct ibb_bytes *ret,
		     struct ibb_error *err);
int ibb_cfg_dword(struct ibb_arena *a, uint32_t v, struct ibb_bytes *ret, struct ibb_error *err);
/* Back. IBB_E_CORRUPT (no message) when the data are not exactly what the functions above make. */
int ibb_cfg_read_sz(struct ibb_arena *a, struct ibb_bytes b, const char **ret);
int ibb_cfg_read_multi_sz(struct ibb_arena *a, struct ibb_bytes b, struct ibb_string_list *ret);
int ibb_cfg_read_dword(struct ibb_bytes b, uint32_t *ret);

int ibb_cfg_push(struct ibb_configure_values *list, const struct ibb_configure_value *v,
		 struct ibb_error *err);
/* Push a value of the types above. */
int ibb_cfg_push_sz(struct ibb_configure_values *list, struct ibb_arena *a,
		    struct ibb_configure_value v, const char *s, struct ibb_error *err);
int ibb_cfg_push_dword(struct ibb_configure_values *list, struct ibb_arena *a,
		       struct ibb_configure_value v, uint32_t n, struct ibb_error *err);
int ibb_cfg_push_multi(struct ibb_configure_values *list, struct ibb_arena *a,
		       struct ibb_configure_value v, const struct ibb_string_list *s,
		       struct ibb_error *err);
/* "<file>:<line>: <what>" in the arena, NULL when memory is short. */
const char *ibb_cfg_evidence(struct ibb_arena *a, const struct ibb_inf *inf, unsigned line,
			     const char *what);

/* ---- configure_section.c: one install section into b->section ---- */

int ibb_cfg_section(struct builder *b, const struct ibb_merge *m);

/* ---- configure_service.c ---- */

int ibb_cfg_add_service(struct builder *b, const struct ibb_inf_line *l);
/*
 * Add to a list, or bring together with what is there. Which of two different values Windows would
 * keep is only certain where one list appends to another; elsewhere: IBB_E_UNSUPPORTED.
 */
int ibb_cfg_put(struct builder *b, struct ibb_configure_values *list,
		const struct ibb_configure_value *v, bool appends);
/* Every value of a list that AddReg or DelReg names, by root HKR, to the section's values below
 * `key`; with a live key they are also set there. */
struct ibb_cfg_target {
	const char *key;  /* below the configuration, or NULL */
	const char *live; /* below the control set, or NULL */
	/* The part's own meaning of a value; *taken: nothing is left to do. May be NULL. */
	int (*special)(struct builder *b, const struct ibb_inf_reg *reg, const char *evidence,
		       bool *taken);
};
int ibb_cfg_registry(struct builder *b, const struct ibb_inf_line *l, bool delete,
		     const struct ibb_cfg_target *t);

/* ---- configure_files.c ---- */

int ibb_cfg_copy_files(struct builder *b, const struct ibb_inf_line *l);
/* "Windows/System32/drivers" for a directory number; NULL when it is not one that is known. */
const char *ibb_cfg_directory(int dirid);
int ibb_cfg_lockdown(struct builder *b);

/* ---- configure_ids.c ---- */

int ibb_cfg_descriptors(struct builder *b);

#endif
