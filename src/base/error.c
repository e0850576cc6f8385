/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "base/error.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct {
	int code;
	int exit_status;
	const char *name;
} codes[] = {
	{IBB_OK, 0, "ok"},
	{IBB_E_NOMEM, 255, "out-of-memory"},
	{IBB_E_IO, 255, "io"},
	{IBB_E_NOSPACE, 255, "no-space"},
	{IBB_E_NOTFOUND, 255, "not-found"},
	{IBB_E_EXISTS, 100, "exists"},
	{IBB_E_INVALID, 2, "usage"},
	{IBB_E_CORRUPT, 255, "damaged"},
	{IBB_E_UNSUPPORTED, 100, "unsupported"},
	{IBB_E_LIMIT, 255, "limit"},
	{IBB_E_DIRTY, 100, "dirty"},
	{IBB_E_UNTRUSTED, 100, "untrusted"},
	{IBB_E_CONFLICT, 100, "conflict"},
	{IBB_E_READONLY, 255, "read-only"},
	{IBB_E_CANCELLED, 130, "cancelled"},
	{IBB_E_INTERNAL, 255, "internal"},
	{IBB_E_DIFFERS, 3, "differs"},
	{IBB_E_TIMEOUT, 240, "timeout"},
	{IBB_E_CHANGED, 255, "changed"},
};

int ibb_exit_status(int code)
{
	for (size_t i = 0; i < sizeof(codes) / sizeof(codes[0]); i++)
		if (codes[i].code == code)
			return codes[i].exit_status;
	return 255;
}

const char *ibb_code_name(int code)
{
	for (size_t i = 0; i < sizeof(codes) / sizeof(codes[0]); i++)
		if (codes[i].code == code)
			return codes[i].name;
	return "internal";
}

/*
 * Messages carry names out of hostile files to a terminal: no control characters, one line, and
 * no half of a UTF-8 sequence where vsnprintf() cut the text.
 */
static void tidy(char *s, size_t size)
{
	size_t n = strlen(s), head = n;

	for (size_t i = 0; i < n; i++)
		if ((unsigned char)s[i] < 0x20 || s[i] == 0x7f)
			s[i] = '?';
	if (n + 1 < size)
		return;
	while (head && ((unsigned char)s[head - 1] & 0xc0) == 0x80)
		head--;
	if (head && (unsigned char)s[head - 1] >= 0xc0) {
		unsigned char lead = (unsigned char)s[head - 1];
		size_t want = lead >= 0xf0 ? 4 : lead >= 0xe0 ? 3 : 2;

		if (n - (head - 1) < want)
			s[head - 1] = '\0';
	}
}

static void set(struct ibb_error *err, int code, int os_errno, const char *source)
{
	tidy(err->msg, sizeof(err->msg));
	err->code = code;
	err->os_errno = os_errno;
	err->source = source;
	err->hint[0] = '\0';
}

int ibb_err(struct ibb_error *err, int code, const char *fmt, ...)
{
	va_list ap;

	if (!err)
		return code;
	va_start(ap, fmt);
	vsnprintf(err->msg, sizeof(err->msg), fmt, ap);
	va_end(ap);
	set(err, code, 0, "ibbake");
	return code;
}

int ibb_err_os(struct ibb_error *err, int os_errno, const char *fmt, ...)
{
	int code = os_errno == ENOSPC || os_errno == EDQUOT ? IBB_E_NOSPACE
		   : os_errno == ENOMEM			    ? IBB_E_NOMEM
							    : IBB_E_IO;
	va_list ap;
	size_t n;

	if (!err)
		return code;
	va_start(ap, fmt);
	vsnprintf(err->msg, sizeof(err->msg), fmt, ap);
	va_end(ap);
	n = strlen(err->msg);
	snprintf(err->msg + n, sizeof(err->msg) - n, ": %s", strerror(os_errno));
	set(err, code, os_errno, "os");
	return code;
}

int ibb_err_lib(struct ibb_error *err, int code, const char *source, const char *fmt, ...)
{
	va_list ap;

	if (!err)
		return code;
	va_start(ap, fmt);
	vsnprintf(err->msg, sizeof(err->msg), fmt, ap);
	va_end(ap);
	set(err, code, 0, source);
	return code;
}

int ibb_err_prefix(struct ibb_error *err, int code, const char *fmt, ...)
{
	char tail[sizeof(err->msg)];
	va_list ap;
	size_t n;

	if (!err)
		return code;
	memcpy(tail, err->msg, sizeof(tail));
	va_start(ap, fmt);
	vsnprintf(err->msg, sizeof(err->msg), fmt, ap);
	va_end(ap);
	n = strlen(err->msg);
	snprintf(err->msg + n, sizeof(err->msg) - n, ": %s", tail);
	tidy(err->msg, sizeof(err->msg));
	err->code = code;
	return code;
}

int ibb_err_hint(struct ibb_error *err, int code, const char *fmt, ...)
{
	va_list ap;

	if (!err)
		return code;
	va_start(ap, fmt);
	vsnprintf(err->hint, sizeof(err->hint), fmt, ap);
	va_end(ap);
	tidy(err->hint, sizeof(err->hint));
	return code;
}

int ibb_err_nomem(struct ibb_error *err)
{
	return ibb_err(err, IBB_E_NOMEM, "out of memory");
}

_Noreturn void ibb_assert_fail(const char *expr, const char *file, int line)
{
	fprintf(stderr, "ibbake: internal error: %s:%d: %s\n", file, line, expr);
	abort();
}
