/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "winhives.h"

#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "base/guid.h"
#include "base/le.h"
#include "base/time.h"
#include "hivebuild.h"

/* DEVPROP types in the registry are 0xFFFF0000 | DEVPROPTYPE. */
#define TYPE_DEVPROP_BOOLEAN 0xFFFF0011u
#define BOOT_CRITICAL	     "Properties\\{6a3433f4-5626-40e8-a9b9-dbd9ecd2884b}\\0003"

#define SD_HIVE	    "O:BAG:BAD:P(A;CI;KA;;;SY)(A;CI;KA;;;BA)(A;CI;KR;;;BU)"
#define SD_DATABASE "O:BAG:BAD:(A;CI;KA;;;SY)(A;CI;RC;;;OW)(A;CI;KR;;;WD)"
/* What Windows creates below carries the inherited flag in some releases and not in others. */
#define SD_BELOW_PLAIN "O:SYG:SYD:(A;CI;KA;;;SY)(A;CI;RC;;;OW)(A;CI;KR;;;WD)"
#define SD_BELOW_ID    "O:SYG:SYD:AI(A;CIID;KA;;;SY)(A;CIID;RC;;;OW)(A;CIID;KR;;;WD)"

struct class_def {
	const char *guid, *name;
	bool boot_critical;
};
static const struct class_def class_defs[] = {
	{"{4d36e965-e325-11ce-bfc1-08002be10318}", "CDROM", true},
	{"{4d36e966-e325-11ce-bfc1-08002be10318}", "Computer", true},
	{"{4d36e967-e325-11ce-bfc1-08002be10318}", "DiskDrive", true},
	{"{4d36e968-e325-11ce-bfc1-08002be10318}", "Display", false},
	{"{4d36e96a-e325-11ce-bfc1-08002be10318}", "hdc", true},
	{"{4d36e96b-e325-11ce-bfc1-08002be10318}", "Keyboard", true},
	{"{4d36e96f-e325-11ce-bfc1-08002be10318}", "Mouse", true},
	{"{4d36e972-e325-11ce-bfc1-08002be10318}", "Net", false},
	{"{4d36e973-e325-11ce-bfc1-08002be10318}", "NetClient", false},
	{"{4d36e974-e325-11ce-bfc1-08002be10318}", "NetService", false},
	{"{4d36e975-e325-11ce-bfc1-08002be10318}", "NetTrans", false},
	{"{4d36e97b-e325-11ce-bfc1-08002be10318}", "SCSIAdapter", true},
	{"{4d36e97d-e325-11ce-bfc1-08002be10318}", "System", true},
	{"{36fc9e60-c465-11cf-8056-444553540000}", "USB", true},
	{"{71a27cdd-812a-11d0-bec7-08002be2092f}", "Volume", true},
	{"{533c5b84-ec70-11d2-9505-00c04f79deaf}", "VolumeSnapshot", true},
	{"{5c4c3332-344d-483c-8739-259e934c9cc8}", "SoftwareComponent", false},
	{"{e2f84ce7-8efa-411c-aa69-97454ca4cb57}", "Extension", false},
};

static uint32_t arch_number(const char *arch)
{
	return strcmp(arch, "amd64") == 0 ? 9 : strcmp(arch, "arm64") == 0 ? 12 : 0;
}

/* SchemaVersion, UpdateDate and SetupStatus came with 1903. */
static bool has_schema(const struct win_release *w)
{
	return w->build >= 18362;
}

/* ---- DriverDatabase ---- */

static void version_blob(const struct win_inbox *p, const char *arch, uint8_t out[48])
{
	struct ibb_guid guid = {{0}};
	uint64_t date = 0;

	memset(out, 0, 48);
	IBB_ASSERT(ibb_guid_parse(p->class_guid, &guid));
	IBB_ASSERT(ibb_filetime_from_date(p->year, p->month, p->day, &date));
	out[0] = 0xff; /* inbox */
	out[1] = 0xff; /* published */
	ibb_put_le16(out + 2, (uint16_t)arch_number(arch));
	memcpy(out + 8, guid.b, 16);
	ibb_put_le64(out + 24, date);
	for (int i = 0; i < 4; i++)
		ibb_put_le16(out + 32 + 2 * i, p->version[3 - i]);
}

static void inbox_package(struct hivebuild *b, const struct winhives_spec *s,
			  const struct win_inbox *p)
{
	uint8_t version[48];
	const uint8_t id_data[4] = {1, 0xff, 0, 0};
	char name[128];

	snprintf(name, sizeof(name), "%s_%s_%s", p->inf, s->arch, p->digits);
	version_blob(p, s->arch, version);
	hivebuild_key(b, "DriverDatabase\\DriverPackages\\%s", name);
	hivebuild_sz(b, "", p->inf);
	hivebuild_raw(b, "Version", IBB_REG_BINARY, version, sizeof(version));
	hivebuild_sz(b, "Provider", "Microsoft");
	hivebuild_dword(b, "SignerScore", 0x0d000003);
	if (p->status_flags)
		hivebuild_dword(b, "StatusFlags", p->status_flags);
	hivebuild_key(b, "DriverDatabase\\DriverInfFiles\\%s", p->inf);
	hivebuild_multi(b, "", name);
	hivebuild_sz(b, "Active", name);
	for (size_t i = 0; i < IBB_ARRAY_SIZE(p->ids) && p->ids[i]; i++) {
		hivebuild_key(b, "DriverDatabase\\DeviceIds\\%s", p->ids[i]);
		hivebuild_raw(b, p->inf, IBB_REG_BINARY, id_data, sizeof(id_data));
	}
	hivebuild_key(b, "DriverDatabase\\DeviceIds\\%s", p->class_guid);
	hivebuild_raw(b, p->inf, IBB_REG_NONE, NULL, 0);
	if (p->sys) {
		hivebuild_key(b, "DriverDatabase\\DriverFiles\\%s", p->sys);
		hivebuild_sz(b, "", p->inf);
	}
}

/* Bit N is byte N/8, mask 0x80 >> N%8; as long as the highest number needs. */
static void oem_map(struct hivebuild *b, const struct winhives_spec *s)
{
	uint8_t map[8192] = {0};
	size_t n = 1;

	for (size_t i = 0; i < s->n_oem; i++) {
		size_t at = s->oem[i] / 8;

		IBB_ASSERT(at < sizeof(map));
		map[at] |= (uint8_t)(0x80 >> (s->oem[i] % 8));
		n = at + 1 > n ? at + 1 : n;
	}
	hivebuild_raw(b, "OemInfMap", IBB_REG_BINARY, map, n);
}

static void driver_database(struct hivebuild *b, const struct winhives_spec *s, const char *node)
{
	static const char *const kids[] = {"DeviceIds", "DriverFiles", "DriverInfFiles",
					   "DriverPackages"};
	const struct win_release *w = s->win;
	bool system = strcmp(node, "SYSTEM") == 0;

	hivebuild_key(b, "DriverDatabase");
	hivebuild_security(b, SD_DATABASE);
	hivebuild_dword(b, "Version", w->major << 24 | w->minor << 16);
	if (has_schema(w)) {
		hivebuild_dword(b, "SchemaVersion", 0x00010000);
		hivebuild_raw(b, "UpdateDate", IBB_REG_BINARY,
			      (uint8_t[]){0xe0, 0x72, 0xfe, 0x11, 0x55, 0x86, 0xd8, 0x01}, 8);
		hivebuild_dword(b, "SetupStatus", 0);
	}
	if (system) { /* the DRIVERS node has neither */
		hivebuild_dword(b, "Architecture", arch_number(s->arch));
		oem_map(b, s);
	}
	for (size_t i = 0; i < IBB_ARRAY_SIZE(kids); i++) {
		hivebuild_key(b, "DriverDatabase\\%s", kids[i]);
		hivebuild_security(b, w->build == 18362 ? SD_BELOW_ID : SD_BELOW_PLAIN);
	}
	for (size_t i = 0; i < win_inbox_n; i++)
		if (strcmp(win_inbox[i].node, node) == 0)
			inbox_package(b, s, &win_inbox[i]);
}

/* ---- SYSTEM ---- */

static void classes(struct hivebuild *b, const struct winhives_spec *s)
{
	for (size_t i = 0; i < IBB_ARRAY_SIZE(class_defs); i++) {
		const struct class_def *c = &class_defs[i];

		hivebuild_key(b, "ControlSet%03u\\Control\\Class\\%s", s->control_set, c->guid);
		hivebuild_sz(b, "Class", c->name);
		if (!c->boot_critical)
			continue;
		hivebuild_key(b, "ControlSet%03u\\Control\\Class\\%s\\" BOOT_CRITICAL,
			      s->control_set, c->guid);
		hivebuild_raw(b, "", TYPE_DEVPROP_BOOLEAN, (uint8_t[]){0xff}, 1);
	}
}

/* With | between them, as hivebuild_multi() takes them. */
static const char *paging_lines(const struct winhives_spec *s)
{
	static char text[1024];
	size_t n = 0;

	for (size_t i = 0; i < s->n_paging && n < sizeof(text); i++)
		n += (size_t)snprintf(text + n, sizeof(text) - n, "%s%s", i ? "|" : "",
				      s->paging[i]);
	return text;
}

static void control(struct hivebuild *b, const struct winhives_spec *s)
{
	const char *cpu = strcmp(s->arch, "amd64") == 0 ? "AMD64"
			  : strcmp(s->arch, "x86") == 0 ? "x86"
							: "ARM64";

	hivebuild_key(b, "ControlSet%03u\\Control\\ProductOptions", s->control_set);
	hivebuild_sz(b, "ProductType", s->win->product_type);
	hivebuild_multi(b, "ProductSuite", "Terminal Server");
	hivebuild_key(b, "ControlSet%03u\\Control\\Session Manager\\Environment", s->control_set);
	hivebuild_sz(b, "PROCESSOR_ARCHITECTURE", cpu);
	hivebuild_expand(b, "ComSpec", "%SystemRoot%\\system32\\cmd.exe");
	hivebuild_key(b, "ControlSet%03u\\Control\\ComputerName\\ComputerName", s->control_set);
	hivebuild_sz(b, "ComputerName", "DEMO");
	classes(b, s);
	if (!s->n_paging)
		return;
	hivebuild_key(b, "ControlSet%03u\\Control\\Session Manager\\Memory Management",
		      s->control_set);
	hivebuild_multi(b, "PagingFiles", paging_lines(s));
}

static void service(struct hivebuild *b, const struct winhives_spec *s, const char *name,
		    uint32_t start, const char *group)
{
	char path[128];

	snprintf(path, sizeof(path), "\\SystemRoot\\System32\\drivers\\%s.sys", name);
	hivebuild_key(b, "ControlSet%03u\\Services\\%s", s->control_set, name);
	hivebuild_dword(b, "Type", 1);
	hivebuild_dword(b, "Start", start);
	hivebuild_dword(b, "ErrorControl", 1);
	hivebuild_expand(b, "ImagePath", path);
	hivebuild_sz(b, "Group", group);
}

static void agent(struct hivebuild *b, const struct winhives_spec *s, const char *name,
		  const char *exe)
{
	char path[256];

	snprintf(path, sizeof(path), "C:/" WINHIVES_AGENT_DIR "/%s", exe);
	for (char *p = path; *p; p++)
		*p = *p == '/' ? '\\' : *p;
	hivebuild_key(b, "ControlSet%03u\\Services\\%s", s->control_set, name);
	hivebuild_dword(b, "Type", 16);
	hivebuild_dword(b, "Start", 2);
	hivebuild_dword(b, "ErrorControl", 1);
	hivebuild_expand(b, "ImagePath", path);
}

static void services(struct hivebuild *b, const struct winhives_spec *s)
{
	service(b, s, "disk", 0, "SCSI Class");
	service(b, s, "pci", 0, "Boot Bus Extender");
	service(b, s, "stornvme", 0, "SCSI Miniport");
	service(b, s, "mlx4_bus", 3, "NDIS");
	if (s->agent) {
		agent(b, s, "WindowsAzureGuestAgent", "WindowsAzureGuestAgent.exe");
		agent(b, s, "RdAgent", "WaAppAgent.exe");
	}
	/* The Winsock catalog, empty: where NetworkDirect providers would be registered. */
	hivebuild_key(b, "ControlSet%03u\\Services\\WinSock2\\Parameters\\Protocol_Catalog9",
		      s->control_set);
	hivebuild_dword(b, "Num_Catalog_Entries", 0);
	hivebuild_dword(b, "Num_Catalog_Entries64", 0);
	hivebuild_dword(b, "Next_Catalog_Entry_ID", 1001);
	hivebuild_dword(b, "Serial_Access_Num", 1);
	hivebuild_key(b,
		      "ControlSet%03u\\Services\\WinSock2\\Parameters\\Protocol_Catalog9\\"
		      "Catalog_Entries",
		      s->control_set);
	hivebuild_key(b,
		      "ControlSet%03u\\Services\\WinSock2\\Parameters\\Protocol_Catalog9\\"
		      "Catalog_Entries64",
		      s->control_set);
}

/* "PCI\VEN_15B3&DEV_101C&SUBSYS_000715B3&REV_00[=netmlx5.inf]" */
static void pci_instance(struct hivebuild *b, const struct winhives_spec *s, const char *text,
			 size_t i)
{
	static const char net[] = "{4d36e972-e325-11ce-bfc1-08002be10318}";
	const char *eq = strchr(text, '=');
	char id[256], driver[64];

	snprintf(id, sizeof(id), "%.*s", eq ? (int)(eq - text) : 255, text);
	hivebuild_key(b, "ControlSet%03u\\Enum\\%s\\3&11583659&0&%02zx", s->control_set, id,
		      0x10 + i);
	hivebuild_sz(b, "DeviceDesc", "Network device");
	hivebuild_multi(b, "HardwareID", id);
	hivebuild_multi(b, "CompatibleIDs", "PCI\\VEN_15B3&CC_020700|PCI\\VEN_15B3&CC_0207");
	hivebuild_dword(b, "Capabilities", 0);
	hivebuild_dword(b, "ConfigFlags", eq ? 0 : 0x40 /* CONFIGFLAG_FAILEDINSTALL */);
	if (!eq)
		return;
	snprintf(driver, sizeof(driver), "%s\\%04zu", net, i + 1);
	hivebuild_sz(b, "ClassGUID", net);
	hivebuild_sz(b, "Driver", driver);
	hivebuild_sz(b, "Service", "mlx5");
	hivebuild_key(b, "ControlSet%03u\\Control\\Class\\%s", s->control_set, driver);
	hivebuild_sz(b, "InfPath", eq + 1);
	hivebuild_sz(b, "InfSection", "mlx5.Mlx5install.10.0");
	hivebuild_sz(b, "MatchingDeviceId", id);
	hivebuild_sz(b, "ProviderName", "Microsoft");
	hivebuild_sz(b, "DriverVersion", "1.90.19240.0");
}

/* Windows PE is always on its way, and never arrives. */
static void setup_of_pe(struct hivebuild *b)
{
	hivebuild_key(b, "Setup");
	hivebuild_dword(b, "SetupType", 1);
	hivebuild_dword(b, "SystemSetupInProgress", 1);
	hivebuild_dword(b, "FactoryPreInstallInProgress", 1);
	hivebuild_sz(b, "CmdLine", "winpeshl.exe");
}

static bool is_pe(const struct winhives_spec *s)
{
	return strcmp(s->win->installation, "WindowsPE") == 0;
}

static void setup(struct hivebuild *b, const struct winhives_spec *s)
{
	bool going = s->state == WIN_SETUP || s->state == WIN_GENERALIZED;

	if (is_pe(s)) {
		setup_of_pe(b);
		return;
	}
	hivebuild_key(b, "Setup");
	hivebuild_dword(b, "SetupType", s->state == WIN_SETUP ? 1 : going ? 2 : 0);
	hivebuild_dword(b, "SystemSetupInProgress", going);
	hivebuild_dword(b, "OOBEInProgress", going);
	hivebuild_sz(b, "CmdLine", going ? "oobe\\windeploy.exe" : "");
	hivebuild_sz(b, "WorkingDirectory", "C:\\Windows\\Panther");
	if (s->state == WIN_AUDIT) {
		hivebuild_key(b, "Setup\\Status");
		hivebuild_dword(b, "AuditBoot", 1);
	}
	hivebuild_key(b, "Setup\\Status\\SysprepStatus");
	hivebuild_dword(b, "GeneralizationState", 7);
	if (s->state == WIN_GENERALIZED)
		hivebuild_dword(b, "CleanupState", 2);
}

int winhives_system(const struct winhives_spec *s, struct ibb_buf *ret, struct ibb_error *err)
{
	struct hivebuild b;

	hivebuild_begin(&b, s->time);
	hivebuild_security(&b, SD_HIVE);
	hivebuild_key(&b, "Select");
	hivebuild_dword(&b, "Current", s->control_set);
	hivebuild_dword(&b, "Default", s->control_set);
	hivebuild_dword(&b, "Failed", 0);
	hivebuild_dword(&b, "LastKnownGood", s->control_set);
	control(&b, s);
	services(&b, s);
	hivebuild_key(&b, "ControlSet%03u\\Services\\EventLog\\System", s->control_set);
	hivebuild_key(&b, "ControlSet%03u\\Enum\\PCI", s->control_set);
	for (size_t i = 0; i < s->n_pci; i++)
		pci_instance(&b, s, s->pci[i], i);
	setup(&b, s);
	if (!s->no_driver_database)
		driver_database(&b, s, "SYSTEM");
	return hivebuild_done(&b, ret, err);
}

/* ---- the boot configuration ---- */

int winhives_bcd(uint64_t time, struct ibb_buf *ret, struct ibb_error *err)
{
	struct hivebuild b;

	hivebuild_begin(&b, time);
	hivebuild_security(&b, SD_HIVE);
	hivebuild_key(&b, "Description");
	hivebuild_sz(&b, "KeyName", "BCD00000000");
	hivebuild_key(&b, "Objects");
	return hivebuild_done(&b, ret, err);
}

/* ---- DRIVERS ---- */

int winhives_drivers(const struct winhives_spec *s, struct ibb_buf *ret, struct ibb_error *err)
{
	struct hivebuild b;

	hivebuild_begin(&b, s->time);
	hivebuild_security(&b, SD_HIVE);
	driver_database(&b, s, "DRIVERS");
	return hivebuild_done(&b, ret, err);
}

/* ---- SOFTWARE ---- */

static void current_version(struct hivebuild *b, const struct win_release *w)
{
	char text[32];

	hivebuild_key(b, "Microsoft\\Windows NT\\CurrentVersion");
	snprintf(text, sizeof(text), "%u", w->build);
	hivebuild_sz(b, "CurrentBuild", text);
	hivebuild_sz(b, "CurrentBuildNumber", text);
	snprintf(text, sizeof(text), "6.%u", w->major >= 10 ? 3 : w->minor);
	hivebuild_sz(b, "CurrentVersion", text);
	if (w->major >= 10) {
		hivebuild_dword(b, "CurrentMajorVersionNumber", w->major);
		hivebuild_dword(b, "CurrentMinorVersionNumber", w->minor);
		hivebuild_dword(b, "UBR", w->ubr);
	}
	hivebuild_sz(b, "CurrentType", "Multiprocessor Free");
	hivebuild_sz(b, "ProductName", w->product_name);
	hivebuild_sz(b, "EditionID", w->edition);
	hivebuild_sz(b, "InstallationType", w->installation);
	hivebuild_sz(b, "SystemRoot", "C:\\Windows");
	if (w->release)
		hivebuild_sz(b, "ReleaseId", w->release);
	if (w->display)
		hivebuild_sz(b, "DisplayVersion", w->display);
}

int winhives_software(const struct winhives_spec *s, struct ibb_buf *ret, struct ibb_error *err)
{
	static const char *const image_state[] = {
		[WIN_SPECIALIZED] = "IMAGE_STATE_COMPLETE",
		[WIN_GENERALIZED] = "IMAGE_STATE_GENERALIZE_RESEAL_TO_OOBE",
		[WIN_AUDIT] = "IMAGE_STATE_SPECIALIZE_RESEAL_TO_AUDIT",
		[WIN_SETUP] = "IMAGE_STATE_UNDEPLOYABLE",
	};
	struct hivebuild b;

	hivebuild_begin(&b, s->time);
	hivebuild_security(&b, SD_HIVE);
	current_version(&b, s->win);
	hivebuild_key(&b, "Microsoft\\Windows\\CurrentVersion");
	hivebuild_expand(&b, "DevicePath", "%SystemRoot%\\inf");
	hivebuild_sz(&b, "ProgramFilesDir", "C:\\Program Files");
	if (!is_pe(s)) {
		hivebuild_key(&b, "Microsoft\\Windows\\CurrentVersion\\Setup\\State");
		hivebuild_sz(&b, "ImageState", image_state[s->state]);
	}
	hivebuild_key(&b, "Microsoft\\Windows\\CurrentVersion\\Setup\\PnpLockdownFiles");
	hivebuild_key(&b, "Microsoft\\Windows\\CurrentVersion\\Component Based Servicing");
	hivebuild_dword(&b, "LastTrustTime", 0);
	if (s->reboot_pending)
		hivebuild_key(&b, "Microsoft\\Windows\\CurrentVersion\\Component Based Servicing\\"
				  "RebootPending");
	if (s->winof2) {
		hivebuild_key(&b, "Mellanox\\MLNX_WinOF2");
		hivebuild_sz(&b, "InstalledPath", "C:\\Program Files\\Mellanox\\MLNX_WinOF2\\");
		hivebuild_sz(&b, "Version", s->winof2);
	}
	return hivebuild_done(&b, ret, err);
}

/* ---- states of the file ---- */

static void base_block_checksum(uint8_t *base)
{
	uint32_t x = 0;

	for (size_t i = 0; i < 508; i += 4)
		x ^= ibb_get_le32(base + i);
	/* msuhanov/regf: 0 becomes 1, -1 becomes -2 */
	ibb_put_le32(base + 508, x == 0 ? 1 : x == UINT32_MAX ? UINT32_MAX - 1 : x);
}

void winhives_make_dirty(struct ibb_buf *hive)
{
	IBB_ASSERT(hive->len >= 4096);
	ibb_put_le32(hive->data + 4, ibb_get_le32(hive->data + 4) + 1);
	base_block_checksum(hive->data);
}
