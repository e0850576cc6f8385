/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "cli/cli.h"

const struct cli_command cli_commands[] = {
	{"sizes", "", "the Azure sizes with InfiniBand that the driver catalog knows",
	 "  ibbake sizes\n", CLI_CATALOG | CLI_BUNDLE, cli_cmd_sizes},
	{"resolve", "", "which driver set a size needs on a Windows, and why",
	 "  ibbake resolve --size Standard_HB120rs_v3 --os server2022\n",
	 CLI_SIZE | CLI_OS | CLI_CATALOG | CLI_UNSUPPORTED | CLI_BUNDLE, cli_cmd_resolve},
	{"inspect", "IMAGE", "what an image is: container, Windows, state, drivers",
	 "  ibbake inspect base.vhd\n"
	 "  ibbake inspect base.vhd --hives\n"
	 "  ibbake inspect base.vhd --azure\n"
	 "  ibbake inspect install.wim\n",
	 CLI_PARTITION | CLI_CATALOG | CLI_HIVES | CLI_DIRTY | CLI_AZURE, cli_cmd_inspect},
	{"plan", "IMAGE", "everything bake would do, with reasons; writes nothing",
	 "  ibbake plan base.vhd --size Standard_HB120rs_v3 --drivers winof2/\n",
	 CLI_SIZE | CLI_DRIVERS | CLI_PARTITION | CLI_WEAKEN | CLI_REQUIRE | CLI_CATALOG |
		 CLI_PROGRESS | CLI_DIRTY | CLI_TRUST | CLI_LOCK | CLI_AZURE | CLI_FORMAT |
		 CLI_BUNDLE | CLI_CACHE,
	 cli_cmd_plan},
	{"bake", "IMAGE", "make an image that has the InfiniBand driver, and its manifest",
	 "  ibbake bake base.vhd --size Standard_HB120rs_v3 --drivers winof2/ -o out.vhd\n"
	 "  ibbake bake base.vhd --size Standard_HB120rs_v3 --drivers winof2/ --in-place\n"
	 "  ibbake bake install.wim --image all --size Standard_HB120rs_v3 \\\n"
	 "      --drivers winof2/ -o new.wim\n"
	 "  ibbake bake base.vhd --size Standard_HB120rs_v3 --bundle drivers.ibbundle \\\n"
	 "      -o out.vhd\n",
	 CLI_SIZE | CLI_DRIVERS | CLI_OUTPUT | CLI_MANIFEST | CLI_NO_MANIFEST | CLI_PARTITION |
		 CLI_WEAKEN | CLI_REQUIRE | CLI_CATALOG | CLI_PROGRESS | CLI_DIRTY | CLI_TRUST |
		 CLI_LOCK | CLI_IN_PLACE | CLI_AZURE | CLI_WINRE | CLI_BUNDLE | CLI_CACHE,
	 cli_cmd_bake},
	{"convert", "IMAGE", "write an image of any kind as one of another, without a bake",
	 "  ibbake convert export.vhdx -o disk.vhd\n"
	 "  ibbake convert child.vhd -o flat.vhdx --format vhdx\n",
	 CLI_OUTPUT | CLI_PROGRESS | CLI_CONVERT | CLI_AZURE, cli_cmd_convert},
	{"verify", "IMAGE", "does an image still hold what its manifest says?",
	 "  ibbake verify out.vhd --manifest out.vhd.manifest.json\n"
	 "  ibbake verify new.wim --manifest new.wim.manifest.json\n"
	 "  ibbake verify applied.vhd --manifest new.wim.manifest.json --image 2\n",
	 CLI_MANIFEST | CLI_PARTITION | CLI_BOOTED | CLI_CATALOG | CLI_DIRTY | CLI_BUNDLE,
	 cli_cmd_verify},
	{"drivers", "list|add|remove|check|unpack",
	 "list, add, remove, judge or unpack driver packages",
	 "  ibbake drivers list base.vhd --filter class=net\n"
	 "  ibbake drivers add base.vhd winof2/ -o out.vhd\n"
	 "  ibbake drivers remove out.vhd oem3.inf -o out2.vhd\n"
	 "  ibbake drivers check winof2/ --os server2022\n"
	 "  ibbake drivers unpack MLNX_WinOF2.exe -o winof2\n",
	 CLI_PARTITION | CLI_OUTPUT | CLI_MANIFEST | CLI_NO_MANIFEST | CLI_FORCE | CLI_ADD |
		 CLI_CATALOG | CLI_PROGRESS | CLI_FILTER | CLI_DIRTY | CLI_TRUST | CLI_LOCK |
		 CLI_OS | CLI_IN_PLACE | CLI_AZURE | CLI_BUNDLE,
	 cli_cmd_drivers},
	{"catalog", "show|check|import ...", "what the driver catalog holds, whether it is sound",
	 "  ibbake catalog show\n"
	 "  ibbake catalog check mine.json --packages winof2/\n"
	 "  ibbake catalog import resources.json -o catalogs/extension.json\n",
	 CLI_CATALOG | CLI_OUT | CLI_PACKAGES | CLI_TRUST, cli_cmd_catalog},
	{"bundle", "create|check|unpack ...",
	 "all that bakes need, in one file for a site without network",
	 "  ibbake bundle create --size Standard_HB120rs_v3 --os server2022 \\\n"
	 "      --drivers winof2/ --sign-key key.pem -o drivers.ibbundle\n"
	 "  ibbake bundle check drivers.ibbundle --bundle-key public.pem\n"
	 "  ibbake bundle unpack drivers.ibbundle -o DIR\n"
	 "  ibbake bake base.vhd --size Standard_HB120rs_v3 --bundle drivers.ibbundle \\\n"
	 "      --bundle-key public.pem -o out.vhd\n",
	 CLI_SIZE | CLI_OSES | CLI_DRIVERS | CLI_LOCK | CLI_SIGN | CLI_CATALOG | CLI_OUT |
		 CLI_TRUST | CLI_UNSUPPORTED | CLI_PROGRESS | CLI_BUNDLE | CLI_CACHE,
	 cli_cmd_bundle},
	{"recover", "IMAGE", "finish, or drop, a change in place that was interrupted",
	 "  ibbake recover base.vhd\n"
	 "  ibbake recover base.vhd --no-manifest\n",
	 CLI_RECOVER, cli_cmd_recover},
	{"fetch", "[RELEASE...]", "have driver releases in the package cache; alone uses a network",
	 "  ibbake fetch --size Standard_HB120rs_v3 --os server2022 --lock site.lock\n"
	 "  ibbake fetch winof2-25.10 --dry-run\n",
	 CLI_SIZE | CLI_OSES | CLI_CATALOG | CLI_CACHE | CLI_NET | CLI_LOCK | CLI_PROGRESS,
	 cli_cmd_fetch},
	{"cache", "list|verify|prune|add ...", "see to the package cache",
	 "  ibbake cache list\n"
	 "  ibbake cache verify --remove\n"
	 "  ibbake cache prune --older-than 90d\n"
	 "  ibbake cache add MLNX_WinOF2-25_10_51000_All_x64.exe --lock site.lock\n",
	 CLI_CACHE | CLI_CATALOG | CLI_LOCK | CLI_PROGRESS | CLI_RELEASE | CLI_REMOVE | CLI_AGE,
	 cli_cmd_cache},
};
const size_t cli_n_commands = IBB_ARRAY_SIZE(cli_commands);

static void print_help(void)
{
	puts("ibbake bakes InfiniBand drivers into Windows images, offline.\n\n"
	     "  ibbake bake base.vhd --size Standard_HB120rs_v3 --drivers winof2/ -o out.vhd\n\n"
	     "commands ('ibbake COMMAND --help' tells more):");
	for (size_t i = 0; i < cli_n_commands; i++) {
		printf("  %-8s %-28s  ", cli_commands[i].name, cli_commands[i].arguments);
		cli_print_wrapped(cli_commands[i].summary, 41);
	}
	printf("  %-8s %-28s  the version of ibbake\n\n", "version", "");
	puts("exit status: 0 done or nothing to do; 2 usage; 3 verify found differences;\n"
	     "100 refused: sound input that is not supported or not safe; 240 a time limit ran\n"
	     "out; 255 damaged input, I/O or internal error; 128+N on signal N. 1 is reserved;\n"
	     "treat unknown codes as failure.");
}

/* With a verb, "drivers unpack --help", its own options alone. */
static void print_command_help(const struct cli_command *cmd, const char *verb)
{
	cli_options of = cli_verb_options(cmd, verb);

	if (of == cmd->options)
		verb = cmd->arguments;
	printf("ibbake %s%s%s [options]\n  ", cmd->name, *verb ? " " : "", verb);
	cli_print_wrapped(cmd->summary, 2);
	printf("\n%s\n", cmd->details);
	cli_print_options(of);
}

/* SOURCE_DATE_EPOCH makes two runs give the same bytes; a value that is no number is an error,
 * because the user counts on it. */
static bool read_time(struct cli *c)
{
	const char *s = getenv("SOURCE_DATE_EPOCH");
	char *end;

	c->q.unix_time = (int64_t)time(NULL);
	if (!s || !*s)
		return true;
	errno = 0;
	c->q.unix_time = strtoll(s, &end, 10);
	/* 9999-12-31: what Windows' and JSON's date forms can still say */
	if (errno || *end || s[0] < '0' || s[0] > '9' || c->q.unix_time > 253402300799) {
		cli_usage(c, "SOURCE_DATE_EPOCH=%s is not a number of seconds since 1970", s);
		return false;
	}
	c->q.reproducible = true;
	return true;
}

/*
 * A parent may have closed some of the three standard descriptors. Then the next file opened would
 * take the free number, and talk meant for standard error would land in an image. What is opened
 * instead cannot be written to, so that a result nobody can see still counts as not delivered.
 */
static bool fill_std_descriptors(void)
{
	for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++)
		if (fcntl(fd, F_GETFD) < 0 &&
		    open("/dev/null", fd == STDIN_FILENO ? O_WRONLY : O_RDONLY) != fd)
			return false;
	return true;
}

static const struct cli_command *find_command(const char *name)
{
	for (size_t i = 0; i < cli_n_commands; i++)
		if (strcmp(cli_commands[i].name, name) == 0)
			return &cli_commands[i];
	return NULL;
}

int main(int argc, char **argv)
{
	struct cli c = {.q = {.struct_bytes = sizeof(c.q)}};
	const struct cli_command *cmd;
	int status;

	if (!fill_std_descriptors())
		return 255;
	/* past a file size limit a write fails and is reported, instead of killing us midway */
	signal(SIGXFSZ, SIG_IGN);
	if (argc < 2)
		return cli_usage(&c, "no command was given");
	if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0 ||
	    strcmp(argv[1], "help") == 0) {
		print_help();
		return fflush(stdout) ? 255 : 0;
	}
	if (strcmp(argv[1], "--version") == 0 || strcmp(argv[1], "version") == 0) {
		printf("ibbake %s\n", ibb_version());
		return fflush(stdout) ? 255 : 0;
	}
	cmd = find_command(argv[1]);
	if (!cmd)
		return cli_usage(&c, "there is no command '%s'", argv[1]);
	c.command = cmd->name;
	if (!cli_parse(&c, cmd, argc - 2, argv + 2))
		return 2;
	if (c.help) {
		print_command_help(cmd, c.n_args ? c.args[0] : "");
		return fflush(stdout) ? 255 : 0;
	}
	if (!read_time(&c))
		return 2;
	c.q.now = (int64_t)time(NULL);
	c.q.temp_dir = getenv("TMPDIR");
	if (c.q.temp_dir && !*c.q.temp_dir)
		c.q.temp_dir = NULL;
	cli_catch_signals();
	c.q.progress = cli_progress;
	c.q.progress_ctx = &c;
	status = cmd->run(&c);
	free(c.manifest_path);
	free(c.cache_path);
	return status;
}
