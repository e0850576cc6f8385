/* SPDX-License-Identifier: GPL-3.0-or-later */
/* ibb-extract: copy files and directories of an image's NTFS partition to the host. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/error.h"
#include "base/io.h"
#include "disk/chain.h"
#include "disk/partition.h"
#include "volume/security.h"
#include "volume/volume.h"

#define FILE_LIMIT (1ull << 30)

static const char usage[] =
	"usage: ibb-extract IMAGE PARTITION DEST PATH...\n"
	"Copy PATH (a file, or a directory with everything below it) to DEST/PATH.\n"
	"PARTITION 0 is a bare volume. With DEST '-' print, for each file and directory, one\n"
	"line: size, attributes, time (FILETIME), security id, security descriptor, path.\n";

struct job {
	struct ibb_volume *vol;
	const char *dest; /* NULL: print */
	const char *dir;
	struct ibb_error *err;
};

static int walk(struct job *j, const char *path);

static int describe(struct job *j, const char *path, const struct ibb_stat *st)
{
	IBB_AUTO_BUF struct ibb_buf sd = {0};
	IBB_AUTO_BUF struct ibb_buf text = {0};
	int r = ibb_volume_security(j->vol, path, &sd, j->err);

	if (!r)
		r = ibb_security_text(ibb_buf_bytes(&sd), &text, j->err);
	if (r)
		return r;
	if (!ibb_buf_cstr(&text))
		return ibb_err_nomem(j->err);
	printf("%llu 0x%x %llu %u %s %s\n", (unsigned long long)st->size_bytes, st->attributes,
	       (unsigned long long)st->mtime, st->security_id, (const char *)text.data, path);
	return IBB_OK;
}

static int copy_file(struct job *j, const char *path, const char *host)
{
	IBB_AUTO_BUF struct ibb_buf bytes = {0};
	IBB_AUTO_FD int fd = -1;
	int r = ibb_volume_read(j->vol, path, FILE_LIMIT, &bytes, j->err);

	if (r)
		return r;
	fd = open(host, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
	if (fd < 0)
		return ibb_err_os(j->err, errno, "%s", host);
	return ibb_pwrite_full(fd, bytes.data, bytes.len, 0, host, j->err);
}

static int entry(void *ctx, const char *name, enum ibb_file_type type, struct ibb_error *err)
{
	struct job *j = ctx;
	IBB_AUTO_FREE char *path = ibb_asprintf("%s/%s", j->dir, name);
	const char *dir = j->dir;
	int r;

	(void)type;
	if (!path)
		return ibb_err_nomem(err);
	r = walk(j, path);
	j->dir = dir;
	return r;
}

/* mkdir -p, for DEST and the directories above PATH. */
static int host_dirs(char *host, struct ibb_error *err)
{
	for (char *p = host + 1;; p++) {
		char c = *p;

		if (c && c != '/')
			continue;
		*p = '\0';
		if (mkdir(host, 0777) < 0 && errno != EEXIST)
			return ibb_err_os(err, errno, "%s", host);
		*p = c;
		if (!c)
			return IBB_OK;
	}
}

static int walk(struct job *j, const char *path)
{
	IBB_AUTO_FREE char *host = ibb_asprintf("%s/%s", j->dest ? j->dest : "", path);
	struct ibb_stat st;
	char *slash = host ? strrchr(host, '/') : NULL;
	int r = slash ? ibb_volume_stat(j->vol, path, &st, j->err) : ibb_err_nomem(j->err);

	if (!r && !j->dest)
		r = describe(j, path, &st);
	if (r)
		return r;
	if (st.type == IBB_FILE_DIRECTORY) {
		if (j->dest)
			r = host_dirs(host, j->err);
		j->dir = path;
		return r ? r : ibb_volume_list(j->vol, path, entry, j, j->err);
	}
	if (!j->dest)
		return IBB_OK;
	*slash = '\0';
	r = host_dirs(host, j->err);
	*slash = '/';
	return r ? r : copy_file(j, path, host);
}

static int find_partition(struct ibb_disk *d, unsigned number, struct ibb_disk **ret,
			  struct ibb_error *err)
{
	struct ibb_ptable table;
	int r = ibb_ptable_read(d, &table, err);
	size_t i = 0;

	if (r)
		return r;
	while (i < table.n && table.parts[i].number != number)
		i++;
	if (i == table.n)
		r = ibb_err(err, IBB_E_NOTFOUND, "%s: no partition %u", d->name, number);
	else
		r = ibb_disk_slice_new(d, table.parts[i].off_bytes, table.parts[i].len_bytes, ret,
				       err);
	ibb_ptable_clear(&table);
	return r;
}

static int run(char **argv, struct ibb_error *err)
{
	IBB_AUTO(ibb_disk_unref) struct ibb_disk *part = NULL;
	IBB_AUTO(ibb_volume_close) struct ibb_volume *vol = NULL;
	struct ibb_chain chain;
	struct job j = {.dest = strcmp(argv[2], "-") ? argv[2] : NULL, .err = err};
	int r = ibb_chain_open(argv[0], &chain, err);

	if (r)
		return r;
	r = find_partition(chain.disk, (unsigned)strtoul(argv[1], NULL, 10), &part, err);
	ibb_chain_clear(&chain); /* the partition holds its disk */
	if (!r)
		r = ibb_volume_open_ntfs(part, false, &vol, err);
	j.vol = vol;
	for (char **path = argv + 3; *path && !r; path++)
		r = walk(&j, *path);
	return r;
}

int main(int argc, char **argv)
{
	struct ibb_error err = {0};
	int r;

	if (argc < 5) {
		fputs(usage, stderr);
		return 2;
	}
	r = run(argv + 1, &err);
	if (r)
		fprintf(stderr, "ibb-extract: %s\n", err.msg);
	return ibb_exit_status(r);
}
