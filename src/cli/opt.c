/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The option table and its parser. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/cli.h"

enum kind {
	FLAG,
	TEXT,
	LIST,
	NUMBER,
	AGE,
	REQUIRE,
	ALLOW,
	DIGEST,
	REFLECT,
	OPINION,
	FORMAT,
	SPARSE,
	PROGRESS
};

static const struct option {
	const char *name;
	char letter;
	const char *argument;
	cli_options commands; /* CLI_* bits; 0: every command */
	enum kind kind;
	size_t offset, count_offset, max;
	const char *help;
} options[] = {
#define AT(f) offsetof(struct cli, f)
	{"size", 's', "SIZE", CLI_SIZE, LIST, AT(sizes), AT(q.n_sizes), CLI_MAX_LIST,
	 "Azure size to bake for, e.g. Standard_HB120rs_v3; may be repeated"},
	{"os", 0, "NAME|BUILD", CLI_OS, TEXT, AT(q.os), 0, 0,
	 "Windows, e.g. server2022, win11-23h2, 20348"},
	{"os", 0, "NAME|BUILD", CLI_OSES, LIST, AT(oses), AT(q.n_oses), CLI_MAX_LIST,
	 "Windows, e.g. server2022, win11-23h2, 20348; may be repeated"},
	{"drivers", 'd', "DIR|FILE", CLI_DRIVERS, LIST, AT(dirs), AT(q.n_driver_dirs), CLI_MAX_LIST,
	 "directory with driver packages, searched recursively, or an archive or installer of a "
	 "vendor; may be repeated"},
	{"output", 'o', "OUT", CLI_OUTPUT, TEXT, AT(q.output), 0, 0, "the image to make"},
	{"output", 'o', "OUT", CLI_OUT, TEXT, AT(q.output), 0, 0, "what to make"},
	{"in-place", 0, NULL, CLI_IN_PLACE, FLAG, AT(q.in_place), 0, 0,
	 "change the image itself (raw, fixed VHD, WIM), by way of a journal beside it"},
	{"drop", 0, NULL, CLI_RECOVER, FLAG, AT(q.drop), 0, 0,
	 "give the change up, when nothing of it is in the image so far"},
	{"manifest", 'm', "FILE", CLI_MANIFEST, TEXT, AT(q.manifest), 0, 0,
	 "the manifest (bake: default OUT.manifest.json, or IMAGE.manifest.json)"},
	{"no-manifest", 0, NULL, CLI_NO_MANIFEST | CLI_RECOVER, FLAG, AT(no_manifest), 0, 0,
	 "write no manifest (recover: finish the image when only that cannot be written)"},
	{"partition", 'p', "N", CLI_PARTITION, NUMBER, AT(q.partition), 0, 0,
	 "the Windows partition, when several hold one"},
	{"image", 'i', "N|NAME|all", CLI_PARTITION, LIST, AT(images), AT(q.n_images), CLI_MAX_LIST,
	 "the image of a WIM, by number or name, or all that hold a Windows; may be repeated"},
	{"compact", 0, NULL, CLI_IN_PLACE, FLAG, AT(q.compact), 0, 0,
	 "with --in-place, a WIM: write it anew and put it in its place, instead of appending"},
	{"winre", 0, NULL, CLI_WINRE, FLAG, AT(q.winre), 0, 0,
	 "a disk: treat the recovery images on it (Winre.wim) like its Windows"},
	{"overwrite", 0, NULL, CLI_OUT, FLAG, AT(q.overwrite), 0, 0, "replace what is there"},
	{"overwrite", 0, NULL, CLI_OUTPUT, FLAG, AT(q.overwrite), 0, 0,
	 "replace an existing output and manifest"},
	{"format", 0, "vhd|vhd-dynamic|vhdx|raw", CLI_OUTPUT | CLI_FORMAT, FORMAT, AT(q.format), 0,
	 0, "what OUT is to be; vhd is a fixed one of whole MiB, as Azure takes it (default)"},
	{"sparse", 0, "auto|always|never", CLI_OUTPUT, SPARSE, AT(q.sparse), 0, 0,
	 "which zeros become holes: those of the input and runs of 64 KiB, every 4 KiB, none"},
	{"dry-run", 'n', NULL, CLI_NO_MANIFEST, FLAG, AT(dry_run), 0, 0,
	 "do everything in memory, write nothing"},
	{"digest", 0, "content|sha256", CLI_NO_MANIFEST, DIGEST, AT(q.digest), 0, 0,
	 "also digest the whole images for the manifest (slow)"},
	{"require", 0, "LINE", CLI_REQUIRE, REQUIRE, AT(q.require), 0, 0,
	 "refuse when driver, address or user-nd would be absent; may be repeated"},
	{"force", 0, NULL, CLI_WEAKEN | CLI_FORCE, FLAG, AT(q.force), 0, 0,
	 "go on although servicing is pending, or the package to remove is in use"},
	{"filter", 'f', "KEY=PATTERN", CLI_FILTER, LIST, AT(filters), AT(q.n_filters), CLI_MAX_LIST,
	 "list only what matches, e.g. class=net, provider=mell*, in-use=yes; may be repeated"},
	{"recurse", 'r', NULL, CLI_ADD | CLI_RECURSE, FLAG, AT(q.recurse), 0, 0,
	 "search below the directories as well"},
	{"keep-going", 'k', NULL, CLI_ADD, FLAG, AT(q.keep_going), 0, 0,
	 "leave a bad package out whole and add the others"},
	{"replace", 0, NULL, CLI_ADD, FLAG, AT(q.replace), 0, 0,
	 "remove other versions of what is added"},
	{"reflect", 0, "auto|never", CLI_ADD, REFLECT, AT(q.reflect), 0, 0,
	 "configure a boot-critical package (auto), or only stage it (never)"},
	{"allow-unsupported", 0, NULL, CLI_WEAKEN | CLI_UNSUPPORTED | CLI_NET, FLAG,
	 AT(q.allow_unsupported), 0, 0, "go on although the catalog says unsupported"},
	{"allow", 0, "unsigned,vendor-signed,test-signed,untrusted-root", CLI_TRUST, ALLOW,
	 AT(q.allow), 0, 0,
	 "take packages whose signature Windows does not accept for this reason; recorded"},
	{"trust-anchor", 0, "PEM", CLI_TRUST, LIST, AT(anchors), AT(q.n_trust_anchors),
	 CLI_MAX_LIST, "a further root to trust (tests); recorded; may be repeated"},
	{"crl", 0, "FILE", CLI_TRUST, LIST, AT(crls), AT(q.n_crls), CLI_MAX_LIST,
	 "a certificate revocation list to heed; may be repeated"},
	{"lock", 0, "FILE", CLI_LOCK, TEXT, AT(q.lock), 0, 0,
	 "packages, and files that are fetched, must be those that FILE names by digest; bake, "
	 "fetch and cache add write what it lacks, others never do"},
	{"azure", 0, NULL, CLI_AZURE, FLAG, AT(q.azure), 0, 0,
	 "refuse unless the result is fit for Azure; what is in the way is named"},
	{"accept-dirty-hives", 0, NULL, CLI_DIRTY, FLAG, AT(q.accept_dirty_hives), 0, 0,
	 "take a hive that was not cleanly closed and has no usable transaction log as it is"},
	{"accept-changed-parent", 0, NULL, CLI_PARTITION | CLI_CONVERT, FLAG,
	 AT(q.accept_changed_parent), 0, 0,
	 "take the parent of a differencing VHD although its time is later than the child says"},
	{"second-opinion", 0, "auto|off", CLI_PARTITION | CLI_CONVERT, OPINION,
	 AT(q.second_opinion_off), 0, 0,
	 "libvhdi must see the same disk in a VHD or VHDX (auto), or is not asked (off); recorded"},
	{"hives", 0, NULL, CLI_HIVES, FLAG, AT(q.check_hives), 0, 0,
	 "check every cell of the registry hives, and show their transaction logs"},
	{"booted", 0, NULL, CLI_BOOTED, FLAG, AT(q.booted), 0, 0,
	 "Windows has run since the bake: hives may have changed around our values"},
	{"catalog", 0, "FILE", CLI_CATALOG, TEXT, AT(q.catalog), 0, 0,
	 "driver catalog to use instead of the built-in one"},
	{"catalog-dir", 0, "DIR|FILE", CLI_CATALOG, LIST, AT(catalog_dirs), AT(q.n_catalog_dirs),
	 CLI_MAX_LIST,
	 "catalogs of your own, laid over the other; later ones win; may be repeated"},
	{"packages", 0, "DIR", CLI_PACKAGES, LIST, AT(dirs), AT(q.n_driver_dirs), CLI_MAX_LIST,
	 "driver packages to hold against what the catalog pins; may be repeated"},
	{"bundle", 0, "FILE", CLI_BUNDLE, TEXT, AT(q.bundle), 0, 0,
	 "take catalog, lock file and packages from this bundle, and from nowhere else"},
	{"bundle-key", 0, "PEM", CLI_BUNDLE | CLI_KEY, LIST, AT(keys), AT(q.n_bundle_keys),
	 CLI_MAX_LIST,
	 "an Ed25519 public key that must have signed the bundle; may be repeated (any of them)"},
	{"sign-key", 0, "PEM", CLI_SIGN, TEXT, AT(q.sign_key), 0, 0,
	 "sign with this Ed25519 private key"},
	{"cache-dir", 0, "DIR", CLI_CACHE, TEXT, AT(q.cache_dir), 0, 0,
	 "the package cache (default: $XDG_CACHE_HOME/ibbake or ~/.cache/ibbake)"},
	{"offline", 0, NULL, CLI_NET, FLAG, AT(q.offline), 0, 0,
	 "use no network: only what the cache holds"},
	{"allow-insecure-fetch", 0, NULL, CLI_NET, FLAG, AT(q.allow_insecure_fetch), 0, 0,
	 "take a file over http although nobody knows its digest; recorded"},
	{"timeout", 0, "SECONDS", CLI_NET, NUMBER, AT(q.timeout_s), 0, 604800,
	 "give up a file after so long (exit 240; default: no limit)"},
	{"stall-timeout", 0, "SECONDS", CLI_NET, NUMBER, AT(q.stall_s), 0, 604800,
	 "give a try up when no byte came for so long (default: 60)"},
	{"tries", 0, "N", CLI_NET, NUMBER, AT(q.tries), 0, 0, "of each URL (default: 5)"},
	{"proxy", 0, "URL", CLI_NET, TEXT, AT(q.https_proxy), 0, 0,
	 "proxy for all requests (default: https_proxy, http_proxy, no_proxy of the environment)"},
	{"cacert", 0, "PEM", CLI_NET, TEXT, AT(q.ca_file), 0, 0,
	 "CA certificates to trust (default: CURL_CA_BUNDLE, SSL_CERT_FILE, the system's)"},
	{"dry-run", 'n', NULL, CLI_NET, FLAG, AT(dry_run), 0, 0, "say what would be fetched"},
	{"release", 0, "ID", CLI_RELEASE, TEXT, AT(q.release), 0, 0,
	 "add: the release that FILE is, by id, version or file name (default: by its name)"},
	{"remove", 0, NULL, CLI_REMOVE, FLAG, AT(q.remove_wrong), 0, 0,
	 "verify: take out what is not what its digest says"},
	{"older-than", 0, "N[d|h|m|s]", CLI_AGE, AGE, AT(q.older_than_s), 0, 0,
	 "prune: also take out files that came in so long ago; 0: all"},
	{"progress", 0, "auto|plain|json|none", CLI_PROGRESS, PROGRESS, AT(progress), 0, 0,
	 "how to report progress on standard error"},
	{"json", 0, NULL, 0, FLAG, AT(json), 0, 0, "one JSON document on standard output"},
	{"quiet", 'q', NULL, 0, FLAG, AT(quiet), 0, 0, "say nothing but errors"},
	{"verbose", 'v', NULL, 0, FLAG, AT(verbose), 0, 0, "say more"},
	{"help", 'h', NULL, 0, FLAG, AT(help), 0, 0, "this text"},
#undef AT
};

static bool applies(const struct option *o, cli_options of)
{
	return !o->commands || (o->commands & of);
}

#define COLUMNS 80

void cli_print_wrapped(const char *text, int column)
{
	int at = column;

	for (const char *sep = ""; *text; sep = " ") {
		int n = (int)strcspn(text, " ");

		if (*sep && at + 1 + n > COLUMNS) {
			printf("\n%*s", column, "");
			at = column;
			sep = "";
		}
		at += printf("%s%.*s", sep, n, text);
		text += n;
		text += strspn(text, " ");
	}
	putchar('\n');
}

void cli_print_options(cli_options of)
{
	for (size_t i = 0; i < IBB_ARRAY_SIZE(options); i++) {
		const struct option *o = &options[i];
		char left[COLUMNS];

		if (!applies(o, of))
			continue;
		if (o->letter)
			snprintf(left, sizeof(left), "-%c, --%s%s%s", o->letter, o->name,
				 o->argument ? " " : "", o->argument ? o->argument : "");
		else
			snprintf(left, sizeof(left), "    --%s%s%s", o->name,
				 o->argument ? " " : "", o->argument ? o->argument : "");
		if (strlen(left) > 28)
			printf("  %s\n  %28s  ", left, "");
		else
			printf("  %-28s  ", left);
		cli_print_wrapped(o->help, 32);
	}
}

static const struct option *find_option(cli_options of, const char *arg, const char **ret_value)
{
	for (size_t i = 0; i < IBB_ARRAY_SIZE(options); i++) {
		const struct option *o = &options[i];
		size_t n = strlen(o->name);

		if (!applies(o, of))
			continue;
		if (strncmp(arg, "--", 2) == 0 && strncmp(arg + 2, o->name, n) == 0 &&
		    (!arg[2 + n] || arg[2 + n] == '=')) {
			*ret_value = arg[2 + n] ? arg + 3 + n : NULL;
			return o;
		}
		if (o->letter && arg[0] == '-' && arg[1] == o->letter) {
			*ret_value = arg[2] ? arg + 2 : NULL;
			return o;
		}
	}
	return NULL;
}

static bool parse_choice(const char *v, const char *const *names, unsigned n, unsigned *ret)
{
	for (unsigned i = 0; i < n; i++)
		if (strcmp(v, names[i]) == 0) {
			*ret = i;
			return true;
		}
	return false;
}

/* A comma-separated list. */
static bool parse_allow(const char *v, void *ret)
{
	static const char *const names[] = {"unsigned", "vendor-signed", "test-signed",
					    "untrusted-root"};

	while (*v) {
		size_t n = strcspn(v, ",");
		char word[24] = "";
		unsigned choice;

		if (!n || n >= sizeof(word))
			return false;
		memcpy(word, v, n);
		if (!parse_choice(word, names, IBB_ARRAY_SIZE(names), &choice))
			return false;
		*(unsigned *)ret |= 1u << choice;
		v += n;
		if (*v == ',' && !*++v)
			return false;
	}
	return true;
}

/* "90d", "12h"; a bare number counts days. */
static bool parse_age(const char *v, int64_t *ret)
{
	char *end;
	unsigned long n = strtoul(v, &end, 10);
	int64_t unit = 86400;

	if (v[0] < '0' || v[0] > '9' || n > 36500)
		return false;
	if (*end) {
		unit = *end == 'd' ? 86400 : *end == 'h' ? 3600 : *end == 'm' ? 60 : 1;
		if (!strchr("dhms", *end) || end[1])
			return false;
	}
	*ret = (int64_t)n * unit;
	return true;
}

static bool store(struct cli *c, const struct option *o, const char *v)
{
	static const char *const lines[] = {"driver", "address", "user-nd"};
	static const char *const digests[] = {"none", "content", "sha256"};
	static const char *const reflects[] = {"auto", "never"};
	static const char *const opinions[] = {"auto", "off"};
	static const char *const modes[] = {"auto", "plain", "json", "none"};
	static const char *const formats[] = {"vhd", "vhd-dynamic", "vhdx", "raw"};
	static const char *const sparse[] = {"auto", "always", "never"};
	char *at = (char *)c + o->offset;
	unsigned choice = 0;
	char *end;

	switch (o->kind) {
	case FLAG:
		*(bool *)at = true;
		return true;
	case TEXT:
		*(const char **)at = v;
		return *v != '\0';
	case LIST: {
		size_t *n = (size_t *)((char *)c + o->count_offset);

		if (*n == o->max || !*v)
			return false;
		((const char **)at)[(*n)++] = v;
		return true;
	}
	case NUMBER: {
		unsigned long x = strtoul(v, &end, 10);

		if (*end || v[0] < '0' || v[0] > '9' || x < 1 || x > (o->max ? o->max : 1024))
			return false;
		*(unsigned *)at = (unsigned)x;
		return true;
	}
	case AGE:
		c->q.prune_files = true;
		return parse_age(v, (int64_t *)at);
	case REQUIRE:
		if (!parse_choice(v, lines, IBB_ARRAY_SIZE(lines), &choice))
			return false;
		*(unsigned *)at |= 1u << choice;
		return true;
	case ALLOW:
		return parse_allow(v, at);
	case DIGEST:
		if (!parse_choice(v, digests, IBB_ARRAY_SIZE(digests), &choice))
			return false;
		*(enum ibb_digest *)at = choice;
		return true;
	case REFLECT:
		if (!parse_choice(v, reflects, IBB_ARRAY_SIZE(reflects), &choice))
			return false;
		*(enum ibb_reflect *)at = choice;
		return true;
	case OPINION:
		if (!parse_choice(v, opinions, IBB_ARRAY_SIZE(opinions), &choice))
			return false;
		*(bool *)at = choice == 1;
		return true;
	case FORMAT:
		if (!parse_choice(v, formats, IBB_ARRAY_SIZE(formats), &choice))
			return false;
		*(enum ibb_output_format *)at = choice;
		c->writing = true;
		return true;
	case SPARSE:
		if (!parse_choice(v, sparse, IBB_ARRAY_SIZE(sparse), &choice))
			return false;
		*(enum ibb_output_sparse *)at = choice;
		c->writing = true;
		return true;
	case PROGRESS:
		if (!parse_choice(v, modes, IBB_ARRAY_SIZE(modes), &choice))
			return false;
		*(enum cli_progress *)at = choice;
		return true;
	}
	return false;
}

/* The verb may stand behind its options. */
static bool suits_verb(const struct cli *c, const struct cli_command *cmd, const char **given,
		       size_t n)
{
	const char *verb = c->n_args ? c->args[0] : "";
	const cli_options of = cli_verb_options(cmd, verb);
	const char *v;

	for (size_t i = 0; i < n; i++)
		if (!find_option(of, given[i], &v))
			return cli_usage(c, "%s %s takes no option %s", cmd->name, verb,
					 given[i]) == 0;
	if ((of & CLI_OUT) && c->q.output && strcmp(c->q.output, "-") == 0)
		return cli_usage(c, "-o - is no name of a file or directory") == 0;
	if (c->q.bundle && c->q.cache_dir)
		return cli_usage(c, "--bundle takes packages from nowhere else: no --cache-dir") ==
		       0;
	return true;
}

bool cli_parse(struct cli *c, const struct cli_command *cmd, int argc, char **argv)
{
	IBB_AUTO_FREE const char **given = ibb_calloc_array((size_t)argc + 1, sizeof(*given));
	bool only_args = false;
	size_t n_given = 0;

	if (!given)
		return false;
	for (int i = 0; i < argc; i++) {
		const int at = i;
		const struct option *o;
		const char *v = NULL;

		if (only_args || argv[i][0] != '-' || !argv[i][1]) {
			if (c->n_args == CLI_MAX_LIST)
				return cli_usage(c, "too many arguments") == 0;
			c->args[c->n_args++] = argv[i];
			continue;
		}
		if (strcmp(argv[i], "--") == 0) {
			only_args = true;
			continue;
		}
		o = find_option(cmd->options, argv[i], &v);
		if (!o)
			return cli_usage(c, "%s takes no option %s", cmd->name, argv[i]) == 0;
		if (!o->argument && v)
			return cli_usage(c, "--%s takes no value", o->name) == 0;
		if (o->argument && !v) {
			if (i + 1 == argc)
				return cli_usage(c, "--%s needs a value: %s", o->name,
						 o->argument) == 0;
			v = argv[++i];
		}
		given[n_given++] = argv[at];
		if (!store(c, o, v))
			return cli_usage(c, "--%s %s: not a valid value; expected %s", o->name, v,
					 o->argument) == 0;
	}
	if (!suits_verb(c, cmd, given, n_given))
		return false;
	c->q.sizes = c->sizes;
	c->q.driver_dirs = c->dirs;
	c->q.filters = c->filters;
	c->q.trust_anchors = c->anchors;
	c->q.crls = c->crls;
	c->q.images = c->images;
	c->q.catalog_dirs = c->catalog_dirs;
	c->q.oses = c->oses;
	c->q.bundle_keys = c->keys;
	c->q.format_given = c->writing;
	return true;
}

int cli_default_output(struct cli *c)
{
	if (c->q.output && c->q.in_place)
		return cli_usage(c, "-o and --in-place exclude each other");
	if (c->q.in_place && c->writing)
		return cli_usage(c, "--in-place keeps the image's format and holes: no --format, "
				    "no --sparse");
	if (c->q.compact && !c->q.in_place)
		return cli_usage(c, "--compact goes with --in-place alone");
	if (!c->q.output && !c->q.in_place && !c->dry_run)
		return cli_usage(c, "%s needs -o OUT (or --in-place, or --dry-run)", c->command);
	if (c->no_manifest && c->q.manifest)
		return cli_usage(c, "--manifest and --no-manifest exclude each other");
	if (c->dry_run) {
		c->q.output = NULL;
		c->q.dry_run = c->q.in_place;
		c->q.manifest = NULL;
	} else if (!c->q.manifest && !c->no_manifest) {
		c->manifest_path =
			ibb_asprintf("%s.manifest.json", c->q.output ? c->q.output : c->q.image);
		if (!c->manifest_path)
			return ibb_exit_status(IBB_E_NOMEM);
		c->q.manifest = c->manifest_path;
	}
	return 0;
}
