/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The scratch volume: an empty NTFS volume from the build, in a memory file. Directories of the
 * image are copied into it as far as something is put below them, with their security descriptor
 * only: that is what new objects inherit, and wimlib keeps what the image says of a directory.
 */
#include "volume/wim_stage.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/le.h"
#include "base/limits.h"
#include "base/path.h"
#include "base/utf16.h"
#include "volume/security.h"
#include "volume/wim_template.h"

/* What the volume's own structures may take beside the content of one change. */
#define SPARE_BYTES (1u << 20)
#define COUNT_BYTES 4096u

/* ---- paths ---- */

/* Where it is, or where it belongs. */
static size_t paths_at(const struct wim_paths *l, const char *path, bool *ret_found)
{
	size_t lo = 0, hi = l->n;

	*ret_found = false;
	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;
		int c = ibb_casecmp(l->items[mid], path);

		if (!c)
			*ret_found = true;
		if (c < 0)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

bool wim_paths_has(const struct wim_paths *l, const char *path)
{
	bool found;

	(void)paths_at(l, path, &found);
	return found;
}

int wim_paths_add(struct wim_paths *l, const char *path, struct ibb_error *err)
{
	IBB_AUTO_FREE char *copy = NULL;
	bool found;
	size_t at = paths_at(l, path, &found);

	if (found)
		return IBB_OK;
	copy = ibb_strdup(path);
	if (!copy || ibb_grow(&l->items, &l->cap, l->n, sizeof(*l->items)))
		return ibb_err_nomem(err);
	memmove(l->items + at + 1, l->items + at, (l->n - at) * sizeof(*l->items));
	l->items[at] = IBB_TAKE(copy);
	l->n++;
	return IBB_OK;
}

void wim_paths_drop(struct wim_paths *l, const char *path)
{
	bool found;
	size_t at = paths_at(l, path, &found);

	if (!found)
		return;
	free(l->items[at]);
	l->n--;
	memmove(l->items + at, l->items + at + 1, (l->n - at) * sizeof(*l->items));
}

/* By components: another case may have another length. */
static bool lies_below(const char *path, const char *dir)
{
	size_t n = strcspn(path, "/");

	for (const char *d = dir + strcspn(dir, "/"); *d && path[n]; d += 1 + strcspn(d + 1, "/"))
		n += 1 + strcspn(path + n + 1, "/");
	return path[n] && !ibb_ncasecmp(path, n, dir, strlen(dir));
}

bool wim_paths_below(const struct wim_paths *l, const char *dir)
{
	for (size_t i = 0; i < l->n; i++)
		if (lies_below(l->items[i], dir))
			return true;
	return false;
}

void wim_paths_clear(struct wim_paths *l)
{
	for (size_t i = 0; i < l->n; i++)
		free(l->items[i]);
	free(l->items);
	*l = (struct wim_paths){0};
}

bool wim_paths_cover(const struct wim_paths *l, const char *path)
{
	char prefix[IBB_LIMIT_PATH_CHARS + 1];

	if (!l->n)
		return false;
	for (size_t n = strcspn(path, "/");; n += 1 + strcspn(path + n + 1, "/")) {
		snprintf(prefix, sizeof(prefix), "%.*s", (int)n, path);
		if (wim_paths_has(l, prefix))
			return true;
		if (!path[n])
			return false;
	}
}

bool ibb_wim_is_removed(const struct wim_be *b, const char *path)
{
	return wim_paths_cover(&b->removed, path);
}

bool ibb_wim_is_staged(const struct wim_be *b, const char *path)
{
	return wim_paths_cover(&b->staged, path);
}

/* ---- the volume ---- */

static int write_count(struct ibb_disk *d, const struct wim_template_run *r, struct ibb_error *err)
{
	uint8_t buf[COUNT_BYTES];
	int rc = IBB_OK;

	for (uint32_t at = 0, n; !rc && at < r->len; at += n) {
		n = r->len - at < sizeof(buf) ? r->len - at : (uint32_t)sizeof(buf);
		for (uint32_t i = 0; i < n; i += 2)
			ibb_put_le16(buf + i, (uint16_t)(r->arg + (at + i) / 2));
		rc = ibb_disk_pwrite(d, buf, n, r->off + at, err);
	}
	return rc;
}

static int write_fill(struct ibb_disk *d, const struct wim_template_run *r, struct ibb_error *err)
{
	uint8_t buf[COUNT_BYTES];
	int rc = IBB_OK;

	memset(buf, (int)r->arg, sizeof(buf));
	for (uint32_t at = 0, n; !rc && at < r->len; at += n) {
		n = r->len - at < sizeof(buf) ? r->len - at : (uint32_t)sizeof(buf);
		rc = ibb_disk_pwrite(d, buf, n, r->off + at, err);
	}
	return rc;
}

static int write_template(struct ibb_disk *d, struct ibb_error *err)
{
	int rc = IBB_OK;

	for (size_t i = 0; !rc && i < ibb_wim_template_n; i++) {
		const struct wim_template_run *r = &ibb_wim_template_runs[i];

		if (r->kind == TEMPLATE_FILL)
			rc = write_fill(d, r, err);
		else if (r->kind == TEMPLATE_COUNT)
			rc = write_count(d, r, err);
		else
			rc = ibb_disk_pwrite(d, ibb_wim_template_data + r->arg, r->len, r->off,
					     err);
	}
	return rc;
}

/* How much of all scratch volumes of the WIM there is in memory. */
static void account(struct wim_be *b)
{
	uint64_t now = b->scratch_disk ? ibb_disk_memfd_bytes(b->scratch_disk) : 0;

	b->wim->staged_memory = b->wim->staged_memory - b->scratch_memory + now;
	b->scratch_memory = now;
}

static int make_room(struct wim_be *b, uint64_t bytes, struct ibb_error *err)
{
	uint64_t limit = b->wim->staged_limit ? b->wim->staged_limit : IBB_LIMIT_WIM_STAGED, want;
	int rc;

	if (b->scratch_disk && !b->scratch_memory)
		return IBB_OK; /* in a file already */
	if (ibb_add_u64(b->wim->staged_memory, bytes, &want) &&
	    ibb_add_u64(want, SPARE_BYTES, &want) && want <= limit)
		return IBB_OK;
	if (!b->temp_dir) {
		ibb_err(err, IBB_E_LIMIT, "%s, image %u: more than %llu MiB of new content",
			b->wim->name, b->index, (unsigned long long)(limit >> 20));
		return ibb_err_hint(err, IBB_E_LIMIT,
				    "stage fewer or smaller driver packages in one run");
	}
	rc = ibb_disk_memfd_to_file(b->scratch_disk, b->temp_dir, err);
	if (rc)
		return ibb_err_hint(err, rc,
				    "new content past %llu MiB lies there: make room, or name "
				    "another directory in TMPDIR",
				    (unsigned long long)(limit >> 20));
	account(b);
	return IBB_OK;
}

/* The scratch volume is sound, and takes every other descriptor. */
int wim_bad_security(const struct wim_be *b, const struct wim_node *node, struct ibb_error *err)
{
	return ibb_err(err, IBB_E_CORRUPT, "%s, image %u: %s: its security descriptor is damaged",
		       b->wim->name, b->index, *node->path ? node->path : "the root directory");
}

/* The descriptor of a directory that has none: one from which the same is inherited. */
static int import(struct wim_be *b, const struct wim_node *node, struct ibb_error *err)
{
	IBB_AUTO_BUF struct ibb_buf made = {0};
	struct ibb_bytes sd = ibb_buf_bytes(&node->security);
	int rc = IBB_OK;

	if (!sd.len) {
		rc = ibb_security_inherit((struct ibb_bytes){0}, true, &made, err);
		sd = ibb_buf_bytes(&made);
	}
	if (!rc)
		rc = wim_paths_add(&b->copies, node->path, err);
	if (!rc)
		rc = wim_scratch_changed(b, ibb_ntfs_import_dir(b->scratch, node->path, sd, err));
	return rc == IBB_E_CORRUPT ? wim_bad_security(b, node, err) : rc;
}

static int copy_root(struct wim_be *b, struct ibb_error *err)
{
	struct wim_node node = {0};
	int rc = ibb_wim_lookup(b->wim, b->index, "", &node, err);

	if (!rc)
		rc = import(b, &node, err);
	ibb_wim_node_clear(&node);
	return rc;
}

static int open_scratch(struct wim_be *b, struct ibb_error *err)
{
	IBB_AUTO_FREE char *name = NULL;
	int rc;

	if (b->scratch)
		return IBB_OK;
	name = ibb_asprintf("changes of %s, image %u", b->wim->name, b->index);
	if (!name)
		return ibb_err_nomem(err);
	rc = ibb_disk_memfd_new(name, ibb_wim_template_bytes, b->temp_dir, &b->scratch_disk, err);
	if (!rc)
		rc = write_template(b->scratch_disk, err);
	if (!rc)
		rc = ibb_volume_open_ntfs_scratch(b->scratch_disk, &b->scratch, err);
	if (!rc)
		rc = copy_root(b, err);
	if (rc)
		wim_scratch_clear(b);
	else
		account(b);
	return rc;
}

void wim_scratch_clear(struct wim_be *b)
{
	ibb_volume_close(IBB_TAKE(b->scratch));
	ibb_disk_unref(IBB_TAKE(b->scratch_disk));
	account(b);
	wim_paths_clear(&b->copies);
	wim_paths_clear(&b->staged);
}

int wim_scratch_changed(struct wim_be *b, int rc)
{
	if (rc && b->scratch->changed)
		b->base.changed = true;
	account(b);
	return rc;
}

static int no_directory(const char *path, const char *dir, struct ibb_error *err)
{
	return ibb_err(err, IBB_E_NOTFOUND, "%s: no directory '%s'", path, dir);
}

/* "$Secure" and its like, which an image may hold as plain names. */
static int check_free_name(struct wim_be *b, const char *path, const char *dir,
			   struct ibb_error *err)
{
	struct ibb_error e = {0};
	struct ibb_stat st;
	int rc = ibb_volume_stat(b->scratch, dir, &st, &e);

	if (rc == IBB_E_NOTFOUND)
		return IBB_OK;
	if (!rc)
		return ibb_err(err, IBB_E_UNSUPPORTED, "%s: NTFS keeps the name '%s' for itself",
			       path, dir);
	if (err)
		*err = e;
	return rc;
}

int wim_scratch_check_unique(struct wim_be *b, const char *path, struct ibb_error *err)
{
	char part[IBB_LIMIT_PATH_CHARS + 1];
	size_t n = 0;
	int rc = IBB_OK;

	while (!rc && path[n]) {
		n += n ? 1 : 0;
		n += strcspn(path + n, "/");
		snprintf(part, sizeof(part), "%.*s", (int)n, path);
		if (wim_paths_has(&b->staged, part))
			break;
		if (!wim_paths_has(&b->copies, part))
			rc = ibb_wim_check_unique(b->wim, b->index, part, err);
	}
	return rc;
}

/* One directory of the image whose parent has been copied. */
static int copy_dir(struct wim_be *b, const char *path, const char *dir, struct ibb_error *err)
{
	struct wim_node node = {0};
	int rc = IBB_E_NOTFOUND;

	if (!ibb_wim_is_removed(b, dir))
		rc = ibb_wim_lookup(b->wim, b->index, dir, &node, err);
	if (rc == IBB_E_NOTFOUND)
		return no_directory(path, dir, err);
	if (rc)
		return rc;
	if (ibb_wim_is_removed(b, node.path))
		rc = no_directory(path, dir, err);
	else if (node.st.reparse_tag)
		rc = ibb_wim_check_plain(&node, err);
	else if (node.st.type != IBB_FILE_DIRECTORY)
		rc = ibb_err(err, IBB_E_NOTFOUND, "%s: %s is no directory", path, node.path);
	else
		rc = check_free_name(b, path, node.path, err);
	if (!rc)
		rc = ibb_wim_check_unique(b->wim, b->index, node.path, err);
	if (!rc)
		rc = import(b, &node, err);
	ibb_wim_node_clear(&node);
	return rc;
}

static int prepare_dir(struct wim_be *b, const char *path, const char *dir, struct ibb_error *err)
{
	struct ibb_stat st = {0};
	int rc;

	if (wim_paths_has(&b->copies, dir))
		return IBB_OK;
	if (!wim_paths_has(&b->staged, dir))
		return copy_dir(b, path, dir, err);
	rc = ibb_volume_stat(b->scratch, dir, &st, err);
	if (!rc && st.type != IBB_FILE_DIRECTORY)
		rc = ibb_err(err, IBB_E_NOTFOUND, "%s: %s is no directory", path, dir);
	return rc;
}

int wim_scratch_prepare(struct wim_be *b, const char *path, uint64_t bytes, struct ibb_error *err)
{
	char dir[IBB_LIMIT_PATH_CHARS + 1];
	size_t len = ibb_path_dir_len(path);
	int rc = open_scratch(b, err);

	snprintf(dir, sizeof(dir), "%.*s", (int)len, path);
	/* the usual case: it is there, so all above it are */
	if (!rc && len && wim_paths_has(&b->copies, dir))
		len = 0;
	for (size_t n = 0; !rc && n < len; n++) {
		n += strcspn(path + n, "/");
		snprintf(dir, sizeof(dir), "%.*s", (int)n, path);
		rc = prepare_dir(b, path, dir, err);
	}
	return rc ? rc : make_room(b, bytes, err);
}
