/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Results about WIMs: the file, then one image after the other. */
#include <stdio.h>
#include <string.h>

#include "cli/cli.h"

static long long number(const struct ibb_json *o, const char *key)
{
	int64_t n = 0;

	(void)ibb_json_int(o, key, 0, INT64_MAX, &n);
	return (long long)n;
}

void cli_render_wim(const struct ibb_json *id, struct ibb_buf *out)
{
	char file[32], boot[32] = "";

	cli_bytes(ibb_json_str(id, "file_bytes"), file);
	if (number(id, "boot_index"))
		snprintf(boot, sizeof(boot), ", boots image %lld", number(id, "boot_index"));
	cli_printf(out, "WIM      %s: %lld image(s), %s, compression %s%s%s%s%s%s\n",
		   cli_str(id, "file"), number(id, "images"), file, cli_str(id, "compression"),
		   ibb_json_bool(id, "solid", false) ? ", solid" : "",
		   ibb_json_bool(id, "pipable", false) ? ", pipable" : "",
		   ibb_json_bool(id, "integrity", false) ? ", integrity table" : "", boot,
		   ibb_json_bool(id, "marked_readonly", false) ? ", marked read-only" : "");
	if (number(id, "parts") > 1)
		cli_printf(out, "  split into %lld parts\n", number(id, "parts"));
	if (ibb_json_bool(id, "write_in_progress", false))
		cli_printf(out, "  a change of it was interrupted, by whatever program; it holds "
				"what it held before\n");
}

void cli_render_images(const struct cli *c, const struct ibb_json *doc, struct ibb_buf *out,
		       cli_text_fn fn)
{
	ibb_json_foreach (i, ibb_json_get(doc, "images")) {
		const char *name = ibb_json_str(i, "name");

		cli_printf(out, "image %lld  %s\n", number(i, "index"), name ? name : "(no name)");
		if (ibb_json_str(i, "skipped"))
			cli_printf(out, "skipped: %s\n", cli_str(i, "skipped"));
		else
			fn(c, i, out);
	}
	cli_render_warnings(doc, out);
}

/* What a bake did to one image. */
static void outcome_of_image(const struct ibb_json *image, struct ibb_buf *out)
{
	const struct ibb_json *ops = ibb_json_get(image, "operations");

	if (ibb_json_count(ops))
		cli_printf(out, "%zu operations done, %zu files written\n", ibb_json_count(ops),
			   ibb_json_count(ibb_json_get(image, "files")));
	else
		cli_printf(out, "nothing to do: the image holds everything already\n");
}

static void changed_image(const struct cli *c, const struct ibb_json *image, struct ibb_buf *out)
{
	cli_render_image(ibb_json_get(image, "image"), out);
	cli_render_targets(c, image, out);
	cli_render_packages(c, image, out);
	cli_render_removed(image, out);
	cli_render_warnings(image, out);
	outcome_of_image(image, out);
}

void cli_render_winre(const struct cli *c, const struct ibb_json *doc, struct ibb_buf *out)
{
	ibb_json_foreach (x, ibb_json_get(doc, "winre")) {
		cli_printf(out, "winre    partition %lld: %s\n", number(x, "partition"),
			   cli_str(x, "path"));
		cli_render_images(c, x, out, changed_image);
	}
}

static void in_place(const struct ibb_json *writing, struct ibb_buf *out)
{
	char grown[32], dead[32];

	cli_bytes(ibb_json_str(writing, "grown_bytes"), grown);
	cli_bytes(ibb_json_str(writing, "dead_bytes"), dead);
	cli_printf(out, "grown    by %s; %s of the file are no longer used%s\n", grown, dead,
		   strcmp(cli_str(writing, "dead_bytes"), "0") != 0 ? " (--compact leaves them out)"
								    : "");
}

void cli_render_wim_change(const struct cli *c, const struct ibb_json *doc, struct ibb_buf *out)
{
	const struct ibb_json *w = ibb_json_get(doc, "writing");

	cli_render_trust(doc, out);
	cli_render_wim(ibb_json_get(doc, "input"), out);
	cli_render_images(c, doc, out, changed_image);
	if (c->dry_run) {
		cli_printf(out, "dry run: nothing was written\n");
	} else if (strcmp(cli_str(w, "mode"), "in-place") == 0 &&
		   strcmp(cli_str(w, "grown_bytes"), "0") == 0) {
		cli_printf(out, "output   %s stays as it is\n", c->q.image);
	} else {
		cli_printf(out, "output   %s, read back and compared\n",
			   c->q.in_place ? c->q.image : c->q.output);
		if (strcmp(cli_str(w, "mode"), "in-place") == 0)
			in_place(w, out);
	}
	if (c->q.manifest)
		cli_printf(out, "manifest %s\n", c->q.manifest);
}
