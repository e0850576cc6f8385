/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "cli/cli.h"

static void archive_text(const struct ibb_json *a, struct ibb_buf *out)
{
	const char *path = ibb_json_str(a, "path"), *care = ibb_json_str(a, "unverified");

	cli_printf(out, "unpacked  %s%s%s: %s\n", cli_str(a, "file"), path ? ": " : "",
		   path ? path : "", cli_str(a, "kind"));
	if (care)
		cli_printf(out, "  unverified: %s\n", care);
}

static void package_text(const struct ibb_json *p, struct ibb_buf *out)
{
	const struct ibb_json *windows = ibb_json_get(p, "windows");
	const char *problem = ibb_json_str(p, "problem");
	size_t n = 0;

	cli_printf(out, "package   %s\n", cli_str(p, "inf"));
	if (problem) {
		cli_printf(out, "  not readable: %s\n", problem);
		return;
	}
	cli_printf(out, "  %s %s, %s, class %s\n", cli_str(p, "provider"), cli_str(p, "version"),
		   cli_str(p, "date"), cli_str(p, "class"));
	if (ibb_json_str(p, "catalog"))
		cli_printf(out, "  catalog %s: %s\n", cli_str(p, "catalog"),
			   ibb_json_bool(p, "catalog_present", false) ? "present" : "MISSING");
	else
		cli_printf(out, "  no catalog: not signed\n");
	cli_printf(out, "  for");
	ibb_json_foreach (w, windows)
		cli_printf(out, "%s %s", n++ ? "," : "", ibb_json_value_str(w));
	cli_printf(out, "%s\n", n ? "" : " none of the Windows asked about");
}

static void text(const struct cli *c, const struct ibb_json *doc, struct ibb_buf *out)
{
	size_t n = 0;

	(void)c;
	ibb_json_foreach (a, ibb_json_get(doc, "archives"))
		archive_text(a, out);
	ibb_json_foreach (p, ibb_json_get(doc, "packages")) {
		package_text(p, out);
		n++;
	}
	if (!n)
		cli_printf(out, "no driver package was found in it\n");
	ibb_json_foreach (f, ibb_json_get(doc, "companions"))
		cli_printf(out, "companion %s: %s of %s\n", cli_str(f, "path"), cli_str(f, "role"),
			   cli_str(f, "driver_set"));
	cli_render_warnings(doc, out);
	cli_printf(out, "written   %s\n", cli_str(doc, "directory"));
}

int cli_drivers_unpack(struct cli *c)
{
	struct ibb_error err = {0};
	char *json = NULL;
	int r;

	if (c->n_args < 2)
		return cli_usage(c, "drivers unpack needs FILE... and --output DIR");
	if (!c->q.output)
		return cli_usage(c, "drivers unpack needs --output DIR");
	if (c->q.overwrite)
		return cli_usage(c, "drivers unpack replaces nothing: it takes no --overwrite");
	c->q.inputs = c->args + 1;
	c->q.n_inputs = c->n_args - 1;
	r = ibb_drivers_unpack(&c->q, &json, &err);
	return cli_finish(c, r, &err, json, text);
}
