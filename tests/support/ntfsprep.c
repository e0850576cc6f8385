/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "ntfsprep.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h> /* before the library: ntfstime.h makes a struct timespec otherwise */
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <ntfs-3g/types.h>
#include <ntfs-3g/attrib.h>
#include <ntfs-3g/dir.h>
#include <ntfs-3g/inode.h>
#include <ntfs-3g/layout.h>
#include <ntfs-3g/logging.h>
#include <ntfs-3g/object_id.h>
#include <ntfs-3g/reparse.h>
#include <ntfs-3g/security.h>
#include <ntfs-3g/unistr.h>
#include <ntfs-3g/volume.h>
#include <wimlib.h>

#include "base/error.h"
#include "base/le.h"
#include "mksd.h"

static int64_t frozen_clock;

void ntfsprep_freeze_clock(int64_t unix_time)
{
	frozen_clock = unix_time;
}

/* Takes the place of libc's for the libraries of this program as well. */
int clock_gettime(clockid_t id, struct timespec *ts)
{
	if (!frozen_clock)
		return (int)syscall(SYS_clock_gettime, id, ts);
	*ts = (struct timespec){.tv_sec = frozen_clock};
	return 0;
}

static int lib_err(struct ibb_error *err, const char *what)
{
	return ibb_err_lib(err, IBB_E_IO, "ntfs-3g", "%s: %s", what, strerror(errno));
}

static int mount_fd(int fd, ntfs_volume **ret, struct ibb_error *err)
{
	char path[64];
	ntfs_volume *vol;

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	ntfs_log_set_levels(0);
	vol = ntfs_mount(path, NTFS_MNT_NONE);
	if (!vol)
		return lib_err(err, "cannot open the new volume");
	*ret = vol;
	return IBB_OK;
}

static int unmount(ntfs_volume *vol, int r, struct ibb_error *err)
{
	if (ntfs_umount(vol, FALSE) && !r)
		return lib_err(err, "cannot close the new volume");
	return r;
}

static int set_sd(ntfs_volume *vol, ntfs_inode *ni, const char *sddl, struct ibb_error *err)
{
	struct PERMISSIONS_CACHE *cache = NULL; /* a NULL pointer to it crashes the library */
	struct SECURITY_CONTEXT scx = {.vol = vol, .pseccache = &cache};
	IBB_AUTO_BUF struct ibb_buf sd = {0};
	int r = mksd(sddl, &sd, err);

	if (r)
		return r;
	if (ntfs_set_ntfs_acl(&scx, ni, (const char *)sd.data, sd.len, 0))
		r = lib_err(err, "cannot set a security descriptor");
	free(cache);
	return r;
}

/* Create `name` in the directory `dir`, and close the new inode. */
static int create_in(ntfs_inode *dir, const char *name, mode_t type, struct ibb_error *err)
{
	ntfschar *u = NULL;
	int n = ntfs_mbstoucs(name, &u);
	ntfs_inode *ni;

	if (n <= 0)
		return lib_err(err, name);
	ni = ntfs_create(dir, const_cpu_to_le32(0), u, (u8)n, type);
	free(u);
	if (!ni)
		return lib_err(err, name);
	/* the library's rule: a new inode is closed while its directory is open */
	if (ntfs_inode_close_in_dir(ni, dir))
		return lib_err(err, name);
	return IBB_OK;
}

static ntfs_inode *open_path(ntfs_volume *vol, const char *path)
{
	return *path ? ntfs_pathname_to_inode(vol, NULL, path) : ntfs_inode_open(vol, FILE_root);
}

static int make_dir(ntfs_volume *vol, const char *path, struct ibb_error *err)
{
	const char *slash = strrchr(path, '/');
	char parent[256];
	ntfs_inode *dir;
	int r;

	snprintf(parent, sizeof(parent), "%.*s", slash ? (int)(slash - path) : 0, path);
	dir = *parent ? ntfs_pathname_to_inode(vol, NULL, parent) : ntfs_inode_open(vol, FILE_root);
	if (!dir)
		return lib_err(err, parent);
	r = create_in(dir, slash ? slash + 1 : path, S_IFDIR, err);
	if (ntfs_inode_close(dir) && !r)
		r = lib_err(err, parent);
	return r;
}

/* The last thing done to a file: its creation time is nobody else's to set later. */
static int stamp(ntfs_volume *vol, const char *path, uint64_t time, struct ibb_error *err)
{
	const u64 times[4] = {time, time, time, time};
	const u32 plain = 0; /* the library makes directories with the archive attribute */
	ntfs_inode *ni = open_path(vol, path);
	int r = IBB_OK;

	if (!ni)
		return lib_err(err, path);
	if ((ni->mft_no > FILE_Extend &&
	     ntfs_set_ntfs_attrib(ni, (const char *)&plain, sizeof(plain), 0)) ||
	    ntfs_inode_set_times(ni, (const char *)times, sizeof(times), 0))
		r = lib_err(err, path);
	if (ntfs_inode_close(ni) && !r)
		r = lib_err(err, path);
	return r;
}

static int one_dir(ntfs_volume *vol, const struct ntfsprep_dir *d, struct ibb_error *err)
{
	ntfs_inode *ni;
	int r = *d->path ? make_dir(vol, d->path, err) : IBB_OK;

	if (r || !d->sddl)
		return r;
	ni = open_path(vol, d->path);
	if (!ni)
		return lib_err(err, d->path);
	r = set_sd(vol, ni, d->sddl, err);
	if (ntfs_inode_close(ni) && !r)
		r = lib_err(err, d->path);
	return r;
}

int ntfsprep_dirs(int fd, const struct ntfsprep_dir *dirs, size_t n, uint64_t time,
		  struct ibb_error *err)
{
	ntfs_volume *vol = NULL;
	int r = mount_fd(fd, &vol, err);

	if (r)
		return r;
	for (size_t i = 0; i < n && !r; i++)
		r = one_dir(vol, &dirs[i], err);
	for (size_t i = n; i-- && !r;)
		r = stamp(vol, dirs[i].path, time, err);
	return unmount(vol, r, err);
}

static int add_stream(ntfs_inode *ni, const char *name, const void *data, s64 size,
		      struct ibb_error *err)
{
	ntfschar *u = NULL;
	int n = ntfs_mbstoucs(name, &u);
	int r = IBB_OK;

	if (n <= 0)
		return lib_err(err, name);
	if (ntfs_attr_add(ni, AT_DATA, u, (u8)n, (const u8 *)data, size))
		r = lib_err(err, name);
	free(u);
	return r;
}

int ntfsprep_usn(int fd, uint64_t time, struct ibb_error *err)
{
	static const char journal[4096];
	/* $Max: maximum size, allocation delta, journal id, lowest valid usn */
	static const uint8_t max[32] = {0, 0, 0, 2, 0, 0, 0, 0, 0,    0, 0x80, 0, 0, 0, 0, 0,
					1, 2, 3, 4, 5, 6, 7, 8, 0x40, 0, 0,    0, 0, 0, 0, 0};
	ntfs_volume *vol = NULL;
	ntfs_inode *ni;
	int r = mount_fd(fd, &vol, err);

	if (r)
		return r;
	ni = ntfs_inode_open(vol, FILE_Extend);
	r = ni ? create_in(ni, "$UsnJrnl", S_IFREG, err) : lib_err(err, "$Extend");
	if (ni && ntfs_inode_close(ni) && !r)
		r = lib_err(err, "$Extend");
	ni = r ? NULL : ntfs_pathname_to_inode(vol, NULL, "$Extend/$UsnJrnl");
	if (!r && !ni)
		r = lib_err(err, "$Extend/$UsnJrnl");
	if (!r)
		r = add_stream(ni, "$J", journal, sizeof(journal), err);
	if (!r)
		r = add_stream(ni, "$Max", max, sizeof(max), err);
	if (ni && ntfs_inode_close(ni) && !r)
		r = lib_err(err, "$Extend/$UsnJrnl");
	if (!r)
		r = stamp(vol, "$Extend/$UsnJrnl", time, err);
	if (!r)
		r = stamp(vol, "$Extend", time, err);
	return unmount(vol, r, err);
}

int ntfsprep_dirty(int fd, struct ibb_error *err)
{
	ntfs_volume *vol = NULL;
	int r = mount_fd(fd, &vol, err);

	if (r)
		return r;
	if (ntfs_volume_write_flags(vol, vol->flags | VOLUME_IS_DIRTY))
		r = lib_err(err, "cannot set the dirty flag");
	return unmount(vol, r, err);
}

#define WOF_CHUNK 32768u

/* The table of all chunks but the first, then the chunks; what does not shrink stays as it is. */
static int wof_stream(const uint8_t *p, size_t size, struct ibb_buf *out, struct ibb_error *err)
{
	size_t n = (size + WOF_CHUNK - 1) / WOF_CHUNK;
	struct wimlib_compressor *c = NULL;
	static uint8_t packed[WOF_CHUNK];
	int r = IBB_OK;

	if (wimlib_create_compressor(WIMLIB_COMPRESSION_TYPE_LZX, WOF_CHUNK, 0, &c))
		return ibb_err_nomem(err);
	if (ibb_buf_append_zero(out, n ? (n - 1) * 4 : 0))
		r = ibb_err_nomem(err);
	for (size_t i = 0; !r && i < n; i++) {
		size_t len = size - i * WOF_CHUNK < WOF_CHUNK ? size - i * WOF_CHUNK : WOF_CHUNK;
		size_t got = wimlib_compress(p + i * WOF_CHUNK, len, packed, len - 1, c);

		if (i)
			ibb_put_le32(out->data + (i - 1) * 4, (uint32_t)(out->len - (n - 1) * 4));
		if (ibb_buf_append(out, got ? packed : p + i * WOF_CHUNK, got ? got : len))
			r = ibb_err_nomem(err);
	}
	wimlib_free_compressor(c);
	return r;
}

/* Take the content out of the unnamed stream, which keeps its size. */
static int empty_data(ntfs_inode *ni, struct ibb_buf *content, struct ibb_error *err)
{
	ntfs_attr *na = ntfs_attr_open(ni, AT_DATA, AT_UNNAMED, 0);
	s64 size = na ? na->data_size : 0;
	int r = IBB_OK;

	if (!na)
		return lib_err(err, "data");
	if (ibb_buf_append_zero(content, (size_t)size))
		r = ibb_err_nomem(err);
	else if (ntfs_attr_pread(na, 0, size, content->data) != size || ntfs_attr_truncate(na, 0) ||
		 ntfs_attr_truncate(na, size))
		r = lib_err(err, "data");
	ntfs_attr_close(na);
	return r;
}

static int make_wof(ntfs_inode *ni, uint64_t time, struct ibb_error *err)
{
	/* tag, 16 bytes; WOF 1, provider 2 (file); version 1, algorithm 1 (LZX) */
	static const uint8_t point[24] = {0x17, 0, 0, 0x80, 16, 0, 0, 0, 1, 0, 0, 0,
					  2,	0, 0, 0,    1,	0, 0, 0, 1, 0, 0, 0};
	const u64 times[4] = {time, time, time, time};
	IBB_AUTO_BUF struct ibb_buf content = {0}, stream = {0};
	int r = empty_data(ni, &content, err);

	if (!r)
		r = wof_stream(content.data, content.len, &stream, err);
	if (!r)
		r = add_stream(ni, "WofCompressedData", stream.data, stream.len, err);
	if (!r && ntfs_set_ntfs_reparse_data(ni, (const char *)point, sizeof(point), 0))
		r = lib_err(err, "reparse point");
	if (!r && ntfs_inode_set_times(ni, (const char *)times, sizeof(times), 0))
		r = lib_err(err, "times");
	return r;
}

int ntfsprep_wof(int fd, const char *path, uint64_t time, struct ibb_error *err)
{
	ntfs_volume *vol = NULL;
	ntfs_inode *ni;
	int r = mount_fd(fd, &vol, err);

	if (r)
		return r;
	ni = ntfs_pathname_to_inode(vol, NULL, path);
	r = ni ? make_wof(ni, time, err) : lib_err(err, path);
	if (ni && ntfs_inode_close(ni) && !r)
		r = lib_err(err, path);
	return unmount(vol, r, err);
}

/* ---- what is not a plain file ---- */

static ntfs_inode *open_parent(ntfs_volume *vol, const char *path)
{
	const char *slash = strrchr(path, '/');
	char parent[256];

	snprintf(parent, sizeof(parent), "%.*s", slash ? (int)(slash - path) : 0, path);
	return open_path(vol, parent);
}

static const char *last_part(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash ? slash + 1 : path;
}

static int add_link(ntfs_volume *vol, const char *path, const char *name, struct ibb_error *err)
{
	ntfs_inode *ni = open_path(vol, path), *dir = open_parent(vol, name);
	ntfschar *u = NULL;
	int n = ntfs_mbstoucs(last_part(name), &u);
	int r = IBB_OK;

	if (!ni || !dir || n <= 0 || ntfs_link(ni, dir, u, (u8)n))
		r = lib_err(err, name);
	free(u);
	if (ni && ntfs_inode_close(ni) && !r)
		r = lib_err(err, path);
	if (dir && ntfs_inode_close(dir) && !r)
		r = lib_err(err, name);
	return r;
}

/* The directory of `path`, too: a new name is written into it. */
static int stamp_with_parent(ntfs_volume *vol, const char *path, uint64_t time,
			     struct ibb_error *err)
{
	const char *slash = strrchr(path, '/');
	char parent[256];
	int r = stamp(vol, path, time, err);

	snprintf(parent, sizeof(parent), "%.*s", slash ? (int)(slash - path) : 0, path);
	return r ? r : stamp(vol, parent, time, err);
}

int ntfsprep_link(int fd, const char *path, const char *name, uint64_t time, struct ibb_error *err)
{
	ntfs_volume *vol = NULL;
	int r = mount_fd(fd, &vol, err);

	if (r)
		return r;
	r = add_link(vol, path, name, err);
	if (!r)
		r = stamp_with_parent(vol, name, time, err);
	return unmount(vol, r, err);
}

#define ODD "ProgramData/Odd/"

static int make_file(ntfs_volume *vol, const char *path, mode_t type, const char *text,
		     struct ibb_error *err)
{
	s64 size = (s64)strlen(text);
	ntfs_inode *dir = open_parent(vol, path), *ni = NULL;
	ntfs_attr *na = NULL;
	int r = dir ? create_in(dir, last_part(path), type, err) : lib_err(err, path);

	if (dir && ntfs_inode_close(dir) && !r)
		r = lib_err(err, path);
	if (r || !size)
		return r;
	ni = open_path(vol, path);
	na = ni ? ntfs_attr_open(ni, AT_DATA, AT_UNNAMED, 0) : NULL;
	if (!na || ntfs_attr_pwrite(na, 0, size, text) != size)
		r = lib_err(err, path);
	ntfs_attr_close(na);
	if (ni && ntfs_inode_close(ni) && !r)
		r = lib_err(err, path);
	return r;
}

/* The library closes both inodes, whatever comes. */
static int set_short_name(ntfs_volume *vol, const char *path, const char *name,
			  struct ibb_error *err)
{
	ntfs_inode *ni = open_path(vol, path), *dir = open_parent(vol, path);

	if (!ni || !dir) {
		if (ni)
			ntfs_inode_close(ni);
		if (dir)
			ntfs_inode_close(dir);
		return lib_err(err, path);
	}
	return ntfs_set_ntfs_dos_name(ni, dir, name, strlen(name), 0) ? lib_err(err, name) : IBB_OK;
}

/* What Windows' own "mklink /j" leaves: substitute name, print name. */
static int make_junction(ntfs_inode *ni, struct ibb_error *err)
{
	static const char to[] = "\\??\\C:\\Users", print[] = "C:\\Users";
	uint8_t b[128] = {3, 0, 0, 0xa0}; /* IO_REPARSE_TAG_MOUNT_POINT */
	size_t n_to = sizeof(to) - 1, n_print = sizeof(print) - 1, at = 16;

	ibb_put_le16(b + 10, (uint16_t)(2 * n_to));
	ibb_put_le16(b + 12, (uint16_t)(2 * n_to + 2));
	ibb_put_le16(b + 14, (uint16_t)(2 * n_print));
	for (size_t i = 0; i <= n_to; i++, at += 2)
		b[at] = (uint8_t)to[i];
	for (size_t i = 0; i <= n_print; i++, at += 2)
		b[at] = (uint8_t)print[i];
	ibb_put_le16(b + 4, (uint16_t)(at - 8));
	return ntfs_set_ntfs_reparse_data(ni, (const char *)b, at, 0) ? lib_err(err, "junction")
								      : IBB_OK;
}

static int make_odd(ntfs_inode *ni, const char *path, struct ibb_error *err)
{
	static const char zone[] = "[ZoneTransfer]\r\nZoneId=3\r\n";
	static const char id[16] = "an object's own";

	if (strcmp(path, ODD "stream.txt") == 0)
		return add_stream(ni, "Zone.Identifier", zone, sizeof(zone) - 1, err);
	if (strcmp(path, ODD "junction") == 0)
		return make_junction(ni, err);
	if (strcmp(path, ODD "object.txt") == 0 && ntfs_set_ntfs_object_id(ni, id, sizeof(id), 0))
		return lib_err(err, path);
	return IBB_OK;
}

static int odd_attributes(ntfs_volume *vol, const char *path, uint32_t attributes,
			  struct ibb_error *err)
{
	ntfs_inode *ni = open_path(vol, path);
	int r = IBB_OK;

	if (!ni || ntfs_set_ntfs_attrib(ni, (const char *)&attributes, sizeof(attributes), 0))
		r = lib_err(err, path);
	if (ni && ntfs_inode_close(ni) && !r)
		r = lib_err(err, path);
	return r;
}

static int odd_file(ntfs_volume *vol, const char *path, bool dir, const char *text,
		    struct ibb_error *err)
{
	ntfs_inode *ni;
	int r = make_file(vol, path, dir ? S_IFDIR : S_IFREG, text, err);

	if (r)
		return r;
	ni = open_path(vol, path);
	r = ni ? make_odd(ni, path, err) : lib_err(err, path);
	if (ni && ntfs_inode_close(ni) && !r)
		r = lib_err(err, path);
	return r;
}

int ntfsprep_odd(int fd, uint64_t time, struct ibb_error *err)
{
	static const struct {
		const char *path, *text;
		bool dir;
	} files[] = {
		{"ProgramData/Odd", "", true},
		{ODD "A long name indeed.txt", "has a short name as well", false},
		{ODD "first name.txt", "has three names", false},
		{ODD "stream.txt", "has a named stream", false},
		{ODD "junction", "", true},
		{ODD "object.txt", "has an object id", false},
		{ODD "hidden.txt", "hidden, read-only, of the system", false},
		{ODD "empty", "", false},
	};
	ntfs_volume *vol = NULL;
	int r = mount_fd(fd, &vol, err);

	if (r)
		return r;
	for (size_t i = 0; i < IBB_ARRAY_SIZE(files) && !r; i++)
		r = odd_file(vol, files[i].path, files[i].dir, files[i].text, err);
	if (!r)
		r = set_short_name(vol, ODD "A long name indeed.txt", "ALONGN~1.TXT", err);
	if (!r)
		r = add_link(vol, ODD "first name.txt", ODD "second name.txt", err);
	if (!r)
		r = add_link(vol, ODD "first name.txt", "Users/third name.txt", err);
	for (size_t i = IBB_ARRAY_SIZE(files); i-- && !r;)
		r = stamp(vol, files[i].path, time, err);
	if (!r)
		r = stamp(vol, "Users", time, err);
	if (!r)
		r = stamp(vol, "ProgramData", time, err);
	if (!r)
		r = odd_attributes(vol, ODD "hidden.txt", 0x07, err);
	return unmount(vol, r, err);
}
