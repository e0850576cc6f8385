/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <string.h>

#include "cli/cli.h"

static const char *state_text(const struct cli *c, const struct ibb_json *f)
{
	const char *s = cli_str(f, "state");

	if (strcmp(s, "missing") == 0)
		return c->q.dry_run ? "would be fetched" : "not fetched";
	if (strcmp(s, "cached") == 0)
		return "in the cache";
	return s;
}

static void file_text(const struct cli *c, const struct ibb_json *f, struct ibb_buf *out)
{
	int64_t requests = 0;
	char bytes[32];

	cli_printf(out, "%s %s: %s\n", cli_str(f, "release"),
		   ibb_json_str(f, "file") ? cli_str(f, "file") : cli_str(f, "version"),
		   state_text(c, f));
	if (ibb_json_str(f, "size_bytes")) {
		cli_bytes(ibb_json_str(f, "size_bytes"), bytes);
		cli_printf(out, "  size     %s\n", bytes);
	}
	if (ibb_json_str(f, "sha256"))
		cli_printf(out, "  sha256   %s\n", cli_str(f, "sha256"));
	cli_printf(out, "  pinned   %s%s\n", cli_str(f, "pinned"),
		   ibb_json_bool(f, "insecure", false) ? ", over http" : "");
	if (ibb_json_str(f, "path"))
		cli_printf(out, "  path     %s\n", cli_str(f, "path"));
	if (ibb_json_str(f, "url"))
		cli_printf(out, "  from     %s%s\n", cli_str(f, "url"),
			   ibb_json_bool(f, "resumed", false) ? " (gone on with)" : "");
	else
		ibb_json_foreach (u, ibb_json_get(f, "urls"))
			cli_printf(out, "  url      %s (%s)\n", cli_str(u, "url"),
				   cli_str(u, "basis"));
	if (c->verbose && ibb_json_int(f, "requests", 0, INT32_MAX, &requests))
		cli_printf(out, "  requests %lld\n", (long long)requests);
	ibb_json_foreach (t, ibb_json_get(f, "for"))
		cli_printf(out, "  for      %s on %s\n", cli_str(t, "size"), cli_str(t, "windows"));
	if (ibb_json_str(f, "error"))
		cli_printf(out, "  error    %s\n", cli_str(f, "error"));
}

static void text(const struct cli *c, const struct ibb_json *doc, struct ibb_buf *out)
{
	ibb_json_foreach (f, ibb_json_get(doc, "files"))
		file_text(c, f, out);
	cli_render_warnings(doc, out);
}

int cli_cmd_fetch(struct cli *c)
{
	struct ibb_error err = {0};
	char *json = NULL;
	int r;

	if (!c->n_args && !c->q.n_sizes && !c->q.n_oses)
		return cli_usage(c, "fetch needs RELEASE..., or --size SIZE and --os NAME|BUILD");
	if (!c->q.n_sizes != !c->q.n_oses)
		return cli_usage(c, "--size and --os go together");
	r = cli_cache_dir(c);
	if (r)
		return r;
	if (!c->q.cache_dir)
		return cli_usage(c, "neither XDG_CACHE_HOME nor HOME is set: --cache-dir DIR");
	cli_network(c);
	c->q.inputs = c->args;
	c->q.n_inputs = c->n_args;
	c->q.dry_run = c->dry_run;
	r = ibb_fetch(&c->q, &json, &err);
	return cli_finish(c, r, &err, json, text);
}
