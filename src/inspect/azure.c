/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "inspect/azure.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/utf16.h"

#define MIB (1ull << 20)
#define GIB (1ull << 30)
/* uploadSizeBytes is at least 20 MiB and the footer, says the REST interface */
#define MIN_BYTES (20 * MIB)
#define MAX_GEN1  (2048 * GIB)
/* "a maximum capacity of 4,095 GiB" (managed disks) and "larger than 4 TiB are not supported"
 * (generation 2): between the two it is not certain */
#define MAX_OS_SURE (4095 * GIB)
#define MAX_OS	    (4096 * GIB)
#define MAX_DATA    (32767 * GIB)

#define PREPARE	      "Microsoft: Prepare a Windows VHD or VHDX to upload to Azure"
#define GENERATION2   "Microsoft: Support for Generation 2 VMs on Azure"
#define MANAGED_DISKS "Microsoft: Introduction to Azure managed disks"
#define DISKS_REST    "Microsoft: Disks - Create Or Update (REST), CreationData.uploadSizeBytes"
#define AGENT	      "Microsoft: Azure Windows VM Agent overview"
#define VHD_FORMAT    "Microsoft: Virtual Hard Disk Image Format Specification"

const char *ibb_azure_state_name(enum ibb_azure_state s)
{
	static const char *const names[] = {"ok", "failed", "warning", "unknown", "not-applicable"};

	return names[s];
}

/* What is found; a check has one remedy, which counts unless it is content. */
static void found(struct ibb_azure_check *c, enum ibb_azure_state s, const char *remedy,
		  const char *fmt, ...) IBB_PRINTF(4, 5);
static void found(struct ibb_azure_check *c, enum ibb_azure_state s, const char *remedy,
		  const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(c->finding, sizeof(c->finding), fmt, ap);
	va_end(ap);
	c->state = s;
	c->remedy = remedy;
}

/* Text out of the image, fit to be shown. */
static const char *shown(const char *text)
{
	return ibb_utf8_is_plain(text, strlen(text)) ? text : "(a text with control characters)";
}

/* ---- the disk ---- */

static void judge_container(const struct ibb_azure_input *in, struct ibb_azure_check *c)
{
	c->source = PREPARE;
	if (in->fixed_vhd)
		found(c, IBB_AZURE_OK, NULL, "%s", in->container);
	else
		found(c, IBB_AZURE_FAILED, "make it a fixed VHD (ibbake convert)",
		      "%s %s; Azure takes fixed VHD only",
		      in->output ? "the output will be a" : "the image is a", in->container);
}

static void judge_alignment(const struct ibb_azure_input *in, struct ibb_azure_check *c)
{
	const unsigned long long n = in->disk_bytes;

	c->source = PREPARE;
	if (n % MIB)
		found(c, IBB_AZURE_FAILED, "grow it to a whole MiB (ibbake convert)",
		      "the disk has %llu bytes, %llu more than a whole number of MiB", n, n % MIB);
	else
		found(c, IBB_AZURE_OK, NULL, "%llu MiB, a whole number", n / MIB);
}

static void judge_sectors(const struct ibb_azure_input *in, struct ibb_azure_check *c)
{
	c->source = VHD_FORMAT;
	if (in->sector_bytes == 512)
		found(c, IBB_AZURE_OK, NULL, "sectors of 512 bytes");
	else
		found(c, IBB_AZURE_FAILED, "install Windows on a disk with 512-byte sectors",
		      "the disk has sectors of %u bytes, and a VHD those of 512", in->sector_bytes);
}

static const char shrink[] = "shrink the last partition in Windows, then the disk (Resize-VHD)";

static void judge_upper_limit(const struct ibb_azure_input *in, const char *generation,
			      struct ibb_azure_check *c)
{
	const uint64_t n = in->disk_bytes;
	const bool gen1 =
		generation ? generation[1] == '1' : in->boot && in->boot->table != IBB_PTABLE_GPT;
	const unsigned long long gib = (n + GIB - 1) / GIB;

	if (in->data_disk) {
		c->source = PREPARE;
		if (n > MAX_DATA)
			found(c, IBB_AZURE_FAILED, shrink,
			      "%llu GiB; a data disk has at most 32767 GiB", gib);
	} else if (gen1) {
		c->source = PREPARE;
		if (n > MAX_GEN1)
			found(c, IBB_AZURE_FAILED,
			      "shrink it, or make it a GPT disk (mbr2gpt) for generation 2",
			      "%llu GiB; an OS disk of generation 1 has at most 2048 GiB", gib);
	} else if (n > MAX_OS) {
		c->source = GENERATION2;
		found(c, IBB_AZURE_FAILED, shrink, "%llu GiB; an OS disk has at most 4096 GiB",
		      gib);
	} else if (n > MAX_OS_SURE) {
		c->source = MANAGED_DISKS "; " GENERATION2;
		found(c, IBB_AZURE_WARNING, shrink,
		      "%llu GiB; of an OS disk's maximum one page says 4095 GiB, another 4 TiB",
		      gib);
	}
}

static void judge_size(const struct ibb_azure_input *in, const char *generation,
		       struct ibb_azure_check *c)
{
	c->source = MANAGED_DISKS;
	if (in->disk_bytes < MIN_BYTES) {
		c->source = DISKS_REST;
		found(c, IBB_AZURE_FAILED,
		      "grow it where it was made (Resize-VHD), or as a raw disk: ibbake convert "
		      "--format=raw, then truncate -s and convert again",
		      "the disk has %llu bytes; an upload has at least 20 MiB",
		      (unsigned long long)in->disk_bytes);
		return;
	}
	found(c, IBB_AZURE_OK, NULL, "%llu MiB, within the limits",
	      (unsigned long long)(in->disk_bytes / MIB));
	judge_upper_limit(in, generation, c);
}

/* ---- what it starts from ---- */

static const char uefi_files[] = "write the boot files: bcdboot W:\\Windows /s S: /f UEFI";
static const char bios_files[] = "write the boot files: bcdboot W:\\Windows /s S: /f BIOS";
static const char boot_code[] = "write the boot code: bootsect /nt60 S: /mbr";

static void judge_esp(const struct ibb_boot *b, struct ibb_azure_check *c)
{
	if (!b->n_candidates)
		found(c, IBB_AZURE_FAILED, "make an EFI system partition and run bcdboot",
		      "the GPT has no EFI system partition");
	else if (!b->file_system)
		found(c, IBB_AZURE_FAILED, "format it with FAT32 and run bcdboot",
		      "partition %u (EFI system partition) holds no FAT file system", b->number);
	else if (b->damaged && (!b->manager || !b->store))
		found(c, IBB_AZURE_FAILED, uefi_files,
		      "partition %u (EFI system partition): %s is not what it should be", b->number,
		      b->damaged);
	else if (!b->manager)
		found(c, IBB_AZURE_FAILED, uefi_files,
		      "partition %u (EFI system partition) lacks EFI/Microsoft/Boot/bootmgfw.efi "
		      "and EFI/Boot/bootx64.efi",
		      b->number);
	else if (!b->store)
		found(c, IBB_AZURE_FAILED, uefi_files,
		      "partition %u (EFI system partition) lacks EFI/Microsoft/Boot/BCD",
		      b->number);
	else
		found(c, IBB_AZURE_OK, NULL,
		      "generation 2: partition %u (EFI system partition, %s) holds %s and %s",
		      b->number, b->file_system, b->manager, b->store);
}

static void judge_active(const struct ibb_boot *b, struct ibb_azure_check *c)
{
	if (!b->n_candidates)
		found(c, IBB_AZURE_FAILED, "mark the system partition active (diskpart: active)",
		      "the MBR has no active partition");
	else if (b->n_candidates > 1)
		found(c, IBB_AZURE_FAILED, "leave one active (diskpart: inactive)",
		      "the MBR has %u active partitions", b->n_candidates);
	else if (!b->file_system)
		found(c, IBB_AZURE_FAILED, "format it with NTFS and run bcdboot",
		      "partition %u (active) holds no NTFS file system", b->number);
	else if (b->damaged && (!b->manager || !b->store))
		found(c, IBB_AZURE_FAILED, bios_files,
		      "partition %u (active): %s is not what it should be", b->number, b->damaged);
	else if (!b->manager || !b->store)
		found(c, IBB_AZURE_FAILED, bios_files, "partition %u (active) lacks %s", b->number,
		      b->manager ? "Boot/BCD" : "bootmgr");
	else if (!b->mbr_code)
		found(c, IBB_AZURE_FAILED, boot_code, "the MBR holds no boot code");
	else if (!b->boot_sector)
		found(c, IBB_AZURE_FAILED, boot_code,
		      "partition %u (active): the boot sector holds no boot code", b->number);
	else
		found(c, IBB_AZURE_OK, NULL,
		      "generation 1: partition %u (active, %s) holds %s and %s", b->number,
		      b->file_system, b->manager, b->store);
}

static void judge_generation(const struct ibb_azure_input *in, const char *generation,
			     struct ibb_azure_check *c)
{
	const struct ibb_boot *b = in->boot;

	c->source = GENERATION2 "; BCDBoot Command-Line Options";
	if (!b)
		found(c, IBB_AZURE_UNKNOWN, NULL, "the boot files were not looked at");
	else if (in->data_disk && !generation)
		found(c, IBB_AZURE_NOT_APPLICABLE, NULL, "a data disk");
	else if (b->problem.code)
		found(c, IBB_AZURE_UNKNOWN, "mend the system partition (chkdsk)",
		      "it cannot be looked into: %.200s", b->problem.msg);
	else if (b->table == IBB_PTABLE_GPT)
		judge_esp(b, c);
	else if (b->table == IBB_PTABLE_MBR)
		judge_active(b, c);
	else
		found(c, IBB_AZURE_FAILED, "give the whole disk, not one partition of it",
		      "the disk has no partition table: nothing starts from it");
}

static void judge_bitlocker(const struct ibb_azure_input *in, struct ibb_azure_check *c)
{
	static const char off[] = "decrypt it in Windows: manage-bde -off";
	const struct ibb_boot *b = in->boot;
	char list[64] = "";
	size_t n = 0;

	c->source = PREPARE;
	for (size_t i = 0; b && i < b->n_encrypted && n + 12 < sizeof(list); i++)
		n += (size_t)snprintf(list + n, sizeof(list) - n, "%s%u", i ? ", " : "",
				      b->encrypted[i]);
	if (!b)
		found(c, IBB_AZURE_UNKNOWN, NULL, "the partitions were not looked at");
	else if (b->n_encrypted)
		found(c, IBB_AZURE_FAILED, off, "encrypted with BitLocker: partition %s", list);
	else if (b->n_unread)
		found(c, IBB_AZURE_UNKNOWN, NULL,
		      "the first sectors of %u partition(s) cannot be read", b->n_unread);
	else
		found(c, IBB_AZURE_OK, NULL, "no partition is encrypted");
}

/* ---- Windows ---- */

/* True when there is no Windows to be asked; then the check is settled. */
static bool no_hive(const struct ibb_azure_input *in, enum ibb_hive_id id,
		    struct ibb_azure_check *c)
{
	if (in->facts && in->facts->hives[id].hive)
		return false;
	if (in->data_disk && !in->facts)
		found(c, IBB_AZURE_NOT_APPLICABLE, NULL, "a data disk");
	else
		found(c, IBB_AZURE_UNKNOWN, NULL, "the %s hive could not be looked at",
		      ibb_hive_id_name(id));
	return true;
}

static void judge_os_state(const struct ibb_azure_input *in, struct ibb_azure_check *c)
{
	const struct ibb_facts *f = in->facts;

	c->source = PREPARE;
	if (no_hive(in, IBB_HIVE_SYSTEM, c) || no_hive(in, IBB_HIVE_SOFTWARE, c))
		return;
	if (f->audit)
		found(c, IBB_AZURE_WARNING, "finish it: sysprep /generalize /oobe /shutdown",
		      "audit mode: neither generalized nor specialized");
	else if (f->setup_unfinished)
		found(c, IBB_AZURE_WARNING, "let Windows Setup finish",
		      "Windows Setup is not finished: neither generalized nor specialized");
	else if (f->generalized)
		found(c, IBB_AZURE_OK, NULL,
		      "generalized (ImageState): for an image definition with os-state "
		      "generalized");
	else
		found(c, IBB_AZURE_OK, NULL,
		      "specialized: for an image definition with os-state specialized");
}

/* A letter that a new virtual machine need not have. "?" lets Windows choose. */
static bool is_foreign_drive(const char *line)
{
	return line[0] && line[1] == ':' && !strchr("CcDd?", line[0]);
}

static void judge_page_file(const struct ibb_azure_input *in, struct ibb_azure_check *c)
{
	const struct ibb_facts *f = in->facts;

	c->source = PREPARE;
	if (no_hive(in, IBB_HIVE_SYSTEM, c))
		return;
	for (size_t i = 0; i < f->n_paging_files; i++)
		if (is_foreign_drive(f->paging_files[i])) {
			found(c, IBB_AZURE_WARNING, "put it on D: (temporary disk) or C:",
			      "PagingFiles names '%.120s': a drive other than C: or D:",
			      shown(f->paging_files[i]));
			return;
		}
	if (f->n_paging_files)
		found(c, IBB_AZURE_OK, NULL, "PagingFiles names '%.120s'",
		      shown(f->paging_files[0]));
	else
		found(c, IBB_AZURE_OK, NULL, "PagingFiles is %s",
		      f->paging_files_set ? "empty" : "not set: Windows chooses");
}

static void judge_agent(const struct ibb_azure_input *in, struct ibb_azure_check *c)
{
	static const char install[] = "install the Azure VM Agent in Windows (extensions need it)";
	const struct ibb_facts *f = in->facts;

	c->source = AGENT;
	if (no_hive(in, IBB_HIVE_SYSTEM, c))
		return;
	/* the guest agent is the first: without it, the other one is of no use */
	for (size_t i = 0; i < IBB_N_AGENTS; i++) {
		const struct ibb_fact_agent *a = &f->agents[i];

		if (!a->present && i)
			continue;
		if (!a->present)
			found(c, IBB_AZURE_WARNING, install, "there is no service %s", a->service);
		else if (a->start == 4)
			found(c, IBB_AZURE_WARNING, "enable the service", "service %s is disabled",
			      a->service);
		else if (!a->path)
			found(c, IBB_AZURE_WARNING, install,
			      "service %s names no file that can be looked for (ImagePath)",
			      a->service);
		else if (!a->file_found)
			found(c, IBB_AZURE_WARNING, install, "service %s: %.120s is missing",
			      a->service, shown(a->path));
		else
			continue;
		return;
	}
	found(c, IBB_AZURE_OK, NULL, "service %s, %.120s", f->agents[0].service,
	      shown(f->agents[0].path));
}

/* ---- all of it ---- */

void ibb_azure_judge(const struct ibb_azure_input *in, struct ibb_azure *ret)
{
	struct ibb_azure a = {.output = in->output, .fit = true};
	struct ibb_azure_check *c = a.checks;

	a.generation = in->boot && in->sector_bytes == 512 ? ibb_boot_generation(in->boot) : NULL;
	judge_container(in, c);
	(c++)->id = "container";
	judge_alignment(in, c);
	(c++)->id = "alignment";
	judge_sectors(in, c);
	(c++)->id = "sector-size";
	judge_size(in, a.generation, c);
	(c++)->id = "size";
	judge_generation(in, a.generation, c);
	(c++)->id = "generation";
	judge_os_state(in, c);
	(c++)->id = "os-state";
	judge_bitlocker(in, c);
	(c++)->id = "bitlocker";
	judge_page_file(in, c);
	(c++)->id = "page-file";
	judge_agent(in, c);
	(c++)->id = "vm-agent";
	IBB_ASSERT(c == a.checks + IBB_AZURE_N_CHECKS);
	for (size_t i = 0; i < IBB_AZURE_N_CHECKS; i++)
		a.fit &= a.checks[i].state != IBB_AZURE_FAILED &&
			 a.checks[i].state != IBB_AZURE_UNKNOWN;
	*ret = a;
}

static bool in_the_way(const struct ibb_azure_check *c)
{
	return c->state == IBB_AZURE_FAILED || c->state == IBB_AZURE_UNKNOWN;
}

static void append(char *out, size_t size, const char *separator, const char *a, const char *b)
{
	size_t n = strlen(out);

	snprintf(out + n, size - n, "%s%s%s%s", n ? separator : "", a, *b ? ": " : "", b);
}

int ibb_azure_enforce(const struct ibb_azure *a, const char *name, struct ibb_error *err)
{
	char ids[160] = "", findings[800] = "", remedies[480] = "";

	if (a->fit)
		return IBB_OK;
	/* the names come first, so that none is lost when the findings are long */
	for (size_t i = 0; i < IBB_AZURE_N_CHECKS; i++) {
		const struct ibb_azure_check *c = &a->checks[i];

		if (!in_the_way(c))
			continue;
		append(ids, sizeof(ids), ", ", c->id, "");
		append(findings, sizeof(findings), "; ", c->id, c->finding);
		if (c->remedy)
			append(remedies, sizeof(remedies), "; ", c->id, c->remedy);
	}
	ibb_err(err, IBB_E_UNSUPPORTED, "%s: not fit for Azure (%s): %s", name, ids, findings);
	if (!*remedies)
		return IBB_E_UNSUPPORTED;
	return ibb_err_hint(err, IBB_E_UNSUPPORTED, "%s", remedies);
}

void ibb_azure_json(const struct ibb_azure *a, bool enforced, struct ibb_jb *b,
		    struct ibb_json *obj)
{
	struct ibb_json *list;

	ibb_jb_str(b, obj, "of", a->output ? "output" : "image");
	ibb_jb_bool(b, obj, "enforced", enforced);
	ibb_jb_bool(b, obj, "fit", a->fit);
	ibb_jb_str(b, obj, "generation", a->generation);
	list = ibb_jb_array(b, obj, "checks");
	for (size_t i = 0; i < IBB_AZURE_N_CHECKS; i++) {
		const struct ibb_azure_check *c = &a->checks[i];
		struct ibb_json *o = ibb_jb_object(b, list, NULL);

		ibb_jb_str(b, o, "id", c->id);
		ibb_jb_str(b, o, "state", ibb_azure_state_name(c->state));
		ibb_jb_str(b, o, "finding", c->finding);
		ibb_jb_str(b, o, "remedy", c->remedy);
		ibb_jb_str(b, o, "source", c->source);
	}
}
