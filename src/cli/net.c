/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What the environment says of the package cache and of the network, as curl's tool reads it. */
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "cli/cli.h"

static const char *env(const char *a, const char *b)
{
	const char *s = getenv(a);

	if ((!s || !*s) && b)
		s = getenv(b);
	return s && *s ? s : NULL;
}

int cli_cache_dir(struct cli *c)
{
	const char *xdg = env("XDG_CACHE_HOME", NULL), *home = env("HOME", NULL);

	if (c->q.cache_dir)
		return 0;
	if (xdg && xdg[0] == '/') /* the XDG base directory specification: others are ignored */
		c->cache_path = ibb_asprintf("%s/ibbake", xdg);
	else if (home)
		c->cache_path = ibb_asprintf("%s/.cache/ibbake", home);
	else
		return 0;
	if (!c->cache_path)
		return ibb_exit_status(IBB_E_NOMEM);
	c->q.cache_dir = c->cache_path;
	return 0;
}

void cli_network(struct cli *c)
{
	const char *all = env("all_proxy", "ALL_PROXY");

	/* libcurl and OpenSSL would write the secrets of every TLS connection to the file that it
	 * names; no other thread runs so far */
	unsetenv("SSLKEYLOGFILE");
	if (c->q.https_proxy) { /* --proxy: for all */
		c->q.http_proxy = c->q.https_proxy;
	} else {
		/* HTTP_PROXY is what a CGI server sets from a header "Proxy:"; curl ignores it */
		c->q.http_proxy = env("http_proxy", NULL);
		c->q.https_proxy = env("https_proxy", "HTTPS_PROXY");
		if (!c->q.http_proxy)
			c->q.http_proxy = all;
		if (!c->q.https_proxy)
			c->q.https_proxy = all;
	}
	c->q.no_proxy = env("no_proxy", "NO_PROXY");
	if (c->q.ca_file)
		return;
	c->q.ca_file = env("CURL_CA_BUNDLE", "SSL_CERT_FILE");
	if (!env("CURL_CA_BUNDLE", NULL))
		c->q.ca_dir = env("SSL_CERT_DIR", NULL);
}
