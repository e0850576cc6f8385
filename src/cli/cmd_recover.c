/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <string.h>

#include "cli/cli.h"

/* The old manifest of a file that is as it was before. */
static void old_manifest(const struct ibb_json *doc, struct ibb_buf *out)
{
	if (ibb_json_str(doc, "manifest_restored"))
		cli_printf(out, "manifest %s has its name again\n",
			   cli_str(doc, "manifest_restored"));
	ibb_json_foreach (x, ibb_json_get(doc, "manifests_aside"))
		cli_printf(out, "aside    %s: maybe its manifest; see, and rename or remove it\n",
			   ibb_json_value_str(x));
}

static void text(const struct cli *c, const struct ibb_json *doc, struct ibb_buf *out)
{
	const char *action = cli_str(doc, "action");
	const bool complete = strcmp(cli_str(doc, "state"), "complete") == 0;
	char bytes[32];

	(void)c;
	if (strcmp(action, "nothing") == 0) {
		cli_printf(out, "nothing to do: no journal lies beside the image\n");
		return;
	}
	if (complete && strcmp(cli_str(doc, "record"), "undo") == 0) {
		cli_bytes(cli_str(doc, "changed_bytes"), bytes);
		cli_printf(out, "journal  %s removed\n", cli_str(doc, "journal"));
		cli_printf(out, "image    as it was before: %s behind its old end taken away\n",
			   bytes);
		old_manifest(doc, out);
		return;
	}
	if (strcmp(action, "dropped") == 0) {
		cli_printf(out, "journal  %s removed\n", cli_str(doc, "journal"));
		cli_printf(out, "image    as it was before: %s\n",
			   complete ? "nothing of the change had been written"
				    : "the journal was not complete");
		old_manifest(doc, out);
		return;
	}
	cli_bytes(cli_str(doc, "changed_bytes"), bytes);
	cli_printf(out, "journal  %s finished and removed\n", cli_str(doc, "journal"));
	cli_printf(out, "image    changed as it was meant to be: %s, read back\n", bytes);
	if (ibb_json_str(doc, "manifest"))
		cli_printf(out, "manifest %s\n", cli_str(doc, "manifest"));
	if (ibb_json_str(doc, "manifest_missing"))
		cli_printf(out,
			   "manifest %s was not written, as asked; one that lies there describes "
			   "another state\n",
			   cli_str(doc, "manifest_missing"));
}

int cli_cmd_recover(struct cli *c)
{
	struct ibb_error err = {0};
	char *json = NULL;
	int r;

	if (c->n_args != 1)
		return cli_usage(c, "recover needs one IMAGE");
	if (c->q.drop && c->no_manifest)
		return cli_usage(c, "--drop and --no-manifest exclude each other");
	c->q.image = c->args[0];
	c->q.no_manifest = c->no_manifest;
	r = ibb_recover(&c->q, &json, &err);
	return cli_finish(c, r, &err, json, text);
}
