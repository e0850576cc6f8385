/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A Windows in a plain directory: the store's directories and generated hives, to be spoilt and
 * looked at by tests. Include after test.h. Everything fails the test when it fails.
 */
#ifndef IBB_TEST_WINTREE_H
#define IBB_TEST_WINTREE_H

#include "hive/hive.h"
#include "volume/volume.h"
#include "winhives.h"

#define WINTREE_CONFIG "Windows/System32/config"
#define WINTREE_STORE  "Windows/System32/DriverStore/FileRepository"
#define WINTREE_CAT    "Windows/System32/CatRoot/{F750E6C3-38EE-11D1-85E5-00C04FC295EE}"
#define WINTREE_TIME   1767225600 /* 2026-01-01T00:00:00Z, of everything in it */

struct wintree {
	char dir[512];
};

/* A specification with the usual defaults, to be changed before wintree_make(). */
struct winhives_spec wintree_spec(const char *release);
/* Make it in a fresh directory below `parent`. */
void wintree_make(struct wintree *t, const char *parent, const struct winhives_spec *s);
/* Both, without changes. */
void wintree_plain(struct wintree *t, const char *parent, const char *release);
struct ibb_volume *wintree_open(const struct wintree *t);

/* Files and directories, paths below the root; parents are made. */
void wintree_put(const struct wintree *t, const char *path, const void *data, size_t n);
void wintree_text(const struct wintree *t, const char *path, const char *text);
void wintree_mkdir(const struct wintree *t, const char *path);
void wintree_remove(const struct wintree *t, const char *path);
bool wintree_has(const struct wintree *t, const char *path);
void wintree_read(const struct wintree *t, const char *path, struct ibb_buf *ret);
/* SHA-256 over names and contents of all files. */
void wintree_digest(const struct wintree *t, char hex[65]);

/* A hive ("SYSTEM") out of the tree, to be edited and written back (which closes it). */
struct ibb_hive *wintree_hive(const struct wintree *t, const char *name);
void wintree_save(const struct wintree *t, const char *name, struct ibb_hive *h);
/* Keys and values by path; missing keys are created. */
ibb_key wintree_key(struct ibb_hive *h, const char *path);
void wintree_set(struct ibb_hive *h, const char *path, const char *value, uint32_t type,
		 const void *data, size_t n);
void wintree_set_sz(struct ibb_hive *h, const char *path, const char *value, const char *text);
void wintree_set_dword(struct ibb_hive *h, const char *path, const char *value, uint32_t v);
void wintree_unset(struct ibb_hive *h, const char *path, const char *value);
void wintree_delete(struct ibb_hive *h, const char *path);
/* One edit of one hive of a tree. */
void wintree_edit_dword(const struct wintree *t, const char *hive, const char *path,
			const char *value, uint32_t v);
void wintree_edit_sz(const struct wintree *t, const char *hive, const char *path, const char *value,
		     const char *text);
void wintree_edit_unset(const struct wintree *t, const char *hive, const char *path,
			const char *value);
void wintree_edit_delete(const struct wintree *t, const char *hive, const char *path);

#endif
