/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <string.h>

#include "cli/cli.h"

static void leftovers(const struct ibb_json *l, struct ibb_buf *out)
{
	int64_t removed = 0, in_use = 0;
	char bytes[32];

	if (!l || !ibb_json_int(l, "removed", 0, INT64_MAX, &removed) ||
	    !ibb_json_int(l, "in_use", 0, INT64_MAX, &in_use))
		return;
	cli_bytes(ibb_json_str(l, "bytes"), bytes);
	cli_printf(out, "leftovers: %lld removed (%s), %lld in use\n", (long long)removed, bytes,
		   (long long)in_use);
}

static void text(const struct cli *c, const struct ibb_json *doc, struct ibb_buf *out)
{
	const bool list = strcmp(cli_str(doc, "action"), "list") == 0;
	char bytes[32];

	ibb_json_foreach (f, ibb_json_get(doc, "files")) {
		cli_bytes(ibb_json_str(f, "size_bytes"), bytes);
		cli_printf(out, "%s %10s  %-10.10s %-9s %s%s%s\n", cli_str(f, "sha256"), bytes,
			   cli_str(f, "added"), list ? "" : cli_str(f, "state"), cli_str(f, "file"),
			   ibb_json_str(f, "release") ? ", release " : "",
			   ibb_json_str(f, "release") ? cli_str(f, "release") : "");
		if (ibb_json_str(f, "pinned"))
			cli_printf(out, "  pinned   %s\n", cli_str(f, "pinned"));
		if (!c->verbose)
			continue;
		cli_printf(out, "  path     %s\n", cli_str(f, "path"));
		cli_printf(out, "  from     %s%s\n",
			   ibb_json_str(f, "url") ? cli_str(f, "url") : "a file of the user",
			   ibb_json_bool(f, "insecure", false) ? ", unchecked over http" : "");
	}
	leftovers(ibb_json_get(doc, "leftovers"), out);
	cli_bytes(ibb_json_str(doc, "total_bytes"), bytes);
	cli_printf(out, "%s in %s\n", bytes, cli_str(doc, "cache"));
	cli_render_warnings(doc, out);
}

int cli_cmd_cache(struct cli *c)
{
	static const char *const verbs[] = {"list", "verify", "prune", "add"};
	const char *verb = c->n_args ? c->args[0] : "";
	struct ibb_error err = {0};
	enum ibb_cache_task task = IBB_CACHE_LIST;
	char *json = NULL;
	int r;

	while (task <= IBB_CACHE_ADD && strcmp(verb, verbs[task]) != 0)
		task++;
	if (task > IBB_CACHE_ADD)
		return cli_usage(c, "cache needs one of: list, verify, prune, add");
	if ((task == IBB_CACHE_ADD) != (c->n_args > 1))
		return cli_usage(c,
				 task == IBB_CACHE_ADD ? "cache add needs FILE..."
						       : "cache %s takes no argument",
				 verb);
	if ((c->q.release || c->q.lock) && task != IBB_CACHE_ADD)
		return cli_usage(c, "--release and --lock go with cache add alone");
	if (c->q.remove_wrong && task != IBB_CACHE_VERIFY)
		return cli_usage(c, "--remove goes with cache verify alone");
	if (c->q.prune_files && task != IBB_CACHE_PRUNE)
		return cli_usage(c, "--older-than goes with cache prune alone");
	r = cli_cache_dir(c);
	if (r)
		return r;
	if (!c->q.cache_dir)
		return cli_usage(c, "neither XDG_CACHE_HOME nor HOME is set: --cache-dir DIR");
	c->q.inputs = c->args + 1;
	c->q.n_inputs = c->n_args - 1;
	r = ibb_cache(&c->q, task, &json, &err);
	return cli_finish(c, r, &err, json, text);
}
