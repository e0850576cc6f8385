/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Filling struct ibb_error; see include/ibbake/error.h for the convention. */
#ifndef IBB_BASE_ERROR_H
#define IBB_BASE_ERROR_H

#include "ibbake/error.h"

#define IBB_UNUSED __attribute__((unused))

/*
 * Set *err (err may be NULL) and return code, so that a failing function is one statement:
 *     return ibb_err(err, IBB_E_CORRUPT, "hive %s: cell at 0x%x lies outside", name, off);
 * An earlier content of *err is replaced.
 */
int ibb_err(struct ibb_error *err, int code, const char *fmt, ...) IBB_PRINTF(3, 4);

/* As ibb_err, source "os", appends strerror(os_errno); ENOSPC/EDQUOT become IBB_E_NOSPACE. */
int ibb_err_os(struct ibb_error *err, int os_errno, const char *fmt, ...) IBB_PRINTF(3, 4);

/* As ibb_err, for a failure inside a library; `source` must be static storage. */
int ibb_err_lib(struct ibb_error *err, int code, const char *source, const char *fmt, ...)
	IBB_PRINTF(4, 5);

/* Put "context: " in front of the message already in *err, whose code becomes `code`; returns it.
 */
int ibb_err_prefix(struct ibb_error *err, int code, const char *fmt, ...) IBB_PRINTF(3, 4);

/* Set the remedy; returns code unchanged. */
int ibb_err_hint(struct ibb_error *err, int code, const char *fmt, ...) IBB_PRINTF(3, 4);

/* Out of memory; returns IBB_E_NOMEM. */
int ibb_err_nomem(struct ibb_error *err);

/* A broken invariant inside ibbake. Alive in release builds: wrong data must never be written. */
_Noreturn void ibb_assert_fail(const char *expr, const char *file, int line);
#define IBB_ASSERT(e) ((e) ? (void)0 : ibb_assert_fail(#e, __FILE__, __LINE__))

#endif
