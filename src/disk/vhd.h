/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Virtual Hard Disk: fixed (the data followed by a 512-byte footer), dynamic and differencing.
 * Source: Microsoft, "Virtual Hard Disk Image Format Specification", version 1.0 (2006), sections
 * "Hard Disk Footer Format" and "CHS Calculation"; libyal's "Virtual Hard Disk (VHD) image format".
 */
#ifndef IBB_DISK_VHD_H
#define IBB_DISK_VHD_H

#include "disk/link.h"

#define IBB_VHD_FOOTER_BYTES 512
#define IBB_VHD_EPOCH_S	     946684800ll /* timestamps count from 2000-01-01 00:00:00 UTC */

enum ibb_vhd_type { IBB_VHD_FIXED = 2, IBB_VHD_DYNAMIC = 3, IBB_VHD_DIFFERENCING = 4 };

struct ibb_vhd_footer {
	uint32_t features, version;
	uint64_t data_offset; /* all ones for fixed disks */
	uint32_t timestamp_s; /* seconds since 2000-01-01 UTC */
	char creator_app[5], creator_os[5];
	uint32_t creator_version;
	uint64_t original_size_bytes, current_size_bytes;
	uint16_t cylinders;
	uint8_t heads, sectors_per_track;
	uint32_t type; /* enum ibb_vhd_type, or what stands there */
	uint32_t checksum;
	struct ibb_guid unique_id; /* the 16 bytes as they stand (big-endian UUID order) */
	uint8_t saved_state;
};

/* Has the buffer the cookie "conectix"? */
bool ibb_vhd_is_footer(const uint8_t b[IBB_VHD_FOOTER_BYTES]);
/* Decode and check cookie, checksum, version and type. IBB_E_CORRUPT, with the offset and field. */
int ibb_vhd_footer_parse(const char *name, uint64_t off, const uint8_t b[IBB_VHD_FOOTER_BYTES],
			 struct ibb_vhd_footer *ret, struct ibb_error *err) IBB_MUST_CHECK;
/* Encode with the right checksum. */
void ibb_vhd_footer_encode(const struct ibb_vhd_footer *f, uint8_t out[IBB_VHD_FOOTER_BYTES]);
/* Cylinders, heads, sectors per track for a size, as the specification's appendix computes them. */
void ibb_vhd_geometry(uint64_t size_bytes, uint16_t *ret_c, uint8_t *ret_h, uint8_t *ret_s);
/* A new fixed disk's footer; its creator is one whose disks no program sizes by geometry. */
void ibb_vhd_footer_init(struct ibb_vhd_footer *f, uint64_t size_bytes, int64_t unix_time,
			 const struct ibb_guid *unique_id);

/*
 * The data part of a fixed VHD as a disk (512-byte sectors). IBB_E_CORRUPT when the footer is
 * damaged or its size is not the file's; IBB_E_UNSUPPORTED for other types and for a disk of a
 * machine in saved state.
 */
int ibb_disk_vhd_fixed_open(struct ibb_disk *file, struct ibb_vhd_footer *ret_footer,
			    struct ibb_disk **ret, struct ibb_error *err) IBB_MUST_CHECK;

/*
 * Any VHD. Fixed ones as above; a dynamic or differencing one is checked as a whole when opened:
 * footer (its copy at offset 0 when the last one is damaged; IBB_E_CORRUPT when both are sound and
 * contradict each other), dynamic disk header, every entry of the block allocation table (past the
 * end, overlapping another block or a structure: IBB_E_CORRUPT), and can then be read. A machine in
 * saved state: IBB_E_UNSUPPORTED; more than limits.h allows: IBB_E_LIMIT. The disk's size is the
 * footer's "current size", never its geometry.
 *
 * A dynamic disk's sector that its bitmap calls never written although it is not zero is
 * IBB_E_CORRUPT when read: programs disagree about it. *ret_link says whether it needs a parent:
 * until ibb_disk_vhd_set_parent() gave it one (which may be smaller or larger than the child; what
 * it does not have reads as zeros), reads and runs of a differencing disk fail with IBB_E_INTERNAL.
 * The parent is held with a reference of its own. The caller clears *ret_link.
 */
struct ibb_vhd_info {
	struct ibb_vhd_footer footer;
	/* of dynamic and differencing ones; 0 of fixed ones */
	uint32_t block_bytes;
	uint64_t table_off; /* where the block allocation table begins in the file */
	uint64_t allocated_blocks;
	bool footer_from_copy; /* the footer at the end was damaged */
};
int ibb_disk_vhd_open(struct ibb_disk *file, struct ibb_vhd_info *ret_info,
		      struct ibb_parent_link *ret_link, struct ibb_disk **ret,
		      struct ibb_error *err) IBB_MUST_CHECK;
int ibb_disk_vhd_set_parent(struct ibb_disk *child, struct ibb_disk *parent,
			    struct ibb_error *err) IBB_MUST_CHECK;

/* What kind of file is this? */
enum ibb_container {
	IBB_CONTAINER_RAW,
	IBB_CONTAINER_VHD_FIXED,
	IBB_CONTAINER_VHD_DYNAMIC,
	IBB_CONTAINER_VHD_DIFFERENCING,
	IBB_CONTAINER_VHDX,
	IBB_CONTAINER_WIM,
	IBB_CONTAINER_QCOW2,
	IBB_CONTAINER_VMDK,
	IBB_CONTAINER_ISO
};
const char *ibb_container_name(enum ibb_container c); /* "fixed VHD", "VHDX", ... */
/*
 * Look at the signatures. A dynamic or differencing VHD whose last footer is damaged or cut off is
 * known by the copy at offset 0; whether enough of it is left is found out when it is opened. A
 * file that begins as a VHDX is one whatever its last sector looks like, which may be a guest's,
 * unless it is named and sized as a fixed VHD. Any other VHD whose footer fails its checksum or
 * lost its cookie is IBB_E_CORRUPT, never raw; so is a file named .vhd without a footer, one named
 * .vhdx that is none, and one that is no whole number of sectors.
 */
int ibb_container_detect(struct ibb_disk *file, enum ibb_container *ret,
			 struct ibb_error *err) IBB_MUST_CHECK;
/*
 * The same, and what a child would name the file by: of a VHD its unique ID, of a VHDX its
 * DataWriteGuid; of anything else zeros. That is all that is read and checked.
 */
int ibb_container_detect_id(struct ibb_disk *file, enum ibb_container *ret, struct ibb_guid *ret_id,
			    struct ibb_error *err) IBB_MUST_CHECK;
/* Refuse a kind that is no disk image ibbake reads: IBB_E_UNSUPPORTED with what to do instead. */
int ibb_container_refuse(const struct ibb_disk *file, enum ibb_container kind,
			 struct ibb_error *err);

#endif
