/* SPDX-License-Identifier: GPL-3.0-or-later */
/* ibbake catalog show|check|import */
#include <string.h>

#include "cli/cli.h"

static const char *plural(int64_t n)
{
	return n == 1 ? "" : "s";
}

/* The strings of a list on one line. */
static void print_list(struct ibb_buf *out, const struct ibb_json *list, const char *none)
{
	const char *sep = "";

	if (!ibb_json_count(list))
		cli_printf(out, "%s", none);
	ibb_json_foreach (it, list) {
		cli_printf(out, "%s%s", sep, ibb_json_value_str(it));
		sep = ", ";
	}
}

/* ---- show ---- */

static void print_release(const struct cli *c, const struct ibb_json *r, struct ibb_buf *out)
{
	int64_t mb = 0;

	cli_printf(out, "  %-24s %-12s driver %-12s %-10s%s\n", cli_str(r, "id"),
		   cli_str(r, "version"), cli_str(r, "driver_version"), cli_str(r, "date"),
		   ibb_json_bool(r, "lts", false) ? " LTS" : "");
	if (ibb_json_str(r, "package"))
		cli_printf(out, "      file     %s", cli_str(r, "package"));
	if (ibb_json_str(r, "package") && ibb_json_int(r, "megabytes", 1, 1000000, &mb))
		cli_printf(out, " (about %lld MB)", (long long)mb);
	if (ibb_json_str(r, "package"))
		cli_printf(out, "\n");
	cli_printf(out, "      windows  ");
	print_list(out, ibb_json_get(r, "windows"), "not known");
	cli_printf(out, " (%s)\n", cli_str(r, "windows_basis"));
	ibb_json_foreach (u, ibb_json_get(r, "urls"))
		cli_printf(out, "      %-8s %s [confidence %s]\n", cli_str(u, "basis"),
			   cli_str(u, "url"), cli_str(u, "confidence"));
	if (ibb_json_str(r, "sha256"))
		cli_printf(out, "      sha256   %s (%s)\n", cli_str(r, "sha256"),
			   cli_str(r, "sha256_basis"));
	ibb_json_foreach (f, ibb_json_get(r, "files"))
		cli_printf(out, "      pinned   %s %s\n", cli_str(f, "sha256"), cli_str(f, "name"));
	if (c->verbose && ibb_json_str(r, "note"))
		cli_printf(out, "      note     %s\n", cli_str(r, "note"));
}

static void print_extension(const struct ibb_json *doc, struct ibb_buf *out)
{
	cli_printf(out, "\nthe VM extension's list:\n");
	ibb_json_foreach (e, ibb_json_get(doc, "extension_entries")) {
		cli_printf(out, "  %-8s ", cli_str(e, "nic"));
		print_list(out, ibb_json_get(e, "distros"), "-");
		cli_printf(out, "; from %s to %s\n      %s\n", cli_str(e, "first_date"),
			   ibb_json_str(e, "last_date") ? cli_str(e, "last_date") : "now",
			   cli_str(e, "url"));
	}
	cli_printf(out, "\nits documentation:\n");
	ibb_json_foreach (s, ibb_json_get(doc, "extension_support")) {
		const struct ibb_json *w = ibb_json_get(s, "windows");

		cli_printf(out, "  %s  %s%s: ", cli_str(s, "date"),
			   ibb_json_value_str(ibb_json_first(w)),
			   ibb_json_count(w) > 1 ? " and later of its kind" : "");
		print_list(out, ibb_json_get(s, "nics"), "no NIC named");
		cli_printf(out, "\n");
	}
}

static void show_text(const struct cli *c, const struct ibb_json *doc, struct ibb_buf *out)
{
	int64_t sizes = 0, rules = 0;

	(void)ibb_json_int(doc, "sizes", 0, INT32_MAX, &sizes);
	(void)ibb_json_int(doc, "rules", 0, INT32_MAX, &rules);
	ibb_json_foreach (l, ibb_json_get(doc, "catalogs"))
		cli_printf(out, "%s: %s, as of %s\n", cli_str(l, "file"), cli_str(l, "title"),
			   cli_str(l, "as_of"));
	cli_printf(out, "%lld sizes ('ibbake sizes'), %lld rules ('ibbake resolve')\n\nreleases:\n",
		   (long long)sizes, (long long)rules);
	ibb_json_foreach (r, ibb_json_get(doc, "releases"))
		print_release(c, r, out);
	cli_printf(out, "\nrecommended:\n");
	ibb_json_foreach (r, ibb_json_get(doc, "recommendations"))
		cli_printf(out, "  %-7s %-13s %-12s %s\n", cli_str(r, "driver_set"),
			   cli_str(r, "windows"), cli_str(r, "version"), cli_str(r, "reason"));
	cli_printf(out, "\nfiles beside the driver package:\n");
	ibb_json_foreach (k, ibb_json_get(doc, "companions"))
		cli_printf(out, "  %-7s %-16s %-14s [confidence %s] %s\n", cli_str(k, "driver_set"),
			   cli_str(k, "role"), cli_str(k, "file"), cli_str(k, "confidence"),
			   cli_str(k, "note"));
	print_extension(doc, out);
	cli_render_warnings(doc, out);
}

static int show(struct cli *c)
{
	struct ibb_error err = {0};
	char *json = NULL;
	int r;

	if (c->n_args != 1 || c->q.output || c->q.n_driver_dirs)
		return cli_usage(c, "catalog show takes no argument");
	r = ibb_catalog_show(&c->q, &json, &err);
	return cli_finish(c, r, &err, json, show_text);
}

/* ---- check ---- */

static void check_text(const struct cli *c, const struct ibb_json *doc, struct ibb_buf *out)
{
	int64_t n[3] = {0}, packages = 0, pinned = 0, pins = 0;

	(void)ibb_json_int(doc, "errors", 0, INT32_MAX, &n[0]);
	(void)ibb_json_int(doc, "warnings", 0, INT32_MAX, &n[1]);
	(void)ibb_json_int(doc, "notes", 0, INT32_MAX, &n[2]);
	(void)ibb_json_int(doc, "packages", 0, INT32_MAX, &packages);
	(void)ibb_json_int(doc, "pins", 0, INT32_MAX, &pins);
	(void)ibb_json_int(doc, "pinned_files", 0, INT32_MAX, &pinned);
	ibb_json_foreach (f, ibb_json_get(doc, "findings")) {
		const char *path = cli_str(f, "path");

		if (!c->verbose && strcmp(cli_str(f, "severity"), "note") == 0)
			continue;
		cli_printf(out, "%s: %s%s%s: %s\n", cli_str(f, "severity"), cli_str(f, "file"),
			   *path ? ": " : "", path, cli_str(f, "text"));
	}
	if (!ibb_json_bool(doc, "judged", true))
		cli_printf(out,
			   "overlaps, gaps and dates were not looked at: the catalog has to be "
			   "sound first\n");
	if (c->q.n_driver_dirs)
		cli_printf(out, "%lld package%s, %lld of %lld pinned file%s as the catalog says\n",
			   (long long)packages, plural(packages), (long long)pinned,
			   (long long)pins, plural(pins));
	cli_printf(out, "%lld error%s, %lld warning%s, %lld note%s%s\n", (long long)n[0],
		   plural(n[0]), (long long)n[1], plural(n[1]), (long long)n[2], plural(n[2]),
		   n[2] && !c->verbose ? " (--verbose shows them)" : "");
}

static int check(struct cli *c)
{
	struct ibb_error err = {0};
	char *json = NULL;
	int r;

	if (c->q.output)
		return cli_usage(c, "catalog check writes nothing: leave -o out");
	/* like those of --catalog-dir; a complete catalog of one's own is --catalog FILE */
	for (size_t i = 1; i < c->n_args; i++) {
		if (c->q.n_catalog_dirs == CLI_MAX_LIST)
			return cli_usage(c, "too many catalogs");
		c->catalog_dirs[c->q.n_catalog_dirs++] = c->args[i];
	}
	r = ibb_catalog_check(&c->q, &json, &err);
	return cli_finish(c, r, &err, json, check_text);
}

/* ---- import ---- */

static void import_text(const struct cli *c, const struct ibb_json *doc, struct ibb_buf *out)
{
	int64_t used = 0, left = 0, entries = 0, releases = 0, recommended = 0;

	if (ibb_json_str(doc, "overlay")) {
		IBB_AUTO(ibb_json_free) struct ibb_json *whole = NULL;

		/* a file of its own, with its line breaks; what acts is refused in catalogs */
		if (!ibb_json_parse("result", c->result, strlen(c->result), &whole, NULL))
			(void)!ibb_buf_append_str(out, ibb_json_str(whole, "overlay"));
		return;
	}
	(void)ibb_json_int(doc, "used", 0, INT32_MAX, &used);
	(void)ibb_json_int(doc, "left_out", 0, INT32_MAX, &left);
	(void)ibb_json_int(doc, "extension_entries", 0, INT32_MAX, &entries);
	(void)ibb_json_int(doc, "releases", 0, INT32_MAX, &releases);
	(void)ibb_json_int(doc, "recommendations", 0, INT32_MAX, &recommended);
	ibb_json_foreach (r, ibb_json_get(doc, "repairs")) {
		int64_t line = 0, column = 0;

		(void)ibb_json_int(r, "line", 0, INT32_MAX, &line);
		(void)ibb_json_int(r, "column", 0, INT32_MAX, &column);
		cli_printf(out, "warning: %s: line %lld, column %lld: %s\n", cli_str(doc, "file"),
			   (long long)line, (long long)column, cli_str(r, "what"));
	}
	ibb_json_foreach (e, ibb_json_get(doc, "entries")) {
		bool taken = ibb_json_bool(e, "used", false);
		const char *reason = ibb_json_str(e, "reason");

		if (taken && !reason && !c->verbose)
			continue;
		cli_printf(out, "%s: %s: %s %s %s%s%s\n", taken ? "used" : "left out",
			   cli_str(e, "path"), cli_str(e, "type"), cli_str(e, "os"),
			   cli_str(e, "distro"), reason ? ": " : "", reason ? reason : "");
	}
	cli_printf(out,
		   "%lld entr%s used, %lld left out: %lld extension entr%s, %lld new release%s, "
		   "%lld recommendation%s\n",
		   (long long)used, used == 1 ? "y" : "ies", (long long)left, (long long)entries,
		   entries == 1 ? "y" : "ies", (long long)releases, plural(releases),
		   (long long)recommended, plural(recommended));
	if (ibb_json_str(doc, "output"))
		cli_printf(out, "written: %s; use it with --catalog-dir\n", cli_str(doc, "output"));
}

static int import(struct cli *c)
{
	struct ibb_error err = {0};
	char *json = NULL;
	int r;

	if (c->n_args != 2 || c->q.n_driver_dirs)
		return cli_usage(c, "catalog import needs one FILE");
	c->q.inputs = c->args + 1;
	c->q.n_inputs = 1;
	r = ibb_catalog_import(&c->q, &json, &err);
	return cli_finish(c, r, &err, json, import_text);
}

int cli_cmd_catalog(struct cli *c)
{
	const char *verb = c->n_args ? c->args[0] : "";

	if (strcmp(verb, "show") == 0)
		return show(c);
	if (strcmp(verb, "check") == 0)
		return check(c);
	if (strcmp(verb, "import") == 0)
		return import(c);
	return cli_usage(c, "catalog needs one of: show, check, import");
}
