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

/* Options a command takes, as bits. */
enum {
	CLI_SIZE = 1,
	CLI_OS = 2,
	CLI_DRIVERS = 4,
	CLI_OUTPUT = 8,
	CLI_MANIFEST = 16,
	CLI_PARTITION = 32,
	CLI_WEAKEN = 64, /* --force, --allow-unsupported */
	CLI_REQUIRE = 128,
	CLI_BOOTED = 256,
	CLI_CATALOG = 512,
	CLI_PROGRESS = 1024,
	CLI_NO_MANIFEST = 2048,
	CLI_ADD = 4096, /* --recurse, --keep-going, --replace, --reflect */
	CLI_FORCE = 8192,
	CLI_FILTER = 16384,
	CLI_HIVES = 32768,    /* --hives */
	CLI_DIRTY = 65536,    /* --accept-dirty-hives */
	CLI_TRUST = 131072,   /* --allow, --trust-anchor, --crl */
	CLI_LOCK = 262144,    /* --lock */
	CLI_CONVERT = 524288, /* --accept-changed-parent, --second-opinion */
	CLI_IN_PLACE = 1 << 24,
	CLI_RECOVER = 1 << 25, /* --drop, --no-manifest */
	CLI_AZURE = 1 << 26,   /* --azure */
	CLI_WINRE = 1 << 28,   /* --winre */
	CLI_FORMAT = 1 << 27,  /* --format without an output: plan */
	CLI_OSES = 1 << 20,    /* --os, several */
	CLI_BUNDLE = 1 << 21,  /* --bundle, --bundle-key */
	CLI_CACHE = 1 << 22,   /* --cache-dir */
	CLI_NET = 1 << 23, /* --offline, --allow-insecure-fetch, --timeout, --cacert, --proxy ... */
	CLI_SIGN = 1 << 29,	    /* --sign-key */
	CLI_OUT = 1 << 30,	    /* --output, --overwrite of what is no image */
	CLI_TEND = -2147483647 - 1, /* the last bit: --release, --remove, --older-than */
	CLI_DRY = CLI_TEND | 0
};

/* An enum has no room for the last bit. */
#define CLI_PACKAGES (1u << 31) /* --packages */

struct cli_command {
	const char *name;
	const char *arguments; /* "IMAGE", "list IMAGE", "" */
	const char *summary;   /* one line */
	const char *details;   /* for --help: examples first */
	unsigned options;
	int (*run)(struct cli *c);
};
extern const struct cli_command cli_commands[];
extern const size_t cli_n_commands;

/* opt.c: parse argv behind the command's name. False after a message: exit 2. */
bool cli_parse(struct cli *c, const struct cli_command *cmd, int argc, char **argv);
void cli_print_options(const struct cli_command *cmd);

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
