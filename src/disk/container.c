/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "disk/vhd.h"

#include <string.h>

#include "base/le.h"
#include "base/utf16.h"

static const struct {
	const char *name;
	const char *qemu; /* qemu-img's name of the format; NULL: it cannot convert it */
	const char *hint; /* instead of a conversion */
} kinds[] = {
	[IBB_CONTAINER_RAW] = {"raw disk", "raw", NULL},
	[IBB_CONTAINER_VHD_FIXED] = {"fixed VHD", "vpc", NULL},
	[IBB_CONTAINER_VHD_DYNAMIC] = {"dynamic VHD", "vpc", NULL},
	[IBB_CONTAINER_VHD_DIFFERENCING] =
		{"differencing VHD", NULL,
		 "merge it into its parent where it was made (Merge-VHD), then convert the parent"},
	[IBB_CONTAINER_VHDX] = {"VHDX", "vhdx", NULL},
	[IBB_CONTAINER_WIM] = {"WIM archive", NULL,
			       "apply it to a disk image first (wimlib-imagex apply)"},
	[IBB_CONTAINER_QCOW2] = {"qcow2 image", "qcow2", NULL},
	[IBB_CONTAINER_VMDK] = {"VMDK image", "vmdk", NULL},
	[IBB_CONTAINER_ISO] = {"ISO 9660 image", NULL,
			       "that is an installation medium; give the disk image of an "
			       "installed Windows"},
};

static const struct magic {
	uint32_t off;
	uint32_t len;
	const char *bytes;
	enum ibb_container kind;
} magics[] = {
	{0, 8, "vhdxfile", IBB_CONTAINER_VHDX},
	{0, 8, "MSWIM\0\0\0", IBB_CONTAINER_WIM},
	{0, 5, "WLPWM", IBB_CONTAINER_WIM}, /* wimlib's pipable form */
	{0, 4, "QFI\xfb", IBB_CONTAINER_QCOW2},
	{0, 4, "KDMV", IBB_CONTAINER_VMDK},
	{0, 21, "# Disk DescriptorFile", IBB_CONTAINER_VMDK},
	{0x8001, 5, "CD001", IBB_CONTAINER_ISO},
};

const char *ibb_container_name(enum ibb_container c)
{
	return kinds[c].name;
}

static int match_magic(struct ibb_disk *file, const struct magic *m, bool *ret,
		       struct ibb_error *err)
{
	uint8_t b[32];
	int r;

	*ret = false;
	if (!ibb_in_range(m->off, m->len, file->size_bytes))
		return IBB_OK;
	r = ibb_disk_pread(file, b, m->len, m->off, err);
	if (!r)
		*ret = memcmp(b, m->bytes, m->len) == 0;
	return r;
}

/*
 * Is this a footer whose cookie was hit? Such a disk must not pass as a raw one, whose last sector
 * is a backup GPT header or free space. Three of five marks count as yes.
 */
static bool was_a_footer(const uint8_t b[IBB_VHD_FOOTER_BYTES], uint64_t at)
{
	const uint32_t type = ibb_get_be32(b + 60);
	unsigned marks = 0, same = 0;

	for (unsigned i = 0; i < 8; i++)
		same += b[i] == (uint8_t) "conectix"[i];
	marks += same >= 4;
	marks += ibb_get_be32(b + 12) == 0x00010000; /* file format version */
	marks += ibb_get_be64(b + 16) == UINT64_MAX; /* data offset of a fixed disk */
	marks += ibb_get_be64(b + 48) == at;	     /* current size */
	marks += type >= IBB_VHD_FIXED && type <= IBB_VHD_DIFFERENCING;
	return marks >= 3;
}

static enum ibb_container kind_of_type(uint32_t type)
{
	if (type == IBB_VHD_FIXED)
		return IBB_CONTAINER_VHD_FIXED;
	return type == IBB_VHD_DYNAMIC ? IBB_CONTAINER_VHD_DYNAMIC : IBB_CONTAINER_VHD_DIFFERENCING;
}

/* *ret_found: a footer was there and is sound. */
static int detect_footer(struct ibb_disk *file, bool *ret_found, struct ibb_vhd_footer *ret,
			 struct ibb_error *err)
{
	const uint64_t at = file->size_bytes - IBB_VHD_FOOTER_BYTES;
	uint8_t b[IBB_VHD_FOOTER_BYTES];
	int r = ibb_disk_pread(file, b, sizeof(b), at, err);

	*ret_found = false;
	if (r || (!ibb_vhd_is_footer(b) && !was_a_footer(b, at)))
		return r;
	r = ibb_vhd_footer_parse(file->name, at, b, ret, err);
	*ret_found = !r;
	return r;
}

/* Signs of a VHD or VHDX that lost what makes it one. */
static int check_not_broken(struct ibb_disk *file, struct ibb_error *err)
{
	uint8_t b[IBB_VHD_FOOTER_BYTES];
	int r = ibb_disk_pread(file, b, sizeof(b), 0, err);

	if (r)
		return r;
	if (ibb_vhd_is_footer(b))
		return ibb_err(err, IBB_E_CORRUPT,
			       "%s: begins as a dynamic VHD, but has no VHD footer in its last 512 "
			       "bytes: truncated?",
			       file->name);
	if (ibb_case_suffix(file->name, ".vhd"))
		return ibb_err(err, IBB_E_CORRUPT,
			       "%s: no VHD footer in the last 512 bytes (offset %llu): truncated?",
			       file->name,
			       (unsigned long long)(file->size_bytes - IBB_VHD_FOOTER_BYTES));
	if (ibb_case_suffix(file->name, ".vhdx") || ibb_case_suffix(file->name, ".avhdx"))
		return ibb_err(err, IBB_E_CORRUPT,
			       "%s: is no VHDX: \"vhdxfile\" is not at offset 0", file->name);
	if (file->size_bytes % 512)
		return ibb_err(err, IBB_E_CORRUPT,
			       "%s: %llu bytes are no whole number of 512-byte sectors: truncated, "
			       "or no disk image",
			       file->name, (unsigned long long)file->size_bytes);
	return IBB_OK;
}

static int detect(struct ibb_disk *file, enum ibb_container *ret, struct ibb_vhd_footer *footer,
		  struct ibb_error *err)
{
	bool found;
	int r;

	if (file->size_bytes < IBB_VHD_FOOTER_BYTES)
		return ibb_err(err, IBB_E_CORRUPT, "%s: %llu bytes are too few for a disk image",
			       file->name, (unsigned long long)file->size_bytes);
	r = detect_footer(file, &found, footer, err);
	if (r)
		return r;
	if (found) {
		*ret = kind_of_type(footer->type);
		return IBB_OK;
	}
	for (size_t i = 0; i < IBB_ARRAY_SIZE(magics); i++) {
		r = match_magic(file, &magics[i], &found, err);
		if (r)
			return r;
		if (found) {
			*ret = magics[i].kind;
			return IBB_OK;
		}
	}
	r = check_not_broken(file, err);
	if (!r)
		*ret = IBB_CONTAINER_RAW;
	return r;
}

int ibb_container_detect(struct ibb_disk *file, enum ibb_container *ret, struct ibb_error *err)
{
	struct ibb_vhd_footer footer;

	return detect(file, ret, &footer, err);
}

static int refuse(const struct ibb_disk *file, enum ibb_container kind, struct ibb_error *err)
{
	ibb_err(err, IBB_E_UNSUPPORTED,
		"%s: is %s %s; this version of ibbake reads fixed VHD and raw disks", file->name,
		kind == IBB_CONTAINER_ISO ? "an" : "a", kinds[kind].name);
	if (kinds[kind].hint)
		return ibb_err_hint(err, IBB_E_UNSUPPORTED, "%s", kinds[kind].hint);
	return ibb_err_hint(err, IBB_E_UNSUPPORTED,
			    "convert it first: qemu-img convert -f %s -O vpc -o "
			    "subformat=fixed,force_size=on '%s' fixed.vhd",
			    kinds[kind].qemu, file->name);
}

int ibb_container_open(struct ibb_disk *file, enum ibb_container *ret_kind,
		       struct ibb_vhd_footer *ret_footer, struct ibb_disk **ret,
		       struct ibb_error *err)
{
	struct ibb_vhd_footer footer;
	enum ibb_container kind;
	struct ibb_disk *d;
	int r = detect(file, &kind, &footer, err);

	if (r)
		return r;
	if (kind == IBB_CONTAINER_RAW) {
		*ret = ibb_disk_ref(file);
		*ret_kind = kind;
		return IBB_OK;
	}
	if (kind != IBB_CONTAINER_VHD_FIXED)
		return refuse(file, kind, err);
	r = ibb_disk_vhd_fixed_open(file, &footer, &d, err);
	if (r)
		return r;
	*ret_kind = kind;
	*ret_footer = footer;
	*ret = d;
	return IBB_OK;
}
