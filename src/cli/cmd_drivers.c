/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <string.h>

#include "cli/cli.h"

static void text(const struct cli *c, const struct ibb_json *doc, struct ibb_buf *out)
{
	size_t inbox = 0;

	cli_printf(out, "%-12s %-24s %-20s %-10s %-18s %-8s %-6s %s\n", "PUBLISHED", "INF",
		   "PROVIDER", "DATE", "VERSION", "NODE", "IN USE", "SIGNER");
	ibb_json_foreach (p, ibb_json_get(doc, "packages")) {
		if (ibb_json_bool(p, "inbox", false) && !c->verbose) {
			inbox++;
			continue;
		}
		cli_printf(out, "%-12s %-24s %-20s %-10s %-18s %-8s %-6s %s\n",
			   cli_str(p, "published"), cli_str(p, "inf"), cli_str(p, "provider"),
			   cli_str(p, "date"), cli_str(p, "version"), cli_str(p, "node"),
			   ibb_json_bool(p, "in_use", false) ? "yes" : "no", cli_str(p, "signer"));
	}
	if (inbox)
		cli_printf(out, "and %zu that came with Windows (-v lists them)\n", inbox);
}

int cli_cmd_drivers(struct cli *c)
{
	struct ibb_error err = {0};
	char *json = NULL;
	int r;

	if (c->n_args != 2 || strcmp(c->args[0], "list") != 0)
		return cli_usage(c, "drivers needs: list IMAGE");
	c->q.image = c->args[1];
	r = ibb_drivers_list(&c->q, &json, &err);
	return cli_finish(c, r, &err, json, text);
}
