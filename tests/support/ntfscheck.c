/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "ntfscheck_internal.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#define FINDINGS_LIMIT 100000u

void nc_fail(struct nc *c, int rc)
{
	if (!c->rc)
		c->rc = rc;
}

const char *nc_at(struct nc *c, const char *fmt, ...)
{
	char *p = c->at[c->at_slot++ % IBB_ARRAY_SIZE(c->at)];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(p, sizeof(c->at[0]), fmt, ap);
	va_end(ap);
	/* names are untrusted: nothing that a terminal obeys */
	for (char *q = p; *q; q++)
		if ((unsigned char)*q < 0x20 || *q == 0x7f)
			*q = '?';
	return p;
}

const char *nc_at_attr(struct nc *c, uint64_t no, uint32_t type, const uint8_t *name, unsigned n)
{
	IBB_AUTO_FREE char *text = n ? ibb_utf8_from_utf16le(name, 2 * (size_t)n) : NULL;

	return nc_at(c, "record %llu attribute 0x%x%s%s", (unsigned long long)no, type,
		     text ? " " : "", text ? text : "");
}

static struct ntfscheck_finding *add(struct nc *c, const char *code, const char *place, bool note)
{
	struct ntfscheck *r = c->out;
	struct ntfscheck_finding *f;

	if (c->quiet || c->rc)
		return NULL;
	if (r->n == FINDINGS_LIMIT) {
		nc_fail(c, ibb_err(c->err, IBB_E_LIMIT, "%s: more than %u findings", c->d->name,
				   FINDINGS_LIMIT));
		return NULL;
	}
	if (ibb_grow(&r->items, &r->cap, r->n, sizeof(*r->items))) {
		nc_fail(c, ibb_err_nomem(c->err));
		return NULL;
	}
	f = &r->items[r->n++];
	*f = (struct ntfscheck_finding){.code = code, .note = note};
	snprintf(f->place, sizeof(f->place), "%s", place);
	r->n_errors += !note;
	return f;
}

void nc_error(struct nc *c, const char *code, const char *place, const char *fmt, ...)
{
	struct ntfscheck_finding *f = add(c, code, place, false);
	va_list ap;

	va_start(ap, fmt);
	if (f)
		vsnprintf(f->detail, sizeof(f->detail), fmt, ap);
	va_end(ap);
}

void nc_note(struct nc *c, const char *code, const char *place, const char *fmt, ...)
{
	struct ntfscheck_finding *f = add(c, code, place, true);
	va_list ap;

	va_start(ap, fmt);
	if (f)
		vsnprintf(f->detail, sizeof(f->detail), fmt, ap);
	va_end(ap);
}

void nc_error_range(struct nc *c, const char *code, const char *place, uint64_t first, uint64_t n)
{
	struct ntfscheck_finding *f = add(c, code, place, false);

	if (!f)
		return;
	f->first = first;
	f->n = n;
	snprintf(f->detail, sizeof(f->detail), "%llu, %llu of them", (unsigned long long)first,
		 (unsigned long long)n);
}

/* The stride of fixups is 512 bytes whatever the sector size. */
bool nc_fixup(struct nc *c, uint8_t *p, uint32_t size, const char *code, const char *place)
{
	unsigned off = ibb_get_le16(p + 4), n = ibb_get_le16(p + 6);

	if (n != size / 512 + 1) {
		nc_error(c, code, place, "%u fixups", n);
		return false;
	}
	if (off < 0x28 || (off & 1) || off + 2 * n > 510) {
		nc_error(c, code, place, "fixups at 0x%x", off);
		return false;
	}
	for (unsigned i = 1; i < n; i++) {
		uint8_t *end = p + 512 * i - 2;

		if (memcmp(end, p + off, 2)) {
			nc_error(c, code, place, "sector %u was not written with the others",
				 i - 1);
			return false;
		}
		memcpy(end, p + off + 2 * i, 2);
	}
	return true;
}

static void run(struct nc *c)
{
	if (!nc_boot(c) || !nc_mft_load(c))
		return;
	nc_mft_mirror(c);
	nc_upcase_load(c);
	nc_inodes(c);
	nc_extensions(c);
	nc_dirs(c);
	nc_secure(c);
	nc_views(c);
	nc_bitmaps(c);
}

int ntfscheck_run(struct ibb_disk *d, struct ntfscheck *ret, struct ibb_error *err)
{
	struct ntfscheck out = {0};
	struct nc c = {.d = d, .err = err, .out = &out};

	run(&c);
	free(c.mft);
	free(c.recs);
	free(c.names);
	free(c.upcase);
	if (c.owned)
		ibb_unmap_zeroed(c.owned, c.owned_bytes);
	if (c.rc)
		ntfscheck_clear(&out);
	else
		*ret = out;
	return c.rc;
}

void ntfscheck_clear(struct ntfscheck *r)
{
	free(r->items);
	*r = (struct ntfscheck){0};
}

const struct ntfscheck_finding *ntfscheck_find(const struct ntfscheck *r, const char *code,
					       const char *place)
{
	for (size_t i = 0; i < r->n; i++)
		if (!strcmp(r->items[i].code, code) && (!place || strstr(r->items[i].place, place)))
			return &r->items[i];
	return NULL;
}

/* A name that its directory lacked is no more lost when the directory is gone: an orphan stays one.
 */
static bool same_code(const char *before, const char *after)
{
	return !strcmp(before, after) ||
	       (!strcmp(before, "index-entry-missing") && !strcmp(after, "name-parent"));
}

/* A run that shrank is no new finding. */
static bool covered(const struct ntfscheck *before, const struct ntfscheck_finding *f)
{
	for (size_t i = 0; i < before->n; i++) {
		const struct ntfscheck_finding *b = &before->items[i];

		if (!b->note && same_code(b->code, f->code) && !strcmp(b->place, f->place) &&
		    b->first <= f->first && f->n <= b->n && f->first - b->first <= b->n - f->n)
			return true;
	}
	return false;
}

const struct ntfscheck_finding *ntfscheck_worse(const struct ntfscheck *before,
						const struct ntfscheck *after)
{
	for (size_t i = 0; i < after->n; i++)
		if (!after->items[i].note && !covered(before, &after->items[i]))
			return &after->items[i];
	return NULL;
}

int ntfscheck_line(const struct ntfscheck_finding *f, struct ibb_buf *out)
{
	return ibb_buf_printf(out, "%s %s: %s%s%s", f->note ? "note" : "error", f->code, f->place,
			      *f->detail ? ": " : "", f->detail);
}
