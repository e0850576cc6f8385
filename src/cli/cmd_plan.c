/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <string.h>

#include "cli/cli.h"

static void operation(const struct ibb_json *op, struct ibb_buf *out)
{
	const char *kind = cli_str(op, "op");

	if (ibb_json_str(op, "path"))
		cli_printf(out, "  %-9s %s", kind, cli_str(op, "path"));
	else
		cli_printf(out, "  %-9s %s\\%s%s%s", kind, cli_str(op, "hive"), cli_str(op, "key"),
			   ibb_json_str(op, "value") ? " : " : "",
			   ibb_json_str(op, "value")
				   ? *ibb_json_str(op, "value") ? cli_str(op, "value") : "(default)"
				   : "");
	cli_printf(out, "  -- %s (%s)\n", cli_str(op, "reason"), cli_str(op, "evidence"));
}

/* Runs of like operations (thousands of device IDs) are counted unless -v asks for each. */
static void operations(const struct cli *c, const struct ibb_json *doc, struct ibb_buf *out)
{
	const struct ibb_json *ops = ibb_json_get(doc, "operations");
	const char *last = "";
	size_t run = 0;

	cli_printf(out, "%zu operations%s\n", ibb_json_count(ops),
		   ibb_json_count(ops) ? ":"
				       : ": nothing to do, the image holds everything already");
	ibb_json_foreach (op, ops) {
		const char *reason = cli_str(op, "reason");

		run = strcmp(reason, last) == 0 ? run + 1 : 0;
		last = reason;
		if (c->verbose || run < 4)
			operation(op, out);
		else if (run == 4)
			cli_printf(out, "  ...       more of the same kind (-v shows them)\n");
	}
}

static void windows(const struct cli *c, const struct ibb_json *doc, struct ibb_buf *out)
{
	cli_render_trust(doc, out);
	cli_render_image(ibb_json_get(doc, "image"), out);
	cli_render_targets(c, doc, out);
	cli_render_packages(c, doc, out);
	operations(c, doc, out);
	cli_render_azure(c, doc, out);
	cli_render_warnings(doc, out);
}

static void text(const struct cli *c, const struct ibb_json *doc, struct ibb_buf *out)
{
	if (!ibb_json_get(doc, "images")) {
		windows(c, doc, out);
		return;
	}
	cli_render_wim(ibb_json_get(doc, "input"), out);
	cli_render_images(c, doc, out, windows);
}

int cli_cmd_plan(struct cli *c)
{
	struct ibb_error err = {0};
	char *json = NULL;
	int r;

	if (c->n_args != 1 || !c->q.n_sizes)
		return cli_usage(c, "plan needs one IMAGE and --size SIZE");
	c->q.image = c->args[0];
	r = c->q.n_driver_dirs || c->q.bundle ? 0 : cli_cache_dir(c);
	if (r)
		return r;
	r = ibb_plan(&c->q, &json, &err);
	return cli_finish(c, r, &err, json, text);
}
