/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "cli/cli.h"

static void text(const struct cli *c, const struct ibb_json *doc, struct ibb_buf *out)
{
	cli_printf(out, "%-34s %-16s %-10s %5s x %-2s %-7s %s\n", "SIZE", "SERIES", "NIC", "Gb/s",
		   "P", "DRIVER", "STATUS");
	ibb_json_foreach (z, ibb_json_get(doc, "sizes")) {
		int64_t gbps = 0, ports = 0;
		const char *date = ibb_json_str(z, "retire_date");

		(void)ibb_json_int(z, "gbps_per_port", 0, 100000, &gbps);
		(void)ibb_json_int(z, "ports", 0, 1000, &ports);
		cli_printf(out, "%-34s %-16s %-10s %5lld x %-2lld %-7s %s%s%s\n",
			   cli_str(z, "name"), cli_str(z, "series"), cli_str(z, "nic"),
			   (long long)gbps, (long long)ports, cli_str(z, "driver_set"),
			   cli_str(z, "status"), date ? " " : "", date ? date : "");
		if (c->verbose && ibb_json_str(z, "note"))
			cli_printf(out, "    %s\n", cli_str(z, "note"));
	}
	cli_printf(out, "catalog as of %s\n", cli_str(doc, "catalog_as_of"));
	cli_render_warnings(doc, out);
}

int cli_cmd_sizes(struct cli *c)
{
	struct ibb_error err = {0};
	char *json = NULL;
	int r;

	if (c->n_args)
		return cli_usage(c, "sizes takes no argument");
	r = ibb_sizes(&c->q, &json, &err);
	return cli_finish(c, r, &err, json, text);
}
