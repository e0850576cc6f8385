/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <string.h>

#include "cli/cli.h"

static void names(const struct ibb_json *list, const char *key, struct ibb_buf *out)
{
	bool first = true;

	ibb_json_foreach (x, list) {
		const char *s = key ? ibb_json_str(x, key) : ibb_json_value_str(x);

		cli_printf(out, "%s%s", first ? "" : ", ", s ? s : "-");
		first = false;
	}
	cli_printf(out, "\n");
}

static void signature(const struct ibb_json *doc, struct ibb_buf *out)
{
	const struct ibb_json *s = ibb_json_get(doc, "signature");
	const char *state = cli_str(s, "state");

	if (strcmp(state, "none") == 0)
		cli_printf(out, "signed     by nobody\n");
	else if (strcmp(state, "unknown") == 0)
		cli_printf(out,
			   "signed     by %s, a key that nobody asked for (--bundle-key asks for "
			   "yours)\n",
			   cli_str(s, "key"));
	else
		cli_printf(out, "signed     by %s\n", cli_str(s, "key"));
}

static void packages(const struct ibb_json *doc, struct ibb_buf *out)
{
	ibb_json_foreach (p, ibb_json_get(doc, "packages")) {
		cli_printf(out, "package    %s/%s %s (%s)\n", cli_str(p, "directory"),
			   cli_str(p, "inf"), cli_str(p, "version"), cli_str(p, "provider"));
		ibb_json_foreach (t, ibb_json_get(p, "targets"))
			cli_printf(out, "  %-14s %s%s, signed by %s\n", cli_str(t, "windows"),
				   cli_str(t, "verdict"),
				   ibb_json_bool(t, "allowed", false) ? " (allowed)" : "",
				   cli_str(t, "signer"));
	}
	ibb_json_foreach (f, ibb_json_get(doc, "companions"))
		cli_printf(out, "companion  %s (%s)\n", cli_str(f, "path"), cli_str(f, "role"));
}

static void text(const struct cli *c, const struct ibb_json *doc, struct ibb_buf *out)
{
	const char *trust = cli_str(doc, "trust");
	char size[32];
	int64_t files = 0;

	if (strcmp(trust, "verified") != 0)
		cli_printf(out,
			   "%s: this bundle was made with weakened trust; a bake from it needs the "
			   "same --trust-anchor or --allow\n",
			   strcmp(trust, "test trust") == 0 ? "TEST TRUST" : "WEAKENED");
	cli_bytes(ibb_json_str(doc, "bytes"), size);
	(void)ibb_json_int(doc, "files", 0, INT32_MAX, &files);
	cli_printf(out, "bundle     %s (%s, %lld files)\n", cli_str(doc, "path"), size,
		   (long long)files);
	cli_printf(out, "sha256     %s\n", cli_str(doc, "sha256"));
	signature(doc, out);
	cli_printf(out, "sizes      ");
	names(ibb_json_get(doc, "sizes"), NULL, out);
	cli_printf(out, "windows    ");
	names(ibb_json_get(doc, "windows"), "id", out);
	cli_printf(out, "catalog    as of %s\n", cli_str(ibb_json_get(doc, "catalog"), "as_of"));
	packages(doc, out);
	if (ibb_json_str(doc, "unpacked_to"))
		cli_printf(out, "unpacked   to %s\n", cli_str(doc, "unpacked_to"));
	(void)c;
	cli_render_warnings(doc, out);
}

int cli_cmd_bundle(struct cli *c)
{
	const char *verb = c->n_args ? c->args[0] : "";
	bool create = strcmp(verb, "create") == 0, unpack = strcmp(verb, "unpack") == 0;
	struct ibb_error err = {0};
	char *json = NULL;
	int r;

	if (!create && !unpack && strcmp(verb, "check") != 0)
		return cli_usage(c, "bundle needs one of: create, check, unpack");
	if (c->q.bundle)
		return cli_usage(c, "bundle %s takes no --bundle: name the file itself", verb);
	if (create && (c->n_args != 1 || !c->q.n_sizes || !c->q.n_oses || !c->q.output))
		return cli_usage(c, "bundle create needs --size SIZE, --os NAME|BUILD and -o "
				    "OUT.ibbundle");
	if (!create && c->q.cache_dir)
		return cli_usage(c, "bundle %s takes no --cache-dir", verb);
	if (create && c->q.n_bundle_keys)
		return cli_usage(c,
				 "bundle create signs with --sign-key; --bundle-key is for those "
				 "who check");
	if (!create && (c->n_args != 2 || c->q.n_sizes || c->q.n_oses || c->q.n_driver_dirs ||
			c->q.sign_key || unpack != (c->q.output != NULL)))
		return cli_usage(c, unpack ? "bundle unpack needs one FILE and -o DIR"
					   : "bundle check needs one FILE");
	if (unpack && c->q.overwrite)
		return cli_usage(c, "bundle unpack replaces nothing: no --overwrite");
	c->q.inputs = c->args + 1;
	c->q.n_inputs = c->n_args - 1;
	r = create && !c->q.n_driver_dirs ? cli_cache_dir(c) : 0;
	if (r)
		return r;
	r = create   ? ibb_bundle_create(&c->q, &json, &err)
	    : unpack ? ibb_bundle_unpack(&c->q, &json, &err)
		     : ibb_bundle_check(&c->q, &json, &err);
	return cli_finish(c, r, &err, json, text);
}
