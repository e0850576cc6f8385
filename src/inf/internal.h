/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What the files of the inf layer share. Nothing outside src/inf includes this. */
#ifndef IBB_INF_INTERNAL_H
#define IBB_INF_INTERNAL_H

#include "inf/inf.h"

/* ---- map.c: names to numbers, case-insensitive; the keys are borrowed ---- */

struct ibb_inf_map_slot {
	const char *key; /* NULL: free */
	uint32_t len, hash;
	size_t value;
};
struct ibb_inf_map {
	struct ibb_inf_map_slot *slots;
	size_t cap, n;
};
/* The first value put under a key stays. IBB_OK or IBB_E_NOMEM. */
int ibb_inf_map_put(struct ibb_inf_map *m, const char *key, size_t value) IBB_MUST_CHECK;
bool ibb_inf_map_get(const struct ibb_inf_map *m, const char *key, size_t len, size_t *ret);
void ibb_inf_map_clear(struct ibb_inf_map *m);
#define IBB_AUTO_MAP __attribute__((cleanup(ibb_inf_map_clear)))

/* ---- the parsed file ---- */

/* A list of files that CopyFiles names, or one @file. */
struct ibb_inf_copy {
	const struct ibb_inf_section *list; /* NULL for @file */
	const char *file;
	unsigned line;
	int dirid;
	const char *subdir;
};

struct ibb_inf_install_entry {
	struct ibb_inf_install_entry *next; /* same name, other architecture */
	enum ibb_arch arch;
	struct ibb_inf_install pub;
	size_t n_copies, n_copyinf;
	const struct ibb_inf_copy *copies;
	const char *const *copyinf;
};

struct ibb_inf_models_entry {
	struct ibb_inf_models_entry *next;
	struct ibb_inf_target target;
	struct ibb_inf_models pub;
};

struct ibb_inf {
	char *name;
	enum ibb_inf_encoding encoding;
	struct ibb_buf text; /* UTF-8; the lexer cuts it into strings in place */
	struct ibb_inf_line *lines;
	size_t n_lines;
	const char **fields; /* raw fields of all lines */
	size_t n_fields, fields_cap;
	struct ibb_inf_section *sections;
	size_t n_sections, sections_cap;
	struct ibb_inf_map section_map; /* -> index into sections */
	struct ibb_inf_map strings;	/* -> index into lines */
	struct ibb_arena arena;

	/* caches; see models.c and install.c */
	struct ibb_inf_models_entry *models;
	struct ibb_inf_map install_map; /* -> index into installs */
	struct ibb_inf_install_entry **installs;
	size_t n_installs, installs_cap;
	struct ibb_inf_map dest_dirs; /* DestinationDirs key -> line index in that section */
	bool dest_dirs_ready;
	uint32_t *stamps; /* one a section: last evaluation that visited it */
	uint32_t epoch;
	uint8_t *addreg; /* one a section: see install.c */
};

/* decode.c: bytes to UTF-8 text that ends in '\n' and NUL, cut at Ctrl-Z, free of NUL. */
int ibb_inf_decode(struct ibb_inf *inf, struct ibb_bytes bytes,
		   struct ibb_error *err) IBB_MUST_CHECK;
/* lex.c: inf->text to sections, lines and raw fields. */
int ibb_inf_lex(struct ibb_inf *inf, struct ibb_error *err) IBB_MUST_CHECK;
/* strings.c: choose the Strings sections, then set keys and fields of every line. */
int ibb_inf_expand(struct ibb_inf *inf, struct ibb_error *err) IBB_MUST_CHECK;

/* ---- helpers ---- */

/* Decimal or 0x hexadecimal, nothing else around it, at most max. */
bool ibb_inf_number(const char *s, uint64_t max, uint64_t *ret);

/* Field i of a line, "" when it is not there. */
static inline const char *ibb_inf_field(const struct ibb_inf_line *l, size_t i)
{
	return i < l->n ? l->fields[i] : "";
}

/* The index of a section that belongs to inf. */
static inline size_t ibb_inf_index(const struct ibb_inf *inf, const struct ibb_inf_section *s)
{
	return (size_t)(s - inf->sections);
}

/* As ibb_inf_install(), but IBB_E_NOTFOUND (err not set) when there is no such section. */
int ibb_inf_install_get(struct ibb_inf *inf, const struct ibb_inf_target *t, const char *section,
			const struct ibb_inf_install_entry **ret,
			struct ibb_error *err) IBB_MUST_CHECK;

/* Architectures of decorations that no Windows of ours runs on, but INFs still name. */
#define IBB_INF_ARCH_IA64 ((enum ibb_arch)6)

#endif
