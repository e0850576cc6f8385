/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "mkarchive.h"

#include <locale.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <archive.h>
#include <archive_entry.h>

#include "mkcab.h"

static const struct {
	const char *name;
	int format, filter;
	const char *options;
} forms[MKARCHIVE_N] = {
	[MKARCHIVE_ZIP] = {"zip", ARCHIVE_FORMAT_ZIP, 0, "zip:compression=deflate"},
	[MKARCHIVE_ZIP_STORED] = {"stored zip", ARCHIVE_FORMAT_ZIP, 0, "zip:compression=store"},
	[MKARCHIVE_7Z] = {"7z", ARCHIVE_FORMAT_7ZIP, 0, NULL},
	[MKARCHIVE_TAR_GZ] = {"tar.gz", ARCHIVE_FORMAT_TAR_PAX_RESTRICTED, ARCHIVE_FILTER_GZIP,
			      NULL},
	[MKARCHIVE_TAR_XZ] = {"tar.xz", ARCHIVE_FORMAT_TAR_PAX_RESTRICTED, ARCHIVE_FILTER_XZ, NULL},
	[MKARCHIVE_TAR_BZ2] = {"tar.bz2", ARCHIVE_FORMAT_TAR_PAX_RESTRICTED, ARCHIVE_FILTER_BZIP2,
			       NULL},
	[MKARCHIVE_TAR_ZST] = {"tar.zst", ARCHIVE_FORMAT_TAR_PAX_RESTRICTED, ARCHIVE_FILTER_ZSTD,
			       "zstd:compression-level=3"},
	[MKARCHIVE_GNUTAR] = {"gnutar", ARCHIVE_FORMAT_TAR_GNUTAR, 0, NULL},
	[MKARCHIVE_USTAR] = {"ustar", ARCHIVE_FORMAT_TAR_USTAR, 0, NULL},
	[MKARCHIVE_CAB] = {"cab", 0, 0, NULL},
};

const char *mkarchive_name(enum mkarchive_form f)
{
	return forms[f].name;
}

static void must(struct archive *a, int status)
{
	if (status == ARCHIVE_OK)
		return;
	fprintf(stderr, "mkarchive: %s\n", archive_error_string(a));
	abort();
}

static la_ssize_t take(struct archive *a, void *ctx, const void *p, size_t n)
{
	(void)a;
	if (ibb_buf_append(ctx, p, n))
		abort();
	return (la_ssize_t)n;
}

static size_t length(const struct mkarchive_entry *e)
{
	return e->len || !e->data ? e->len : strlen(e->data);
}

static void add(struct archive *a, const struct mkarchive_entry *e)
{
	struct archive_entry *x = archive_entry_new();

	archive_entry_copy_pathname(x, e->name);
	archive_entry_set_perm(x, 0755);
	archive_entry_set_mtime(x, 1700000000, 0);
	archive_entry_set_size(x, (la_int64_t)length(e));
	archive_entry_set_filetype(x, e->fifo		       ? AE_IFIFO
				      : e->symlink	       ? AE_IFLNK
				      : e->data || e->hardlink ? AE_IFREG
							       : AE_IFDIR);
	if (e->symlink)
		archive_entry_copy_symlink(x, e->symlink);
	if (e->hardlink)
		archive_entry_copy_hardlink(x, e->hardlink);
	must(a, archive_write_header(a, x));
	if (e->data && archive_write_data(a, e->data, length(e)) != (la_ssize_t)length(e))
		must(a, ARCHIVE_FATAL);
	archive_entry_free(x);
}

static struct ibb_buf cab(const struct mkarchive_entry *e, size_t n)
{
	struct mkcab_file *files = calloc(n ? n : 1, sizeof(*files));
	struct ibb_buf out;
	size_t k = 0;

	if (!files)
		abort();
	for (size_t i = 0; i < n; i++)
		if (e[i].data)
			files[k++] = (struct mkcab_file){e[i].name, e[i].data, e[i].len};
	out = mkcab(files, k, MKCAB_MSZIP);
	free(files);
	return out;
}

struct ibb_buf mkarchive(enum mkarchive_form f, const struct mkarchive_entry *e, size_t n)
{
	locale_t utf8, before;
	struct ibb_buf out = {0};
	struct archive *a;

	if (f == MKARCHIVE_CAB)
		return cab(e, n);
	utf8 = newlocale(LC_CTYPE_MASK, "C.UTF-8", (locale_t)0);
	before = uselocale(utf8);
	a = archive_write_new();
	must(a, archive_write_set_format(a, forms[f].format));
	if (forms[f].filter)
		must(a, archive_write_add_filter(a, forms[f].filter));
	if (forms[f].options)
		must(a, archive_write_set_options(a, forms[f].options));
	must(a, archive_write_set_bytes_in_last_block(a, 1));
	must(a, archive_write_open(a, &out, NULL, take, NULL));
	for (size_t i = 0; i < n; i++)
		add(a, &e[i]);
	must(a, archive_write_close(a));
	archive_write_free(a);
	uselocale(before);
	freelocale(utf8);
	return out;
}
