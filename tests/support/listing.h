/* SPDX-License-Identifier: GPL-3.0-or-later */
/* How many names a directory has: what a test left behind. Include after test.h. */
#ifndef IBB_TEST_LISTING_H
#define IBB_TEST_LISTING_H

#include <dirent.h>

/* Without "." and "..". */
static inline unsigned files_in(const char *dir)
{
	struct dirent *e;
	unsigned n = 0;
	DIR *d = opendir(dir);

	assert_non_null(d);
	while ((e = readdir(d)))
		n += strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0;
	closedir(d);
	return n;
}

#endif
