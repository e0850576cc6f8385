/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <stdlib.h>

#include "cli/cli.h"

static void text(const struct cli *c, const struct ibb_json *doc, struct ibb_buf *out)
{
	const struct ibb_json *ops = ibb_json_get(doc, "operations");

	cli_render_image(ibb_json_get(doc, "image"), out);
	cli_render_targets(c, doc, out);
	cli_render_packages(c, doc, out);
	cli_render_warnings(doc, out);
	if (!ibb_json_count(ops))
		cli_printf(out, "nothing to do: the image holds everything already\n");
	else
		cli_printf(out, "%zu operations done, %zu files written and read back\n",
			   ibb_json_count(ops), ibb_json_count(ibb_json_get(doc, "files")));
	if (c->dry_run)
		cli_printf(out, "dry run: nothing was written\n");
	else
		cli_printf(out, "output   %s\n", c->q.output);
	if (c->q.manifest)
		cli_printf(out, "manifest %s\n", c->q.manifest);
}

int cli_cmd_bake(struct cli *c)
{
	struct ibb_error err = {0};
	char *json = NULL;
	int r;

	if (c->n_args != 1 || !c->q.n_sizes)
		return cli_usage(c, "bake needs one IMAGE and --size SIZE");
	if (!c->q.output && !c->dry_run)
		return cli_usage(c, "bake needs -o OUT (or --dry-run)");
	if (c->no_manifest && c->q.manifest)
		return cli_usage(c, "--manifest and --no-manifest exclude each other");
	c->q.image = c->args[0];
	if (c->dry_run) {
		c->q.output = NULL;
		c->q.manifest = NULL;
	} else if (!c->q.manifest && !c->no_manifest) {
		c->manifest_path = ibb_asprintf("%s.manifest.json", c->q.output);
		if (!c->manifest_path)
			return ibb_exit_status(IBB_E_NOMEM);
		c->q.manifest = c->manifest_path;
	}
	r = ibb_bake(&c->q, &json, &err);
	return cli_finish(c, r, &err, json, text);
}
