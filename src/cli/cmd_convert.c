/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <string.h>

#include "cli/cli.h"

static void chain(const struct ibb_json *doc, struct ibb_buf *out)
{
	const char *label = "input   ";

	ibb_json_foreach (l, ibb_json_get(doc, "input")) {
		char bytes[32];

		cli_bytes(ibb_json_str(l, "disk_bytes"), bytes);
		cli_printf(out, "%s %s: %s, disk of %s%s\n", label, cli_str(l, "file"),
			   cli_str(l, "container"), bytes,
			   ibb_json_bool(l, "time_agrees", true)
				   ? ""
				   : ", of another time than its child says");
		label = "  parent";
	}
	cli_render_opinion(doc, out);
}

static void text(const struct cli *c, const struct ibb_json *doc, struct ibb_buf *out)
{
	const struct ibb_json *o = ibb_json_get(doc, "output"), *copy = ibb_json_get(doc, "copy");
	char disk[32], grown[32], n[32], written[32];

	chain(doc, out);
	cli_bytes(ibb_json_str(o, "disk_bytes"), disk);
	cli_printf(out, "output   %s: %s, disk of %s\n", c->q.output, cli_str(o, "format"), disk);
	if (strcmp(cli_str(o, "grown_bytes"), "0") != 0) {
		cli_bytes(ibb_json_str(o, "grown_bytes"), grown);
		cli_printf(out, "grown    by %s to whole MiB\n", grown);
	}
	cli_bytes(ibb_json_str(copy, "read_bytes"), n);
	cli_bytes(ibb_json_str(copy, "written_bytes"), written);
	if (ibb_json_bool(copy, "reflink", false))
		cli_printf(out, "copied   as a reflink\n");
	else
		cli_printf(out, "copied   %s of data read, %s written\n", n, written);
	cli_render_warnings(doc, out);
}

int cli_cmd_convert(struct cli *c)
{
	struct ibb_error err = {0};
	char *json = NULL;
	int r;

	if (c->n_args != 1 || !c->q.output)
		return cli_usage(c, "convert needs one IMAGE and -o OUT");
	c->q.image = c->args[0];
	r = ibb_convert(&c->q, &json, &err);
	return cli_finish(c, r, &err, json, text);
}
