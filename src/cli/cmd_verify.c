/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "cli/cli.h"

static void differences(const struct ibb_json *doc, struct ibb_buf *out)
{
	ibb_json_foreach (d, ibb_json_get(doc, "differences")) {
		cli_printf(out, "%-8s %s: %s\n", cli_str(d, "what"), cli_str(d, "where"),
			   cli_str(d, "difference"));
	}
}

static void windows(const struct cli *c, const struct ibb_json *doc, struct ibb_buf *out)
{
	const struct ibb_json *checked = ibb_json_get(doc, "checked");
	const struct ibb_json *diffs = ibb_json_get(doc, "differences");
	int64_t files = 0, ops = 0;

	(void)c;
	(void)ibb_json_int(checked, "files", 0, INT32_MAX, &files);
	(void)ibb_json_int(checked, "operations", 0, INT32_MAX, &ops);
	differences(doc, out);
	cli_printf(out, "%lld files and %lld operations checked: %zu differences\n",
		   (long long)files, (long long)ops, ibb_json_count(diffs));
	ibb_json_foreach (t, ibb_json_get(doc, "readiness")) {
		cli_printf(out, "%s\n", cli_str(t, "size"));
		cli_render_readiness(ibb_json_get(t, "readiness"), out);
	}
	cli_render_warnings(doc, out);
}

static void text(const struct cli *c, const struct ibb_json *doc, struct ibb_buf *out)
{
	if (!ibb_json_get(doc, "images")) {
		windows(c, doc, out);
		return;
	}
	differences(doc, out);
	cli_render_images(c, doc, out, windows);
}

int cli_cmd_verify(struct cli *c)
{
	struct ibb_error err = {0};
	char *json = NULL;
	int r;

	if (c->n_args != 1 || !c->q.manifest)
		return cli_usage(c, "verify needs one IMAGE and --manifest FILE");
	c->q.image = c->args[0];
	r = ibb_verify(&c->q, &json, &err);
	return cli_finish(c, r, &err, json, text);
}
