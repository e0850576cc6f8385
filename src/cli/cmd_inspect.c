/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <string.h>

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

static long long number(const struct ibb_json *o, const char *key)
{
	int64_t n = 0;

	(void)ibb_json_int(o, key, 0, INT64_MAX, &n);
	return (long long)n;
}

static void recovery_images(const struct ibb_json *doc, struct ibb_buf *out)
{
	char size[32];

	ibb_json_foreach (x, ibb_json_get(doc, "recovery_images")) {
		cli_bytes(ibb_json_str(x, "bytes"), size);
		cli_printf(out, "winre    partition %lld: %s, %s\n", number(x, "partition"),
			   cli_str(x, "path"), size);
	}
}

/* What --hives adds. */
static void hive_details(const struct ibb_json *h, struct ibb_buf *out)
{
	const struct ibb_json *check = ibb_json_get(h, "check"), *c = ibb_json_get(h, "recovery");
	bool recovery = ibb_json_str(c, "result") != NULL;
	char free_bytes[32], applied[32];

	if (ibb_json_str(h, "format"))
		cli_printf(out, "  format %s, sequence numbers %lld and %lld\n",
			   cli_str(h, "format"), number(h, "sequence1"), number(h, "sequence2"));
	ibb_json_foreach (l, ibb_json_get(h, "transaction_logs")) {
		char size[32];

		cli_bytes(ibb_json_str(l, "bytes"), size);
		cli_printf(out, "  log %s, %s, format %s", cli_str(l, "path"), size,
			   cli_str(l, "format"));
		if (ibb_json_get(l, "entries"))
			cli_printf(out, ", %lld sound entries found, %lld applied",
				   number(l, "entries"), number(l, "applied"));
		/* why logs of a clean hive are not applied needs no saying */
		cli_printf(out, "%s%s\n", recovery && ibb_json_str(l, "reason") ? ": " : "",
			   recovery && ibb_json_str(l, "reason") ? cli_str(l, "reason") : "");
	}
	if (ibb_json_str(c, "result")) {
		cli_bytes(ibb_json_str(c, "bytes_applied"), applied);
		cli_printf(out, "  recovery: %s, %s applied%s\n", cli_str(c, "result"), applied,
			   ibb_json_bool(c, "base_block_recovered", false)
				   ? ", base block from a log"
				   : "");
	}
	if (ibb_json_str(check, "problem")) {
		cli_printf(out, "  check: DAMAGED: %s\n", cli_str(check, "problem"));
	} else if (check) {
		cli_bytes(ibb_json_str(check, "free_bytes"), free_bytes);
		cli_printf(out,
			   "  check: sound; %lld keys, %lld values, %lld security cells, %lld big "
			   "values, %s free, %lld unreferenced cells\n",
			   number(check, "keys"), number(check, "values"),
			   number(check, "security_cells"), number(check, "big_values"), free_bytes,
			   number(check, "unreferenced_cells"));
		if (number(check, "excess_counts"))
			cli_printf(out,
				   "  note: %lld security cells count more keys than use them; an "
				   "edit puts that right\n",
				   number(check, "excess_counts"));
	}
}

/* "clean", "dirty, recovered from its logs", ... */
static const char *hive_state(const struct ibb_json *h)
{
	const char *result = ibb_json_str(ibb_json_get(h, "recovery"), "result");

	if (!ibb_json_get(h, "dirty"))
		return "no header";
	if (!ibb_json_bool(h, "dirty", false))
		return "clean";
	if (result && strcmp(result, "replayed-in-part") == 0)
		return "dirty, recovered from its transaction logs in part";
	if (result && strcmp(result, "replayed") == 0)
		return "dirty, recovered from its transaction logs";
	if (result && strcmp(result, "accepted-as-it-is") == 0)
		return "dirty, taken as it is";
	return "dirty";
}

static void hives(const struct ibb_json *image, bool details, struct ibb_buf *out)
{
	ibb_json_foreach (h, ibb_json_get(image, "hives")) {
		char size[32];

		cli_bytes(ibb_json_str(h, "bytes"), size);
		cli_printf(out, "hive     %s, %s, %s%s%s\n", cli_str(h, "path"), size,
			   hive_state(h), ibb_json_str(h, "problem") ? ": " : "",
			   ibb_json_str(h, "problem") ? cli_str(h, "problem") : "");
		if (details)
			hive_details(h, out);
	}
}

/* What the disk rests on, and who else looked at it. */
static void chain(const struct ibb_json *id, struct ibb_buf *out)
{
	ibb_json_foreach (p, ibb_json_get(id, "parents")) {
		char file[32];

		cli_bytes(ibb_json_str(p, "file_bytes"), file);
		cli_printf(out, "  parent %s: %s, %s, identifier %s, found by %s%s\n",
			   cli_str(p, "file"), cli_str(p, "container"), file,
			   cli_str(p, "identifier"), cli_str(p, "found_by"),
			   ibb_json_bool(p, "time_agrees", true)
				   ? ""
				   : ", of another time than its child says");
	}
	cli_render_opinion(id, out);
}

static void functions(const struct ibb_json *doc, struct ibb_buf *out)
{
	ibb_json_foreach (f, ibb_json_get(doc, "infiniband")) {
		const struct ibb_json *r = ibb_json_get(f, "readiness");

		cli_printf(out, "function %-12s driver %s, address %s, user-nd %s: %s\n",
			   cli_str(f, "function"), cli_str(ibb_json_get(r, "driver"), "state"),
			   cli_str(ibb_json_get(r, "address"), "state"),
			   cli_str(ibb_json_get(r, "user-nd"), "state"),
			   cli_str(ibb_json_get(r, "driver"), "reason"));
	}
}

/* The Windows of a disk or of an image of a WIM, as far as it could be read. */
static void windows(const struct cli *c, const struct ibb_json *doc, struct ibb_buf *out)
{
	const struct ibb_json *image = ibb_json_get(doc, "image");
	const struct ibb_json *store = ibb_json_get(image, "driver_store");

	if (!image)
		return;
	cli_render_image(image, out);
	hives(image, c->q.check_hives, out);
	cli_printf(out, "drivers  %lld packages, %lld of them third-party\n",
		   number(store, "packages"), number(store, "oem_packages"));
	functions(doc, out);
	ibb_json_foreach (d, ibb_json_get(image, "mellanox_devices")) {
		cli_printf(out, "device   %s\\%s, driver %s\n", cli_str(d, "control_set"),
			   cli_str(d, "instance"), cli_str(d, "driver"));
	}
}

static void disk(const struct cli *c, const struct ibb_json *doc, struct ibb_buf *out)
{
	const struct ibb_json *id = ibb_json_get(doc, "identity");
	char file[32], disk_bytes[32];

	cli_bytes(ibb_json_str(id, "file_bytes"), file);
	cli_bytes(ibb_json_str(id, "disk_bytes"), disk_bytes);
	cli_printf(out, "image    %s: %s, %s disk, %s, generation %s\n", cli_str(id, "file"),
		   cli_str(id, "container"), disk_bytes, cli_str(id, "partition_table"),
		   ibb_json_str(doc, "generation") ? cli_str(doc, "generation") : "unknown");
	chain(id, out);
	partitions(doc, out);
	recovery_images(doc, out);
	windows(c, doc, out);
	cli_render_azure(c, doc, out);
	cli_render_warnings(doc, out);
}

static void wim_image(const struct cli *c, const struct ibb_json *i, struct ibb_buf *out)
{
	static const char *const keys[] = {"display_name", "installation_type", "version", "arch"};
	const struct ibb_json *x = ibb_json_get(i, "xml"), *p = ibb_json_get(i, "problem");
	char bytes[32];

	cli_bytes(ibb_json_str(x, "bytes"), bytes);
	cli_printf(out, "says     ");
	for (size_t k = 0; k < IBB_ARRAY_SIZE(keys); k++)
		if (ibb_json_str(x, keys[k]))
			cli_printf(out, "%s, ", ibb_json_str(x, keys[k]));
	cli_printf(out, "%s in %s files\n", bytes, cli_str(x, "files"));
	windows(c, i, out);
	cli_render_warnings(i, out);
	if (ibb_json_str(p, "message"))
		cli_printf(out, "problem: %s\n", cli_str(p, "message"));
}

static void text(const struct cli *c, const struct ibb_json *doc, struct ibb_buf *out)
{
	if (!ibb_json_get(doc, "images")) {
		disk(c, doc, out);
		return;
	}
	cli_render_wim(ibb_json_get(doc, "identity"), out);
	cli_render_images(c, doc, out, wim_image);
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
