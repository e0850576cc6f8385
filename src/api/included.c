/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The INFs of the image that a boot-critical package includes; each is read and parsed once. */
#include <stdlib.h>
#include <string.h>

#include "api/session.h"
#include "base/limits.h"
#include "base/path.h"
#include "base/utf16.h"

static int read_inf(struct ibb_session *s, const char *name, struct ibb_inf **ret,
		    struct ibb_error *err)
{
	IBB_AUTO_FREE char *path = ibb_asprintf("%s/%s", IBB_STORE_INF_DIR, name);
	IBB_AUTO_BUF struct ibb_buf bytes = {0};
	int r;

	if (!path)
		return ibb_err_nomem(err);
	r = ibb_volume_read(s->volume, path, IBB_LIMIT_INF_BYTES, &bytes, err);
	return r ? r : ibb_inf_parse(name, ibb_buf_bytes(&bytes), ret, err);
}

static int get(void *ctx, const char *name, struct ibb_inf **ret, struct ibb_error *err)
{
	struct ibb_session *s = ctx;
	struct ibb_included *list, *i;
	int r;

	for (size_t k = 0; k < s->n_included; k++)
		if (ibb_caseeq(s->included[k].name, name)) {
			*ret = s->included[k].inf;
			return IBB_OK;
		}
	if (ibb_name_problem(name, strlen(name)))
		return ibb_err(err, IBB_E_NOTFOUND, "%s is no name of a file", name);
	list = ibb_realloc_array(s->included, s->n_included + 1, sizeof(*list));
	if (!list)
		return ibb_err_nomem(err);
	s->included = list;
	i = &list[s->n_included];
	*i = (struct ibb_included){.name = ibb_strdup(name)};
	r = i->name ? read_inf(s, name, &i->inf, err) : ibb_err_nomem(err);
	if (r) {
		free(i->name);
		return r;
	}
	s->n_included++;
	*ret = i->inf;
	return IBB_OK;
}

struct ibb_plan_opts ibb_session_plan_opts(struct ibb_session *s)
{
	return (struct ibb_plan_opts){.unix_time = s->q->unix_time,
				      .never_reflect = s->q->reflect == IBB_REFLECT_NEVER,
				      .included = {get, s}};
}

void ibb_session_clear_included(struct ibb_session *s)
{
	for (size_t i = 0; i < s->n_included; i++) {
		free(s->included[i].name);
		ibb_inf_free(s->included[i].inf);
	}
	free(s->included);
}
