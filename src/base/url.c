/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "base/url.h"

#include <string.h>
#include <strings.h>

static size_t scheme_len(const char *url)
{
	if (strncasecmp(url, "https://", 8) == 0)
		return 8;
	return strncasecmp(url, "http://", 7) == 0 ? 7 : 0;
}

/* Behind the user name, if there is one. */
static const char *host_of(const char *url)
{
	const char *from = url + scheme_len(url), *host = from;
	const size_t n = strcspn(from, "/?#");

	for (size_t i = 0; i < n; i++)
		if (from[i] == '@')
			host = from + i + 1;
	return host;
}

bool ibb_url_has_user(const char *url)
{
	return scheme_len(url) && host_of(url) != url + scheme_len(url);
}

char *ibb_url_public(const char *url)
{
	const size_t scheme = scheme_len(url);
	const char *host, *end;

	if (!scheme)
		return ibb_strdup("(no http or https URL)");
	host = host_of(url);
	end = host + strcspn(host, "?#");
	return ibb_asprintf("%s%.*s%s", scheme == 8 ? "https://" : "http://", (int)(end - host),
			    host, *end == '?' ? "?..." : "");
}
