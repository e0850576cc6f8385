/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Changes of WIM images in tests: commit, write, open again. */
#ifndef IBB_TEST_WIM_STAGE_H
#define IBB_TEST_WIM_STAGE_H

#include "wim_image.h"

#include "volume/wim_internal.h"

static inline struct ibb_volume *stage_open(struct ibb_wim *w, const char *temp_dir)
{
	struct ibb_error err = {0};
	struct ibb_volume *v = NULL;

	assert_ok(ibb_volume_open_wim(w, 1, true, temp_dir, &v, &err), err);
	return v;
}

/* What was committed, to a file. */
static inline void stage_write(struct ibb_wim *w, const char *path)
{
	const struct ibb_wim_write_opts opts = {.threads = 1, .unix_time = 1700000000};
	int fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	struct ibb_error err = {0};

	assert_true(fd >= 0);
	assert_ok(ibb_wim_write(w, fd, path, &opts, &err), err);
	close(fd);
}

/* Commit, write, close both; the written one is opened. */
static inline struct ibb_wim *stage_through(struct ibb_wim *w, struct ibb_volume *v,
					    const char *path)
{
	struct ibb_error err = {0};

	assert_ok(ibb_volume_commit(v, &err), err);
	ibb_volume_close(v);
	stage_write(w, path);
	ibb_wim_close(w);
	return wim_open(path);
}

static inline struct wim_node stage_node(struct ibb_wim *w, const char *path)
{
	struct ibb_error err = {0};
	struct wim_node n = {0};

	assert_ok(ibb_wim_lookup(w, 1, path, &n, &err), err);
	return n;
}

#endif
