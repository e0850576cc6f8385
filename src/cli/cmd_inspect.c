/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "cli/cli.h"

static void partitions(const struct ibb_json *doc, struct ibb_buf *out)
{
	ibb_json_foreach (p, ibb_json_get(doc, "partitions")) {
		int64_t n = 0;
		char size[32];

		(void)ibb_json_int(p, "number", 0, INT32_MAX, &n);
		cli_bytes(ibb_json_str(p, "bytes"), size);
		cli_printf(out, "  %lld  %-10s %s %s%s%s%s%s\n", (long long)n, size,
			   cli_str(p, "type"), ibb_json_str(p, "name") ? cli_str(p, "name") : "",
			   ibb_json_bool(p, "ntfs", false) ? " NTFS" : "",
			   ibb_json_bool(p, "windows", false) ? " Windows" : "",
			   ibb_json_str(p, "problem") ? " problem: " : "",
			   ibb_json_str(p, "problem") ? cli_str(p, "problem") : "");
	}
}

static void hives(const struct ibb_json *image, struct ibb_buf *out)
{
	ibb_json_foreach (h, ibb_json_get(image, "hives")) {
		char size[32];

		cli_bytes(ibb_json_str(h, "bytes"), size);
		cli_printf(out, "hive     %s, %s, %s%s%s\n", cli_str(h, "path"), size,
			   ibb_json_bool(h, "dirty", false) ? "dirty" : "clean",
			   ibb_json_str(h, "problem") ? ": " : "",
			   ibb_json_str(h, "problem") ? cli_str(h, "problem") : "");
	}
}

static void text(const struct cli *c, const struct ibb_json *doc, struct ibb_buf *out)
{
	const struct ibb_json *id = ibb_json_get(doc, "identity"), *image;
	char file[32], disk[32];
	int64_t n = 0, oem = 0;

	(void)c;
	cli_bytes(ibb_json_str(id, "file_bytes"), file);
	cli_bytes(ibb_json_str(id, "disk_bytes"), disk);
	cli_printf(out, "image    %s: %s, %s disk, %s, generation %s\n", cli_str(id, "file"),
		   cli_str(id, "container"), disk, cli_str(id, "partition_table"),
		   ibb_json_str(doc, "generation") ? cli_str(doc, "generation") : "unknown");
	partitions(doc, out);
	image = ibb_json_get(doc, "image");
	if (image) {
		const struct ibb_json *store = ibb_json_get(image, "driver_store");

		cli_render_image(image, out);
		hives(image, out);
		(void)ibb_json_int(store, "packages", 0, INT32_MAX, &n);
		(void)ibb_json_int(store, "oem_packages", 0, INT32_MAX, &oem);
		cli_printf(out, "drivers  %lld packages, %lld of them third-party\n", (long long)n,
			   (long long)oem);
		ibb_json_foreach (f, ibb_json_get(doc, "infiniband")) {
			const struct ibb_json *r = ibb_json_get(f, "readiness");

			cli_printf(out, "function %-12s driver %s, address %s, user-nd %s: %s\n",
				   cli_str(f, "function"),
				   cli_str(ibb_json_get(r, "driver"), "state"),
				   cli_str(ibb_json_get(r, "address"), "state"),
				   cli_str(ibb_json_get(r, "user-nd"), "state"),
				   cli_str(ibb_json_get(r, "driver"), "reason"));
		}
		ibb_json_foreach (d, ibb_json_get(image, "mellanox_devices")) {
			cli_printf(out, "device   %s\\%s, driver %s\n", cli_str(d, "control_set"),
				   cli_str(d, "instance"), cli_str(d, "driver"));
		}
	}
	cli_render_warnings(doc, out);
}

int cli_cmd_inspect(struct cli *c)
{
	struct ibb_error err = {0};
	char *json = NULL;
	int r;

	if (c->n_args != 1)
		return cli_usage(c, "inspect needs one IMAGE");
	c->q.image = c->args[0];
	r = ibb_inspect(&c->q, &json, &err);
	return cli_finish(c, r, &err, json, text);
}
