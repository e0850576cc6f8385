/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What of a WIM's file its tables refer to. */
#include <stdlib.h>

#include "base/le.h"
#include "volume/wim_internal.h"

struct range {
	uint64_t off, len;
};

struct ranges {
	struct range *items;
	size_t n, cap;
	unsigned part;
	bool no_memory;
};

static void add(struct ranges *l, uint64_t off, uint64_t len)
{
	if (!len || l->no_memory)
		return;
	if (ibb_grow(&l->items, &l->cap, l->n, sizeof(*l->items)))
		l->no_memory = true;
	else
		l->items[l->n++] = (struct range){off, len};
}

/* Of a solid resource every file in it tells, one after the other: once is enough. */
static int on_resource(const struct wimlib_resource_entry *e, void *ctx)
{
	struct ranges *l = ctx;
	const uint64_t off = e->packed ? e->raw_resource_offset_in_wim : e->offset;

	if (e->part_number != l->part || (e->packed && l->n && l->items[l->n - 1].off == off))
		return 0;
	add(l, off, e->packed ? e->raw_resource_compressed_size : e->compressed_size);
	return 0;
}

static int by_offset(const void *a, const void *b)
{
	const struct range *x = a, *y = b;

	return x->off < y->off ? -1 : x->off > y->off;
}

/* Places come from the file: what lies outside of it, or twice, counts once and inside only. */
static uint64_t covered(struct ranges *l, uint64_t file_bytes)
{
	uint64_t sum = 0, at = 0;

	if (l->n)
		qsort(l->items, l->n, sizeof(*l->items), by_offset);
	for (size_t i = 0; i < l->n; i++) {
		uint64_t from = l->items[i].off, to;

		if (!ibb_add_u64(from, l->items[i].len, &to) || to > file_bytes)
			to = file_bytes;
		if (from < at)
			from = at;
		if (to <= from)
			continue;
		sum += to - from;
		at = to;
	}
	return sum;
}

int ibb_wim_dead_bytes(struct ibb_wim *w, uint64_t *ret, struct ibb_error *err)
{
	/* table of contents, XML data, integrity table: "Windows Imaging File Format", header */
	static const unsigned tables[] = {48, 72, 124};
	struct ranges l = {.part = w->info.part};
	uint8_t h[WIM_HEADER_BYTES];
	int code, r = ibb_disk_pread(w->file, h, sizeof(h), 0, err);

	if (r)
		return r;
	code = wimlib_iterate_lookup_table(w->lib, 0, on_resource, &l);
	add(&l, 0, sizeof(h));
	/* the header that a pipable one has once more at its end */
	if (w->info.pipable)
		add(&l, w->file->size_bytes - sizeof(h), sizeof(h));
	for (size_t i = 0; i < IBB_ARRAY_SIZE(tables); i++)
		add(&l, ibb_get_le64(h + tables[i] + 8),
		    ibb_get_le64(h + tables[i]) & 0xffffffffffffffull);
	if (code)
		r = ibb_wim_fail(w, code, err, "table of contents");
	else if (l.no_memory)
		r = ibb_err_nomem(err);
	else
		*ret = w->file->size_bytes - covered(&l, w->file->size_bytes);
	free(l.items);
	return r;
}
