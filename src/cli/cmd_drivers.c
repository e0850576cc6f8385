/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <string.h>

#include "cli/cli.h"

static void packages(const struct cli *c, const struct ibb_json *doc, struct ibb_buf *out)
{
	bool all = c->verbose || c->q.n_filters;
	size_t inbox = 0;

	cli_printf(out, "%-10s %-22s %-20s %-12s %-10s %-17s %-7s %-6s %s\n", "PUBLISHED", "INF",
		   "PROVIDER", "CLASS", "DATE", "VERSION", "NODE", "IN USE", "SIGNER");
	ibb_json_foreach (p, ibb_json_get(doc, "packages")) {
		if (ibb_json_bool(p, "inbox", false) && !all) {
			inbox++;
			continue;
		}
		cli_printf(out, "%-10s %-22s %-20s %-12s %-10s %-17s %-7s %-6s %s\n",
			   cli_str(p, "published"), cli_str(p, "inf"), cli_str(p, "provider"),
			   cli_str(p, "class"), cli_str(p, "date"), cli_str(p, "version"),
			   cli_str(p, "node"), ibb_json_bool(p, "in_use", false) ? "yes" : "no",
			   cli_str(p, "signer"));
		if (!c->verbose)
			continue;
		ibb_json_foreach (f, ibb_json_get(p, "files"))
			cli_printf(out, "  %s\n", ibb_json_value_str(f));
	}
	if (inbox)
		cli_printf(out, "and %zu that came with Windows (-v lists them)\n", inbox);
	cli_render_warnings(doc, out);
}

static void text(const struct cli *c, const struct ibb_json *doc, struct ibb_buf *out)
{
	if (!ibb_json_get(doc, "images")) {
		packages(c, doc, out);
		return;
	}
	cli_render_wim(ibb_json_get(doc, "identity"), out);
	cli_render_images(c, doc, out, packages);
}

static void change_text(const struct cli *c, const struct ibb_json *doc, struct ibb_buf *out)
{
	if (ibb_json_get(doc, "images")) {
		cli_render_wim_change(c, doc, out);
		return;
	}
	cli_render_trust(doc, out);
	cli_render_packages(c, doc, out);
	cli_render_removed(doc, out);
	cli_render_azure(c, doc, out);
	cli_render_warnings(doc, out);
	cli_render_outcome(c, doc, out);
}

static int list(struct cli *c)
{
	struct ibb_error err = {0};
	char *json = NULL;
	int r;

	if (c->n_args != 2)
		return cli_usage(c, "drivers list needs one IMAGE");
	c->q.image = c->args[1];
	r = ibb_drivers_list(&c->q, &json, &err);
	return cli_finish(c, r, &err, json, text);
}

/* add IMAGE DIR..., remove IMAGE NAME... */
static int change(struct cli *c, bool add)
{
	struct ibb_error err = {0};
	char *json = NULL;
	int r;

	if (c->n_args < 3)
		return cli_usage(c, add ? "drivers add needs IMAGE and DIR or FILE..."
					: "drivers remove needs IMAGE and NAME...");
	c->q.image = c->args[1];
	if (add) {
		c->q.driver_dirs = c->args + 2;
		c->q.n_driver_dirs = c->n_args - 2;
	} else {
		c->q.published = c->args + 2;
		c->q.n_published = c->n_args - 2;
	}
	r = cli_default_output(c);
	if (r)
		return r;
	r = add ? ibb_drivers_add(&c->q, &json, &err) : ibb_drivers_remove(&c->q, &json, &err);
	return cli_finish(c, r, &err, json, change_text);
}

static void check_text(const struct cli *c, const struct ibb_json *doc, struct ibb_buf *out)
{
	ibb_json_foreach (p, ibb_json_get(doc, "packages")) {
		const struct ibb_json *s = ibb_json_get(p, "signature"),
				      *by = ibb_json_get(s, "by");

		cli_printf(out, "%s/%s %s: %s\n", cli_str(p, "directory"), cli_str(p, "inf"),
			   cli_str(p, "version"), cli_str(s, "verdict"));
		cli_printf(out, "  digest   %s\n", cli_str(p, "sha256"));
		cli_printf(out, "  signer   %s, root %s, signed %s\n",
			   by ? cli_str(by, "signer") : "nobody",
			   ibb_json_str(by, "root") ? cli_str(by, "root") : "none",
			   ibb_json_str(by, "signed_at") ? cli_str(by, "signed_at")
							 : "at an unknown time");
		if (ibb_json_str(s, "certified_for"))
			cli_printf(out, "  for      %s\n", cli_str(s, "certified_for"));
		ibb_json_foreach (t, ibb_json_get(p, "targets")) {
			bool accepted = ibb_json_bool(t, "accepted", false);

			cli_printf(out, "  %-8s %s (%s, %s): %s%s%s\n",
				   accepted ? "accepted" : "REFUSED", cli_str(t, "windows"),
				   cli_str(t, "version"), cli_str(t, "kind"), cli_str(t, "verdict"),
				   accepted && !c->verbose ? "" : ": ",
				   accepted && !c->verbose ? "" : cli_str(t, "reason"));
		}
		ibb_json_foreach (w, ibb_json_get(s, "warnings"))
			cli_printf(out, "  warning: %s\n", ibb_json_value_str(w));
		if (!c->verbose)
			continue;
		ibb_json_foreach (f, ibb_json_get(p, "files"))
			cli_printf(out, "  %s %s\n",
				   ibb_json_bool(f, "member", false) ? "member " : "STRANGE",
				   cli_str(f, "path"));
	}
	ibb_json_foreach (x, ibb_json_get(doc, "left_out"))
		cli_printf(out, "%s: not judged: %s\n", cli_str(x, "inf"), cli_str(x, "reason"));
	ibb_json_foreach (f, ibb_json_get(doc, "companions"))
		cli_printf(out, "%s: %s: %s\n", cli_str(f, "path"), cli_str(f, "verdict"),
			   cli_str(f, "reason"));
	cli_render_warnings(doc, out);
}

static int check(struct cli *c)
{
	struct ibb_error err = {0};
	char *json = NULL;
	int r;

	if (c->n_args < 2)
		return cli_usage(c, "drivers check needs DIR or FILE...");
	c->q.driver_dirs = c->args + 1;
	c->q.n_driver_dirs = c->n_args - 1;
	r = ibb_drivers_check(&c->q, &json, &err);
	return cli_finish(c, r, &err, json, check_text);
}

int cli_cmd_drivers(struct cli *c)
{
	const char *verb = c->n_args ? c->args[0] : "";

	if (strcmp(verb, "list") == 0)
		return list(c);
	if (strcmp(verb, "add") == 0 || strcmp(verb, "remove") == 0)
		return change(c, verb[0] == 'a');
	if (strcmp(verb, "check") == 0)
		return check(c);
	if (strcmp(verb, "unpack") == 0)
		return cli_drivers_unpack(c);
	return cli_usage(c, "drivers needs one of: list, add, remove, check, unpack");
}
