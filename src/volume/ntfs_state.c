/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Is this NTFS, and may it be written? Every reason to say no is found here, before any edit. */
#include "volume/ntfs_internal.h"

#include <stdio.h>

#define BOOT_BYTES 512u
/* Behind which the library lets a hibernated non-system volume hide: a header page. */
#define HIBERFIL_HEADER_BYTES 4096u

#define DIRTY_REMEDY                                                                        \
	"boot Windows once and shut it down with 'shutdown /s /f /t 0' after 'powercfg /h " \
	"off', or attach the image to Windows and run chkdsk /f"

/* {4967D63B-2E29-4AD8-8399-F6A339E3D001}: a BitLocker To Go volume looks like FAT32 otherwise. */
static const uint8_t bitlocker_to_go[16] = {0x3b, 0xd6, 0x67, 0x49, 0x29, 0x2e, 0xd8, 0x4a,
					    0x83, 0x99, 0xf6, 0xa3, 0x39, 0xe3, 0xd0, 0x01};

static bool is_bitlocker(const uint8_t *b)
{
	return !memcmp(b + 3, "-FVE-FS-", 8) || !memcmp(b + 0x1a8, bitlocker_to_go, 16);
}

int ibb_volume_is_bitlocker(struct ibb_disk *d, bool *ret, struct ibb_error *err)
{
	uint8_t b[BOOT_BYTES];
	int r = IBB_OK;

	if (d->size_bytes >= sizeof(b))
		r = ibb_disk_pread(d, b, sizeof(b), 0, err);
	if (!r)
		*ret = d->size_bytes >= sizeof(b) && is_bitlocker(b);
	return r;
}

static int refuse_other(const struct ibb_disk *d, const uint8_t *b, struct ibb_error *err)
{
	if (is_bitlocker(b)) {
		ibb_err(err, IBB_E_UNSUPPORTED, "%s: the volume is encrypted with BitLocker",
			d->name);
		return ibb_err_hint(err, IBB_E_UNSUPPORTED,
				    "decrypt it in Windows with 'manage-bde -off'");
	}
	if (ibb_all_zero(b, 3) && !memcmp(b + 3, "ReFS\0\0\0\0", 8))
		return ibb_err(err, IBB_E_UNSUPPORTED, "%s: the volume is ReFS, not NTFS", d->name);
	if (!memcmp(b + 3, "EXFAT   ", 8))
		return ibb_err(err, IBB_E_UNSUPPORTED, "%s: the volume is exFAT, not NTFS",
			       d->name);
	if (!memcmp(b + 0x36, "FAT12   ", 8) || !memcmp(b + 0x36, "FAT16   ", 8) ||
	    !memcmp(b + 0x52, "FAT32   ", 8))
		return ibb_err(err, IBB_E_UNSUPPORTED, "%s: the volume is FAT, not NTFS", d->name);
	if (ibb_all_zero(b, BOOT_BYTES))
		return ibb_err(err, IBB_E_NOTFOUND, "%s: no file system, the boot sector is empty",
			       d->name);
	return ibb_err(err, IBB_E_NOTFOUND, "%s: no NTFS, and no other known file system", d->name);
}

/* Sectors of a sound volume lie inside its partition; the backup boot sector may follow. */
static int check_geometry(const struct ibb_disk *d, const uint8_t *b, struct ibb_error *err)
{
	uint32_t sector = ibb_get_le16(b + 11);
	uint64_t n_sectors = ibb_get_le64(b + 40), size = 0;

	if (sector < 256 || sector > 4096 || !ibb_power_of_two(sector))
		return ibb_err(err, IBB_E_CORRUPT, "%s: NTFS boot sector: %u bytes per sector",
			       d->name, sector);
	if (!n_sectors || !ibb_mul_u64(n_sectors, sector, &size) || size > d->size_bytes)
		return ibb_err(err, IBB_E_CORRUPT,
			       "%s: NTFS boot sector: %llu sectors of %u bytes do not fit into the "
			       "%llu bytes of the partition: is the image truncated?",
			       d->name, (unsigned long long)n_sectors, sector,
			       (unsigned long long)d->size_bytes);
	return IBB_OK;
}

int ibb_ntfs_probe(struct ibb_disk *d, char ret_serial[17], struct ibb_error *err)
{
	uint8_t b[BOOT_BYTES];
	int rc;

	if (d->size_bytes < BOOT_BYTES)
		return ibb_err(err, IBB_E_NOTFOUND, "%s: %llu bytes are too few for a volume",
			       d->name, (unsigned long long)d->size_bytes);
	rc = ibb_disk_pread(d, b, sizeof(b), 0, err);
	if (rc)
		return rc;
	if (memcmp(b + 3, "NTFS    ", 8))
		return refuse_other(d, b, err);
	rc = check_geometry(d, b, err);
	if (rc)
		return rc;
	snprintf(ret_serial, 17, "%016llx", (unsigned long long)ibb_get_le64(b + 72));
	return IBB_OK;
}

static int dirty(const struct ntfs_be *n, struct ibb_error *err, const char *why)
{
	ibb_err(err, IBB_E_DIRTY, "NTFS of %s: %s", n->lower->name, why);
	return ibb_err_hint(err, IBB_E_DIRTY, DIRTY_REMEDY);
}

/*
 * The library looks for "hiberfil.sys" in this very spelling only, so that "Hiberfil.sys" passes;
 * here the lookup folds case. Signatures: HIBR/hibr hold a session, WAKE, RSTR and zeros do not.
 */
static int check_hiberfil(struct ntfs_be *n, struct ibb_error *err)
{
	uint8_t head[4] = {0};
	struct ntfs_loc loc = {0};
	ntfs_inode *ni = NULL;
	ntfs_attr *na;
	s64 size, got;
	int rc = ibb_ntfs_walk(n, "hiberfil.sys", &loc, err);

	ibb_buf_clear(&loc.name);
	if (rc || !loc.exists)
		return rc;
	rc = ibb_ntfs_open(n, loc.self, "hiberfil.sys", &ni, err);
	if (rc)
		return rc;
	na = ntfs_attr_open(ni, AT_DATA, AT_UNNAMED, 0);
	if (!na) {
		rc = ibb_ntfs_fail(n, errno, err, "hiberfil.sys");
		ibb_ntfs_drop(&ni);
		return rc;
	}
	size = na->data_size;
	got = size >= (s64)sizeof(head) ? ntfs_attr_pread(na, 0, sizeof(head), head) : 0;
	ntfs_attr_close(na);
	if (got < 0)
		rc = ibb_ntfs_fail(n, errno, err, "hiberfil.sys");
	else if (size < HIBERFIL_HEADER_BYTES)
		rc = dirty(n, err,
			   "hiberfil.sys is too short: a hibernated Windows uses this volume");
	else if (!memcmp(head, "HIBR", 4) || !memcmp(head, "hibr", 4))
		rc = dirty(n, err,
			   "Windows is hibernated (hiberfil.sys is in use), or was shut "
			   "down with fast startup");
	ibb_ntfs_drop(&ni);
	return rc;
}

/* The chunk store of Data Deduplication: files are reparse points into it. */
static int check_dedup(struct ntfs_be *n, struct ibb_error *err)
{
	struct ntfs_loc loc = {0};
	struct ibb_error e = {0};
	int rc = ibb_ntfs_walk(n, "System Volume Information/Dedup/ChunkStore", &loc, &e);

	ibb_buf_clear(&loc.name);
	if (rc == IBB_E_NOTFOUND || (!rc && !loc.exists))
		return IBB_OK;
	if (rc) {
		if (err)
			*err = e;
		return rc;
	}
	return ibb_err(err, IBB_E_UNSUPPORTED, "NTFS of %s: the volume uses Data Deduplication",
		       n->lower->name);
}

/* VOLUME_IS_DIRTY only: real Windows 10 volumes carry 0x80 beside it. */
static int check_flags(struct ntfs_be *n, struct ibb_error *err)
{
	if (le16_to_cpu((uint16_t)n->vol->flags) & le16_to_cpu(VOLUME_IS_DIRTY))
		return dirty(n, err, "the volume is marked dirty: Windows wants to check it");
	if (n->vol->major_ver < 3 || !n->vol->secure_ni)
		return ibb_err(err, IBB_E_UNSUPPORTED,
			       "NTFS of %s: version %u.%u has no $Secure; 3.0 or later is needed",
			       n->lower->name, n->vol->major_ver, n->vol->minor_ver);
	return IBB_OK;
}

/* *ret_errno is the library's reason when it fails. */
static int mount(struct ntfs_be *n, ntfs_mount_flags flags, int *ret_errno, struct ibb_error *err)
{
	struct ntfs_device *dev =
		ntfs_device_alloc(n->lower->name, 0, &ibb_ntfs_device_ops, &n->dev);

	*ret_errno = 0;
	if (!dev)
		return ibb_err_nomem(err);
	errno = 0;
	n->vol = ntfs_device_mount(dev, flags);
	if (n->vol)
		return IBB_OK;
	*ret_errno = errno;
	ntfs_device_free(dev);
	return ibb_ntfs_fail(n, *ret_errno, err, "it cannot be mounted");
}

/*
 * The library refused with EPERM, which stands for hibernation and for a $LogFile of version 2.0
 * alike. To name the right one, look into the volume mounted read-only: the staged layer is thrown
 * away, and the outcome is a refusal either way.
 */
static int explain_eperm(struct ntfs_be *n, struct ibb_error *err)
{
	struct ibb_error e = {0};
	int rc, os_errno;

	ibb_ntfs_begin(n);
	rc = mount(n, NTFS_MNT_RDONLY, &os_errno, &e);
	if (!rc) {
		rc = ntfs_set_ignore_case(n->vol) ? IBB_OK : check_hiberfil(n, &e);
		(void)ntfs_umount(n->vol, FALSE);
		n->vol = NULL;
	}
	if (rc == IBB_E_DIRTY) {
		if (err)
			*err = e;
		return rc;
	}
	return dirty(n, err,
		     "$LogFile of version 2.0: fast startup, a snapshot of a running system or a "
		     "power cut left changes in it");
}

static int mount_none(struct ntfs_be *n, struct ibb_error *err)
{
	int rc, os_errno;

	ibb_ntfs_begin(n);
	rc = mount(n, NTFS_MNT_NONE, &os_errno, err);
	if (!rc || n->dev.code)
		return rc;
	if (os_errno == EPERM)
		return explain_eperm(n, err);
	if (os_errno == EOPNOTSUPP)
		return dirty(n, err, "unclean $LogFile: the volume was not closed properly");
	return rc;
}

int ibb_ntfs_mount(struct ntfs_be *n, struct ibb_error *err)
{
	int rc = mount_none(n, err);

	if (rc)
		return rc;
	/* Else files created below a compressed directory are written LZNT1-compressed. */
	NVolClearCompression(n->vol);
	if (ntfs_set_ignore_case(n->vol))
		return ibb_err_nomem(err);
	rc = check_flags(n, err);
	if (!rc)
		rc = check_hiberfil(n, err);
	if (!rc)
		rc = check_dedup(n, err);
	if (!rc && ntfs_volume_get_free_space(n->vol))
		rc = ibb_ntfs_fail(n, errno, err, "$Bitmap");
	return ibb_ntfs_end(n, rc, "mounting", err);
}
