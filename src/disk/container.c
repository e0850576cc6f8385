/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "disk/vhd.h"
#include "disk/vhdx_internal.h"

#include <string.h>

#include "base/le.h"
#include "base/utf16.h"

static const struct {
	const char *name;
	const char *qemu; /* refused, but qemu-img converts it: its name of the format there */
	const char *hint; /* refused: what to do instead of a conversion */
} kinds[] = {
	[IBB_CONTAINER_RAW] = {"raw disk", NULL, NULL},
	[IBB_CONTAINER_VHD_FIXED] = {"fixed VHD", NULL, NULL},
	[IBB_CONTAINER_VHD_DYNAMIC] = {"dynamic VHD", NULL, NULL},
	[IBB_CONTAINER_VHD_DIFFERENCING] = {"differencing VHD", NULL, NULL},
	[IBB_CONTAINER_VHDX] = {"VHDX", NULL, NULL},
	[IBB_CONTAINER_WIM] = {"WIM archive", NULL,
			       "apply it to a disk image first (wimlib-imagex apply)"},
	[IBB_CONTAINER_QCOW2] = {"qcow2 image", "qcow2", NULL},
	[IBB_CONTAINER_VMDK] = {"VMDK image", "vmdk", NULL},
	[IBB_CONTAINER_ISO] = {"ISO 9660 image", NULL,
			       "that is an installation medium; take sources/install.wim or "
			       "boot.wim out of it, or give the disk image of an installed "
			       "Windows"},
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

/*
 * "A dynamic hard disk has a copy of the footer at the start": with that, a damaged or missing last
 * one is no loss. A fixed disk has none there, so what stands there is its data.
 */
static int detect_copy(struct ibb_disk *file, bool *ret_found, struct ibb_vhd_footer *ret,
		       struct ibb_error *err)
{
	uint8_t b[IBB_VHD_FOOTER_BYTES];
	struct ibb_vhd_footer f;
	int r = ibb_disk_pread(file, b, sizeof(b), 0, err);

	*ret_found = false;
	if (r)
		return r;
	if (ibb_vhd_footer_parse(file->name, 0, b, &f, NULL) || f.type == IBB_VHD_FIXED)
		return IBB_OK;
	*ret = f;
	*ret_found = true;
	return IBB_OK;
}

/* *ret_found: the file has a sound footer. */
static int detect_footer(struct ibb_disk *file, bool *ret_found, struct ibb_vhd_footer *ret,
			 struct ibb_error *err)
{
	const uint64_t at = file->size_bytes - IBB_VHD_FOOTER_BYTES;
	uint8_t b[IBB_VHD_FOOTER_BYTES];
	struct ibb_error why = {0};
	int r = ibb_disk_pread(file, b, sizeof(b), at, err), bad = IBB_OK;

	*ret_found = false;
	if (r)
		return r;
	if (ibb_vhd_is_footer(b) || was_a_footer(b, at)) {
		bad = ibb_vhd_footer_parse(file->name, at, b, ret, &why);
		*ret_found = !bad;
		if (!bad)
			return IBB_OK;
	}
	r = detect_copy(file, ret_found, ret, err);
	if (r || *ret_found || !bad)
		return r;
	if (err)
		*err = why;
	return bad;
}

static bool named_vhdx(const struct ibb_disk *file)
{
	return ibb_case_suffix(file->name, ".vhdx") || ibb_case_suffix(file->name, ".avhdx");
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
			       "%s: begins as a VHD, but has no sound footer there nor in its "
			       "last 512 bytes: truncated, or damaged",
			       file->name);
	if (ibb_case_suffix(file->name, ".vhd") || ibb_case_suffix(file->name, ".avhd"))
		return ibb_err(err, IBB_E_CORRUPT,
			       "%s: no VHD footer in the last 512 bytes (offset %llu): truncated?",
			       file->name,
			       (unsigned long long)(file->size_bytes - IBB_VHD_FOOTER_BYTES));
	if (named_vhdx(file))
		return ibb_err(err, IBB_E_CORRUPT,
			       "%s: is no VHDX: \"vhdxfile\" is not at offset 0", file->name);
	if (file->size_bytes % 512)
		return ibb_err(err, IBB_E_CORRUPT,
			       "%s: %llu bytes are no whole number of 512-byte sectors: truncated, "
			       "or no disk image",
			       file->name, (unsigned long long)file->size_bytes);
	return IBB_OK;
}

/*
 * The last block of a VHDX may end with any sector of its guest's, also with the footer of a VHD
 * that the guest holds. A fixed VHD, in turn, may hold the bytes of a VHDX from its first sector
 * on, but then its footer fits the file.
 */
static int detect_vhdx(struct ibb_disk *file, bool *ret, struct ibb_error *err)
{
	const uint64_t at = file->size_bytes - IBB_VHD_FOOTER_BYTES;
	uint8_t b[IBB_VHD_FOOTER_BYTES];
	struct ibb_vhd_footer f;
	int r = match_magic(file, &magics[0], ret, err);

	if (r || !*ret || named_vhdx(file))
		return r;
	r = ibb_disk_pread(file, b, sizeof(b), at, err);
	if (r)
		return r;
	*ret = ibb_vhd_footer_parse(file->name, at, b, &f, NULL) || f.type != IBB_VHD_FIXED ||
	       f.current_size_bytes != at;
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
	r = detect_vhdx(file, &found, err);
	if (r)
		return r;
	if (found) {
		*ret = IBB_CONTAINER_VHDX;
		return IBB_OK;
	}
	r = detect_footer(file, &found, footer, err);
	if (r)
		return r;
	if (found) {
		*ret = kind_of_type(footer->type);
		return IBB_OK;
	}
	for (size_t i = 1; i < IBB_ARRAY_SIZE(magics); i++) { /* the first was asked for */
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

int ibb_container_detect_id(struct ibb_disk *file, enum ibb_container *ret, struct ibb_guid *ret_id,
			    struct ibb_error *err)
{
	struct ibb_vhd_footer footer = {0};
	struct ibb_vhdx_header header = {0};
	enum ibb_container kind;
	int r = detect(file, &kind, &footer, err);

	if (!r && kind == IBB_CONTAINER_VHDX) {
		r = ibb_vhdx_header_read(file, &header, err);
		footer.unique_id = header.data_write_id;
	}
	if (r)
		return r;
	*ret = kind;
	*ret_id = footer.unique_id;
	return IBB_OK;
}

int ibb_container_refuse(const struct ibb_disk *file, enum ibb_container kind,
			 struct ibb_error *err)
{
	/* WIMs are read, but not where a disk is asked for */
	ibb_err(err, IBB_E_UNSUPPORTED, "%s: is %s %s; %s", file->name,
		kind == IBB_CONTAINER_ISO ? "an" : "a", kinds[kind].name,
		kind == IBB_CONTAINER_WIM ? "what was asked for takes disks only"
					  : "ibbake reads VHD, VHDX and raw disks, and WIMs");
	if (kinds[kind].qemu)
		return ibb_err_hint(err, IBB_E_UNSUPPORTED,
				    "convert it first: qemu-img convert -f %s -O vpc -o "
				    "subformat=fixed,force_size=on '%s' fixed.vhd",
				    kinds[kind].qemu, file->name);
	return ibb_err_hint(err, IBB_E_UNSUPPORTED, "%s", kinds[kind].hint ? kinds[kind].hint : "");
}
