/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Split WIMs: install.swm, install2.swm, install3.swm, ... in one directory. */
#include "volume/wim_internal.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/path.h"

/* What of a command that names the parts has room in a hint, behind its beginning. */
#define HINT_BYTES (sizeof(((struct ibb_error *)NULL)->hint) - 64)

/* Where the number goes: in front of the extension. */
static size_t stem_len(const char *path)
{
	const char *base = ibb_path_base(path), *dot = strrchr(base, '.');

	return dot && dot != base ? (size_t)(dot - path) : strlen(path);
}

char *ibb_wim_part_path(const char *first, unsigned n)
{
	size_t stem = stem_len(first);

	if (n == 1)
		return ibb_strdup(first);
	return ibb_asprintf("%.*s%u%s", (int)stem, first, n, first + stem);
}

int ibb_wim_not_first(const struct ibb_wim *w, struct ibb_error *err)
{
	size_t stem = stem_len(w->name), n;
	char number[16];

	(void)ibb_err(err, IBB_E_UNSUPPORTED, "%s: is part %u of %u of a split WIM, without images",
		      w->name, w->header.part, w->header.parts);
	n = (size_t)snprintf(number, sizeof(number), "%u", w->header.part);
	if (stem <= n || memcmp(w->name + stem - n, number, n) != 0)
		return ibb_err_hint(err, IBB_E_UNSUPPORTED, "give the first part");
	return ibb_err_hint(err, IBB_E_UNSUPPORTED, "give the first part: %.*s%s", (int)(stem - n),
			    w->name, w->name + stem);
}

/* A path for a shell, as it is or quoted. */
static int add_word(struct ibb_buf *b, const char *path, size_t n, bool plain)
{
	int r = plain ? IBB_OK : ibb_buf_append(b, "'", 1);

	if (!r)
		r = ibb_buf_append(b, path, n);
	return r || plain ? r : ibb_buf_append(b, "'", 1);
}

/* Each part by its name: a pattern with a star would take in what only looks like one. */
static int list_parts(const struct ibb_wim *w, bool plain, struct ibb_buf *b)
{
	int r = IBB_OK;

	for (unsigned n = 1; n <= w->header.parts && b->len < HINT_BYTES && !r; n++) {
		IBB_AUTO_FREE char *path = ibb_wim_part_path(w->name, n);

		r = path ? ibb_buf_append(b, " ", 1) : IBB_E_NOMEM;
		if (!r)
			r = add_word(b, path, strlen(path), plain);
	}
	return r;
}

/* The same, shorter, for a shell that counts. */
static int count_parts(const struct ibb_wim *w, bool plain, struct ibb_buf *b)
{
	size_t stem = stem_len(w->name);
	char numbers[32];
	int n = snprintf(numbers, sizeof(numbers), "{,{2..%u}}", w->header.parts);
	int r;

	b->len = 0;
	r = ibb_buf_append(b, " ", 1);
	if (!r)
		r = add_word(b, w->name, stem, plain);
	if (!r)
		r = ibb_buf_append(b, numbers, (size_t)n);
	return r || !w->name[stem] ? r : add_word(b, w->name + stem, strlen(w->name + stem), plain);
}

int ibb_wim_hint_join(const struct ibb_wim *w, int code, struct ibb_error *err)
{
	static const char join[] = "join the parts%s: wimlib-imagex join OUT.wim%.*s";
	IBB_AUTO_BUF struct ibb_buf b = {0};
	bool counted = false;
	bool plain = strspn(w->name, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
				     "0123456789_-+.,:@=/") == strlen(w->name) &&
		     w->name[0] != '-';
	int r = strchr(w->name, '\'') ? IBB_E_UNSUPPORTED : list_parts(w, plain, &b);

	if (!r && b.len >= HINT_BYTES) {
		counted = true;
		r = count_parts(w, plain, &b);
	}
	/* no memory, no room: what can still be said */
	if (r || b.len >= HINT_BYTES)
		return ibb_err_hint(err, code, join, "", (int)strlen(" PART1 PART2 ..."),
				    " PART1 PART2 ...");
	return ibb_err_hint(err, code, join, counted ? " (in bash)" : "", (int)b.len,
			    (const char *)b.data);
}

static int check_part(struct ibb_wim *w, unsigned n, struct ibb_error *err)
{
	const struct wim_header *first = &w->header;
	struct wim_header h;
	int rc = ibb_wim_header_read(w->parts[n - 1], &h, err);

	if (rc)
		return rc;
	if (!ibb_guid_equal(&h.guid, &first->guid) || h.parts != first->parts)
		return ibb_err(err, IBB_E_CONFLICT, "%s: is not a part of the same WIM as %s",
			       w->parts[n - 1]->name, w->name);
	if (h.part != n)
		return ibb_err(err, IBB_E_CONFLICT, "%s: is part %u of the WIM, not part %u",
			       w->parts[n - 1]->name, h.part, n);
	if (h.pipable != first->pipable || h.chunk_bytes != first->chunk_bytes ||
	    ((h.flags ^ first->flags) & WIM_FLAGS_OF_COMPRESSION))
		return ibb_err(err, IBB_E_CORRUPT, "%s: compressed otherwise than part 1",
			       w->parts[n - 1]->name);
	return IBB_OK;
}

static int open_part(struct ibb_wim *w, unsigned n, struct ibb_error *err)
{
	IBB_AUTO_FREE char *path = ibb_wim_part_path(w->path, n);
	int rc;

	if (!path)
		return ibb_err_nomem(err);
	rc = ibb_disk_file_open(path, &w->part_ids[n - 1], &w->parts[n - 1], err);
	if (rc == IBB_E_IO && err && err->os_errno == ENOENT) {
		(void)ibb_err(err, IBB_E_NOTFOUND,
			      "%s: part %u of %u of the split WIM is missing: %s", w->name, n,
			      w->header.parts, path);
		return ibb_err_hint(err, IBB_E_NOTFOUND, "put all %u parts into one directory",
				    w->header.parts);
	}
	return rc ? rc : check_part(w, n, err);
}

int ibb_wim_parts_open(struct ibb_wim *w, struct ibb_error *err)
{
	struct ibb_error own;
	int rc = IBB_OK;

	/* the error says whether a part is not there */
	if (!err)
		err = &own;
	w->parts = ibb_calloc_array(w->header.parts, sizeof(*w->parts));
	w->part_ids = ibb_calloc_array(w->header.parts, sizeof(*w->part_ids));
	if (!w->parts || !w->part_ids)
		return ibb_err_nomem(err);
	w->parts[0] = w->file;
	for (unsigned n = 2; !rc && n <= w->header.parts; n++)
		rc = open_part(w, n, err);
	return rc;
}

int ibb_wim_parts_reference(struct ibb_wim *w, struct ibb_error *err)
{
	for (unsigned n = 2; n <= w->header.parts; n++) {
		IBB_AUTO_FREE char *path = ibb_wim_part_path(w->path, n);
		const char *one = path;
		int code;

		if (!path)
			return ibb_err_nomem(err);
		code = wimlib_reference_resource_files(w->lib, &one, 1, 0, 0);
		if (code)
			return ibb_wim_fail(w, code, err, "part %u", n);
	}
	return IBB_OK;
}
