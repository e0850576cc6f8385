/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "cli/cli.h"

static void text(const struct cli *c, const struct ibb_json *doc, struct ibb_buf *out)
{
	if (ibb_json_get(doc, "images")) {
		cli_render_wim_change(c, doc, out);
		return;
	}
	cli_render_trust(doc, out);
	cli_render_image(ibb_json_get(doc, "image"), out);
	cli_render_targets(c, doc, out);
	cli_render_packages(c, doc, out);
	cli_render_winre(c, doc, out);
	cli_render_azure(c, doc, out);
	cli_render_warnings(doc, out);
	cli_render_outcome(c, doc, out);
}

int cli_cmd_bake(struct cli *c)
{
	struct ibb_error err = {0};
	char *json = NULL;
	int r;

	if (c->n_args != 1 || !c->q.n_sizes)
		return cli_usage(c, "bake needs one IMAGE and --size SIZE");
	c->q.image = c->args[0];
	r = cli_default_output(c);
	if (!r && !c->q.n_driver_dirs && !c->q.bundle)
		r = cli_cache_dir(c);
	if (r)
		return r;
	r = ibb_bake(&c->q, &json, &err);
	return cli_finish(c, r, &err, json, text);
}
