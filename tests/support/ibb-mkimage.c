/* SPDX-License-Identifier: GPL-3.0-or-later */
/* ibb-mkimage: a Windows-like disk image for tests and the demonstration, without privileges. */
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/time.h"
#include "mkimage.h"
#include "ntfsprep.h"

#define DEFAULT_TIME 1767225600 /* 2026-01-01T00:00:00Z */
#define MAX_LIST     64

static const char usage[] =
	"usage: ibb-mkimage OUT [options]\n"
	"Make a disk image that holds a Windows installation of this program's own making.\n"
	"The same options give the same bytes. Prints the partitions as JSON.\n"
	"\n"
	"  --container vhd|raw     default: by OUT's suffix\n"
	"  --size N[MiB|GiB]       of the disk, sparse (2GiB)\n"
	"  --table gpt|mbr|none    (gpt)   --sector 512|4096   (512)   --recovery\n"
	"  --windows RELEASE       (server2022) one of:\n"
	"%s\n"
	"  --arch amd64|x86|arm64  (amd64)\n"
	"  --second-windows        two installations   --no-windows   a data volume only\n"
	"  --state generalized|specialized|audit|setup-in-progress (generalized)\n"
	"  --control-set N         Select\\Current (1)\n"
	"  --system-hive FILE      instead of the generated one; --drivers-hive FILE alike\n"
	"  --no-driver-database    as before Windows 8   --no-drivers-hive\n"
	"  --oem N                 oemN is in use; repeatable\n"
	"  --stale-pnf N           an INF\\oemN.PNF was left behind\n"
	"  --pci-instance ID[=INF] a device, driven by INF; repeatable\n"
	"  --pending-servicing     pending.xml and CBS RebootPending\n"
	"  --winof2 VERSION        an installed WinOF-2   --extension-plugin   the VM extension's\n"
	"  --usn --vss             journal; shadow copy\n"
	"  --dirty-hive --dirty-volume --hibernated\n"
	"  --logged-hives new|old  every hive is dirty, and what was last written to it (key\n"
	"                          'ibb from the log') is in its transaction logs only\n"
	"  --system-log1 FILE      instead of SYSTEM.LOG1; --system-log2 FILE alike\n"
	"  --txr                   files of the transactional registry, one of them in use\n"
	"  --no-boot-files         neither boot manager nor boot code\n"
	"  --agent                 the Azure virtual machine agent   --paging-file LINE  "
	"repeatable\n"
	"  --wof PATH              a file compressed by 'compact /exe'; up to 4\n"
	"  --link FILE=NAME        FILE has another name as well; up to 4\n"
	"  --winre FILE            Winre.wim of the Windows; --recovery-winre FILE of the "
	"recovery\n"
	"                          partition\n"
	"  --odd-files             hard links, a short name, a stream, a junction, an object id\n"
	"  --stale-logs N          hive logs hold entries N above the hives' sequence number\n"
	"  --fill MiB              that much data   --tiny-volume   and almost no free space\n"
	"  --seed N                for GUIDs and data (1); times: SOURCE_DATE_EPOCH or "
	"2026-01-01\n";

enum {
	OPT_CONTAINER = 256,
	OPT_SIZE,
	OPT_TABLE,
	OPT_SECTOR,
	OPT_RECOVERY,
	OPT_WINDOWS,
	OPT_ARCH,
	OPT_SECOND,
	OPT_NO_WINDOWS,
	OPT_STATE,
	OPT_CONTROL_SET,
	OPT_SYSTEM_HIVE,
	OPT_SYSTEM_LOG1,
	OPT_SYSTEM_LOG2,
	OPT_LOGGED,
	OPT_TXR,
	OPT_DRIVERS_HIVE,
	OPT_NO_DATABASE,
	OPT_NO_DRIVERS_HIVE,
	OPT_OEM,
	OPT_STALE_PNF,
	OPT_PCI,
	OPT_PENDING,
	OPT_WINOF2,
	OPT_PLUGIN,
	OPT_USN,
	OPT_VSS,
	OPT_DIRTY_HIVE,
	OPT_DIRTY_VOLUME,
	OPT_HIBERNATED,
	OPT_WOF,
	OPT_LINK,
	OPT_WINRE,
	OPT_RECOVERY_WINRE,
	OPT_ODD,
	OPT_STALE_LOGS,
	OPT_FILL,
	OPT_TINY,
	OPT_NO_BOOT,
	OPT_AGENT,
	OPT_PAGING,
	OPT_SEED,
	OPT_HELP
};
static const struct option options[] = {
	{"container", required_argument, NULL, OPT_CONTAINER},
	{"size", required_argument, NULL, OPT_SIZE},
	{"table", required_argument, NULL, OPT_TABLE},
	{"sector", required_argument, NULL, OPT_SECTOR},
	{"recovery", no_argument, NULL, OPT_RECOVERY},
	{"windows", required_argument, NULL, OPT_WINDOWS},
	{"arch", required_argument, NULL, OPT_ARCH},
	{"second-windows", no_argument, NULL, OPT_SECOND},
	{"no-windows", no_argument, NULL, OPT_NO_WINDOWS},
	{"state", required_argument, NULL, OPT_STATE},
	{"control-set", required_argument, NULL, OPT_CONTROL_SET},
	{"system-hive", required_argument, NULL, OPT_SYSTEM_HIVE},
	{"drivers-hive", required_argument, NULL, OPT_DRIVERS_HIVE},
	{"system-log1", required_argument, NULL, OPT_SYSTEM_LOG1},
	{"system-log2", required_argument, NULL, OPT_SYSTEM_LOG2},
	{"logged-hives", required_argument, NULL, OPT_LOGGED},
	{"txr", no_argument, NULL, OPT_TXR},
	{"no-driver-database", no_argument, NULL, OPT_NO_DATABASE},
	{"no-drivers-hive", no_argument, NULL, OPT_NO_DRIVERS_HIVE},
	{"oem", required_argument, NULL, OPT_OEM},
	{"stale-pnf", required_argument, NULL, OPT_STALE_PNF},
	{"pci-instance", required_argument, NULL, OPT_PCI},
	{"pending-servicing", no_argument, NULL, OPT_PENDING},
	{"winof2", required_argument, NULL, OPT_WINOF2},
	{"extension-plugin", no_argument, NULL, OPT_PLUGIN},
	{"usn", no_argument, NULL, OPT_USN},
	{"vss", no_argument, NULL, OPT_VSS},
	{"dirty-hive", no_argument, NULL, OPT_DIRTY_HIVE},
	{"dirty-volume", no_argument, NULL, OPT_DIRTY_VOLUME},
	{"hibernated", no_argument, NULL, OPT_HIBERNATED},
	{"no-boot-files", no_argument, NULL, OPT_NO_BOOT},
	{"agent", no_argument, NULL, OPT_AGENT},
	{"paging-file", required_argument, NULL, OPT_PAGING},
	{"wof", required_argument, NULL, OPT_WOF},
	{"link", required_argument, NULL, OPT_LINK},
	{"winre", required_argument, NULL, OPT_WINRE},
	{"recovery-winre", required_argument, NULL, OPT_RECOVERY_WINRE},
	{"odd-files", no_argument, NULL, OPT_ODD},
	{"stale-logs", required_argument, NULL, OPT_STALE_LOGS},
	{"fill", required_argument, NULL, OPT_FILL},
	{"tiny-volume", no_argument, NULL, OPT_TINY},
	{"seed", required_argument, NULL, OPT_SEED},
	{"help", no_argument, NULL, OPT_HELP},
	{NULL, 0, NULL, 0},
};

struct lists {
	unsigned oem[MAX_LIST];
	const char *pci[MAX_LIST], *paging[MAX_LIST];
};

static _Noreturn void bad(const char *option, const char *value)
{
	fprintf(stderr, "ibb-mkimage: --%s: cannot use '%s'; see --help\n", option, value);
	exit(2);
}

static uint64_t number(const char *option, const char *text, uint64_t max)
{
	char *end;
	unsigned long long v;

	errno = 0;
	v = strtoull(text, &end, 10);
	if (errno || end == text || *end || v > max)
		bad(option, text);
	return v;
}

static uint64_t size_bytes(const char *text)
{
	char *end;
	unsigned long long v = strtoull(text, &end, 10);
	unsigned shift = 0;

	if (strcmp(end, "MiB") == 0)
		shift = 20;
	else if (strcmp(end, "GiB") == 0)
		shift = 30;
	else if (*end)
		bad("size", text);
	if (!v || v > UINT64_MAX >> (shift + 2) || (v << shift) % 4096)
		bad("size", text);
	return v << shift;
}

/* The index of the word in the list, which ends with NULL. */
static int choice(const char *option, const char *value, const char *const *words)
{
	for (int i = 0; words[i]; i++)
		if (strcmp(words[i], value) == 0)
			return i;
	bad(option, value);
}

static void disk_option(struct mkimage *m, int c)
{
	static const char *const containers[] = {"raw", "vhd", NULL};
	static const char *const tables[] = {"gpt", "mbr", "none", NULL};
	static const char *const sectors[] = {"512", "4096", NULL};

	switch (c) {
	case OPT_CONTAINER:
		m->vhd = choice("container", optarg, containers);
		break;
	case OPT_SIZE:
		m->size = size_bytes(optarg);
		break;
	case OPT_TABLE:
		m->table = (enum mkimage_table)choice("table", optarg, tables);
		break;
	case OPT_SECTOR:
		m->sector = choice("sector", optarg, sectors) ? 4096 : 512;
		break;
	case OPT_WINRE:
		m->windows.winre = optarg;
		break;
	case OPT_RECOVERY_WINRE:
		m->recovery_winre = optarg;
		m->recovery = true;
		break;
	case OPT_RECOVERY:
		m->recovery = true;
		break;
	case OPT_NO_BOOT:
		m->no_boot_files = true;
		break;
	case OPT_SECOND:
		m->second_windows = true;
		break;
	case OPT_SEED:
		m->seed = m->windows.seed = number("seed", optarg, INT64_MAX);
		break;
	}
}

static void hive_option(struct winhives_spec *h, struct lists *l, int c)
{
	static const char *const states[] = {"specialized", "generalized", "audit",
					     "setup-in-progress", NULL};
	static const char *const arches[] = {"amd64", "x86", "arm64", NULL};

	switch (c) {
	case OPT_WINDOWS:
		h->win = win_release_find(optarg);
		if (!h->win)
			bad("windows", optarg);
		break;
	case OPT_ARCH:
		h->arch = arches[choice("arch", optarg, arches)];
		break;
	case OPT_STATE:
		h->state = (enum win_state)choice("state", optarg, states);
		break;
	case OPT_CONTROL_SET:
		h->control_set = (unsigned)number("control-set", optarg, 999);
		break;
	case OPT_NO_DATABASE:
		h->no_driver_database = true;
		break;
	case OPT_AGENT:
		h->agent = true;
		break;
	case OPT_PAGING:
		if (h->n_paging == MAX_LIST)
			bad("paging-file", optarg);
		l->paging[h->n_paging++] = optarg;
		break;
	case OPT_WINOF2:
		h->winof2 = optarg;
		break;
	case OPT_OEM:
		if (h->n_oem == MAX_LIST)
			bad("oem", optarg);
		l->oem[h->n_oem++] = (unsigned)number("oem", optarg, 65535);
		break;
	case OPT_PCI:
		if (h->n_pci == MAX_LIST || strncmp(optarg, "PCI\\", 4) != 0)
			bad("pci-instance", optarg);
		l->pci[h->n_pci++] = optarg;
		break;
	}
}

/* FILE=NAME; optarg is ours to change */
static void link_option(struct mkwindows *w)
{
	char *name = strchr(optarg, '=');
	size_t n = 0;

	while (n < IBB_ARRAY_SIZE(w->links) && w->links[n][0])
		n++;
	if (!name || n == IBB_ARRAY_SIZE(w->links))
		bad("link", optarg);
	*name++ = '\0';
	w->links[n][0] = optarg;
	w->links[n][1] = name;
}

static void windows_option(struct mkwindows *w, int c)
{
	size_t n_wof = 0;

	switch (c) {
	case OPT_NO_WINDOWS:
		w->no_windows = true;
		break;
	case OPT_SYSTEM_HIVE:
		w->system_hive = optarg;
		break;
	case OPT_DRIVERS_HIVE:
		w->drivers_hive = optarg;
		break;
	case OPT_NO_DRIVERS_HIVE:
		w->no_drivers_hive = true;
		break;
	case OPT_STALE_PNF:
		w->stale_pnf = (unsigned)number("stale-pnf", optarg, 65535);
		break;
	case OPT_PENDING:
		w->pending_xml = w->hives.reboot_pending = true;
		break;
	case OPT_PLUGIN:
		w->extension_plugin = true;
		break;
	case OPT_USN:
		w->usn = true;
		break;
	case OPT_VSS:
		w->vss = true;
		break;
	case OPT_SYSTEM_LOG1:
	case OPT_SYSTEM_LOG2:
		w->system_logs[c - OPT_SYSTEM_LOG1] = optarg;
		break;
	case OPT_LOGGED:
		w->logged = strcmp(optarg, "new") == 0	 ? MKLOG_NEW
			    : strcmp(optarg, "old") == 0 ? MKLOG_OLD
							 : 0;
		if (!w->logged)
			bad("logged-hives", optarg);
		break;
	case OPT_TXR:
		w->txr = true;
		break;
	case OPT_DIRTY_HIVE:
		w->dirty_hive = true;
		break;
	case OPT_DIRTY_VOLUME:
		w->dirty_volume = true;
		break;
	case OPT_HIBERNATED:
		w->hibernated = true;
		break;
	case OPT_WOF:
		while (n_wof < IBB_ARRAY_SIZE(w->wof) && w->wof[n_wof])
			n_wof++;
		if (n_wof == IBB_ARRAY_SIZE(w->wof))
			bad("wof", optarg);
		w->wof[n_wof] = optarg;
		break;
	case OPT_LINK:
		link_option(w);
		break;
	case OPT_ODD:
		w->odd = true;
		break;
	case OPT_STALE_LOGS:
		w->stale_logs = (int)number("stale-logs", optarg, 1000000);
		break;
	case OPT_FILL:
		w->fill_mib = (unsigned)number("fill", optarg, 65536);
		break;
	case OPT_TINY:
		w->tiny = true;
		break;
	}
}

static void parse(int argc, char **argv, struct mkimage *m, struct lists *l)
{
	int c;

	while ((c = getopt_long(argc, argv, "", options, NULL)) != -1) {
		if (c == OPT_HELP) {
			printf(usage, win_release_ids());
			exit(0);
		}
		if (c == '?')
			exit(2);
		disk_option(m, c);
		hive_option(&m->windows.hives, l, c);
		windows_option(&m->windows, c);
	}
	m->windows.hives.oem = l->oem;
	m->windows.hives.pci = l->pci;
	m->windows.hives.paging = l->paging;
	if (m->windows.hives.win->major == 6 && m->windows.hives.win->minor < 2)
		m->windows.hives.no_driver_database = true;
}

static int64_t unix_time(void)
{
	const char *epoch = getenv("SOURCE_DATE_EPOCH");

	return epoch && *epoch ? (int64_t)number("SOURCE_DATE_EPOCH", epoch, UINT32_MAX)
			       : DEFAULT_TIME;
}

static void print_layout(const struct mkimage *m, const struct mkimage_layout *l)
{
	printf("{\"container\": \"%s\", \"size\": %" PRIu64 ", \"sector\": %u, \"partitions\": [",
	       m->vhd ? "vhd" : "raw", m->size, m->sector);
	for (size_t i = 0; i < l->n; i++)
		printf("%s{\"number\": %u, \"role\": \"%s\", \"offset\": %" PRIu64
		       ", \"length\": %" PRIu64 "}",
		       i ? ", " : "", l->parts[i].number, mkimage_role_name(l->parts[i].role),
		       l->parts[i].off, l->parts[i].len);
	printf("]}\n");
}

int main(int argc, char **argv)
{
	struct mkimage m = {.size = 2ull << 30,
			    .sector = 512,
			    .seed = 1,
			    .windows = {.seed = 1,
					.hives = {.win = win_release_find("server2022"),
						  .arch = "amd64",
						  .state = WIN_GENERALIZED,
						  .control_set = 1}}};
	struct mkimage_layout layout = {0};
	struct lists lists = {0};
	struct ibb_error err = {0};
	const char *out = argc > 1 ? argv[1] : "--help";
	const char *dot = strrchr(out, '.');
	int r;

	m.vhd = dot && strcmp(dot, ".vhd") == 0;
	if (out[0] == '-') {
		parse(argc, argv, &m, &lists);
		fputs("ibb-mkimage: the output comes first; see --help\n", stderr);
		return 2;
	}
	parse(argc - 1, argv + 1, &m, &lists);
	m.unix_time = unix_time();
	m.windows.hives.time = ibb_filetime_from_unix(m.unix_time);
	ntfsprep_freeze_clock(m.unix_time);
	r = mkimage(out, &m, &layout, &err);
	if (r) {
		fprintf(stderr, "ibb-mkimage: %s\n", err.msg);
		return ibb_exit_status(r);
	}
	print_layout(&m, &layout);
	return 0;
}
