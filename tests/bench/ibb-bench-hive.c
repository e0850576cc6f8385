/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What an edit of a hive costs, by itself.
 *
 *   ibb-bench-hive generate FILE MIB   a hive of about that size
 *   ibb-bench-hive commit VOLUME N     out of an NTFS volume: read SYSTEM and its logs, replay,
 *                                      create N keys with a value each, prove the result, write
 *                                      what changed and read it back; into memory, not the file
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/io.h"
#include "base/limits.h"
#include "hive/hive.h"
#include "volume/volume.h"

#define CONFIG "Windows/System32/config/"
#define TIME   132000000000000000ull

static int count_diff(void *ctx, const struct ibb_hive_diff *d, struct ibb_error *err)
{
	(void)d;
	(void)err;
	++*(unsigned *)ctx;
	return IBB_OK;
}

/* ---- generate ---- */

static int add_keys(struct ibb_hive *h, size_t bytes, struct ibb_error *err)
{
	static const uint8_t data[2000] = {1};
	char path[100];
	int r = IBB_OK;

	for (unsigned i = 0; !r && ibb_hive_header(h)->bins_bytes < bytes; i++) {
		ibb_key k = 0;

		snprintf(path, sizeof(path), "Classes\\g%03u\\{%08x-0000-4000-8000-%012x}",
			 i * 7919 % 997, i * 2654435761u, i);
		r = ibb_hive_create(h, ibb_hive_root(h), path, IBB_KEY_SECURITY_PARENT, 0, TIME, &k,
				    NULL, err);
		for (unsigned v = 0; v < 3 && !r; v++) {
			snprintf(path, sizeof(path), "Value%u", v);
			r = ibb_hive_set(h, k, path, IBB_REG_BINARY, data,
					 i % 50 == 0 && !v ? sizeof(data) : 4 + 37 * v, TIME, err);
		}
	}
	return r;
}

static int generate(const char *path, const char *mib, struct ibb_error *err)
{
	IBB_AUTO(ibb_hive_close) struct ibb_hive *h = NULL;
	struct ibb_bytes bytes;
	FILE *f;
	int r = ibb_hive_new("SYSTEM", TIME, &h, err);

	if (!r)
		r = add_keys(h, (size_t)atoi(mib) << 20, err);
	if (!r)
		r = ibb_hive_seal(h, TIME, &bytes, err);
	if (r)
		return r;
	f = fopen(path, "wb");
	if (!f || fwrite(bytes.data, 1, bytes.len, f) != bytes.len || fclose(f))
		return ibb_err(err, IBB_E_IO, "%s: cannot be written", path);
	return IBB_OK;
}

/* ---- commit ---- */

struct logged {
	struct ibb_buf bytes[2];
	struct ibb_hive_log logs[2];
};

static int open_hive(struct ibb_volume *v, struct logged *l, struct ibb_hive **ret,
		     struct ibb_error *err)
{
	static const char *const names[] = {CONFIG "SYSTEM.LOG1", CONFIG "SYSTEM.LOG2"};
	IBB_AUTO_BUF struct ibb_buf bytes = {0};
	struct ibb_hive_recovery recovery;
	int r = ibb_volume_read(v, CONFIG "SYSTEM", IBB_LIMIT_HIVE_BYTES, &bytes, err);

	for (int i = 0; i < 2 && !r; i++) {
		r = ibb_volume_read(v, names[i], IBB_LIMIT_HIVE_BYTES, &l->bytes[i], err);
		l->logs[i] = (struct ibb_hive_log){names[i], ibb_buf_bytes(&l->bytes[i])};
	}
	if (!r)
		r = ibb_hive_open_logged(CONFIG "SYSTEM", &bytes, l->logs, 2, false, &recovery, ret,
					 err);
	if (!r)
		printf("%llu bytes replayed, ", (unsigned long long)recovery.bytes_applied);
	for (int i = 0; i < 2; i++)
		ibb_buf_clear(&l->bytes[i]);
	return r;
}

static int edit(struct ibb_hive *h, unsigned n, struct ibb_error *err)
{
	char path[100];
	int r = IBB_OK;

	for (unsigned i = 0; i < n && !r; i++) {
		ibb_key k = 0;

		snprintf(path, sizeof(path), "ibbake\\%s\\VEN_15B3&DEV_%04X&SUBSYS_000715B3",
			 i % 2 ? "PCI" : "VMBUS", i * 1741 % n);
		r = ibb_hive_create(h, ibb_hive_root(h), path, IBB_KEY_SECURITY_PARENT, 0, TIME, &k,
				    NULL, err);
		if (!r)
			r = ibb_hive_set(h, k, "oem7.inf", IBB_REG_BINARY, "\1\xff\0\0", 4, TIME,
					 err);
	}
	return r;
}

static int compare(void *ctx, uint64_t off, struct ibb_bytes piece, struct ibb_error *err)
{
	const struct ibb_bytes *want = ctx;

	if (off + piece.len > want->len || memcmp(want->data + off, piece.data, piece.len) != 0)
		return ibb_err(err, IBB_E_IO, "reads back different");
	return IBB_OK;
}

static int write_back(struct ibb_volume *v, struct ibb_hive *h, struct ibb_error *err)
{
	static const uint8_t nothing[4096];
	const struct ibb_meta meta = {.time = TIME};
	const struct ibb_bytes zeros = {nothing, sizeof(nothing)};
	IBB_AUTO(ibb_hive_close) struct ibb_hive *view = NULL;
	struct ibb_hive_check sum;
	struct ibb_bytes sealed;
	unsigned differences = 0;
	int r = ibb_hive_seal(h, TIME, &sealed, err);

	if (!r)
		r = ibb_hive_open_view("SYSTEM", sealed, &view, err);
	if (!r)
		r = ibb_hive_check(view, &sum, err);
	if (!r)
		r = ibb_hive_compare(ibb_hive_before(h), view, count_diff, &differences, err);
	if (!r)
		r = ibb_volume_put(v, CONFIG "SYSTEM", sealed, IBB_PUT_IN_PLACE, &meta, err);
	if (!r)
		r = ibb_volume_stream(v, CONFIG "SYSTEM", IBB_LIMIT_HIVE_BYTES, compare, &sealed,
				      err);
	if (!r)
		r = ibb_volume_put(v, CONFIG "SYSTEM.LOG1", zeros, IBB_PUT_IN_PLACE, &meta, err);
	if (!r)
		r = ibb_volume_put(v, CONFIG "SYSTEM.LOG2", zeros, IBB_PUT_IN_PLACE, &meta, err);
	if (!r)
		r = ibb_volume_commit(v, err);
	if (!r)
		printf("%llu keys, %u differences\n", (unsigned long long)sum.keys, differences);
	return r;
}

static int commit(const char *path, const char *n, struct ibb_error *err)
{
	IBB_AUTO(ibb_volume_close) struct ibb_volume *v = NULL;
	IBB_AUTO(ibb_hive_close) struct ibb_hive *h = NULL;
	struct ibb_disk *file = NULL, *overlay = NULL;
	struct logged l = {0};
	struct ibb_file_id id;
	int r = ibb_disk_file_open(path, &id, &file, err);

	if (!r)
		r = ibb_disk_overlay_new(file, IBB_LIMIT_OVERLAY_BYTES, &overlay, err);
	if (!r)
		r = ibb_disk_overlay_spill(overlay, "/tmp", err);
	if (!r)
		r = ibb_volume_open_ntfs(overlay, true, &v, err);
	if (!r)
		r = open_hive(v, &l, &h, err);
	if (!r)
		r = edit(h, (unsigned)atoi(n), err);
	if (!r)
		r = write_back(v, h, err);
	ibb_volume_close(v);
	v = NULL;
	ibb_disk_unref(overlay);
	ibb_disk_unref(file);
	return r;
}

int main(int argc, char **argv)
{
	struct ibb_error err = {0};
	int r = IBB_E_INVALID;

	if (argc == 4 && strcmp(argv[1], "generate") == 0) {
		r = generate(argv[2], argv[3], &err);
	} else if (argc == 4 && strcmp(argv[1], "commit") == 0) {
		r = commit(argv[2], argv[3], &err);
	} else {
		fputs("usage: ibb-bench-hive generate FILE MIB | commit VOLUME N\n", stderr);
		return 2;
	}
	if (r)
		fprintf(stderr, "%s\n", err.msg);
	return r ? 1 : 0;
}
