/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Which options of a command go with which of its verbs: one that would be ignored is refused. */
#include <string.h>

#include "cli/cli.h"

static const struct verb {
	const char *command, *name;
	cli_options options;
} verbs[] = {
	{"drivers", "list", CLI_PARTITION | CLI_FILTER | CLI_DIRTY | CLI_PROGRESS},
	{"drivers", "add",
	 CLI_PARTITION | CLI_OUTPUT | CLI_MANIFEST | CLI_NO_MANIFEST | CLI_FORCE | CLI_ADD |
		 CLI_CATALOG | CLI_PROGRESS | CLI_DIRTY | CLI_TRUST | CLI_LOCK | CLI_IN_PLACE |
		 CLI_AZURE | CLI_BUNDLE},
	{"drivers", "remove",
	 CLI_PARTITION | CLI_OUTPUT | CLI_MANIFEST | CLI_NO_MANIFEST | CLI_FORCE | CLI_CATALOG |
		 CLI_PROGRESS | CLI_DIRTY | CLI_IN_PLACE | CLI_AZURE},
	{"drivers", "check",
	 CLI_CATALOG | CLI_TRUST | CLI_LOCK | CLI_OS | CLI_BUNDLE | CLI_RECURSE | CLI_PROGRESS},
	{"drivers", "unpack", CLI_OUT | CLI_OS | CLI_CATALOG | CLI_PROGRESS},
	{"catalog", "show", CLI_CATALOG},
	{"catalog", "check", CLI_CATALOG | CLI_PACKAGES | CLI_TRUST},
	{"catalog", "import", CLI_CATALOG | CLI_OUT},
	{"bundle", "create",
	 CLI_SIZE | CLI_OSES | CLI_DRIVERS | CLI_LOCK | CLI_SIGN | CLI_CATALOG | CLI_OUT |
		 CLI_TRUST | CLI_UNSUPPORTED | CLI_PROGRESS | CLI_CACHE},
	{"bundle", "check", CLI_KEY | CLI_PROGRESS},
	{"bundle", "unpack", CLI_KEY | CLI_OUT | CLI_PROGRESS},
	{"cache", "list", CLI_CACHE | CLI_PROGRESS},
	{"cache", "verify", CLI_CACHE | CLI_REMOVE | CLI_PROGRESS},
	{"cache", "prune", CLI_CACHE | CLI_AGE | CLI_PROGRESS},
	{"cache", "add", CLI_CACHE | CLI_CATALOG | CLI_LOCK | CLI_RELEASE | CLI_PROGRESS},
};

cli_options cli_verb_options(const struct cli_command *cmd, const char *verb)
{
	for (size_t i = 0; i < IBB_ARRAY_SIZE(verbs); i++)
		if (strcmp(verbs[i].command, cmd->name) == 0 && strcmp(verbs[i].name, verb) == 0)
			return verbs[i].options;
	return cmd->options;
}
