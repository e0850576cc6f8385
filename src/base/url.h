/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What of a URL may be shown: RFC 3986, 3.2.1, warns of passwords in them. */
#ifndef IBB_BASE_URL_H
#define IBB_BASE_URL_H

#include "base/mem.h"

/* An http or https URL without user name, password, query and fragment, any of which may be a
 * secret. NULL: no memory. */
char *ibb_url_public(const char *url) IBB_MUST_CHECK;
/* It has a user name or password. */
bool ibb_url_has_user(const char *url);

#endif
