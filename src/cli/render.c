/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Parts of the human-readable results that several commands share. */
#include <stdio.h>
#include <string.h>

#include "cli/cli.h"

void cli_render_resolution(const struct ibb_json *res, bool verbose, struct ibb_buf *out)
{
	const struct ibb_json *w = ibb_json_get(res, "windows");

	cli_printf(out, "%s on %s (%s, %s): %s\n", cli_str(res, "size"),
		   ibb_json_str(w, "name") ? cli_str(w, "name") : "Windows", cli_str(w, "version"),
		   cli_str(w, "kind"), cli_str(res, "state"));
	cli_printf(out, "  driver set   %s\n", cli_str(res, "driver_set_name"));
	ibb_json_foreach (id, ibb_json_get(ibb_json_get(res, "function"), "hardware_ids")) {
		cli_printf(out, "  device       %s\n", ibb_json_value_str(id));
		if (!verbose)
			break;
	}
	if (ibb_json_str(res, "recommended_version"))
		cli_printf(out, "  recommended  %s: %s\n", cli_str(res, "recommended_version"),
			   cli_str(res, "recommended_reason"));
	ibb_json_foreach (t, ibb_json_get(res, "rules")) {
		bool decided = ibb_json_bool(t, "decided", false);

		cli_printf(out, "  %s %s [%s, confidence %s]: %s\n",
			   decided ? "decided by" : "also     ", cli_str(t, "rule"),
			   cli_str(t, "state"), cli_str(t, "confidence"), cli_str(t, "reason"));
		if (verbose && ibb_json_str(t, "source"))
			cli_printf(out, "             source: %s %s\n", cli_str(t, "source"),
				   ibb_json_str(t, "locator") ? cli_str(t, "locator") : "");
	}
}

static void readiness_line(const struct ibb_json *r, const char *line, struct ibb_buf *out)
{
	const struct ibb_json *l = ibb_json_get(r, line);

	cli_printf(out, "  %-8s %-8s %s\n", line, cli_str(l, "state"), cli_str(l, "reason"));
}

void cli_render_readiness(const struct ibb_json *readiness, struct ibb_buf *out)
{
	readiness_line(readiness, "driver", out);
	readiness_line(readiness, "address", out);
	readiness_line(readiness, "user-nd", out);
}

/* What weakens everything that follows comes in first place. */
void cli_render_trust(const struct ibb_json *doc, struct ibb_buf *out)
{
	const char *s = ibb_json_str(doc, "signature");

	if (s && strcmp(s, "test trust") == 0)
		cli_printf(out, "TEST TRUST: a package is signed up to a root that was added by "
				"--trust-anchor\n");
	else if (s && strcmp(s, "allowed") == 0)
		cli_printf(out, "WEAKENED: a package is taken only because of --allow\n");
}

void cli_render_targets(const struct cli *c, const struct ibb_json *doc, struct ibb_buf *out)
{
	ibb_json_foreach (t, ibb_json_get(doc, "targets")) {
		const struct ibb_json *res = ibb_json_get(t, "resolution");
		const struct ibb_json *sel = ibb_json_get(t, "selection");

		if (c->verbose)
			cli_render_resolution(res, true, out);
		cli_printf(out, "%s (%s, %s): %s\n", cli_str(res, "size"),
			   cli_str(res, "driver_set_name"), cli_str(res, "nic"),
			   cli_str(res, "state"));
		cli_printf(out, "  device   %s -> %s [%s]\n", cli_str(sel, "matched_id"),
			   cli_str(sel, "evidence"), cli_str(sel, "install_section"));
		cli_render_readiness(ibb_json_get(sel, "readiness"), out);
	}
}

void cli_render_packages(const struct cli *c, const struct ibb_json *doc, struct ibb_buf *out)
{
	ibb_json_foreach (p, ibb_json_get(doc, "packages")) {
		int64_t ids = 0;

		(void)ibb_json_int(p, "device_ids", 0, INT64_MAX, &ids);
		cli_printf(out, "package %s %s (%s), signed by %s, signature: %s\n",
			   cli_str(p, "inf"), cli_str(p, "version"), cli_str(p, "date"),
			   ibb_json_str(p, "signer") ? cli_str(p, "signer") : "nobody",
			   cli_str(ibb_json_get(p, "signature"), "verdict"));
		cli_printf(out, "  %s as %s in %s (%s node: %s), %lld device IDs\n",
			   ibb_json_bool(p, "already_staged", false) ? "already staged" : "staged",
			   cli_str(p, "published"), cli_str(p, "package_name"), cli_str(p, "node"),
			   cli_str(p, "node_reason"), (long long)ids);
		cli_printf(out, "  %s: %s\n",
			   ibb_json_bool(ibb_json_get(p, "reflect"), "done", false)
				   ? "configured for the boot"
				   : "not configured for the boot",
			   cli_str(ibb_json_get(p, "reflect"), "rule"));
		ibb_json_foreach (m, ibb_json_get(p, "models_sections")) {
			cli_printf(out, "  models section [%s]: %s\n", cli_str(m, "section"),
				   cli_str(m, "reason"));
		}
		if (!c->verbose)
			continue;
		ibb_json_foreach (f, ibb_json_get(p, "files")) {
			cli_printf(out, "  file %s %s\n", cli_str(f, "sha256"), cli_str(f, "path"));
		}
	}
}

void cli_render_opinion(const struct ibb_json *obj, struct ibb_buf *out)
{
	const struct ibb_json *o = ibb_json_get(obj, "second_opinion");
	const bool whole = strcmp(cli_str(o, "result"), "agrees") == 0;
	int64_t blocks = 0;

	if (!ibb_json_str(o, "reader"))
		return; /* why, is a warning */
	(void)ibb_json_int(o, "blocks", 0, INT64_MAX, &blocks);
	cli_printf(out, "  %s %s sees the same%s, %lld pieces compared%s%s\n", cli_str(o, "reader"),
		   cli_str(o, "version"), whole ? "" : " in part", (long long)blocks,
		   ibb_json_str(o, "reason") ? ": " : "",
		   ibb_json_str(o, "reason") ? cli_str(o, "reason") : "");
}

void cli_render_warnings(const struct ibb_json *doc, struct ibb_buf *out)
{
	int64_t index = 0;
	char image[24] = "";

	if (ibb_json_int(doc, "index", 1, INT32_MAX, &index))
		snprintf(image, sizeof(image), "image %lld: ", (long long)index);
	ibb_json_foreach (w, ibb_json_get(doc, "warnings")) {
		cli_printf(out, "warning: %s%s\n", image, ibb_json_value_str(w));
	}
}

void cli_render_removed(const struct ibb_json *doc, struct ibb_buf *out)
{
	ibb_json_foreach (p, ibb_json_get(doc, "removed")) {
		cli_printf(out, "removed %s (%s, %s)\n", cli_str(p, "published"), cli_str(p, "inf"),
			   cli_str(p, "package_name"));
	}
}

void cli_render_image(const struct ibb_json *image, struct ibb_buf *out)
{
	const struct ibb_json *w = ibb_json_get(image, "windows");
	const struct ibb_json *s = ibb_json_get(image, "state");

	cli_printf(out, "Windows  %s %s, %s, %s, %s\n", cli_str(w, "product"),
		   ibb_json_str(w, "release") ? cli_str(w, "release") : "", cli_str(w, "version"),
		   cli_str(w, "arch"), cli_str(w, "kind"));
	cli_printf(out, "state    %s%s%s%s\n",
		   ibb_json_bool(w, "windows_pe", false)    ? "Windows PE"
		   : ibb_json_bool(s, "generalized", false) ? "generalized"
							    : "specialized",
		   ibb_json_bool(s, "audit_mode", false) ? ", audit mode" : "",
		   ibb_json_bool(s, "setup_unfinished", false) ? ", set-up not finished" : "",
		   ibb_json_bool(s, "pending_servicing", false) ? ", servicing pending" : "");
}

void cli_render_outcome(const struct cli *c, const struct ibb_json *doc, struct ibb_buf *out)
{
	const struct ibb_json *ops = ibb_json_get(doc, "operations");
	const struct ibb_json *w = ibb_json_get(doc, "writing");
	char grown[32];

	if (!ibb_json_count(ops))
		cli_printf(out, "nothing to do: the image holds everything already\n");
	else
		cli_printf(out, "%zu operations done, %zu files written and read back\n",
			   ibb_json_count(ops), ibb_json_count(ibb_json_get(doc, "files")));
	if (c->dry_run)
		cli_printf(out, "dry run: nothing was written\n");
	else
		cli_printf(out, "output   %s\n", c->q.in_place ? c->q.image : c->q.output);
	if (w && strcmp(cli_str(w, "grown_bytes"), "0") != 0) {
		cli_bytes(ibb_json_str(w, "grown_bytes"), grown);
		cli_printf(out, "grown    by %s to whole MiB, as Azure wants it\n", grown);
	}
	if (c->q.manifest)
		cli_printf(out, "manifest %s\n", c->q.manifest);
}
