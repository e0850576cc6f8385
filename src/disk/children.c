/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Disks that rest on an image and lie beside it. Only what names the parent is read, and a file
 * that cannot be read or understood names none: this is a check that errs on the user's side where
 * it knows, and no reader of these formats.
 *
 * Sources: Microsoft, "Virtual Hard Disk Image Format Specification" 1.0, "Dynamic Disk Header
 * Format"; Microsoft, [MS-VHDX] 2.2 (region table), 2.6 (metadata), 2.6.2.6 (parent locator); qemu,
 * docs/interop/qcow2.txt, "Header".
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/json.h"
#include "base/le.h"
#include "base/limits.h"
#include "base/utf16.h"
#include "disk/inuse.h"
#include "disk/vhdx_internal.h"

#define NAME_CHARS  1024u /* of a parent's path that is looked at */
#define VHD_LOCATOR 576u  /* in the dynamic disk header */

struct search {
	const char *base; /* our file's name */
	int dir;	  /* its directory */
	struct stat st;
	const uint8_t *vhd_id; /* our footer's, or NULL */
	int fd;		       /* of the sibling */
	uint64_t size;
	bool no_memory;
};

static bool read_at(struct search *s, void *buf, size_t n, uint64_t off)
{
	return ibb_in_range(off, n, s->size) && off <= INT64_MAX &&
	       pread(s->fd, buf, n, (off_t)off) == (ssize_t)n;
}

/* From our directory, is this path another name of our file? Links are followed. */
static bool leads_to_us(const struct search *s, const char *path)
{
	struct stat st;

	return fstatat(s->dir, path, &st, 0) == 0 && st.st_dev == s->st.st_dev &&
	       st.st_ino == s->st.st_ino;
}

/*
 * Does this path, as Windows or Linux writes it, end in our name, or in that of a link beside us
 * that leads to us?
 */
static bool names_us(struct search *s, const char *path)
{
	const char *base = path;

	for (const char *p = path; *p; p++)
		if (*p == '/' || *p == '\\' || *p == ':')
			base = p + 1;
	return ibb_caseeq(base, s->base) || leads_to_us(s, path) || leads_to_us(s, base);
}

/* UTF-16 of the file at off, in either byte order. */
static bool text_names_us(struct search *s, uint64_t off, uint32_t n_bytes, bool big_endian)
{
	uint8_t raw[2 * NAME_CHARS];
	IBB_AUTO_FREE char *text = NULL;
	size_t n = n_bytes < sizeof(raw) ? n_bytes / 2 * 2 : sizeof(raw);

	if (!n || !read_at(s, raw, n, off))
		return false;
	for (size_t i = 0; big_endian && i < n; i += 2) {
		uint8_t swap = raw[i];

		raw[i] = raw[i + 1];
		raw[i + 1] = swap;
	}
	text = ibb_utf8_from_utf16le(raw, n);
	s->no_memory |= !text;
	return text && names_us(s, text);
}

/* ---- VHD ---- */

static bool vhd_locator_names_us(struct search *s, const uint8_t *e)
{
	const uint32_t code = ibb_get_be32(e), len = ibb_get_be32(e + 8);
	const uint64_t off = ibb_get_be64(e + 16);

	/* "W2ku", "W2ru": UTF-16LE; "Wi2k", "Wi2r": bytes of some code page */
	if (code == 0x57326b75 || code == 0x57327275)
		return text_names_us(s, off, len, false);
	if (code == 0x5769326b || code == 0x57693272) {
		char path[NAME_CHARS + 1] = "";

		return len && len <= NAME_CHARS && read_at(s, path, len, off) && names_us(s, path);
	}
	return false;
}

static bool vhd_rests_on_us(struct search *s)
{
	uint8_t foot[512], head[1024];
	uint64_t at;

	if (s->size < sizeof(foot) + sizeof(head))
		return false;
	/* the footer at the end, or the copy in front when that one is gone */
	if ((!read_at(s, foot, sizeof(foot), s->size - sizeof(foot)) ||
	     memcmp(foot, "conectix", 8) != 0) &&
	    (!read_at(s, foot, sizeof(foot), 0) || memcmp(foot, "conectix", 8) != 0))
		return false;
	at = ibb_get_be64(foot + 16);
	if (ibb_get_be32(foot + 60) != 4 || !read_at(s, head, sizeof(head), at) ||
	    memcmp(head, "cxsparse", 8) != 0)
		return false;
	if (s->vhd_id && memcmp(head + 40, s->vhd_id, 16) == 0)
		return true;
	for (unsigned i = 0; i < 8; i++)
		if (vhd_locator_names_us(s, head + VHD_LOCATOR + i * 24))
			return true;
	return text_names_us(s, at + 64, 512, true);
}

/* ---- VHDX ---- */

/* The place of an entry in a region or metadata table; 0: it is not there. */
static uint64_t vhdx_find(struct search *s, uint64_t at, const struct ibb_guid *id, bool region)
{
	const size_t first = region ? 16 : 32;
	uint8_t head[32], e[32];
	unsigned n;

	if (!at || !read_at(s, head, sizeof(head), at) ||
	    memcmp(head, region ? "regi" : "metadata", region ? 4 : 8) != 0)
		return 0;
	n = region ? ibb_get_le32(head + 8) : ibb_get_le16(head + 10);
	for (unsigned i = 0; i < n && i < IBB_VHDX_TABLE_ENTRIES; i++) {
		if (!read_at(s, e, sizeof(e), at + first + 32 * i))
			return 0;
		if (memcmp(e, id->b, 16) == 0)
			return region ? ibb_get_le64(e + 16) : ibb_get_le32(e + 16);
	}
	return 0;
}

static bool vhdx_rests_on_us(struct search *s)
{
	uint64_t meta, at;
	uint8_t head[20], e[12];

	if (!read_at(s, head, 8, 0) || memcmp(head, "vhdxfile", 8) != 0)
		return false;
	meta = vhdx_find(s, IBB_VHDX_REGION1, &ibb_vhdx_region_metadata, true);
	if (!meta)
		meta = vhdx_find(s, IBB_VHDX_REGION2, &ibb_vhdx_region_metadata, true);
	at = vhdx_find(s, meta, &ibb_vhdx_item_parent, false);
	if (!at || !ibb_add_u64(at, meta, &at) || !read_at(s, head, sizeof(head), at))
		return false;
	/* key-value pairs: the linkages are GUIDs, which are nobody's file name */
	for (unsigned i = 0; i < ibb_get_le16(head + 18) && i < 64; i++)
		if (read_at(s, e, sizeof(e), at + 20 + 12 * i) &&
		    text_names_us(s, at + ibb_get_le32(e + 4), ibb_get_le16(e + 10), false))
			return true;
	return false;
}

/* ---- qcow2 ---- */

/* "json:{...}" describes a chain of drivers; one of its texts is a file name. */
static bool value_names_us(struct search *s, const struct ibb_json *j)
{
	if (ibb_json_is_string(j))
		return names_us(s, ibb_json_value_str(j));
	ibb_json_foreach (e, j)
		if (value_names_us(s, e))
			return true;
	return false;
}

static bool json_names_us(struct search *s, const char *text)
{
	IBB_AUTO(ibb_json_free) struct ibb_json *doc = NULL;
	int r = ibb_json_parse(s->base, text, strlen(text), &doc, NULL);

	s->no_memory |= r == IBB_E_NOMEM;
	return !r && value_names_us(s, doc);
}

static bool qcow2_rests_on_us(struct search *s)
{
	char path[NAME_CHARS + 1] = "";
	uint8_t head[20];
	uint64_t off;
	uint32_t len;

	if (!read_at(s, head, sizeof(head), 0) || memcmp(head, "QFI\xfb", 4) != 0)
		return false;
	off = ibb_get_be64(head + 8);
	len = ibb_get_be32(head + 16);
	if (!off || !len || len > NAME_CHARS || !read_at(s, path, len, off))
		return false;
	return strncmp(path, "json:", 5) == 0 ? json_names_us(s, path + 5) : names_us(s, path);
}

/* ---- the directory ---- */

static int check_sibling(struct search *s, const char *dir_name, const char *name,
			 struct ibb_error *err)
{
	/* O_NONBLOCK: a pipe must not hang us */
	IBB_AUTO_FD int fd = openat(s->dir, name, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	struct stat st;

	if (fd < 0 || fstat(fd, &st) || !S_ISREG(st.st_mode))
		return IBB_OK;
	s->fd = fd;
	s->size = (uint64_t)st.st_size;
	if (!vhd_rests_on_us(s) && !vhdx_rests_on_us(s) && !qcow2_rests_on_us(s))
		return s->no_memory ? ibb_err_nomem(err) : IBB_OK;
	ibb_err(err, IBB_E_CONFLICT,
		"%s/%s: is the parent of %s, a differencing disk or overlay in the same directory, "
		"which would be broken by a change",
		dir_name, s->base, name);
	return ibb_err_hint(err, IBB_E_CONFLICT,
			    "make a new image with -o, or bake the differencing disk itself");
}

static int scan(struct search *s, DIR *d, const char *dir_name, struct ibb_error *err)
{
	struct dirent *e;
	unsigned n = 0;
	int r = IBB_OK;

	while (!r && (e = readdir(d))) {
		if (strcmp(e->d_name, s->base) == 0 || strcmp(e->d_name, ".") == 0 ||
		    strcmp(e->d_name, "..") == 0)
			continue;
		if (n++ == IBB_LIMIT_SIBLINGS) {
			ibb_err(err, IBB_E_LIMIT,
				"%s: more than %u files: cannot tell whether one of them rests on "
				"the image",
				dir_name, IBB_LIMIT_SIBLINGS);
			return ibb_err_hint(err, IBB_E_LIMIT,
					    "move the image to a directory of its own");
		}
		r = check_sibling(s, dir_name, e->d_name, err);
	}
	return r;
}

int ibb_inuse_children(const char *path, const uint8_t *vhd_id, struct ibb_error *err)
{
	char *real = realpath(path, NULL), *slash = real ? strrchr(real, '/') : NULL;
	struct search s = {.vhd_id = vhd_id, .fd = -1};
	DIR *d;
	int r;

	if (!slash) {
		r = ibb_err_os(err, errno, "%s: resolve its path", path);
		free(real);
		return r;
	}
	*slash = '\0';
	s.base = slash + 1;
	r = stat(path, &s.st) ? ibb_err_os(err, errno, "%s: stat", path) : IBB_OK;
	d = r ? NULL : opendir(*real ? real : "/");
	if (d)
		s.dir = dirfd(d);
	r = r	? r
	    : d ? scan(&s, d, *real ? real : "/", err)
		: ibb_err_os(err, errno, "%s: look for disks that rest on the image", real);
	if (d)
		closedir(d);
	free(real);
	return r;
}
