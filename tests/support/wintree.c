/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "test.h"

#include "wintree.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

#include "base/hash.h"
#include "base/le.h"
#include "base/time.h"
#include "base/utf16.h"

struct winhives_spec wintree_spec(const char *release)
{
	struct winhives_spec s = {.win = win_release_find(release),
				  .arch = "amd64",
				  .state = WIN_GENERALIZED,
				  .control_set = 1,
				  .time = ibb_filetime_from_unix(WINTREE_TIME)};

	assert_non_null(s.win);
	return s;
}

static void host_path(const struct wintree *t, const char *path, char out[1024])
{
	assert_true(snprintf(out, 1024, "%s/%s", t->dir, path) < 1024);
}

void wintree_mkdir(const struct wintree *t, const char *path)
{
	char full[1024];
	size_t n = strlen(t->dir);

	host_path(t, path, full);
	for (char *s = full + n; (s = strchr(s + 1, '/'));) {
		*s = '\0';
		assert_true(mkdir(full, 0755) == 0 || errno == EEXIST);
		*s = '/';
	}
	assert_true(mkdir(full, 0755) == 0 || errno == EEXIST);
}

void wintree_put(const struct wintree *t, const char *path, const void *data, size_t n)
{
	const char *slash = strrchr(path, '/');
	char full[1024], dir[1024];
	FILE *f;

	snprintf(dir, sizeof(dir), "%.*s", slash ? (int)(slash - path) : 0, path);
	wintree_mkdir(t, dir);
	host_path(t, path, full);
	f = fopen(full, "wb");
	assert_non_null(f);
	assert_int_equal(fwrite(data, 1, n, f), n);
	assert_int_equal(fclose(f), 0);
}

void wintree_text(const struct wintree *t, const char *path, const char *text)
{
	wintree_put(t, path, text, strlen(text));
}

void wintree_remove(const struct wintree *t, const char *path)
{
	char full[1024];

	host_path(t, path, full);
	if (remove(full))
		fail_msg("%s: cannot be removed", full);
}

bool wintree_has(const struct wintree *t, const char *path)
{
	char full[1024];

	host_path(t, path, full);
	return access(full, F_OK) == 0;
}

void wintree_read(const struct wintree *t, const char *path, struct ibb_buf *ret)
{
	struct ibb_error err = {0};
	char full[1024];

	host_path(t, path, full);
	assert_ok(ibb_read_file(full, 1u << 30, ret, &err), err);
}

typedef int (*hive_fn)(const struct winhives_spec *s, struct ibb_buf *ret, struct ibb_error *err);

static void put_hive(const struct wintree *t, const char *name, hive_fn make,
		     const struct winhives_spec *s)
{
	struct ibb_buf b = {0};
	struct ibb_error err = {0};
	char path[128];

	assert_ok(make(s, &b, &err), err);
	snprintf(path, sizeof(path), WINTREE_CONFIG "/%s", name);
	wintree_put(t, path, b.data, b.len);
	ibb_buf_clear(&b);
}

void wintree_make(struct wintree *t, const char *parent, const struct winhives_spec *s)
{
	static const char *const dirs[] = {"Windows/INF", "Windows/WinSxS", WINTREE_CONFIG,
					   WINTREE_STORE, WINTREE_CAT};

	snprintf(t->dir, sizeof(t->dir), "%s/win-XXXXXX", parent);
	assert_non_null(mkdtemp(t->dir));
	for (size_t i = 0; i < IBB_ARRAY_SIZE(dirs); i++)
		wintree_mkdir(t, dirs[i]);
	put_hive(t, "SYSTEM", winhives_system, s);
	put_hive(t, "SOFTWARE", winhives_software, s);
	if (!s->no_driver_database)
		put_hive(t, "DRIVERS", winhives_drivers, s);
}

void wintree_plain(struct wintree *t, const char *parent, const char *release)
{
	struct winhives_spec s = wintree_spec(release);

	wintree_make(t, parent, &s);
}

struct ibb_volume *wintree_open(const struct wintree *t)
{
	struct ibb_volume *v = NULL;
	struct ibb_error err = {0};

	assert_ok(ibb_volume_open_dir(t->dir, &v, &err), err);
	return v;
}

static int by_name(const struct dirent **a, const struct dirent **b)
{
	return strcmp((*a)->d_name, (*b)->d_name);
}

static void digest_dir(struct ibb_hasher *h, const char *dir)
{
	struct dirent **list = NULL;
	int n = scandir(dir, &list, NULL, by_name);

	assert_true(n >= 0);
	for (int i = 0; i < n; i++) {
		struct ibb_buf b = {0};
		struct ibb_error err = {0};
		char path[1024];
		struct stat st;

		snprintf(path, sizeof(path), "%s/%s", dir, list[i]->d_name);
		assert_int_equal(lstat(path, &st), 0);
		assert_int_equal(ibb_hasher_update(h, list[i]->d_name, strlen(list[i]->d_name) + 1),
				 0);
		if (S_ISREG(st.st_mode)) {
			assert_ok(ibb_read_file(path, 1u << 30, &b, &err), err);
			assert_int_equal(ibb_hasher_update(h, b.data, b.len), 0);
			ibb_buf_clear(&b);
		} else if (strcmp(list[i]->d_name, ".") && strcmp(list[i]->d_name, "..")) {
			digest_dir(h, path);
		}
		free(list[i]);
	}
	free(list);
}

void wintree_digest(const struct wintree *t, char hex[65])
{
	struct ibb_hasher *h = NULL;
	struct ibb_sha256 d;

	assert_int_equal(ibb_hasher_new(&h), 0);
	digest_dir(h, t->dir);
	assert_int_equal(ibb_hasher_final(h, &d), 0);
	ibb_sha256_hex(&d, hex);
}

/* ---- hives ---- */

struct ibb_hive *wintree_hive(const struct wintree *t, const char *name)
{
	struct ibb_buf b = {0};
	struct ibb_hive *h = NULL;
	struct ibb_error err = {0};
	char path[128];

	snprintf(path, sizeof(path), WINTREE_CONFIG "/%s", name);
	wintree_read(t, path, &b);
	assert_ok(ibb_hive_open(name, &b, &h, &err), err);
	return h;
}

void wintree_save(const struct wintree *t, const char *name, struct ibb_hive *h)
{
	struct ibb_buf b = {0};
	struct ibb_error err = {0};
	char path[128];

	snprintf(path, sizeof(path), WINTREE_CONFIG "/%s", name);
	assert_ok(ibb_hive_serialize(h, ibb_filetime_from_unix(WINTREE_TIME), &b, &err), err);
	wintree_put(t, path, b.data, b.len);
	ibb_buf_clear(&b);
	ibb_hive_close(h);
}

ibb_key wintree_key(struct ibb_hive *h, const char *path)
{
	struct ibb_error err = {0};
	ibb_key k = 0;

	assert_ok(ibb_hive_create(h, ibb_hive_root(h), path, IBB_KEY_SECURITY_PARENT, 0,
				  ibb_filetime_from_unix(WINTREE_TIME), &k, NULL, &err),
		  err);
	return k;
}

void wintree_set(struct ibb_hive *h, const char *path, const char *value, uint32_t type,
		 const void *data, size_t n)
{
	struct ibb_error err = {0};

	assert_ok(ibb_hive_set(h, wintree_key(h, path), value, type, data, n,
			       ibb_filetime_from_unix(WINTREE_TIME), &err),
		  err);
}

void wintree_set_sz(struct ibb_hive *h, const char *path, const char *value, const char *text)
{
	struct ibb_buf u = {0};

	assert_int_equal(ibb_utf16le_append(&u, text), 0);
	assert_int_equal(ibb_buf_append_zero(&u, 2), 0);
	wintree_set(h, path, value, IBB_REG_SZ, u.data, u.len);
	ibb_buf_clear(&u);
}

void wintree_set_dword(struct ibb_hive *h, const char *path, const char *value, uint32_t v)
{
	uint8_t le[4];

	ibb_put_le32(le, v);
	wintree_set(h, path, value, IBB_REG_DWORD, le, sizeof(le));
}

void wintree_unset(struct ibb_hive *h, const char *path, const char *value)
{
	struct ibb_error err = {0};

	assert_ok(ibb_hive_unset(h, wintree_key(h, path), value,
				 ibb_filetime_from_unix(WINTREE_TIME), &err),
		  err);
}

void wintree_delete(struct ibb_hive *h, const char *path)
{
	struct ibb_error err = {0};
	ibb_key k = 0;

	assert_ok(ibb_hive_find(h, ibb_hive_root(h), path, &k, &err), err);
	assert_ok(ibb_hive_delete(h, k, ibb_filetime_from_unix(WINTREE_TIME), &err), err);
}

void wintree_edit_dword(const struct wintree *t, const char *hive, const char *path,
			const char *value, uint32_t v)
{
	struct ibb_hive *h = wintree_hive(t, hive);

	wintree_set_dword(h, path, value, v);
	wintree_save(t, hive, h);
}

void wintree_edit_sz(const struct wintree *t, const char *hive, const char *path, const char *value,
		     const char *text)
{
	struct ibb_hive *h = wintree_hive(t, hive);

	wintree_set_sz(h, path, value, text);
	wintree_save(t, hive, h);
}

void wintree_edit_unset(const struct wintree *t, const char *hive, const char *path,
			const char *value)
{
	struct ibb_hive *h = wintree_hive(t, hive);

	wintree_unset(h, path, value);
	wintree_save(t, hive, h);
}

void wintree_edit_delete(const struct wintree *t, const char *hive, const char *path)
{
	struct ibb_hive *h = wintree_hive(t, hive);

	wintree_delete(h, path);
	wintree_save(t, hive, h);
}
