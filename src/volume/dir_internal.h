/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The back end over a host directory; included by dir*.c only.
 *
 * What is staged is a flat list with one entry for every path that was touched. An entry says what
 * is there now, and what is there on the host; the difference is what commit does.
 */
#ifndef IBB_VOLUME_DIR_INTERNAL_H
#define IBB_VOLUME_DIR_INTERNAL_H

#include "volume/backend.h"

enum dir_what { DIR_NOTHING, DIR_FILE, DIR_DIRECTORY, DIR_OTHER };

struct dir_entry {
	char *path;	     /* as spelt when it was made, relative to the root */
	char *host_path;     /* what the host has there, or NULL */
	enum dir_what host;  /* its kind */
	enum dir_what now;   /* what it is to be */
	bool written;	     /* now == DIR_FILE: content is staged */
	bool in_place;	     /* keep the host's inode */
	bool has_time;	     /* time was set */
	uint64_t time;	     /* FILETIME */
	struct ibb_buf data; /* when written */
};

struct dir_be {
	struct ibb_volume base;
	char *root;
	int fd;
	struct dir_entry *entries;
	size_t n, cap;
};

static inline struct dir_be *to_dir(struct ibb_volume *v)
{
	return (struct dir_be *)v;
}

int ibb_dir_commit(struct ibb_volume *v, struct ibb_error *err);

#endif
