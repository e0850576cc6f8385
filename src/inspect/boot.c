/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "inspect/boot.h"

#include <stdlib.h>
#include <string.h>

#include "base/limits.h"
#include "volume/fat.h"
#include "volume/volume.h"

#define MBR_CODE_BYTES 440u
#define NTFS_CODE_OFF  0x54u
#define FAT_CODE_OFF   0x5au /* of FAT32; earlier in FAT12 and FAT16 */
#define SIGNATURE_OFF  510u
#define IBB_EFI_STORE  "EFI/Microsoft/Boot/BCD"
#define STORE_BYTES    (16u << 20) /* a boot configuration store has some ten KiB */
#define MANAGER_BYTES  (64u << 20)

static const char *const efi_managers[] = {"EFI/Microsoft/Boot/bootmgfw.efi",
					   "EFI/Boot/bootx64.efi"};

/* The file system of a candidate. */
struct files {
	struct ibb_fat *fat;
	struct ibb_volume *ntfs;
};

static void close_files(struct files *f)
{
	ibb_fat_close(f->fat);
	ibb_volume_close(f->ntfs);
}

enum answer { MISSING, DAMAGED, FOUND };

static int read_head(struct files *f, const char *path, uint32_t limit, struct ibb_buf *ret,
		     struct ibb_error *err)
{
	if (f->fat)
		return ibb_fat_read(f->fat, path, 4, ret, err);
	return ibb_volume_read(f->ntfs, path, limit, ret, err);
}

/* Is there a file that begins with the magic? An empty one is as good as none. */
static int ask(struct files *f, const char *path, const char *magic, uint32_t limit,
	       enum answer *ret, struct ibb_error *err)
{
	IBB_AUTO_BUF struct ibb_buf head = {0};
	size_t n = strlen(magic);
	int r = read_head(f, path, limit, &head, err);

	*ret = MISSING;
	if (r == IBB_E_NOTFOUND)
		return IBB_OK;
	/* a directory, something too large, something behind a reparse point */
	if (r == IBB_E_CONFLICT || r == IBB_E_LIMIT || r == IBB_E_UNSUPPORTED) {
		*ret = DAMAGED;
		return IBB_OK;
	}
	if (r)
		return r;
	*ret = head.len && head.len >= n && memcmp(head.data, magic, n) == 0 ? FOUND : DAMAGED;
	return IBB_OK;
}

/* One file more of a candidate: into *ret_path when it is there. */
static int take(struct ibb_boot *b, struct files *f, const char *path, const char *magic,
		uint32_t limit, const char **ret_path)
{
	struct ibb_error why = {0};
	enum answer a;
	int r = ask(f, path, magic, limit, &a, &why);

	if (r)
		b->problem = why;
	if (!r && a == FOUND)
		*ret_path = path;
	if (!r && a == DAMAGED && !b->damaged)
		b->damaged = path;
	return r;
}

static int open_fat(struct ibb_boot *b, struct ibb_disk *slice, struct files *f)
{
	static const char *const names[] = {"FAT12", "FAT16", "FAT32"};
	int r = ibb_fat_open(slice, &f->fat, &b->problem);

	if (r == IBB_E_NOTFOUND) {
		b->problem = (struct ibb_error){0};
		return IBB_OK;
	}
	if (!r)
		b->file_system = names[ibb_fat_bits(f->fat) == 32   ? 2
				       : ibb_fat_bits(f->fat) == 16 ? 1
								    : 0];
	return r;
}

/* UEFI knows FAT only. The default path is what firmware without an entry of its own starts. */
static int look_at_esp(struct ibb_boot *b, struct ibb_disk *slice, struct files *f)
{
	int r = open_fat(b, slice, f);

	if (r || !f->fat)
		return r;
	for (size_t i = 0; i < IBB_ARRAY_SIZE(efi_managers) && !r && !b->manager; i++)
		r = take(b, f, efi_managers[i], "MZ", MANAGER_BYTES, &b->manager);
	return r ? r : take(b, f, IBB_EFI_STORE, "regf", STORE_BYTES, &b->store);
}

static int look_at_active(struct ibb_boot *b, struct ibb_disk *slice, struct files *f)
{
	uint8_t sector[512];
	size_t code;
	int r = ibb_disk_pread(slice, sector, sizeof(sector), 0, &b->problem);

	if (!r)
		r = open_fat(b, slice, f);
	if (!r && !f->fat) {
		r = ibb_volume_open_ntfs(slice, false, &f->ntfs, &b->problem);
		if (r == IBB_E_NOTFOUND) {
			b->problem = (struct ibb_error){0};
			return IBB_OK;
		}
		b->file_system = r ? NULL : "NTFS";
	}
	if (r)
		return r;
	code = f->ntfs ? NTFS_CODE_OFF : FAT_CODE_OFF;
	b->boot_sector = !ibb_all_zero(sector + code, SIGNATURE_OFF - code);
	r = take(b, f, "bootmgr", "", MANAGER_BYTES, &b->manager);
	return r ? r : take(b, f, "Boot/BCD", "regf", STORE_BYTES, &b->store);
}

static bool is_complete(const struct ibb_boot *b)
{
	return !b->problem.code && b->manager && b->store &&
	       (b->table == IBB_PTABLE_GPT || b->boot_sector);
}

static bool is_candidate(const struct ibb_ptable *t, const struct ibb_partition *p)
{
	static const char esp[] = "{c12a7328-f81f-11d2-ba4b-00a0c93ec93b}";
	char guid[IBB_GUID_STR_SIZE];

	if (t->kind == IBB_PTABLE_MBR) /* the boot code looks at the four primary ones */
		return p->active && p->number <= 4;
	ibb_guid_format(&p->type, guid);
	return t->kind == IBB_PTABLE_GPT && strcmp(guid, esp) == 0;
}

static int look_at(struct ibb_boot *b, struct ibb_disk *slice, unsigned number,
		   struct ibb_error *err)
{
	struct ibb_boot one = {.table = b->table, .number = number};
	struct files f = {0};
	int r = b->table == IBB_PTABLE_GPT ? look_at_esp(&one, slice, &f)
					   : look_at_active(&one, slice, &f);

	close_files(&f);
	if (r == IBB_E_NOMEM)
		return ibb_err_nomem(err);
	if (r)
		one.problem.code = r;
	if (b->n_candidates++ && (is_complete(b) || !is_complete(&one)))
		return IBB_OK;
	b->number = number;
	b->file_system = one.file_system;
	b->boot_sector = one.boot_sector;
	b->manager = one.manager;
	b->store = one.store;
	b->damaged = one.damaged;
	b->problem = one.problem;
	return IBB_OK;
}

static int look_for_bitlocker(struct ibb_boot *b, struct ibb_disk *slice, unsigned number,
			      size_t *cap, struct ibb_error *err)
{
	struct ibb_error why;
	bool encrypted = false;
	int r = ibb_volume_is_bitlocker(slice, &encrypted, &why);

	if (r == IBB_E_NOMEM)
		return ibb_err_nomem(err);
	if (r)
		b->n_unread++;
	if (r || !encrypted)
		return IBB_OK;
	if (ibb_grow(&b->encrypted, cap, b->n_encrypted, sizeof(*b->encrypted)))
		return ibb_err_nomem(err);
	b->encrypted[b->n_encrypted++] = number;
	return IBB_OK;
}

static int look_at_partition(struct ibb_boot *b, struct ibb_disk *d, const struct ibb_ptable *t,
			     size_t i, size_t *cap, struct ibb_error *err)
{
	const struct ibb_partition *p = &t->parts[i];
	IBB_AUTO(ibb_disk_unref) struct ibb_disk *slice = NULL;
	char *name;
	int r = ibb_disk_slice_new(d, p->off_bytes, p->len_bytes, &slice, err);

	if (r)
		return r;
	name = ibb_asprintf("partition %u", p->number);
	if (!name)
		return ibb_err_nomem(err);
	free(slice->name);
	slice->name = name;
	r = look_for_bitlocker(b, slice, p->number, cap, err);
	if (!r && is_candidate(t, p))
		r = look_at(b, slice, p->number, err);
	return r;
}

int ibb_boot_read(struct ibb_disk *d, const struct ibb_ptable *t, struct ibb_boot *ret,
		  struct ibb_error *err)
{
	struct ibb_boot b = {.table = t->kind};
	uint8_t mbr[512];
	size_t cap = 0;
	int r = ibb_disk_pread(d, mbr, sizeof(mbr), 0, err);

	if (!r)
		b.mbr_code = !ibb_all_zero(mbr, MBR_CODE_BYTES);
	for (size_t i = 0; i < t->n && !r; i++)
		r = look_at_partition(&b, d, t, i, &cap, err);
	if (r)
		ibb_boot_clear(&b);
	else
		*ret = b;
	return r;
}

void ibb_boot_clear(struct ibb_boot *b)
{
	free(b->encrypted);
	*b = (struct ibb_boot){0};
}

const char *ibb_boot_generation(const struct ibb_boot *b)
{
	if (!b->n_candidates || !is_complete(b))
		return NULL;
	if (b->table == IBB_PTABLE_GPT)
		return "V2";
	/* the usual boot code gives up at a second active partition */
	return b->table == IBB_PTABLE_MBR && b->mbr_code && b->n_candidates == 1 ? "V1" : NULL;
}
