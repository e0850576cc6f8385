/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Compound files ([MS-CFB]) and MSI databases for tests, sound or not. Abort when memory is short.
 */
#ifndef IBB_TEST_MKMSI_H
#define IBB_TEST_MKMSI_H

#include "base/buf.h"

struct mkcfb_stream {
	const char *name; /* ASCII; packed as an MSI's is, a leading '!' marks a table */
	const void *data;
	size_t len;
};
struct mkcfb {
	unsigned version; /* 3 or 4 */
	uint8_t class;	  /* first byte of the root's class: 0x84 is an MSI */
	/* Where things got, for tests that damage them: offsets in the file. */
	size_t fat_at, minifat_at, dir_at, difat_at;
};
struct ibb_buf mkcfb(struct mkcfb *how, const struct mkcfb_stream *s, size_t n);

struct mkmsi_file {
	const char *key, *component, *name;
	int32_t size;
	int attributes, sequence;
};
struct mkmsi_component {
	const char *key, *directory, *condition, *feature;
};
struct mkmsi_dir {
	const char *key, *parent, *name;
};
struct mkmsi_medium {
	int disk, last;
	const char *cabinet;
};
struct mkmsi {
	const struct mkmsi_file *files;
	const struct mkmsi_component *components;
	const struct mkmsi_dir *dirs;
	const struct mkmsi_medium *media;
	const struct mkcfb_stream *streams; /* cabinets */
	size_t n_files, n_components, n_dirs, n_media, n_streams;
	unsigned version;   /* of the compound file; 0: 3 */
	unsigned code_page; /* 0: 1252 */
	bool neutral;	    /* the code page is really 0 */
	bool long_refs;
	int words; /* of the summary; -1: there is none */
	bool no_file_table;
};
struct ibb_buf mkmsi(const struct mkmsi *m, struct mkcfb *ret_how);

/* A setup program of InstallShield, to the description in unpack/installshield.c. */
struct mkis_file {
	const char *name;
	const void *data;
	size_t len;
	unsigned flags;
	bool packed; /* is compressed on the way in */
};
enum mkis_form { MKIS_OLD, MKIS_STREAM, MKIS_STREAM_4 };
/* The payload alone. */
struct ibb_buf mkis(enum mkis_form form, const struct mkis_file *f, size_t n);
/* Behind a program. */
struct ibb_buf mkis_program(enum mkis_form form, const struct mkis_file *f, size_t n);

#endif
