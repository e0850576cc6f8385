/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Packages for the driver layer's tests: in memory, generated, or real. Include after test.h. */
#ifndef IBB_TEST_PKGTEST_H
#define IBB_TEST_PKGTEST_H

#include "driver/package.h"
#include "mkpkg.h"

#define PKGTEST_KEYS IBB_SOURCE_DIR "/tests/support"

/* A package source over memory, which looks names up as the contract says. */
struct memfile {
	const char *path;
	const void *data;
	size_t len; /* 0: strlen(data) */
};
struct memdir {
	struct memfile files[16];
	size_t n;
};
struct ibb_package_source memsource(struct memdir *d);
void memdir_add(struct memdir *d, const char *path, const void *data, size_t len);

/* Windows Server 2019 and 2022, Windows 10 22H2, Windows 8.1; all amd64. */
extern const struct ibb_inf_target server_2019, server_2022, client_22h2, windows_81;

/* A fresh directory below TMPDIR; pkgtest_rmdir() removes it with its files. */
char *pkgtest_dir(void);
void pkgtest_rmdir(char *dir);

/* Write a package with these options into a fresh directory and load it; fails the test. */
struct ibb_package *pkgtest_make(const struct mkpkg_opts *o, const struct ibb_inf_target *t);
/* Load a real package; NULL when the material is not at hand. */
struct ibb_package *pkgtest_real(const char *dir, const char *inf, const struct ibb_inf_target *t);

#endif
