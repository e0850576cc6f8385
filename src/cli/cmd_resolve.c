/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "cli/cli.h"

static void text(const struct cli *c, const struct ibb_json *doc, struct ibb_buf *out)
{
	ibb_json_foreach (res, ibb_json_get(doc, "resolutions")) {
		cli_render_resolution(res, c->verbose, out);
		cli_render_warnings(res, out);
	}
	cli_render_warnings(doc, out);
}

int cli_cmd_resolve(struct cli *c)
{
	struct ibb_error err = {0};
	char *json = NULL;
	int r;

	if (c->n_args || !c->q.n_sizes || !c->q.os)
		return cli_usage(c, "resolve needs --size SIZE and --os NAME|BUILD");
	r = ibb_resolve(&c->q, &json, &err);
	return cli_finish(c, r, &err, json, text);
}
