/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What is staged goes to the WIM, in memory: names that go are deleted, then wimlib adds the whole
 * scratch volume to the root. It merges directories and keeps what the image says of those that
 * exist. Nothing of that is believed: the image is read back and held against the scratch volume.
 *
 * wimlib keeps the scratch volume mounted by a descriptor of its own until the content has been
 * written; ours is kept beside it (see wim_internal.h), which costs nothing.
 */
#include "volume/wim_stage.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/utf16.h"

#define ATTRIBUTE_NORMAL 0x80u

/* Some attributes say nothing, or the same in two ways: NTFS has no "normal". */
static uint32_t comparable(uint32_t attributes)
{
	return attributes & ~ATTRIBUTE_NORMAL;
}

static int differs(const struct wim_be *b, const char *path, const char *what,
		   struct ibb_error *err)
{
	return ibb_err(err, IBB_E_INTERNAL,
		       "%s, image %u: %s: %s is not what it should be after the change",
		       b->wim->name, b->index, path, what);
}

static bool same_bytes(struct ibb_bytes a, struct ibb_bytes b)
{
	return a.len == b.len && (!a.len || !memcmp(a.data, b.data, a.len));
}

/* ---- directories that were only copied ---- */

static int remember(struct wim_be *b, struct wim_node *nodes, struct ibb_error *err)
{
	int rc = IBB_OK;

	for (size_t i = 0; !rc && i < b->copies.n; i++)
		rc = ibb_wim_lookup(b->wim, b->index, b->copies.items[i], &nodes[i], err);
	return rc;
}

static const char *changed_part(const struct wim_node *a, const struct wim_node *b)
{
	if (strcmp(a->path, b->path) != 0 || !a->dos_name != !b->dos_name ||
	    (a->dos_name && strcmp(a->dos_name, b->dos_name) != 0))
		return "its name";
	if (a->attributes != b->attributes || a->st.reparse_tag != b->st.reparse_tag)
		return "its attributes";
	if (a->created != b->created || a->modified != b->modified || a->accessed != b->accessed)
		return "its times";
	if (!same_bytes(ibb_buf_bytes(&a->security), ibb_buf_bytes(&b->security)))
		return "its security descriptor";
	if (a->named_streams != b->named_streams ||
	    memcmp(&a->object_id, &b->object_id, sizeof(a->object_id)) != 0)
		return "its streams";
	return NULL;
}

static int check_kept(struct wim_be *b, const struct wim_node *before, struct ibb_error *err)
{
	struct wim_node now = {0};
	int rc = ibb_wim_lookup(b->wim, b->index, before->path, &now, err);
	const char *part = rc ? NULL : changed_part(before, &now);

	if (part)
		rc = differs(b, *before->path ? before->path : "the root directory", part, err);
	ibb_wim_node_clear(&now);
	return rc;
}

/* ---- what is new ---- */

static const char *wrong_part(const struct ibb_ntfs_meta *want, const struct wim_node *got)
{
	const bool directory = got->st.type == IBB_FILE_DIRECTORY;

	if (got->st.reparse_tag || directory != want->directory || got->st.links != 1 ||
	    got->named_streams)
		return "its kind";
	if (comparable(got->attributes & ~(uint32_t)WIMLIB_FILE_ATTRIBUTE_DIRECTORY) !=
	    comparable(want->attributes))
		return "its attributes";
	if (got->created != want->created || got->modified != want->modified ||
	    got->accessed != want->accessed)
		return "its times";
	if (!directory && got->st.size_bytes != want->size_bytes)
		return "its size";
	if (!same_bytes(ibb_buf_bytes(&got->security), ibb_buf_bytes(&want->security)))
		return "its security descriptor";
	return NULL;
}

static int check_new(struct wim_be *b, struct ibb_volume *scratch, const char *path,
		     struct ibb_error *err)
{
	struct ibb_ntfs_meta want = {0};
	struct wim_node got = {0};
	const char *part = NULL;
	int rc = ibb_ntfs_meta(scratch, path, &want, err);

	if (!rc)
		rc = ibb_wim_lookup(b->wim, b->index, path, &got, err);
	if (!rc)
		part = wrong_part(&want, &got);
	if (part)
		rc = differs(b, path, part, err);
	ibb_wim_node_clear(&got);
	ibb_buf_clear(&want.security);
	return rc;
}

static int check_gone(struct wim_be *b, const char *path, struct ibb_error *err)
{
	struct wim_node got = {0};
	int rc;

	if (wim_paths_has(&b->staged, path))
		return IBB_OK;
	rc = ibb_wim_lookup(b->wim, b->index, path, &got, err);
	ibb_wim_node_clear(&got);
	if (rc == IBB_E_NOTFOUND)
		return IBB_OK;
	return rc ? rc : differs(b, path, "that it is gone", err);
}

/* The scratch volume again, as wimlib has it. */
static int check_all(struct wim_be *b, const struct wim_node *before, struct ibb_error *err)
{
	IBB_AUTO(ibb_volume_close) struct ibb_volume *scratch = NULL;
	int rc = IBB_OK;

	if (b->scratch_disk)
		rc = ibb_volume_open_ntfs(b->scratch_disk, false, &scratch, err);
	for (size_t i = 0; !rc && i < b->staged.n; i++)
		rc = check_new(b, scratch, b->staged.items[i], err);
	for (size_t i = 0; !rc && i < b->removed.n; i++)
		rc = check_gone(b, b->removed.items[i], err);
	for (size_t i = 0; !rc && i < b->copies.n; i++)
		rc = check_kept(b, &before[i], err);
	return rc;
}

/* ---- the update ---- */

struct update {
	struct wimlib_update_command *cmds;
	size_t n;
	struct ibb_arena paths;
};

/*
 * What lies below a directory goes before it, and it was found empty; but without "recursive"
 * wimlib deletes no directory at all.
 */
static int add_deletes(struct wim_be *b, struct update *u, struct ibb_error *err)
{
	for (size_t i = b->removed.n; i--;) {
		char *path = ibb_arena_printf(&u->paths, "/%s", b->removed.items[i]);

		if (!path)
			return ibb_err_nomem(err);
		u->cmds[u->n++] = (struct wimlib_update_command){
			.op = WIMLIB_UPDATE_OP_DELETE,
			.delete_ = {.wim_path = path,
				    .delete_flags = WIMLIB_DELETE_FLAG_RECURSIVE}};
	}
	return IBB_OK;
}

static int add_scratch(struct wim_be *b, struct update *u, int fd, struct ibb_error *err)
{
	char *source = ibb_arena_printf(&u->paths, "/proc/self/fd/%d", fd);
	char *root = ibb_arena_strdup(&u->paths, "/");

	if (!source || !root)
		return ibb_err_nomem(err);
	if (access(source, R_OK))
		return ibb_err_os(err, errno, "%s, image %u: the volume of the changes (%s)",
				  b->wim->name, b->index, source);
	u->cmds[u->n++] = (struct wimlib_update_command){
		.op = WIMLIB_UPDATE_OP_ADD,
		.add = {.fs_source_path = source,
			.wim_target_path = root,
			.add_flags = WIMLIB_ADD_FLAG_NTFS | WIMLIB_ADD_FLAG_STRICT_ACLS |
				     WIMLIB_ADD_FLAG_NORPFIX |
				     WIMLIB_ADD_FLAG_NO_UNSUPPORTED_EXCLUDE}};
	return IBB_OK;
}

static int update_failed(const struct wim_be *b, int code, struct ibb_error *err)
{
	if (code != WIMLIB_ERR_UNSUPPORTED || !b->staged.n)
		return ibb_wim_fail(b->wim, code, err, "image %u: the changes", b->index);
	(void)ibb_err_lib(err, IBB_E_UNSUPPORTED, "libwim",
			  "%s, image %u: this libwim was built without support for NTFS volumes "
			  "(libntfs-3g), by which changes are handed to it",
			  b->wim->name, b->index);
	return ibb_err_hint(err, IBB_E_UNSUPPORTED, "use a libwim that has it (--with-ntfs-3g)");
}

/* All of them, or none; but when what the XML data says cannot be put back, the image is changed.
 */
static int update_image(struct wim_be *b, const struct update *u, struct ibb_error *err)
{
	struct wim_props props = {0};
	int code, rc = ibb_wim_props_save(b->wim, b->index, &props, err);

	if (rc)
		return rc;
	code = wimlib_update_image(b->wim->lib, (int)b->index, u->cmds, u->n, 0);
	if (!code)
		b->wim->changed[b->index - 1] = true;
	rc = code ? update_failed(b, code, err)
		  : ibb_wim_props_restore(b->wim, b->index, &props, err);
	ibb_wim_props_clear(&props);
	return rc;
}

static int run_update(struct wim_be *b, int fd, struct ibb_error *err)
{
	struct update u = {.cmds = ibb_calloc_array(b->removed.n + 1, sizeof(*u.cmds))};
	int rc = u.cmds ? IBB_OK : ibb_err_nomem(err);

	if (!rc)
		rc = add_deletes(b, &u, err);
	if (!rc && b->staged.n)
		rc = add_scratch(b, &u, fd, err);
	if (!rc && u.n)
		rc = update_image(b, &u, err);
	free(u.cmds);
	ibb_arena_clear(&u.paths);
	return rc;
}

/* The place for a descriptor is made before anything is done that cannot be undone. */
static int hold_scratch(struct wim_be *b, struct ibb_error *err)
{
	struct ibb_wim *w = b->wim;
	int fd;

	if (ibb_grow(&w->staged_fds, &w->cap_staged_fds, w->n_staged_fds, sizeof(*w->staged_fds)))
		return ibb_err_nomem(err);
	fd = dup(ibb_disk_temp_fd(b->scratch_disk));
	if (fd < 0)
		return ibb_err_os(err, errno, "%s: the volume of the changes", w->name);
	w->staged_fds[w->n_staged_fds++] = fd;
	/* it stays in memory after this volume is closed */
	b->scratch_memory = 0;
	return IBB_OK;
}

static int commit_scratch(struct wim_be *b, struct ibb_error *err)
{
	int rc = ibb_volume_commit(b->scratch, err);

	ibb_volume_close(IBB_TAKE(b->scratch));
	return rc;
}

int ibb_wim_commit(struct ibb_volume *v, struct ibb_error *err)
{
	struct wim_be *b = to_wim(v);
	struct wim_node *before = NULL;
	int rc = IBB_OK, fd = -1;

	if (!b->staged.n && !b->removed.n)
		return IBB_OK;
	before = ibb_calloc_array(b->copies.n, sizeof(*before));
	if (!before)
		return ibb_err_nomem(err);
	rc = remember(b, before, err);
	if (!rc && b->scratch) {
		fd = ibb_disk_temp_fd(b->scratch_disk);
		rc = commit_scratch(b, err);
	}
	if (!rc && b->staged.n)
		rc = hold_scratch(b, err);
	if (!rc)
		rc = run_update(b, fd, err);
	if (!rc)
		rc = check_all(b, before, err);
	for (size_t i = 0; i < b->copies.n; i++)
		ibb_wim_node_clear(&before[i]);
	free(before);
	return rc;
}
