/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What a document says of Azure. */
#include <string.h>

#include "cli/cli.h"

static bool has_state(const struct ibb_json *check, const char *state)
{
	return strcmp(cli_str(check, "state"), state) == 0;
}

/* What is in order fits one line. */
static void in_order(const struct ibb_json *azure, struct ibb_buf *out)
{
	const char *separator = "  ok       ";

	ibb_json_foreach (c, ibb_json_get(azure, "checks")) {
		if (!has_state(c, "ok"))
			continue;
		cli_printf(out, "%s%s", separator, cli_str(c, "id"));
		separator = ", ";
	}
	if (*separator == ',')
		cli_printf(out, "\n");
}

static void one(const struct ibb_json *c, bool verbose, struct ibb_buf *out)
{
	cli_printf(out, "  %-8s %s: %s\n",
		   has_state(c, "not-applicable") ? "n/a" : cli_str(c, "state"), cli_str(c, "id"),
		   cli_str(c, "finding"));
	if (ibb_json_str(c, "remedy"))
		cli_printf(out, "           %s\n", cli_str(c, "remedy"));
	if (verbose)
		cli_printf(out, "           source: %s\n", cli_str(c, "source"));
}

void cli_render_azure(const struct cli *c, const struct ibb_json *doc, struct ibb_buf *out)
{
	const struct ibb_json *azure = ibb_json_get(doc, "azure");
	const char *generation = ibb_json_str(azure, "generation");

	if (!azure)
		return;
	cli_printf(out, "azure    the %s is %s%s%s\n", cli_str(azure, "of"),
		   ibb_json_bool(azure, "fit", false) ? "fit" : "NOT fit",
		   generation ? ", generation " : "", generation ? generation : "");
	ibb_json_foreach (check, ibb_json_get(azure, "checks")) {
		if (c->verbose || !has_state(check, "ok"))
			one(check, c->verbose, out);
	}
	if (!c->verbose)
		in_order(azure, out);
}
