/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "mkwindows.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/io.h"
#include "base/le.h"
#include "base/limits.h"
#include "base/path.h"
#include "base/utf16.h"
#include "hive/hive.h"
#include "imgfile.h"
#include "ntfsprep.h"

#define ATTR_HIDDEN	0x02u
#define ATTR_SYSTEM	0x04u
#define ATTR_ARCHIVE	0x20u
#define CONFIG		"Windows/System32/config"
#define STORE		"Windows/System32/DriverStore/FileRepository"
#define CATROOT		"Windows/System32/CatRoot"
#define FILL_FILE_BYTES (8u << 20)

/* Descriptors as Windows sets them; what is not listed inherits. */
#define SD_ROOT                                                                           \
	"O:TIG:TID:PAI(A;;LC;;;AU)(A;OICIIO;SDGXGWGR;;;AU)(A;;FA;;;SY)(A;OICIIO;GA;;;SY)" \
	"(A;OICIIO;GA;;;BA)(A;;FA;;;BA)(A;OICI;0x1200a9;;;BU)"
#define SD_WINDOWS                                                                   \
	"O:TIG:TID:PAI(A;OICIIO;GA;;;CO)(A;OICIIO;GA;;;SY)(A;;0x1301bf;;;SY)"        \
	"(A;OICIIO;GA;;;BA)(A;;0x1301bf;;;BA)(A;OICIIO;GXGR;;;BU)(A;;0x1200a9;;;BU)" \
	"(A;CIIO;GA;;;TI)(A;;FA;;;TI)(A;;0x1200a9;;;AC)(A;OICIIO;GXGR;;;AC)"
#define SD_CONFIG "O:SYG:SYD:PAI(A;OICI;FA;;;SY)(A;OICI;FA;;;BA)"
#define SD_STORE  "O:SYG:SYD:PAI(A;OICI;FA;;;SY)(A;OICI;0x1200a9;;;BA)(A;OICI;0x1200a9;;;BU)"

static const struct ntfsprep_dir windows_dirs[] = {
	{"", SD_ROOT},
	{"Windows", SD_WINDOWS},
	{"Windows/INF", SD_WINDOWS},
	{"Windows/WinSxS", SD_WINDOWS},
	{"Windows/System32", SD_WINDOWS},
	{"Windows/System32/drivers", SD_WINDOWS},
	{CONFIG, SD_CONFIG},
	{CATROOT, SD_WINDOWS},
	{"Windows/System32/DriverStore", SD_STORE},
	{STORE, SD_STORE},
};
static const struct ntfsprep_dir data_dirs[] = {{"", SD_ROOT}};

static const char *const plain_dirs[] = {
	"Program Files",
	"Program Files (x86)",
	"ProgramData",
	"Users",
	"Users/Default",
	"Windows/Panther",
	"Windows/Setup",
	"Windows/SysWOW64",
	CATROOT "/{127D0A1D-4EF2-11D1-8608-00C04FC295EE}",
	CATROOT "/{F750E6C3-38EE-11D1-85E5-00C04FC295EE}",
};

struct work {
	const struct mkwindows *w;
	struct ibb_volume *vol;
	struct ibb_error *err;
	char **dirs; /* every directory, for the time stamps at the end */
	size_t n_dirs, cap_dirs;
};

static int note_dir(struct work *k, const char *path)
{
	if (ibb_grow(&k->dirs, &k->cap_dirs, k->n_dirs, sizeof(*k->dirs)))
		return ibb_err_nomem(k->err);
	k->dirs[k->n_dirs] = ibb_strdup(path);
	return k->dirs[k->n_dirs++] ? IBB_OK : ibb_err_nomem(k->err);
}

static int make_dir(struct work *k, const char *path)
{
	struct ibb_meta meta = {.time = k->w->hives.time};
	int r = ibb_volume_mkdir(k->vol, path, &meta, k->err);

	return r ? r : note_dir(k, path);
}

/* All directories of the path that are not there yet. */
static int make_dirs(struct work *k, const char *path)
{
	char part[512];
	struct ibb_stat st;

	for (size_t i = 0;; i++) {
		int r;

		if (path[i] && path[i] != '/')
			continue;
		snprintf(part, sizeof(part), "%.*s", (int)i, path);
		r = ibb_volume_stat(k->vol, part, &st, k->err);
		if (r == IBB_E_NOTFOUND)
			r = make_dir(k, part);
		if (r || !path[i])
			return r;
	}
}

static int put(struct work *k, const char *path, uint32_t attributes, const void *data, size_t n)
{
	struct ibb_meta meta = {.time = k->w->hives.time, .attributes = ATTR_ARCHIVE | attributes};
	struct ibb_bytes bytes = {data, n};
	char dir[512];
	int r = IBB_OK;

	snprintf(dir, sizeof(dir), "%.*s", (int)ibb_path_dir_len(path), path);
	if (*dir)
		r = make_dirs(k, dir);
	return r ? r : ibb_volume_put(k->vol, path, bytes, IBB_PUT_REPLACE, &meta, k->err);
}

static int put_text(struct work *k, const char *path, const char *text)
{
	return put(k, path, 0, text, strlen(text));
}

/* ---- hives ---- */

/* The hive as it is after its ith write from here. */
static int one_write_later(struct work *k, const struct ibb_buf *hive, unsigned i,
			   struct ibb_buf *ret)
{
	char name[16];
	struct ibb_hive *h = NULL;
	ibb_key key;
	int r = ibb_buf_append(ret, hive->data, hive->len) ? IBB_E_NOMEM : IBB_OK;

	snprintf(name, sizeof(name), "v%u", i);
	if (!r)
		r = ibb_hive_open("hive", ret, &h, k->err);
	if (!r)
		r = ibb_hive_create(h, ibb_hive_root(h), "ibb from the log",
				    IBB_KEY_SECURITY_PARENT, 0, k->w->hives.time, &key, NULL,
				    k->err);
	if (!r)
		r = ibb_hive_set(h, key, name, IBB_REG_SZ, "x\0\0", 4, k->w->hives.time, k->err);
	if (!r)
		r = ibb_hive_serialize(h, ibb_get_le64(hive->data + 12), ret, k->err);
	ibb_hive_close(h);
	return r;
}

/*
 * What was last written to the hive, in n writes, goes to its log alone; the hive is left dirty.
 * With `ahead`, the first entry has a number that lies so far from the hive's, which stays clean.
 */
static int into_log(struct work *k, unsigned n, int ahead, struct ibb_buf *hive,
		    struct ibb_buf *log)
{
	struct ibb_buf state[2] = {{0}};
	const struct ibb_buf *last = hive;
	uint32_t seq = ibb_get_le32(hive->data + 8) + (uint32_t)ahead;
	bool old = k->w->logged == MKLOG_OLD;
	int r = old ? IBB_OK : mklog_begin(ibb_buf_bytes(hive), MKLOG_NEW, seq, 1, log);

	for (unsigned i = 0; !r && i < n; i++) {
		struct ibb_buf *next = &state[i % 2];

		ibb_buf_clear(next);
		r = one_write_later(k, last, i, next);
		if (!r && !old)
			r = mklog_entry(ibb_buf_bytes(last), ibb_buf_bytes(next), seq + i, log);
		last = next;
	}
	if (!r && old)
		r = mklog_old(ibb_buf_bytes(hive), ibb_buf_bytes(last), seq + 1, 1, false, log);
	if (!ahead)
		mklog_mark(hive, seq + 1, seq);
	ibb_buf_clear(&state[0]);
	ibb_buf_clear(&state[1]);
	return r == IBB_E_NOMEM ? ibb_err_nomem(k->err) : r;
}

static int log_of(struct work *k, const char *name, struct ibb_buf *hive, unsigned i,
		  struct ibb_buf *ret)
{
	bool system = strcmp(name, "SYSTEM") == 0;
	int r;

	if (system && k->w->system_logs[i])
		return ibb_read_file(k->w->system_logs[i], IBB_LIMIT_HIVE_BYTES, ret, k->err);
	if (i)
		return ibb_buf_append_zero(ret, 64 * 1024) ? ibb_err_nomem(k->err) : IBB_OK;
	if (k->w->logged)
		return into_log(k, system ? 3 : 1, 0, hive, ret);
	if ((system && k->w->system_hive) || (strcmp(name, "DRIVERS") == 0 && k->w->drivers_hive))
		r = ibb_buf_append_zero(ret, 64 * 1024) ? ibb_err_nomem(k->err) : IBB_OK;
	else
		r = into_log(k, 1, k->w->stale_logs ? k->w->stale_logs : -1, hive, ret);
	if (!r && k->w->dirty_hive && system)
		winhives_make_dirty(hive);
	return r;
}

static int put_hive(struct work *k, const char *name, struct ibb_buf *hive)
{
	IBB_AUTO_BUF struct ibb_buf log1 = {0}, log2 = {0};
	char path[256];
	int r = log_of(k, name, hive, 0, &log1);

	if (!r)
		r = log_of(k, name, hive, 1, &log2);
	if (r)
		return r;
	snprintf(path, sizeof(path), CONFIG "/%s", name);
	r = put(k, path, 0, hive->data, hive->len);
	snprintf(path, sizeof(path), CONFIG "/%s.LOG1", name);
	if (!r)
		r = put(k, path, ATTR_HIDDEN | ATTR_SYSTEM, log1.data, log1.len);
	snprintf(path, sizeof(path), CONFIG "/%s.LOG2", name);
	if (!r)
		r = put(k, path, ATTR_HIDDEN | ATTR_SYSTEM, log2.data, log2.len);
	return r;
}

typedef int (*hive_fn)(const struct winhives_spec *s, struct ibb_buf *ret, struct ibb_error *err);

static int one_hive(struct work *k, const char *name, const char *host, hive_fn generate)
{
	IBB_AUTO_BUF struct ibb_buf hive = {0};
	int r = host ? ibb_read_file(host, IBB_LIMIT_HIVE_BYTES, &hive, k->err)
		     : generate(&k->w->hives, &hive, k->err);

	return r ? r : put_hive(k, name, &hive);
}

static int hives(struct work *k)
{
	int r = one_hive(k, "SYSTEM", k->w->system_hive, winhives_system);

	if (!r)
		r = one_hive(k, "SOFTWARE", NULL, winhives_software);
	if (!r && !k->w->hives.no_driver_database && !k->w->no_drivers_hive)
		r = one_hive(k, "DRIVERS", k->w->drivers_hive, winhives_drivers);
	return r;
}

/* ---- the rest of Windows ---- */

/* The smallest file that is a 32- or 64-bit native executable for the machine. */
static int kernel(struct work *k)
{
	const char *arch = k->w->hives.arch;
	bool x86 = strcmp(arch, "x86") == 0;
	uint8_t pe[1024] = {'M', 'Z'};
	uint8_t *h = pe + 0x80;

	pe[0x3c] = 0x80;
	memcpy(h, "PE\0\0", 4);
	ibb_put_le16(h + 4, x86 ? 0x14c : strcmp(arch, "arm64") == 0 ? 0xaa64 : 0x8664);
	ibb_put_le16(h + 20, x86 ? 224 : 240);	     /* optional header */
	ibb_put_le16(h + 22, 0x0022);		     /* executable, large addresses */
	ibb_put_le16(h + 24, x86 ? 0x10b : 0x20b);   /* PE32, PE32+ */
	ibb_put_le16(h + 24 + 68, 1);		     /* subsystem: native */
	ibb_put_le32(h + 24 + (x86 ? 92 : 108), 16); /* data directories */
	return put(k, "Windows/System32/ntoskrnl.exe", 0, pe, sizeof(pe));
}

/* What drivers need of it; here it adds nothing. */
static const char pci_hw[] = "[PciIoSpaceNotRequired.HW]\r\n";

static int inbox(struct work *k, const struct win_inbox *p)
{
	char path[256], text[512];
	int r;

	snprintf(text, sizeof(text),
		 "; stands for an INF that comes with Windows\r\n[Version]\r\nSignature=\"$Windows "
		 "NT$\"\r\nProvider=\"Microsoft\"\r\nClassGuid=%s\r\nDriverVer=%02d/%02d/%04d,"
		 "%u.%u.%u.%u\r\n%s",
		 p->class_guid, p->month, p->day, p->year, p->version[0], p->version[1],
		 p->version[2], p->version[3], strcmp(p->inf, "pci.inf") == 0 ? pci_hw : "");
	snprintf(path, sizeof(path), "Windows/INF/%s", p->inf);
	r = put_text(k, path, text);
	snprintf(path, sizeof(path), STORE "/%s_%s_%s/%s", p->inf, k->w->hives.arch, p->digits,
		 p->inf);
	return r ? r : put_text(k, path, text);
}

static int driver_files(struct work *k)
{
	char path[64];
	int r = IBB_OK;

	for (size_t i = 0; i < win_inbox_n && !r; i++)
		r = inbox(k, &win_inbox[i]);
	if (r || !k->w->stale_pnf)
		return r;
	snprintf(path, sizeof(path), "Windows/INF/oem%u.PNF", k->w->stale_pnf);
	return put_text(k, path, "left behind by a package that was removed");
}

static int marks(struct work *k)
{
	const struct mkwindows *w = k->w;
	uint8_t hiberfil[8192] = {'H', 'I', 'B', 'R'};
	static const uint8_t used[65536] = {0x15, 0, 1}, never[65536];
	int r = IBB_OK;

	if (w->pending_xml)
		r = put_text(k, "Windows/WinSxS/pending.xml",
			     "<?xml version=\"1.0\"?><PendingTransaction Version=\"3.1\"/>");
	if (!r && w->extension_plugin)
		r = put_text(k,
			     "Packages/Plugins/Microsoft.HpcCompute.InfiniBandDriverWindows/1.5/"
			     "HandlerManifest.json",
			     "[{\"version\": 1.0}]\n");
	if (!r && w->vss)
		r = put_text(k,
			     "System Volume Information/{5a2f3d1e-9c41-4b7a-8f63-0d2c1b9e7a55}"
			     "{3808876b-c176-4e48-b7ae-04046e6cc752}",
			     "shadow copy difference area");
	if (!r && w->txr)
		r = put(k, CONFIG "/TxR/{53b39e88-18c4-11ea-a811-000d3aa4692b}.TxR.blf", 0, used,
			sizeof(used));
	if (!r && w->txr) /* one that was never used */
		r = put(k,
			CONFIG
			"/SYSTEM{53b39e3f-18c4-11ea-a811-000d3aa4692b}.TMContainer00000000000"
			"000000001.regtrans-ms",
			0, never, sizeof(never));
	if (!r && w->hibernated)
		r = put(k, "hiberfil.sys", ATTR_HIDDEN | ATTR_SYSTEM, hiberfil, sizeof(hiberfil));
	return r;
}

static int boot_files(struct work *k)
{
	static const char code[] = "\xfa\xf4\xeb\xfd not a boot manager";
	IBB_AUTO_BUF struct ibb_buf bcd = {0};
	int r = winhives_bcd(k->w->hives.time, &bcd, k->err);

	if (!r)
		r = put(k, "bootmgr", ATTR_HIDDEN | ATTR_SYSTEM, code, sizeof(code));
	return r ? r : put(k, "Boot/BCD", 0, bcd.data, bcd.len);
}

static int agent_files(struct work *k)
{
	int r = put_text(k, WINHIVES_AGENT_DIR "/WindowsAzureGuestAgent.exe", "MZ: no program");

	return r ? r : put_text(k, WINHIVES_AGENT_DIR "/WaAppAgent.exe", "MZ: no program");
}

/* ---- the store that goes with a real hive ---- */

struct stubs {
	struct work *k;
	const struct ibb_hive *hive;
};

static int put_stub(struct stubs *s, const char *package, const char *published, const char *inf)
{
	int stem = (int)(strlen(published) - strlen(".inf"));
	char path[512], text[512];
	int r;

	snprintf(text, sizeof(text),
		 "; stands for %s\r\n[Version]\r\nSignature=\"$Windows NT$\"\r\n", package);
	snprintf(path, sizeof(path), "Windows/INF/%s", published);
	r = put_text(s->k, path, text);
	snprintf(path, sizeof(path), STORE "/%s/%s", package, inf);
	if (!r)
		r = put_text(s->k, path, text);
	snprintf(path, sizeof(path), CATROOT "/{F750E6C3-38EE-11D1-85E5-00C04FC295EE}/%.*s.cat",
		 stem, published);
	return r ? r : put_text(s->k, path, text);
}

static int stub(void *ctx, ibb_key key, const char *name, struct ibb_error *err)
{
	struct stubs *s = ctx;
	IBB_AUTO_FREE char *published = NULL;
	IBB_AUTO_FREE char *inf = NULL;
	int r = ibb_hive_get_string(s->hive, key, "", "", &published, err);

	if (!r && !ibb_case_prefix(published, "oem"))
		return IBB_OK;
	if (!r)
		r = ibb_hive_get_string(s->hive, key, "", "InfName", &inf, err);
	return r ? r : put_stub(s, name, published, inf);
}

/* Files for the OEM packages that a given SYSTEM hive names, else they would be missing. */
static int stubs_for(struct work *k, const char *host_hive)
{
	IBB_AUTO(ibb_hive_close) struct ibb_hive *hive = NULL;
	IBB_AUTO_BUF struct ibb_buf bytes = {0};
	struct ibb_hive_recovery recovery;
	struct ibb_buf bytes_of_logs[2] = {0};
	struct ibb_hive_log logs[2];
	struct stubs s = {.k = k};
	struct ibb_error ignored;
	ibb_key packages;
	size_t n = 0;
	int r = IBB_OK;

	for (; n < 2 && k->w->system_logs[n] && !r; n++) {
		r = ibb_read_file(k->w->system_logs[n], IBB_LIMIT_HIVE_BYTES, &bytes_of_logs[n],
				  k->err);
		logs[n] = (struct ibb_hive_log){"log", ibb_buf_bytes(&bytes_of_logs[n])};
	}
	/* a damaged or dirty hive is an error for the program under test, not for us */
	if (!r)
		r = ibb_read_file(host_hive, IBB_LIMIT_HIVE_BYTES, &bytes, &ignored) ||
		    ibb_hive_open_logged(host_hive, &bytes, logs, n, true, &recovery, &hive,
					 &ignored) ||
		    ibb_hive_find(hive, ibb_hive_root(hive), "DriverDatabase\\DriverPackages",
				  &packages, &ignored);
	for (size_t i = 0; i < 2; i++)
		ibb_buf_clear(&bytes_of_logs[i]);
	if (r)
		return IBB_OK;
	s.hive = hive;
	return ibb_hive_subkeys(hive, packages, stub, &s, k->err);
}

/* ---- data ---- */

static void noise(uint64_t *state, uint8_t *p, size_t n)
{
	uint64_t x = *state;

	for (size_t i = 0; i + 8 <= n; i += 8) { /* xorshift64* */
		x ^= x >> 12;
		x ^= x << 25;
		x ^= x >> 27;
		ibb_put_le64(p + i, x * 0x2545f4914f6cdd1dull);
	}
	*state = x;
}

static int fill(struct work *k, uint64_t bytes)
{
	IBB_AUTO_FREE uint8_t *p = ibb_zalloc(FILL_FILE_BYTES);
	uint64_t state = k->w->seed * 2 + 1;
	char path[64];

	if (!p)
		return ibb_err_nomem(k->err);
	for (unsigned i = 0; bytes; i++) {
		size_t n = bytes < FILL_FILE_BYTES ? (size_t)bytes : FILL_FILE_BYTES;
		int r;

		noise(&state, p, n);
		snprintf(path, sizeof(path), "ProgramData/data-%04u.bin", i);
		r = put(k, path, 0, p, n);
		if (r)
			return r;
		bytes -= n;
	}
	return IBB_OK;
}

static int data(struct work *k)
{
	struct ibb_volume_info info;
	int r = fill(k, (uint64_t)k->w->fill_mib << 20);

	if (r || !k->w->tiny)
		return r;
	r = ibb_volume_info(k->vol, &info, k->err);
	/* keep half a MiB, so that the hives themselves could still grow */
	if (!r && info.free_bytes > (512u << 10))
		r = fill(k, info.free_bytes - (512u << 10));
	return r;
}

/* ---- all of it ---- */

static int touch_all(struct work *k)
{
	struct ibb_meta meta = {.time = k->w->hives.time};
	int r = IBB_OK;

	for (size_t i = k->n_dirs; i-- && !r;)
		r = ibb_volume_touch(k->vol, k->dirs[i], &meta, k->err);
	return r;
}

/* Hidden, as Windows has it. */
static int winre(struct work *k)
{
	const char *path = k->w->no_windows ? "Recovery/WindowsRE/Winre.wim"
					    : "Windows/System32/Recovery/Winre.wim";
	IBB_AUTO_BUF struct ibb_buf wim = {0};
	int r = ibb_read_file(k->w->winre, IBB_LIMIT_HIVE_BYTES, &wim, k->err);

	return r ? r : put(k, path, 0x6, wim.data, wim.len);
}

static int populate(struct work *k)
{
	const struct mkwindows *w = k->w;
	int r = IBB_OK;

	if (!w->no_windows) {
		for (size_t i = 0; i < IBB_ARRAY_SIZE(windows_dirs) && !r; i++)
			r = note_dir(k, windows_dirs[i].path);
		for (size_t i = 0; i < IBB_ARRAY_SIZE(plain_dirs) && !r; i++)
			r = make_dirs(k, plain_dirs[i]);
		if (!r)
			r = kernel(k);
		if (!r)
			r = driver_files(k);
		if (!r && w->system_hive)
			r = stubs_for(k, w->system_hive);
		if (!r)
			r = hives(k);
	} else {
		r = note_dir(k, "");
		if (!r)
			r = put_text(k, "Documents/readme.txt", "a data volume\r\n");
	}
	if (!r)
		r = marks(k);
	if (!r && w->boot_files)
		r = boot_files(k);
	if (!r && w->hives.agent && !w->no_windows)
		r = agent_files(k);
	if (!r && w->winre)
		r = winre(k);
	if (!r && w->usn)
		r = note_dir(k, "$Extend");
	if (!r && w->usn)
		r = note_dir(k, "$Extend/$UsnJrnl");
	if (!r)
		r = data(k);
	return r ? r : touch_all(k);
}

static int run(struct work *k, struct ibb_disk *disk)
{
	int r = ibb_volume_open_ntfs(disk, true, &k->vol, k->err);

	if (!r)
		r = populate(k);
	if (!r)
		r = ibb_volume_commit(k->vol, k->err);
	ibb_volume_close(k->vol);
	for (size_t i = 0; i < k->n_dirs; i++)
		free(k->dirs[i]);
	free(k->dirs);
	return r;
}

int mkwindows(int fd, uint64_t size, uint32_t sector, const struct mkwindows *w,
	      struct ibb_error *err)
{
	struct work k = {.w = w, .err = err};
	struct ibb_disk *disk;
	uint64_t time = w->hives.time;
	int r = w->no_windows
			? ntfsprep_dirs(fd, data_dirs, IBB_ARRAY_SIZE(data_dirs), time, err)
			: ntfsprep_dirs(fd, windows_dirs, IBB_ARRAY_SIZE(windows_dirs), time, err);

	if (!r && w->usn)
		r = ntfsprep_usn(fd, time, err);
	if (!r)
		r = imgfile_disk(fd, "partition", size, sector, &disk, err);
	if (r)
		return r;
	r = run(&k, disk);
	ibb_disk_unref(disk);
	for (size_t i = 0; !r && i < IBB_ARRAY_SIZE(w->wof) && w->wof[i]; i++)
		r = ntfsprep_wof(fd, w->wof[i], time, err);
	for (size_t i = 0; !r && i < IBB_ARRAY_SIZE(w->links) && w->links[i][0]; i++)
		r = ntfsprep_link(fd, w->links[i][0], w->links[i][1], time, err);
	if (!r && w->odd)
		r = ntfsprep_odd(fd, time, err);
	if (!r && w->dirty_volume)
		r = ntfsprep_dirty(fd, err);
	return r;
}
