/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "hivedump.h"

void dump_clear(struct dump *d)
{
	free(d->line);
	ibb_arena_clear(&d->text);
	memset(d, 0, sizeof(*d));
}

int dump_name(struct ibb_buf *b, const char *name)
{
	int r = IBB_OK;

	for (const char *p = name; *p && !r; p++) {
		unsigned char c = (unsigned char)*p;

		if (c < 0x20 || c == 0x7f || c == '%' || c == '\\')
			r = ibb_buf_printf(b, "%%%02X", c);
		else
			r = ibb_buf_append(b, p, 1);
	}
	return r;
}

static int add(struct dump *d, const struct ibb_buf *b)
{
	char *s = ibb_arena_strndup(&d->text, (const char *)b->data, b->len);
	int r = s ? ibb_grow(&d->line, &d->cap, d->n, sizeof(*d->line)) : IBB_E_NOMEM;

	if (!r)
		d->line[d->n++] = s;
	return r;
}

int dump_key(struct dump *d, const char *path, uint64_t time, const char *sd)
{
	IBB_AUTO_BUF struct ibb_buf b = {0};
	int r = ibb_buf_printf(&b, "K\t%s\t%llu\t%s", *path ? path : "\\", (unsigned long long)time,
			       sd);

	return r ? r : add(d, &b);
}

int dump_value(struct dump *d, const char *path, const char *name, uint32_t type,
	       const uint8_t *data, size_t n)
{
	IBB_AUTO_BUF struct ibb_buf b = {0};
	int r = ibb_buf_printf(&b, "V\t%s\t", *path ? path : "\\");

	if (!r)
		r = dump_name(&b, name);
	if (!r)
		r = ibb_buf_printf(&b, "\t%08x\t%zu\t", type, n);
	if (!r)
		r = ibb_buf_reserve(&b, b.len + 2 * n + 1);
	if (r)
		return r;
	if (n)
		ibb_hex(data, n, (char *)b.data + b.len);
	b.len += 2 * n;
	return add(d, &b);
}

int dump_sd(struct ibb_bytes sd, char ret[DUMP_SD_SIZE])
{
	char hex[IBB_SHA256_HEX_SIZE];
	struct ibb_sha256 sum;
	int r = ibb_sha256(sd.data, sd.len, &sum);

	if (r)
		return r;
	ibb_sha256_hex(&sum, hex);
	memcpy(ret, hex, DUMP_SD_SIZE - 1);
	ret[DUMP_SD_SIZE - 1] = '\0';
	return IBB_OK;
}

/* ---- a hive ---- */

struct walk {
	struct ibb_hive *h;
	struct dump *d;
	struct ibb_buf path; /* of the key at hand */
};

static int walk_value(void *ctx, const struct ibb_value *v, struct ibb_error *err)
{
	struct walk *w = ctx;

	if (!ibb_buf_cstr(&w->path))
		return ibb_err_nomem(err);
	return dump_value(w->d, (const char *)w->path.data, v->name, v->type, v->data, v->size);
}

static int walk_key(struct walk *w, ibb_key k, struct ibb_error *err);

static int walk_subkey(void *ctx, ibb_key k, const char *name, struct ibb_error *err)
{
	struct walk *w = ctx;
	size_t len = w->path.len;
	int r = ibb_buf_append_str(&w->path, "\\");

	if (!r)
		r = dump_name(&w->path, name);
	r = r ? ibb_err_nomem(err) : walk_key(w, k, err);
	w->path.len = len;
	return r;
}

static int walk_key(struct walk *w, ibb_key k, struct ibb_error *err)
{
	struct ibb_key_info info;
	struct ibb_bytes sd;
	char sum[DUMP_SD_SIZE];
	int r = ibb_hive_key_info(w->h, k, &info, err);

	if (!r)
		r = ibb_hive_get_security(w->h, k, &sd, err);
	if (r)
		return r;
	if (dump_sd(sd, sum) || !ibb_buf_cstr(&w->path) ||
	    dump_key(w->d, (const char *)w->path.data, info.last_written, sum))
		return ibb_err_nomem(err);
	r = ibb_hive_values(w->h, k, walk_value, w, err);
	return r ? r : ibb_hive_subkeys(w->h, k, walk_subkey, w, err);
}

int dump_hive(struct ibb_hive *h, struct dump *d, struct ibb_error *err)
{
	struct walk w = {.h = h, .d = d};
	int r = walk_key(&w, ibb_hive_root(h), err);

	ibb_buf_clear(&w.path);
	return r;
}

static int by_bytes(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

void dump_sort(struct dump *d)
{
	if (d->n)
		qsort(d->line, d->n, sizeof(*d->line), by_bytes);
}

int dump_write(const struct dump *d, const char *path, struct ibb_error *err)
{
	FILE *f = strcmp(path, "-") ? fopen(path, "wb") : stdout;
	bool failed = !f;

	for (size_t i = 0; i < d->n && !failed; i++)
		failed = fputs(d->line[i], f) < 0 || fputc('\n', f) < 0;
	if (f && (f == stdout ? fflush(f) : fclose(f)))
		failed = true;
	return failed ? ibb_err_os(err, errno, "%s", path) : IBB_OK;
}
