/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "mkimage.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/error.h"
#include "base/le.h"
#include "base/hash.h"
#include "disk/vhd.h"
#include "imgfile.h"
#include "mkdisk.h"
#include "mkfat.h"

#define MIB (1ull << 20)

const char *mkimage_role_name(enum mkimage_role role)
{
	static const char *const names[] = {"esp",	"msr",	  "windows",
					    "windows2", "system", "recovery"};

	return names[role];
}

/* Identifiers that depend on nothing but the seed. */
static struct ibb_guid derived_guid(uint64_t seed, const char *label)
{
	char text[128];
	struct ibb_sha256 h = {{0}};
	struct ibb_guid g;

	snprintf(text, sizeof(text), "%llu %s", (unsigned long long)seed, label);
	IBB_ASSERT(ibb_sha256(text, strlen(text), &h) == IBB_OK);
	memcpy(g.b, h.b, sizeof(g.b));
	g.b[7] = (uint8_t)((g.b[7] & 0x0f) | 0x40); /* RFC 4122 version 4, variant 1 */
	g.b[8] = (uint8_t)((g.b[8] & 0x3f) | 0x80);
	return g;
}

/* ---- layout ---- */

static void add(struct mkimage_layout *l, enum mkimage_role role, uint64_t *at, uint64_t len)
{
	IBB_ASSERT(l->n < MKIMAGE_MAX_PARTS);
	l->parts[l->n] = (struct mkimage_part){role, (unsigned)l->n + 1, *at, len};
	l->n++;
	*at += len;
}

/* Everything on whole MiB, as Windows Setup does it; small disks get small helpers. */
static int lay_out(const struct mkimage *m, struct mkimage_layout *l, struct ibb_error *err)
{
	uint64_t at = MIB, end = (m->size / MIB - 1) * MIB;
	uint64_t helper = m->size >= 1024 * MIB ? 100 * MIB : 4 * MIB;
	uint64_t recovery = m->recovery ? 2 * helper : 0, windows;

	if (m->table == MKIMAGE_NONE) {
		l->n = 1;
		l->parts[0] = (struct mkimage_part){MKIMAGE_WINDOWS, 0, 0, m->size};
		return IBB_OK;
	}
	if (m->size < 32 * MIB + recovery)
		return ibb_err(err, IBB_E_INVALID, "--size: a partitioned disk needs 32 MiB");
	if (m->table == MKIMAGE_GPT) {
		add(l, MKIMAGE_ESP, &at, helper);
		add(l, MKIMAGE_MSR, &at, m->size >= 1024 * MIB ? 16 * MIB : MIB);
	} else {
		add(l, MKIMAGE_SYSTEM, &at, helper);
	}
	windows = end - recovery - at;
	if (m->second_windows)
		windows = windows / 2 / MIB * MIB;
	add(l, MKIMAGE_WINDOWS, &at, windows);
	if (m->second_windows)
		add(l, MKIMAGE_WINDOWS2, &at, windows);
	if (recovery)
		add(l, MKIMAGE_RECOVERY, &at, recovery);
	return IBB_OK;
}

static struct mkdisk_part table_entry(const struct mkimage_part *p, uint64_t seed)
{
	struct mkdisk_part e = {.off_bytes = p->off,
				.len_bytes = p->len,
				.type = mkdisk_data,
				.id = derived_guid(seed, mkimage_role_name(p->role)),
				.name = "Basic data partition",
				.mbr_type = 0x07,
				.active = p->role == MKIMAGE_SYSTEM};

	if (p->role == MKIMAGE_ESP) {
		e.type = mkdisk_esp;
		e.name = "EFI system partition";
	} else if (p->role == MKIMAGE_MSR) {
		e.type = mkdisk_msr;
		e.name = "Microsoft reserved partition";
	} else if (p->role == MKIMAGE_RECOVERY) {
		e.mbr_type = 0x27;
		IBB_ASSERT(ibb_guid_parse("{de94bba4-06d1-4d40-a16a-bfd50179d6ac}", &e.type));
		e.attributes = 0x8000000000000001u; /* required, no drive letter */
	}
	return e;
}

static int write_table(struct ibb_disk *d, const struct mkimage *m, const struct mkimage_layout *l,
		       struct ibb_error *err)
{
	struct mkdisk_part entries[MKIMAGE_MAX_PARTS];
	struct ibb_guid id = derived_guid(m->seed, "disk");

	for (size_t i = 0; i < l->n; i++)
		entries[i] = table_entry(&l->parts[i], m->seed);
	switch (m->table) {
	case MKIMAGE_GPT:
		return mkdisk_gpt(d, entries, l->n, &id, err);
	case MKIMAGE_MBR:
		return mkdisk_mbr(d, entries, l->n, ibb_get_le32(id.b), err);
	default:
		return IBB_OK;
	}
}

/* ---- partitions ---- */

/* A FAT file system with what firmware and boot manager look for. */
static int write_esp(struct ibb_disk *d, const struct mkimage *m, const struct mkimage_part *p,
		     struct ibb_error *err)
{
	static const char manager[] = "MZ: stands for the boot manager";
	IBB_AUTO(ibb_disk_unref) struct ibb_disk *slice = NULL;
	IBB_AUTO_BUF struct ibb_buf bcd = {0};
	const struct mkfat_opts o = {.hidden_bytes = p->off};
	int r = winhives_bcd(m->windows.hives.time, &bcd, err);

	if (!r)
		r = ibb_disk_slice_new(d, p->off, p->len, &slice, err);
	if (r)
		return r;
	const struct mkfat_file files[] = {
		{"EFI/", NULL, 0},
		{"EFI/Microsoft/Boot/bootmgfw.efi", manager, sizeof(manager)},
		{"EFI/Microsoft/Boot/BCD", bcd.data, (uint32_t)bcd.len},
		{"EFI/Boot/bootx64.efi", manager, sizeof(manager)},
	};

	return mkfat(slice, &o, files, m->no_boot_files ? 1 : IBB_ARRAY_SIZE(files), err);
}

/* For the master boot record: stop, in 16-bit code. What follows says so to whoever looks. */
static int write_boot_code(struct ibb_disk *d, const struct mkimage *m, struct ibb_error *err)
{
	static const char code[] = "\xfa\xf4\xeb\xfd nothing boots here";

	if (m->table != MKIMAGE_MBR || m->no_boot_files)
		return IBB_OK;
	return ibb_disk_pwrite(d, code, sizeof(code), 0, err);
}

static int write_ntfs(int fd, const char *path, const struct mkimage *m,
		      const struct mkimage_part *p, struct ibb_error *err)
{
	struct mkwindows w = m->windows;
	bool windows = p->role == MKIMAGE_WINDOWS || p->role == MKIMAGE_WINDOWS2;
	IBB_AUTO_FD int part = -1;
	int r = imgfile_temp(path, p->len, &part, err);

	if (!windows) /* states are the Windows volume's */
		w = (struct mkwindows){
			.hives = w.hives,
			.seed = w.seed,
			.no_windows = true,
			.winre = p->role == MKIMAGE_RECOVERY ? m->recovery_winre : NULL,
			.boot_files = p->role == MKIMAGE_SYSTEM && !m->no_boot_files};
	if (!r)
		r = imgfile_mkntfs(part, m->sector, p->off / m->sector,
				   windows ? "Windows" : "System", err);
	if (!r)
		r = mkwindows(part, p->len, m->sector, &w, err);
	if (!r)
		r = imgfile_copy_sparse(part, fd, p->off, err);
	return ibb_err_prefix(err, r, "partition %u", p->number);
}

static int write_partition(int fd, struct ibb_disk *d, const char *path, const struct mkimage *m,
			   const struct mkimage_part *p, struct ibb_error *err)
{
	switch (p->role) {
	case MKIMAGE_ESP:
		return write_esp(d, m, p, err);
	case MKIMAGE_MSR:
		return IBB_OK;
	default:
		return write_ntfs(fd, path, m, p, err);
	}
}

static int write_footer(int fd, const char *path, const struct mkimage *m, struct ibb_error *err)
{
	struct ibb_guid id = derived_guid(m->seed, "vhd");
	struct ibb_vhd_footer footer;
	uint8_t b[IBB_VHD_FOOTER_BYTES];

	ibb_vhd_footer_init(&footer, m->size, m->unix_time, &id);
	ibb_vhd_footer_encode(&footer, b);
	return ibb_pwrite_full(fd, b, sizeof(b), m->size, path, err);
}

/* ---- all of it ---- */

static int write_all(int fd, const char *path, const struct mkimage *m, struct mkimage_layout *l,
		     struct ibb_error *err)
{
	struct ibb_disk *d;
	int r = lay_out(m, l, err);

	if (r)
		return r;
	if (ftruncate(fd, (off_t)m->size) < 0)
		return ibb_err_os(err, errno, "%s: cannot make it %llu bytes long", path,
				  (unsigned long long)m->size);
	r = imgfile_disk(fd, path, m->size, m->sector, &d, err);
	if (r)
		return r;
	r = write_table(d, m, l, err);
	if (!r)
		r = write_boot_code(d, m, err);
	for (size_t i = 0; i < l->n && !r; i++)
		r = write_partition(fd, d, path, m, &l->parts[i], err);
	ibb_disk_unref(d);
	if (!r && m->vhd)
		r = write_footer(fd, path, m, err);
	return r;
}

int mkimage(const char *path, const struct mkimage *m, struct mkimage_layout *ret,
	    struct ibb_error *err)
{
	struct mkimage_layout layout = {0};
	IBB_AUTO_FD int fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
	int r;

	if (fd < 0)
		return errno == EEXIST ? ibb_err(err, IBB_E_EXISTS, "%s exists", path)
				       : ibb_err_os(err, errno, "%s: cannot create", path);
	r = write_all(fd, path, m, &layout, err);
	if (r) {
		unlink(path);
		return r;
	}
	*ret = layout;
	return IBB_OK;
}
