/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The command line: options, talk, and one function a command. */
#ifndef IBB_CLI_CLI_H
#define IBB_CLI_CLI_H

#include "base/json.h"
#include "cli/rate.h"
#include "ibbake/ibbake.h"

#define CLI_MAX_LIST 64

enum cli_progress { CLI_PROGRESS_AUTO, CLI_PROGRESS_PLAIN, CLI_PROGRESS_JSON, CLI_PROGRESS_NONE };

/* What the command line said. */
struct cli {
	const char *command;
	struct ibb_request q;
	const char *sizes[CLI_MAX_LIST], *dirs[CLI_MAX_LIST], *filters[CLI_MAX_LIST];
	const char *anchors[CLI_MAX_LIST], *crls[CLI_MAX_LIST], *images[CLI_MAX_LIST];
	const char *catalog_dirs[CLI_MAX_LIST], *oses[CLI_MAX_LIST], *keys[CLI_MAX_LIST];
	const char *args[CLI_MAX_LIST]; /* what is no option */
	size_t n_args;
	bool json, quiet, verbose, dry_run, no_manifest, help;
	bool writing; /* --format or --sparse was given */
	enum cli_progress progress;
	char *manifest_path; /* the default one, owned */
	char *cache_path;    /* the same */
	const char *result;  /* the document as it is, while its text is made of the plain one */
	/* progress state */
	const char *phase;
	bool bar_drawn, terminal;
	struct cli_rate rate;
	uint64_t said_ms; /* when progress was last reported */
};

/* Options that commands and their verbs take, as bits of cli_options. */
typedef uint64_t cli_options;
#define CLI_BIT(n)	((cli_options)1 << (n))
#define CLI_SIZE	CLI_BIT(0)
#define CLI_OS		CLI_BIT(1)
#define CLI_DRIVERS	CLI_BIT(2)
#define CLI_OUTPUT	CLI_BIT(3) /* of an image */
#define CLI_MANIFEST	CLI_BIT(4)
#define CLI_PARTITION	CLI_BIT(5)
#define CLI_WEAKEN	CLI_BIT(6) /* --force, --allow-unsupported */
#define CLI_REQUIRE	CLI_BIT(7)
#define CLI_BOOTED	CLI_BIT(8)
#define CLI_CATALOG	CLI_BIT(9)
#define CLI_PROGRESS	CLI_BIT(10)
#define CLI_NO_MANIFEST CLI_BIT(11)
#define CLI_ADD		CLI_BIT(12) /* --recurse, --keep-going, --replace, --reflect */
#define CLI_FORCE	CLI_BIT(13)
#define CLI_FILTER	CLI_BIT(14)
#define CLI_HIVES	CLI_BIT(15) /* --hives */
#define CLI_DIRTY	CLI_BIT(16) /* --accept-dirty-hives */
#define CLI_TRUST	CLI_BIT(17) /* --allow, --trust-anchor, --crl */
#define CLI_LOCK	CLI_BIT(18) /* --lock */
#define CLI_CONVERT	CLI_BIT(19) /* --accept-changed-parent, --second-opinion */
#define CLI_OSES	CLI_BIT(20) /* --os, several */
#define CLI_BUNDLE	CLI_BIT(21) /* --bundle, --bundle-key */
#define CLI_CACHE	CLI_BIT(22) /* --cache-dir */
#define CLI_NET \
	CLI_BIT(23) /* --offline, --allow-insecure-fetch, --timeout, --cacert, --proxy ... */
#define CLI_IN_PLACE	CLI_BIT(24)
#define CLI_RECOVER	CLI_BIT(25) /* --drop, --no-manifest */
#define CLI_AZURE	CLI_BIT(26) /* --azure */
#define CLI_FORMAT	CLI_BIT(27) /* --format without an output: plan */
#define CLI_WINRE	CLI_BIT(28) /* --winre */
#define CLI_SIGN	CLI_BIT(29) /* --sign-key */
#define CLI_OUT		CLI_BIT(30) /* --output, --overwrite of what is no image */
#define CLI_PACKAGES	CLI_BIT(31) /* --packages */
#define CLI_RELEASE	CLI_BIT(32) /* --release */
#define CLI_REMOVE	CLI_BIT(33) /* --remove */
#define CLI_AGE		CLI_BIT(34) /* --older-than */
#define CLI_KEY		CLI_BIT(35) /* --bundle-key */
#define CLI_RECURSE	CLI_BIT(36) /* --recurse */
#define CLI_UNSUPPORTED CLI_BIT(37) /* --allow-unsupported */

struct cli_command {
	const char *name;
	const char *arguments; /* "IMAGE", "list IMAGE", "" */
	const char *summary;   /* one line */
	const char *details;   /* for --help: examples first */
	cli_options options;
	int (*run)(struct cli *c);
};
extern const struct cli_command cli_commands[];
extern const size_t cli_n_commands;

/* opt.c: parse argv behind the command's name. False after a message: exit 2. */
bool cli_parse(struct cli *c, const struct cli_command *cmd, int argc, char **argv);
void cli_print_options(cli_options of);
/* "text" from a column on, in lines of 80 characters at most, each after the first indented. */
void cli_print_wrapped(const char *text, int column);

/* verbs.c: what `ibbake drivers unpack` takes of what `ibbake drivers` does; all of it when the
 * command has no such verb. */
cli_options cli_verb_options(const struct cli_command *cmd, const char *verb);

/* The output and manifest of a command that changes: the default manifest name, a dry run. 0, or
 * the exit status after a message. */
int cli_default_output(struct cli *c);

/* talk.c */
void cli_error(const struct cli *c, const struct ibb_error *err);
int cli_usage(const struct cli *c, const char *fmt, ...) IBB_PRINTF(2, 3);
int cli_progress(void *ctx, const struct ibb_progress *p);
void cli_progress_end(struct cli *c);
/* Signals that asked us to stop; 0 when none did. */
void cli_catch_signals(void);
int cli_signal(void);
/* Write a result to stdout and make sure it got there. Returns the exit status to use. */
int cli_out(const struct cli *c, const char *text, int status);
/* Finish a command: prints the JSON or gives it to `text`, reports the error, frees json. */
int cli_finish(struct cli *c, int r, const struct ibb_error *err, char *json,
	       void (*text)(const struct cli *c, const struct ibb_json *doc, struct ibb_buf *out));

/* plain.c: append text, or a document in JSON with its strings, without what a terminal acts on. */
int cli_plain(const char *text, struct ibb_buf *out) IBB_MUST_CHECK;
int cli_plain_json(const char *json, struct ibb_buf *out) IBB_MUST_CHECK;

/* print helpers: append to the output buffer; memory failures show as a short result at cli_out */
void cli_printf(struct ibb_buf *o, const char *fmt, ...) IBB_PRINTF(2, 3);
const char *cli_str(const struct ibb_json *obj, const char *key); /* "-" when missing */
void cli_bytes(const char *decimal, char out[32]);		  /* "30.0 GiB" */

/* commands */
int cli_cmd_sizes(struct cli *c);
int cli_cmd_catalog(struct cli *c);
int cli_cmd_resolve(struct cli *c);
int cli_cmd_inspect(struct cli *c);
int cli_cmd_plan(struct cli *c);
int cli_cmd_bake(struct cli *c);
int cli_cmd_verify(struct cli *c);
int cli_cmd_convert(struct cli *c);
int cli_cmd_drivers(struct cli *c);
int cli_cmd_recover(struct cli *c);
int cli_cmd_fetch(struct cli *c);
int cli_cmd_cache(struct cli *c);

/* net.c: fill in what the environment says. The first leaves q.cache_dir NULL when it says
 * nothing; 0, or the exit status. */
int cli_cache_dir(struct cli *c);
void cli_network(struct cli *c);
/* drivers unpack; cmd_unpack.c */
int cli_drivers_unpack(struct cli *c);
int cli_cmd_bundle(struct cli *c);

/* shared renderings */
void cli_render_resolution(const struct ibb_json *res, bool verbose, struct ibb_buf *out);
void cli_render_trust(const struct ibb_json *doc, struct ibb_buf *out);
void cli_render_targets(const struct cli *c, const struct ibb_json *doc, struct ibb_buf *out);
void cli_render_readiness(const struct ibb_json *readiness, struct ibb_buf *out);
void cli_render_packages(const struct cli *c, const struct ibb_json *doc, struct ibb_buf *out);
void cli_render_outcome(const struct cli *c, const struct ibb_json *doc, struct ibb_buf *out);
/* The member "second_opinion" of obj, when somebody was asked. */
void cli_render_opinion(const struct ibb_json *obj, struct ibb_buf *out);
void cli_render_warnings(const struct ibb_json *doc, struct ibb_buf *out);
void cli_render_azure(const struct cli *c, const struct ibb_json *doc, struct ibb_buf *out);
void cli_render_image(const struct ibb_json *image, struct ibb_buf *out);
void cli_render_removed(const struct ibb_json *doc, struct ibb_buf *out);

/* render_wim.c: the file; every image of "images" with `fn`; what bake and drivers add|remove did
 */
typedef void (*cli_text_fn)(const struct cli *c, const struct ibb_json *doc, struct ibb_buf *out);
void cli_render_wim(const struct ibb_json *id, struct ibb_buf *out);
void cli_render_images(const struct cli *c, const struct ibb_json *doc, struct ibb_buf *out,
		       cli_text_fn fn);
/* The recovery images of a disk, each with what was done to it. */
void cli_render_winre(const struct cli *c, const struct ibb_json *doc, struct ibb_buf *out);
void cli_render_wim_change(const struct cli *c, const struct ibb_json *doc, struct ibb_buf *out);

#endif
