/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The judgement of Azure fitness as a table over made-up facts, and the facts it rests on. */
#include "inspect/azure.h"

#include "disktest.h"
#include "test.h"

#include "base/mem.h"
#include "base/utf16.h"
#include "wintree.h"

#define MIB (1ull << 20)
#define GIB (1ull << 30)

enum { CONTAINER, ALIGNMENT, SECTORS, SIZE, GENERATION, OS_STATE, BITLOCKER, PAGE_FILE, AGENT };
static const char *const ids[] = {"container", "alignment", "sector-size", "size",    "generation",
				  "os-state",  "bitlocker", "page-file",   "vm-agent"};

/* ---- the table ---- */

/* A fit disk of each generation, to be spoilt. */
struct world {
	struct ibb_boot boot;
	struct ibb_facts facts;
	struct ibb_azure_input in;
	char *paging[3];
	unsigned encrypted[2];
};

/* The judgement only asks whether a hive is there. */
static struct ibb_hive *some_hive(void)
{
	static char hive;

	return (struct ibb_hive *)(void *)&hive;
}

static void make_world(struct world *w, bool gen1)
{
	*w = (struct world){0};
	w->boot = (struct ibb_boot){.table = gen1 ? IBB_PTABLE_MBR : IBB_PTABLE_GPT,
				    .mbr_code = gen1,
				    .n_candidates = 1,
				    .number = 1,
				    .file_system = gen1 ? "NTFS" : "FAT32",
				    .boot_sector = gen1,
				    .manager = gen1 ? "bootmgr" : "EFI/Microsoft/Boot/bootmgfw.efi",
				    .store = gen1 ? "Boot/BCD" : "EFI/Microsoft/Boot/BCD"};
	for (int i = 0; i < IBB_N_HIVES; i++)
		w->facts.hives[i].hive = some_hive();
	w->facts.generalized = true;
	w->facts.agents[0] = (struct ibb_fact_agent){"WindowsAzureGuestAgent", true, 2,
						     (char *)"WindowsAzure/G/agent.exe", true};
	w->facts.agents[1] =
		(struct ibb_fact_agent){"RdAgent", true, 2, (char *)"WindowsAzure/G/rd.exe", true};
	w->facts.paging_files = w->paging;
	w->boot.encrypted = w->encrypted;
	w->in = (struct ibb_azure_input){.container = "fixed VHD",
					 .fixed_vhd = true,
					 .disk_bytes = 30 * GIB,
					 .sector_bytes = 512,
					 .boot = &w->boot,
					 .facts = &w->facts};
}

static void raw(struct world *w)
{
	w->in.fixed_vhd = false;
	w->in.container = "raw disk";
}
static void raw_output(struct world *w)
{
	raw(w);
	w->in.output = true;
}
static void unaligned(struct world *w)
{
	w->in.disk_bytes = 21475270656; /* the size of Microsoft's own example of the error */
}
static void one_byte_more(struct world *w)
{
	w->in.disk_bytes += 512;
}
static void sectors_4k(struct world *w)
{
	w->in.sector_bytes = 4096;
}
static void tiny(struct world *w)
{
	w->in.disk_bytes = 20 * MIB - MIB;
}
static void smallest(struct world *w)
{
	w->in.disk_bytes = 20 * MIB;
}
static void gib_2048(struct world *w)
{
	w->in.disk_bytes = 2048 * GIB;
}
static void gib_2049(struct world *w)
{
	w->in.disk_bytes = 2049 * GIB;
}
static void gib_4095(struct world *w)
{
	w->in.disk_bytes = 4095 * GIB;
}
static void gib_4096(struct world *w)
{
	w->in.disk_bytes = 4096 * GIB;
}
static void gib_4097(struct world *w)
{
	w->in.disk_bytes = 4097 * GIB;
}
static void gib_2049_without_boot_files(struct world *w)
{
	gib_2049(w);
	w->boot.manager = NULL;
}
static void no_table(struct world *w)
{
	w->boot = (struct ibb_boot){.table = IBB_PTABLE_NONE};
}
static void no_candidate(struct world *w)
{
	w->boot.n_candidates = 0;
}
static void two_candidates(struct world *w)
{
	w->boot.n_candidates = 2;
}
static void no_file_system(struct world *w)
{
	w->boot.file_system = NULL;
	w->boot.manager = w->boot.store = NULL;
}
static void no_manager(struct world *w)
{
	w->boot.manager = NULL;
}
static void no_store(struct world *w)
{
	w->boot.store = NULL;
}
static void damaged_store(struct world *w)
{
	w->boot.store = NULL;
	w->boot.damaged = "EFI/Microsoft/Boot/BCD";
}
static void damaged_second_manager(struct world *w)
{
	w->boot.damaged = "EFI/Microsoft/Boot/bootmgfw.efi";
}
static void no_mbr_code(struct world *w)
{
	w->boot.mbr_code = false;
}
static void no_boot_sector(struct world *w)
{
	w->boot.boot_sector = false;
}
static void unreadable(struct world *w)
{
	w->boot.problem.code = IBB_E_DIRTY;
	strcpy(w->boot.problem.msg, "partition 1: the volume is dirty");
}
static void not_looked_at(struct world *w)
{
	w->in.boot = NULL;
}
static void specialized(struct world *w)
{
	w->facts.generalized = false;
}
static void audit(struct world *w)
{
	w->facts.generalized = false;
	w->facts.audit = true;
}
static void setup(struct world *w)
{
	w->facts.generalized = false;
	w->facts.setup_unfinished = true;
}
static void no_software(struct world *w)
{
	w->facts.hives[IBB_HIVE_SOFTWARE].hive = NULL;
}
static void no_windows(struct world *w)
{
	w->in.facts = NULL;
}
static void data_disk(struct world *w)
{
	no_windows(w);
	no_table(w);
	w->in.data_disk = true;
}
static void data_disk_32t(struct world *w)
{
	data_disk(w);
	w->in.disk_bytes = 32767 * GIB;
}
static void data_disk_too_large(struct world *w)
{
	data_disk(w);
	w->in.disk_bytes = 32767 * GIB + MIB;
}
static void encrypted(struct world *w)
{
	w->boot.n_encrypted = 2;
	w->encrypted[0] = 3;
	w->encrypted[1] = 17;
}
static void unread(struct world *w)
{
	w->boot.n_unread = 1;
}
static void set_paging(struct world *w, const char *a, const char *b)
{
	w->facts.paging_files_set = true;
	w->paging[0] = (char *)a;
	w->paging[1] = (char *)b;
	w->facts.n_paging_files = !!a + !!b;
}
static void paging_empty(struct world *w)
{
	set_paging(w, NULL, NULL);
}
static void paging_auto(struct world *w)
{
	set_paging(w, "?:\\pagefile.sys", NULL);
}
static void paging_c(struct world *w)
{
	set_paging(w, "c:\\pagefile.sys 0 0", "D:\\pagefile.sys");
}
static void paging_e(struct world *w)
{
	set_paging(w, "C:\\pagefile.sys 0 0", "E:\\pagefile.sys 0 0");
}
static void paging_odd(struct world *w)
{
	set_paging(w, "F:\\\x1b[2Jx", NULL);
}
static void no_agent(struct world *w)
{
	w->facts.agents[0].present = w->facts.agents[1].present = false;
}
static void no_rdagent(struct world *w)
{
	w->facts.agents[1].present = false;
}
static void agent_disabled(struct world *w)
{
	w->facts.agents[0].start = 4;
}
static void agent_without_file(struct world *w)
{
	w->facts.agents[0].file_found = false;
}
static void agent_without_path(struct world *w)
{
	w->facts.agents[0].path = NULL;
}
static void rdagent_without_file(struct world *w)
{
	w->facts.agents[1].file_found = false;
}
static void nothing(struct world *w)
{
	(void)w;
}

/* What one spoilt thing does to one check; the others stay as they are, but for those named. */
static const struct row {
	void (*spoil)(struct world *w);
	unsigned gens; /* 1, 2, or 3 for both */
	unsigned check;
	enum ibb_azure_state state;
	bool fit, generation_lost;
	const char *finding, *source;
} rows[] = {
	{nothing, 3, CONTAINER, IBB_AZURE_OK, true, false, "fixed VHD", "Prepare a Windows VHD"},
	{raw, 3, CONTAINER, IBB_AZURE_FAILED, false, false,
	 "the image is a raw disk; Azure takes fixed VHD only", "Prepare a Windows VHD"},
	{raw_output, 3, CONTAINER, IBB_AZURE_FAILED, false, false,
	 "the output will be a raw disk; Azure", "Prepare"},
	{nothing, 3, ALIGNMENT, IBB_AZURE_OK, true, false, "30720 MiB, a whole number", "Prepare"},
	{unaligned, 3, ALIGNMENT, IBB_AZURE_FAILED, false, false,
	 "the disk has 21475270656 bytes, 434176 more than a whole number of MiB", "Prepare"},
	{one_byte_more, 3, ALIGNMENT, IBB_AZURE_FAILED, false, false, "512 more than", "Prepare"},
	{nothing, 3, SECTORS, IBB_AZURE_OK, true, false, "sectors of 512", "Image Format"},
	{sectors_4k, 3, SECTORS, IBB_AZURE_FAILED, false, true, "sectors of 4096 bytes",
	 "Image Format"},
	{nothing, 1, SIZE, IBB_AZURE_OK, true, false, "30720 MiB, within", "Prepare"},
	{nothing, 2, SIZE, IBB_AZURE_OK, true, false, "30720 MiB, within", "managed disks"},
	{tiny, 3, SIZE, IBB_AZURE_FAILED, false, false,
	 "the disk has 19922944 bytes; an upload has at least 20 MiB", "uploadSizeBytes"},
	{smallest, 2, SIZE, IBB_AZURE_OK, true, false, "20 MiB", "managed disks"},
	{gib_2048, 1, SIZE, IBB_AZURE_OK, true, false, "2097152 MiB", "Prepare"},
	{gib_2049, 1, SIZE, IBB_AZURE_FAILED, false, false,
	 "2049 GiB; an OS disk of generation 1 has at most 2048 GiB", "Prepare a Windows VHD"},
	{gib_2049, 2, SIZE, IBB_AZURE_OK, true, false, "2098176 MiB", "managed disks"},
	{gib_2049_without_boot_files, 1, SIZE, IBB_AZURE_FAILED, false, true, "at most 2048 GiB",
	 "Prepare"},
	{gib_2049_without_boot_files, 2, SIZE, IBB_AZURE_OK, false, true, "within", "managed"},
	{gib_4095, 2, SIZE, IBB_AZURE_OK, true, false, "within", "managed disks"},
	{gib_4096, 2, SIZE, IBB_AZURE_WARNING, true, false,
	 "4096 GiB; of an OS disk's maximum one page says 4095 GiB, another 4 TiB",
	 "managed disks; Microsoft: Support for Generation 2"},
	{gib_4097, 2, SIZE, IBB_AZURE_FAILED, false, false,
	 "4097 GiB; an OS disk has at most 4096 GiB", "Generation 2"},
	{nothing, 1, GENERATION, IBB_AZURE_OK, true, false,
	 "generation 1: partition 1 (active, NTFS) holds bootmgr and Boot/BCD", "Generation 2"},
	{nothing, 2, GENERATION, IBB_AZURE_OK, true, false,
	 "generation 2: partition 1 (EFI system partition, FAT32) holds "
	 "EFI/Microsoft/Boot/bootmgfw.efi and EFI/Microsoft/Boot/BCD",
	 "Generation 2 VMs on Azure; BCDBoot"},
	{no_table, 3, GENERATION, IBB_AZURE_FAILED, false, true, "no partition table", "Gen"},
	{no_candidate, 1, GENERATION, IBB_AZURE_FAILED, false, true,
	 "the MBR has no active partition", "Gen"},
	{no_candidate, 2, GENERATION, IBB_AZURE_FAILED, false, true,
	 "the GPT has no EFI system partition", "Gen"},
	{two_candidates, 1, GENERATION, IBB_AZURE_FAILED, false, true,
	 "the MBR has 2 active partitions", "Gen"},
	{two_candidates, 2, GENERATION, IBB_AZURE_OK, true, false, "generation 2", "Gen"},
	{no_file_system, 1, GENERATION, IBB_AZURE_FAILED, false, true,
	 "partition 1 (active) holds no NTFS file system", "Gen"},
	{no_file_system, 2, GENERATION, IBB_AZURE_FAILED, false, true,
	 "partition 1 (EFI system partition) holds no FAT file system", "Gen"},
	{no_manager, 1, GENERATION, IBB_AZURE_FAILED, false, true,
	 "partition 1 (active) lacks bootmgr", "Gen"},
	{no_manager, 2, GENERATION, IBB_AZURE_FAILED, false, true,
	 "partition 1 (EFI system partition) lacks EFI/Microsoft/Boot/bootmgfw.efi and "
	 "EFI/Boot/bootx64.efi",
	 "Gen"},
	{no_store, 1, GENERATION, IBB_AZURE_FAILED, false, true,
	 "partition 1 (active) lacks Boot/BCD", "Gen"},
	{no_store, 2, GENERATION, IBB_AZURE_FAILED, false, true,
	 "partition 1 (EFI system partition) lacks EFI/Microsoft/Boot/BCD", "Gen"},
	{damaged_store, 3, GENERATION, IBB_AZURE_FAILED, false, true,
	 "EFI/Microsoft/Boot/BCD is not what it should be", "Gen"},
	{damaged_second_manager, 2, GENERATION, IBB_AZURE_OK, true, false, "holds", "Gen"},
	{no_mbr_code, 1, GENERATION, IBB_AZURE_FAILED, false, true, "the MBR holds no boot code",
	 "Gen"},
	{no_mbr_code, 2, GENERATION, IBB_AZURE_OK, true, false, "generation 2", "Gen"},
	{no_boot_sector, 1, GENERATION, IBB_AZURE_FAILED, false, true,
	 "partition 1 (active): the boot sector holds no boot code", "Gen"},
	{unreadable, 3, GENERATION, IBB_AZURE_UNKNOWN, false, true,
	 "it cannot be looked into: partition 1: the volume is dirty", "Gen"},
	{not_looked_at, 3, GENERATION, IBB_AZURE_UNKNOWN, false, true, "not looked at", "Gen"},
	{nothing, 3, OS_STATE, IBB_AZURE_OK, true, false,
	 "generalized (ImageState): for an image definition with os-state generalized", "Prepare"},
	{specialized, 3, OS_STATE, IBB_AZURE_OK, true, false,
	 "specialized: for an image definition with os-state specialized", "Prepare"},
	{audit, 3, OS_STATE, IBB_AZURE_WARNING, true, false, "audit mode", "Prepare"},
	{setup, 3, OS_STATE, IBB_AZURE_WARNING, true, false, "Setup is not finished", "Prepare"},
	{no_software, 3, OS_STATE, IBB_AZURE_UNKNOWN, false, false, "the SOFTWARE hive", "Prepare"},
	{no_windows, 3, OS_STATE, IBB_AZURE_UNKNOWN, false, false, "the SYSTEM hive", "Prepare"},
	{data_disk, 3, OS_STATE, IBB_AZURE_NOT_APPLICABLE, true, true, "a data disk", "Prepare"},
	{data_disk, 3, GENERATION, IBB_AZURE_NOT_APPLICABLE, true, true, "a data disk", "Gen"},
	{data_disk, 3, AGENT, IBB_AZURE_NOT_APPLICABLE, true, true, "a data disk", "Agent"},
	{data_disk_32t, 3, SIZE, IBB_AZURE_OK, true, true, "within", "Prepare"},
	{data_disk_too_large, 3, SIZE, IBB_AZURE_FAILED, false, true,
	 "32768 GiB; a data disk has at most 32767 GiB", "Prepare"},
	{nothing, 3, BITLOCKER, IBB_AZURE_OK, true, false, "no partition is encrypted", "Prepare"},
	{encrypted, 3, BITLOCKER, IBB_AZURE_FAILED, false, false,
	 "encrypted with BitLocker: partition 3, 17", "Prepare"},
	{unread, 3, BITLOCKER, IBB_AZURE_UNKNOWN, false, false, "1 partition(s) cannot be read",
	 "Prepare"},
	{nothing, 3, PAGE_FILE, IBB_AZURE_OK, true, false, "not set: Windows chooses", "Prepare"},
	{paging_empty, 3, PAGE_FILE, IBB_AZURE_OK, true, false, "PagingFiles is empty", "Prepare"},
	{paging_auto, 3, PAGE_FILE, IBB_AZURE_OK, true, false, "'?:\\pagefile.sys'", "Prepare"},
	{paging_c, 3, PAGE_FILE, IBB_AZURE_OK, true, false, "'c:\\pagefile.sys 0 0'", "Prepare"},
	{paging_e, 3, PAGE_FILE, IBB_AZURE_WARNING, true, false,
	 "PagingFiles names 'E:\\pagefile.sys 0 0': a drive other than C: or D:", "Prepare"},
	{paging_odd, 3, PAGE_FILE, IBB_AZURE_WARNING, true, false, "(a text with control",
	 "Prepare"},
	{nothing, 3, AGENT, IBB_AZURE_OK, true, false,
	 "service WindowsAzureGuestAgent, WindowsAzure/G/agent.exe", "Agent overview"},
	{no_agent, 3, AGENT, IBB_AZURE_WARNING, true, false,
	 "there is no service WindowsAzureGuestAgent", "Agent overview"},
	{no_rdagent, 3, AGENT, IBB_AZURE_OK, true, false, "service WindowsAzureGuestAgent",
	 "Agent"},
	{agent_disabled, 3, AGENT, IBB_AZURE_WARNING, true, false,
	 "service WindowsAzureGuestAgent is disabled", "Agent"},
	{agent_without_file, 3, AGENT, IBB_AZURE_WARNING, true, false,
	 "service WindowsAzureGuestAgent: WindowsAzure/G/agent.exe is missing", "Agent"},
	{agent_without_path, 3, AGENT, IBB_AZURE_WARNING, true, false, "names no file", "Agent"},
	{rdagent_without_file, 3, AGENT, IBB_AZURE_WARNING, true, false,
	 "service RdAgent: WindowsAzure/G/rd.exe is missing", "Agent"},
};

static void expect_row(size_t i, const struct row *row, bool gen1)
{
	const struct ibb_azure_check *c;
	struct ibb_azure a;
	struct world w;

	make_world(&w, gen1);
	row->spoil(&w);
	ibb_azure_judge(&w.in, &a);
	c = &a.checks[row->check];
	assert_string_equal(c->id, ids[row->check]);
	if (c->state != row->state || !strstr(c->finding, row->finding) ||
	    !strstr(c->source, row->source) || a.fit != row->fit)
		fail_msg("row %zu, generation %d: %s %s: '%s', %s, fit %d", i, gen1 ? 1 : 2, c->id,
			 ibb_azure_state_name(c->state), c->finding, c->source, a.fit);
	assert_int_equal(c->remedy != NULL, c->state == IBB_AZURE_FAILED ||
						    c->state == IBB_AZURE_WARNING ||
						    row->spoil == unreadable);
	if (row->generation_lost)
		assert_null(a.generation);
	else
		assert_string_equal(a.generation, gen1 ? "V1" : "V2");
	assert_true(ibb_utf8_is_plain(c->finding, strlen(c->finding)));
}

static void test_table(void **state)
{
	(void)state;
	for (size_t i = 0; i < IBB_ARRAY_SIZE(rows); i++) {
		if (rows[i].gens & 1)
			expect_row(i, &rows[i], true);
		if (rows[i].gens & 2)
			expect_row(i, &rows[i], false);
	}
}

/* Every state of every check, as far as it has them, is in the table. */
static void test_table_is_complete(void **state)
{
	static const unsigned states[] = {
		[CONTAINER] = 3, [ALIGNMENT] = 3,  [SECTORS] = 3,   [SIZE] = 7,	 [GENERATION] = 27,
		[OS_STATE] = 29, [BITLOCKER] = 11, [PAGE_FILE] = 5, [AGENT] = 21};

	(void)state;
	for (unsigned c = 0; c < IBB_ARRAY_SIZE(states); c++) {
		unsigned seen = 0;

		for (size_t i = 0; i < IBB_ARRAY_SIZE(rows); i++)
			if (rows[i].check == c)
				seen |= 1u << rows[i].state;
		if (seen != states[c])
			fail_msg("%s: states 0x%x, wanted 0x%x", ids[c], seen, states[c]);
	}
}

static void test_enforce(void **state)
{
	struct ibb_error err = {0};
	struct ibb_azure a;
	struct world w;

	(void)state;
	make_world(&w, false);
	paging_e(&w); /* a warning is in nobody's way */
	ibb_azure_judge(&w.in, &a);
	assert_ok(ibb_azure_enforce(&a, "a.vhd", &err), err);
	raw(&w);
	unaligned(&w);
	encrypted(&w);
	no_windows(&w);
	ibb_azure_judge(&w.in, &a);
	assert_fails(ibb_azure_enforce(&a, "a.img", &err), IBB_E_UNSUPPORTED, err,
		     "a.img: not fit for Azure (container, alignment, os-state, bitlocker, "
		     "page-file, vm-agent): container: the image is a raw disk; Azure takes fixed "
		     "VHD only; alignment: the disk has 21475270656 bytes");
	assert_non_null(
		strstr(err.msg, "; bitlocker: encrypted with BitLocker: partition 3, 17; "));
	assert_string_equal(err.hint, "container: make it a fixed VHD (ibbake convert); alignment: "
				      "grow it to a whole MiB (ibbake convert); bitlocker: decrypt "
				      "it in Windows: manage-bde -off");
	assert_null(strchr(err.msg, '\n'));
}

static void test_json(void **state)
{
	struct ibb_azure a;
	struct ibb_jb b = {0};
	struct ibb_json *doc = NULL;
	struct ibb_error err = {0};
	const struct ibb_json *checks;
	struct world w;
	size_t n = 0;

	(void)state;
	make_world(&w, true);
	w.in.output = true;
	no_agent(&w);
	ibb_azure_judge(&w.in, &a);
	ibb_azure_json(&a, true, &b, ibb_jb_object(&b, NULL, NULL));
	assert_ok(ibb_jb_done(&b, &doc, &err), err);
	assert_string_equal(ibb_json_str(doc, "of"), "output");
	assert_true(ibb_json_bool(doc, "enforced", false));
	assert_true(ibb_json_bool(doc, "fit", false));
	assert_string_equal(ibb_json_str(doc, "generation"), "V1");
	checks = ibb_json_get(doc, "checks");
	assert_int_equal(ibb_json_count(checks), IBB_ARRAY_SIZE(ids));
	ibb_json_foreach (c, checks) {
		assert_string_equal(ibb_json_str(c, "id"), ids[n++]);
		assert_string_equal(ibb_json_str(c, "state"),
				    n == IBB_ARRAY_SIZE(ids) ? "warning" : "ok");
		assert_non_null(ibb_json_str(c, "finding"));
		assert_non_null(ibb_json_str(c, "source"));
	}
	ibb_json_free(doc);
}

/* ---- the facts ---- */

static struct ibb_facts *read_facts(const struct wintree *t)
{
	struct ibb_volume *v = wintree_open(t);
	struct ibb_facts *f = NULL;
	struct ibb_error err = {0};

	assert_ok(ibb_facts_read(v, false, &f, &err), err);
	ibb_volume_close(v);
	return f;
}

#define SERVICES "ControlSet001\\Services\\"
#define MEMORY	 "ControlSet001\\Control\\Session Manager\\Memory Management"

static void test_agent_facts(void **state)
{
	static const struct {
		const char *image, *path;
	} images[] = {
		{"C:\\WindowsAzure\\G\\agent.exe", "WindowsAzure/G/agent.exe"},
		{"\"C:\\WindowsAzure\\G\\agent.exe\" -x", "WindowsAzure/G/agent.exe"},
		{"c:\\WindowsAzure\\G\\agent.exe -service", "WindowsAzure/G/agent.exe"},
		{"%SystemDrive%\\WindowsAzure\\G\\agent.exe", "WindowsAzure/G/agent.exe"},
		{"\\??\\D:\\WindowsAzure\\G\\agent.exe", "WindowsAzure/G/agent.exe"},
		{"C:\\WindowsAzure\\other.exe", "WindowsAzure/other.exe"},
		{"agent.exe", NULL},
		{"C:\\..\\agent.exe", NULL},
		{"C:\\", NULL},
		{"\"", NULL},
		{"", NULL},
	};
	struct wintree t;
	struct ibb_facts *f;

	(void)state;
	wintree_plain(&t, test_dir(), "server2022");
	f = read_facts(&t);
	assert_string_equal(f->agents[0].service, "WindowsAzureGuestAgent");
	assert_string_equal(f->agents[1].service, "RdAgent");
	assert_false(f->agents[0].present || f->agents[1].present);
	ibb_facts_free(f);
	wintree_text(&t, "WindowsAzure/G/agent.exe", "MZ");
	wintree_edit_dword(&t, "SYSTEM", SERVICES "WindowsAzureGuestAgent", "Start", 2);
	f = read_facts(&t);
	assert_true(f->agents[0].present);
	assert_int_equal(f->agents[0].start, 2);
	assert_null(f->agents[0].path);
	ibb_facts_free(f);
	for (size_t i = 0; i < IBB_ARRAY_SIZE(images); i++) {
		wintree_edit_sz(&t, "SYSTEM", SERVICES "WindowsAzureGuestAgent", "ImagePath",
				images[i].image);
		f = read_facts(&t);
		if (images[i].path)
			assert_string_equal(f->agents[0].path, images[i].path);
		else
			assert_null(f->agents[0].path);
		assert_int_equal(f->agents[0].file_found, i < 5);
		assert_false(f->agents[1].present);
		ibb_facts_free(f);
	}
}

static void set_paging_value(const struct wintree *t, uint32_t type, const char *ascii, size_t n)
{
	struct ibb_hive *h = wintree_hive(t, "SYSTEM");
	uint8_t data[512] = {0};

	for (size_t i = 0; i < n; i++)
		data[2 * i] = (uint8_t)ascii[i];
	wintree_set(h, MEMORY, "PagingFiles", type, data, 2 * n);
	wintree_save(t, "SYSTEM", h);
}

static void test_paging_facts(void **state)
{
	static const char two[] = "C:\\pagefile.sys 0 0\0E:\\p.sys\0";
	char many[200];
	struct wintree t;
	struct ibb_facts *f;

	(void)state;
	wintree_plain(&t, test_dir(), "server2022");
	f = read_facts(&t);
	assert_false(f->paging_files_set);
	ibb_facts_free(f);
	set_paging_value(&t, IBB_REG_MULTI_SZ, two, sizeof(two));
	f = read_facts(&t);
	assert_true(f->paging_files_set);
	assert_int_equal(f->n_paging_files, 2);
	assert_string_equal(f->paging_files[0], "C:\\pagefile.sys 0 0");
	assert_string_equal(f->paging_files[1], "E:\\p.sys");
	ibb_facts_free(f);
	set_paging_value(&t, IBB_REG_SZ, "D:\\x", 4); /* without its end */
	f = read_facts(&t);
	assert_int_equal(f->n_paging_files, 1);
	assert_string_equal(f->paging_files[0], "D:\\x");
	ibb_facts_free(f);
	set_paging_value(&t, IBB_REG_MULTI_SZ, "", 1);
	f = read_facts(&t);
	assert_true(f->paging_files_set);
	assert_int_equal(f->n_paging_files, 0);
	ibb_facts_free(f);
	for (size_t i = 0; i < sizeof(many); i++)
		many[i] = i % 2 ? '\0' : 'E';
	set_paging_value(&t, IBB_REG_MULTI_SZ, many, sizeof(many));
	f = read_facts(&t);
	assert_int_equal(f->n_paging_files, 32);
	ibb_facts_free(f);
	wintree_edit_dword(&t, "SYSTEM", MEMORY, "PagingFiles", 1);
	f = read_facts(&t);
	assert_false(f->paging_files_set);
	assert_true(f->n_warnings && strstr(f->warnings[0], "PagingFiles is no list of texts"));
	ibb_facts_free(f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_table),	    cmocka_unit_test(test_table_is_complete),
		cmocka_unit_test(test_enforce),	    cmocka_unit_test(test_json),
		cmocka_unit_test(test_agent_facts), cmocka_unit_test(test_paging_facts),
	};

	return cmocka_run_group_tests(tests, test_dir_setup, test_dir_teardown) ? 1 : 0;
}
