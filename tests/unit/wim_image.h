/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The tree that the tests of the WIM back end read: one NTFS volume, made once a process, with
 * everything that a WIM keeps of a file.
 */
#ifndef IBB_TEST_WIM_IMAGE_H
#define IBB_TEST_WIM_IMAGE_H

#include "ntfs_raw.h"

#include "mksd.h"
#include "mkwim.h"
#include "volume/wim.h"

#define WIM_SDDL_DIR  "O:SYG:SYD:PAI(A;OICI;FA;;;SY)(A;OICI;0x1200a9;;;BU)"
#define WIM_SDDL_FILE "O:BAG:SYD:PAI(A;;FA;;;SY)(A;;FA;;;BA)(A;;0x1200a9;;;BU)"

/* Sizes around the chunks of every compression; odd ones are noise. */
static const size_t wim_sizes[] = {0,	  1,	 4095,	4096,  4097,   32767,  32768,
				   32769, 65536, 65537, 98304, 262144, 300001, 1100000};
#define WIM_N_SIZES IBB_ARRAY_SIZE(wim_sizes)

/* What "data/f<i>" holds. */
static inline uint8_t *wim_content(size_t i)
{
	size_t n = wim_sizes[i];
	uint8_t *p = malloc(n ? n : 1);
	uint32_t x = 77 + (uint32_t)i;

	assert_non_null(p);
	for (size_t k = 0; k < n; k++) {
		x = x * 1664525 + 1013904223;
		p[k] = i % 2 || k / 20000 % 3 == 2 ? (uint8_t)(x >> 24)
						   : (uint8_t)("abcdefgh"[x >> 30] + k / 9000);
	}
	return p;
}

static inline void wim_sd(const char *sddl, struct ibb_buf *ret)
{
	struct ibb_error err = {0};

	assert_ok(mksd(sddl, ret, &err), err);
}

static inline void wim_set_sd(struct raw *r, const char *path, const char *sddl)
{
	struct ibb_buf sd = {0};

	wim_sd(sddl, &sd);
	raw_set_sd(r, path, sd.data, sd.len);
	ibb_buf_clear(&sd);
}

static inline void wim_set_attributes(struct raw *r, const char *path, uint32_t a)
{
	ntfs_inode *ni = raw_inode(r, path);
	const u32 v = cpu_to_le32(a);

	assert_int_equal(ntfs_set_ntfs_attrib(ni, (const char *)&v, sizeof(v), 0), 0);
	raw_done(ni);
}

/* Created, written, accessed, changed. */
static inline void wim_set_times(struct raw *r, const char *path, uint64_t t)
{
	const u64 times[4] = {t, t + 1, t + 2, t + 3};
	ntfs_inode *ni = raw_inode(r, path);

	assert_int_equal(ntfs_inode_set_times(ni, (const char *)times, sizeof(times), 0), 0);
	raw_done(ni);
}

static inline void wim_add_stream(struct raw *r, const char *path, const char *name,
				  const char *text)
{
	ntfs_inode *ni = raw_inode(r, path);
	ntfschar *u = NULL;
	int n = ntfs_mbstoucs(name, &u);

	assert_true(n > 0);
	assert_int_equal(ntfs_attr_add(ni, AT_DATA, u, (u8)n, (const u8 *)text, (s64)strlen(text)),
			 0);
	free(u);
	raw_done(ni);
}

static inline void wim_dos_name(struct raw *r, const char *path, const char *dir_path,
				const char *dos)
{
	ntfs_inode *ni = raw_inode(r, path), *dir = raw_inode(r, dir_path);

	/* closes both */
	assert_int_equal(ntfs_set_ntfs_dos_name(ni, dir, dos, strlen(dos), 0), 0);
}

static inline void wim_fill(struct ibb_volume *v)
{
	char path[64];

	make_dir(v, "Windows");
	make_dir(v, "Windows/System32");
	make_dir(v, "data");
	make_dir(v, "empty");
	make_dir(v, "data/\xc3\x9cml\xc3\xa4ut \xf0\x9f\x90\xa7");
	put(v, "data/\xc3\x9cml\xc3\xa4ut \xf0\x9f\x90\xa7/\xd0\x94.txt", "unicode");
	put(v, "Windows/System32/long name of a driver.sys", "driver");
	put(v, "Windows/System32/streams.txt", "main");
	put(v, "Windows/System32/secret.txt", "for one user");
	for (size_t i = 0; i < WIM_N_SIZES; i++) {
		uint8_t *p = wim_content(i);

		snprintf(path, sizeof(path), "data/f%zu", i);
		put_bytes(v, path, p, wim_sizes[i], IBB_PUT_REPLACE);
		free(p);
	}
}

static inline void wim_decorate(struct raw *r)
{
	wim_set_sd(r, "Windows", WIM_SDDL_DIR);
	wim_set_sd(r, "Windows/System32/streams.txt", WIM_SDDL_FILE);
	raw_link(r, "Windows/System32/streams.txt", "Windows/hard link.txt");
	wim_add_stream(r, "Windows/System32/streams.txt", "Zone.Identifier", "[ZoneTransfer]");
	wim_dos_name(r, "Windows/System32/long name of a driver.sys", "Windows/System32",
		     "LONGNA~1.SYS");
	raw_create(r, "junction", S_IFDIR, NULL, 0);
	raw_reparse(r, "junction", 0xa0000003);
	raw_create(r, "symlink", S_IFREG, NULL, 0);
	raw_reparse(r, "symlink", 0xa000000c);
	wim_set_attributes(r, "Windows/System32/streams.txt", 0x27);
	wim_set_times(r, "Windows/System32/streams.txt", 131000000000000007u);
	wim_set_times(r, "Windows", 116444735999999999u);
}

/* The file with the volume; stays until the process ends. */
static inline const char *wim_source(void)
{
	static char path[600];
	struct ibb_disk *d;
	struct ibb_volume *v;
	struct raw *r;

	if (*path)
		return path;
	d = make_ntfs(16, 512, 4096);
	v = open_rw(d);
	wim_fill(v);
	commit_close(v);
	r = raw_open(d);
	wim_decorate(r);
	raw_close(r);
	snprintf(path, sizeof(path), "%s", img_path("source.ntfs"));
	disk_to_file(d, path);
	ibb_disk_unref(d);
	return path;
}

static const struct mkwim_property wim_pro[] = {
	{"DESCRIPTION", "for the tests"},
	{"DISPLAYNAME", "Windows 11 Pro (display)"},
	{"FLAGS", "Professional"},
	{"WINDOWS/ARCH", "9"},
	{"WINDOWS/PRODUCTNAME", "Microsoft\xc2\xae Windows\xc2\xae Operating System"},
	{"WINDOWS/EDITIONID", "Professional"},
	{"WINDOWS/INSTALLATIONTYPE", "Client"},
	{"WINDOWS/VERSION/MAJOR", "10"},
	{"WINDOWS/VERSION/MINOR", "0"},
	{"WINDOWS/VERSION/BUILD", "26100"},
	{"WINDOWS/VERSION/SPBUILD", "1742"},
};

/* m without images: one of the tree. Static storage. */
static inline const char *wim_make(const char *name, struct mkwim m)
{
	const struct mkwim_image one = {.ntfs = wim_source(),
					.name = "Windows 11 Pro",
					.properties = wim_pro,
					.n_properties = IBB_ARRAY_SIZE(wim_pro)};
	const char *path = img_path(name);
	struct ibb_error err = {0};

	if (!m.n_images) {
		m.images = &one;
		m.n_images = 1;
	}
	assert_ok(mkwim(path, &m, &err), err);
	return path;
}

static inline struct ibb_wim *wim_open(const char *path)
{
	struct ibb_error err = {0};
	struct ibb_wim *w = NULL;

	assert_ok(ibb_wim_open(path, NULL, &w, &err), err);
	return w;
}

static inline struct ibb_volume *wim_volume(struct ibb_wim *w, unsigned index)
{
	struct ibb_error err = {0};
	struct ibb_volume *v = NULL;

	assert_ok(ibb_volume_open_wim(w, index, false, NULL, &v, &err), err);
	return v;
}

#endif
