/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Can what a server sent be a driver release at all? */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "api/fetch.h"
#include "base/io.h"
#include "unpack/unpack.h"

#define HEAD 256

static bool is_text(const uint8_t *p, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (p[i] < ' ' && p[i] != '\t' && p[i] != '\n' && p[i] != '\r')
			return false;
	return n != 0;
}

/* The name of what came, for the message. */
static const char *name_of(const char *p, size_t n)
{
	if (n >= 3 && memcmp(p, "\xef\xbb\xbf", 3) == 0) /* UTF-8's byte order mark */
		p += 3, n -= 3;
	if (!is_text((const uint8_t *)p, n))
		return "of no form that is known";
	for (; n && strchr(" \t\r\n", *p); n--)
		p++;
	if (n > 4 && memcmp(p, "<?xml", 5) == 0)
		return "XML";
	if (n && *p == '<')
		return "a web page (HTML)";
	return n && (*p == '{' || *p == '[') ? "JSON" : "text";
}

int ibb_fetch_accept(const char *path, struct ibb_error *err)
{
	IBB_AUTO_FD int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	enum ibb_unpack_kind kind;
	char head[HEAD];
	ssize_t n = fd < 0 ? -1 : pread(fd, head, sizeof(head), 0);
	int r;

	if (n < 0)
		return ibb_err_os(err, errno, "%s", path);
	if (n >= 2 && memcmp(head, "MZ", 2) == 0)
		return IBB_OK; /* a program, whether or not it can be taken apart */
	r = ibb_unpack_detect(path, &kind, err);
	if (r || kind != IBB_UNPACK_NONE)
		return r;
	ibb_err(err, IBB_E_UNSUPPORTED, "%s, neither an archive nor a program",
		name_of(head, (size_t)n));
	return ibb_err_hint(err, IBB_E_UNSUPPORTED,
			    "get the file from the vendor, then: ibbake cache add FILE --release "
			    "ID");
}
