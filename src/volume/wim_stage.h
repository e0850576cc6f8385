/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The parts of staging; included by wim_stage.c, wim_scratch.c and wim_commit.c only. */
#ifndef IBB_VOLUME_WIM_STAGE_H
#define IBB_VOLUME_WIM_STAGE_H

#include "volume/ntfs_import.h"
#include "volume/wim_internal.h"

bool wim_paths_has(const struct wim_paths *l, const char *path);
/* One that is there already stays as it is. */
int wim_paths_add(struct wim_paths *l, const char *path, struct ibb_error *err) IBB_MUST_CHECK;
void wim_paths_drop(struct wim_paths *l, const char *path);
/* Is this path there, or a directory on its way? */
bool wim_paths_cover(const struct wim_paths *l, const char *path);
/* Is there a path below this one? */
bool wim_paths_below(const struct wim_paths *l, const char *dir);
void wim_paths_clear(struct wim_paths *l);

/*
 * The directory that `path` lies in becomes one of the scratch volume, with all on its way, and
 * there is room for `bytes` more. IBB_E_NOTFOUND when there is no such directory, or it is gone.
 */
int wim_scratch_prepare(struct wim_be *b, const char *path, uint64_t bytes,
			struct ibb_error *err) IBB_MUST_CHECK;
/*
 * ibb_wim_check_unique() of the path and all directories on its way that were not copied yet.
 * Nothing below what is staged can be meant. IBB_E_UNSUPPORTED.
 */
int wim_scratch_check_unique(struct wim_be *b, const char *path,
			     struct ibb_error *err) IBB_MUST_CHECK;
/* After every change of the scratch volume; passes rc on. */
int wim_scratch_changed(struct wim_be *b, int rc);
/* What it means when an object of the image cannot be made in it. */
int wim_bad_security(const struct wim_be *b, const struct wim_node *node, struct ibb_error *err);
void wim_scratch_clear(struct wim_be *b);

#endif
