/* SPDX-License-Identifier: GPL-3.0-or-later */
/* ibb-ntfscheck: is the NTFS volume in this file sound? */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "disk/partition.h"
#include "disk/chain.h"
#include "ntfscheck.h"

static const char usage[] =
	"usage: ibb-ntfscheck FILE [--offset N --size N | --partition N | --all] [--json]\n"
	"Check the NTFS volume in a disk image: without options the file is the volume; with "
	"--all\n"
	"every partition that holds NTFS is checked.\n"
	"One line a finding: 'error CODE: PLACE: DETAIL', or 'note ...' for what is no error.\n"
	"Exit status: 0 sound, 3 errors found, 255 cannot be read.\n";

struct options {
	const char *file;
	uint64_t offset, size;
	unsigned partition;
	bool json, all;
};

static bool number(const char *s, uint64_t *ret)
{
	char *end = NULL;

	if (!s || *s < '0' || *s > '9')
		return false;
	*ret = strtoull(s, &end, 0);
	return !*end;
}

static bool parse(char **argv, struct options *o)
{
	uint64_t n = 0;

	for (char **p = argv; *p; p++) {
		if (!strcmp(*p, "--json"))
			o->json = true;
		else if (!strcmp(*p, "--all"))
			o->all = true;
		else if (!strcmp(*p, "--offset") && number(p[1], &o->offset))
			p++;
		else if (!strcmp(*p, "--size") && number(p[1], &o->size))
			p++;
		else if (!strcmp(*p, "--partition") && number(p[1], &n) && n && n < 1000) {
			o->partition = (unsigned)n;
			p++;
		} else if (**p != '-' && !o->file)
			o->file = *p;
		else
			return false;
	}
	return o->file != NULL;
}

static int find_partition(struct ibb_disk *d, struct options *o, struct ibb_error *err)
{
	struct ibb_ptable table;
	int r = ibb_ptable_read(d, &table, err);
	size_t i = 0;

	if (r)
		return r;
	while (i < table.n && table.parts[i].number != o->partition)
		i++;
	if (i == table.n) {
		r = ibb_err(err, IBB_E_NOTFOUND, "%s: no partition %u", d->name, o->partition);
	} else {
		o->offset = table.parts[i].off_bytes;
		o->size = table.parts[i].len_bytes;
	}
	ibb_ptable_clear(&table);
	return r;
}

static int check_slice(struct ibb_disk *disk, uint64_t off, uint64_t len, struct ntfscheck *ret,
		       struct ibb_error *err)
{
	IBB_AUTO(ibb_disk_unref) struct ibb_disk *part = NULL;
	int r = ibb_disk_slice_new(disk, off, len, &part, err);

	return r ? r : ntfscheck_run(part, ret, err);
}

/* Add the findings of one partition, each place with its number in front. */
static int append(struct ntfscheck *all, const struct ntfscheck *one, unsigned number)
{
	for (size_t i = 0; i < one->n; i++) {
		struct ntfscheck_finding *f;

		if (ibb_grow(&all->items, &all->cap, all->n, sizeof(*all->items)))
			return IBB_E_NOMEM;
		f = &all->items[all->n++];
		*f = one->items[i];
		snprintf(f->place, sizeof(f->place), "partition %u %.180s", number,
			 one->items[i].place);
	}
	all->n_errors += one->n_errors;
	all->n_records += one->n_records;
	all->n_names += one->n_names;
	all->n_clusters += one->n_clusters;
	return IBB_OK;
}

static int check_all(struct ibb_disk *disk, struct ntfscheck *ret, struct ibb_error *err)
{
	struct ibb_ptable table;
	int r = ibb_ptable_read(disk, &table, err);

	if (r)
		return r;
	for (size_t i = 0; i < table.n && !r; i++) {
		const struct ibb_partition *p = &table.parts[i];
		struct ntfscheck one = {0};
		uint8_t head[11];

		if (p->len_bytes < 512)
			continue;
		r = ibb_disk_pread(disk, head, sizeof(head), p->off_bytes, err);
		if (r || memcmp(head + 3, "NTFS    ", 8))
			continue;
		r = check_slice(disk, p->off_bytes, p->len_bytes, &one, err);
		if (!r && append(ret, &one, p->number))
			r = ibb_err_nomem(err);
		ntfscheck_clear(&one);
	}
	ibb_ptable_clear(&table);
	return r;
}

static int check_disk(struct options *o, struct ibb_disk *disk, struct ntfscheck *ret,
		      struct ibb_error *err)
{
	int r = IBB_OK;

	if (o->all)
		return check_all(disk, ret, err);
	if (o->partition)
		r = find_partition(disk, o, err);
	if (!r && o->offset > disk->size_bytes)
		r = ibb_err(err, IBB_E_INVALID, "%s: the offset lies past the end", o->file);
	return r ? r
		 : check_slice(disk, o->offset, o->size ? o->size : disk->size_bytes - o->offset,
			       ret, err);
}

static int check(struct options *o, struct ntfscheck *ret, struct ibb_error *err)
{
	struct ibb_chain chain;
	int r = ibb_chain_open(o->file, &chain, err);

	if (r)
		return r;
	r = check_disk(o, chain.disk, ret, err);
	ibb_chain_clear(&chain);
	return r;
}

static int lines(const struct ntfscheck *r, struct ibb_buf *out)
{
	for (size_t i = 0; i < r->n; i++)
		if (ntfscheck_line(&r->items[i], out) || ibb_buf_append_str(out, "\n"))
			return IBB_E_NOMEM;
	return IBB_OK;
}

static int document(const struct ntfscheck *r, struct ibb_buf *out, struct ibb_error *err)
{
	IBB_AUTO(ibb_json_free) struct ibb_json *doc = NULL;
	struct ibb_jb b = {0};
	struct ibb_json *root = ibb_jb_object(&b, NULL, NULL);
	struct ibb_json *list = ibb_jb_array(&b, root, "findings");
	int rc;

	for (size_t i = 0; i < r->n; i++) {
		struct ibb_json *f = ibb_jb_object(&b, list, NULL);

		ibb_jb_str(&b, f, "kind", r->items[i].note ? "note" : "error");
		ibb_jb_str(&b, f, "code", r->items[i].code);
		ibb_jb_str(&b, f, "place", r->items[i].place);
		ibb_jb_str(&b, f, "detail", r->items[i].detail);
		ibb_jb_u64(&b, f, "first", r->items[i].first);
		ibb_jb_u64(&b, f, "n", r->items[i].n);
	}
	ibb_jb_u64(&b, root, "records", r->n_records);
	ibb_jb_u64(&b, root, "names", r->n_names);
	ibb_jb_u64(&b, root, "clusters", r->n_clusters);
	rc = ibb_jb_done(&b, &doc, err);
	return rc ? rc : ibb_json_print(doc, out, err);
}

int main(int argc, char **argv)
{
	IBB_AUTO_BUF struct ibb_buf out = {0};
	struct options o = {0};
	struct ntfscheck found = {0};
	struct ibb_error err = {0};
	int r, status;

	(void)argc;
	if (!parse(argv + 1, &o)) {
		fputs(usage, stderr);
		return 2;
	}
	r = check(&o, &found, &err);
	if (!r && (o.json ? document(&found, &out, &err) : lines(&found, &out)))
		r = ibb_err_nomem(&err);
	if (r)
		fprintf(stderr, "ibb-ntfscheck: %s\n", err.msg);
	else if (out.len && fwrite(out.data, 1, out.len, stdout) != out.len)
		r = IBB_E_IO;
	status = r ? 255 : found.n_errors ? 3 : 0;
	ntfscheck_clear(&found);
	return fflush(stdout) ? 255 : status;
}
