/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Layout: header; the long streams; the mini stream; the mini FAT; the directory, whose entries
 * hang on one another's right side; the FAT; the DIFAT.
 */
#include "mkmsi.h"

#include <stdlib.h>

#include "base/le.h"

#define FREE 0xffffffffu
#define END  0xfffffffeu
#define FAT  0xfffffffdu
#define DIF  0xfffffffcu

static void need(bool ok)
{
	if (!ok)
		abort();
}

struct making {
	struct ibb_buf b;   /* all sectors, without the header */
	struct ibb_buf fat; /* 4 bytes a sector */
	size_t sector;
};

static void fat_put(struct making *m, uint32_t v)
{
	uint8_t b[4];

	ibb_put_le32(b, v);
	need(!ibb_buf_append(&m->fat, b, 4));
}

/* Appends bytes as a chain of sectors; END when there are none. */
static uint32_t put_chain(struct making *m, const void *p, size_t n)
{
	uint32_t start = (uint32_t)(m->b.len / m->sector);
	size_t sectors = (n + m->sector - 1) / m->sector;

	need(!ibb_buf_append(&m->b, n ? p : "", n));
	need(!ibb_buf_append_zero(&m->b, sectors * m->sector - n));
	for (size_t i = 1; i <= sectors; i++)
		fat_put(m, i < sectors ? start + (uint32_t)i : END);
	return sectors ? start : END;
}

static int letter(char c)
{
	static const char all[] =
		"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz._";
	const char *p = strchr(all, c);

	return p && c ? (int)(p - all) : -1;
}

static void put_name(uint8_t *e, const char *name)
{
	size_t n = 0;

	if (*name == '!') {
		ibb_put_le16(e, 0x4840);
		n = 1;
		name++;
	}
	while (*name) {
		int a = letter(*name), b = a < 0 || !name[1] ? -1 : letter(name[1]);

		need(n < 31);
		if (b >= 0)
			ibb_put_le16(e + 2 * n++, (uint16_t)(0x3800 + a + (b << 6)));
		else
			ibb_put_le16(e + 2 * n++, a >= 0 ? (uint16_t)(0x4800 + a) : (uint8_t)*name);
		name += b >= 0 ? 2 : 1;
	}
	ibb_put_le16(e + 64, (uint16_t)(2 * n + 2));
}

static void put_entry(struct ibb_buf *dir, const char *name, uint8_t type, uint32_t right,
		      uint32_t child, uint8_t class, uint32_t start, uint64_t size)
{
	uint8_t e[128] = {0};

	if (type == 5) {
		memcpy(e, "R\0o\0o\0t\0 \0E\0n\0t\0r\0y", 19);
		ibb_put_le16(e + 64, 22);
		memcpy(e + 80, "\0\x10\x0c\0\0\0\0\0\xc0\0\0\0\0\0\0\x46", 16);
		e[80] = class;
	} else {
		put_name(e, name);
	}
	e[66] = type;
	e[67] = 1;
	ibb_put_le32(e + 68, FREE);
	ibb_put_le32(e + 72, right);
	ibb_put_le32(e + 76, child);
	ibb_put_le32(e + 116, start);
	ibb_put_le64(e + 120, size);
	need(!ibb_buf_append(dir, e, sizeof(e)));
}

static void put_header(struct mkcfb *how, uint8_t *h, uint32_t n_fat, uint32_t fat, uint32_t dir,
		       uint32_t minifat, uint32_t n_minifat, uint32_t difat, uint32_t n_difat)
{
	memcpy(h, "\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", 8);
	ibb_put_le16(h + 24, 0x3e);
	ibb_put_le16(h + 26, (uint16_t)how->version);
	ibb_put_le16(h + 28, 0xfffe);
	ibb_put_le16(h + 30, how->version == 3 ? 9 : 12);
	ibb_put_le16(h + 32, 6);
	ibb_put_le32(h + 40, how->version == 3 ? 0 : 1);
	ibb_put_le32(h + 44, n_fat);
	ibb_put_le32(h + 48, dir);
	ibb_put_le32(h + 56, 4096);
	ibb_put_le32(h + 60, minifat);
	ibb_put_le32(h + 64, n_minifat);
	ibb_put_le32(h + 68, difat);
	ibb_put_le32(h + 72, n_difat);
	for (uint32_t i = 0; i < 109; i++)
		ibb_put_le32(h + 76 + 4 * (size_t)i, i < n_fat ? fat + i : FREE);
}

/* FAT and DIFAT are sectors of the file themselves; *ret_difat is the first of the latter. */
static uint32_t put_fat(struct making *m, uint32_t *ret_n_fat, uint32_t *ret_difat,
			uint32_t *ret_n_difat)
{
	size_t per = m->sector / 4, data = m->fat.len / 4, n = 1, d = 0;
	uint32_t start = (uint32_t)data;

	while (n * per < data + n + d || (n > 109 && d * (per - 1) < n - 109)) {
		if (n * per < data + n + d)
			n++;
		else
			d++;
	}
	for (size_t i = 0; i < n + d; i++)
		fat_put(m, i < n ? FAT : DIF);
	while (m->fat.len < n * m->sector)
		fat_put(m, FREE);
	need(!ibb_buf_append(&m->b, m->fat.data, m->fat.len));
	for (size_t i = 0; i < d; i++) {
		for (size_t k = 0; k < per - 1; k++) {
			size_t f = 109 + i * (per - 1) + k;
			uint8_t b[4];

			ibb_put_le32(b, f < n ? start + (uint32_t)f : FREE);
			need(!ibb_buf_append(&m->b, b, 4));
		}
		need(!ibb_buf_append_zero(&m->b, 4));
		ibb_put_le32(m->b.data + m->b.len - 4,
			     i + 1 < d ? start + (uint32_t)(n + i) + 1 : END);
	}
	*ret_n_fat = (uint32_t)n;
	*ret_n_difat = (uint32_t)d;
	*ret_difat = d ? start + (uint32_t)n : END;
	return start;
}

/* Short streams into the mini stream, long ones into sectors; entries for all. */
static void put_streams(struct making *m, const struct mkcfb_stream *s, size_t n,
			struct ibb_buf *mini, struct ibb_buf *minifat, uint32_t *start)
{
	for (size_t i = 0; i < n; i++) {
		size_t units = (s[i].len + 63) / 64;

		if (s[i].len >= 4096) {
			start[i] = put_chain(m, s[i].data, s[i].len);
			continue;
		}
		start[i] = units ? (uint32_t)(mini->len / 64) : END;
		need(!ibb_buf_append(mini, units ? s[i].data : "", s[i].len));
		need(!ibb_buf_append_zero(mini, units * 64 - s[i].len));
		for (size_t k = 1; k <= units; k++) {
			uint8_t b[4];

			ibb_put_le32(b, k < units ? start[i] + (uint32_t)k : END);
			need(!ibb_buf_append(minifat, b, 4));
		}
	}
}

struct ibb_buf mkcfb(struct mkcfb *how, const struct mkcfb_stream *s, size_t n)
{
	struct making m = {.sector = how->version == 3 ? 512 : 4096};
	struct ibb_buf mini = {0}, minifat = {0}, dir = {0}, out = {0};
	uint32_t *start = calloc(n + 1, sizeof(*start));
	uint32_t at_mini, at_minifat, at_dir, at_fat, n_fat, at_difat, n_difat;

	need(start);
	put_streams(&m, s, n, &mini, &minifat, start);
	at_mini = put_chain(&m, mini.data, mini.len);
	while (minifat.len % m.sector)
		need(!ibb_buf_append(&minifat, "\xff\xff\xff\xff", 4));
	at_minifat = put_chain(&m, minifat.data, minifat.len);
	put_entry(&dir, NULL, 5, FREE, n ? 1 : FREE, how->class, at_mini, mini.len);
	for (size_t i = 0; i < n; i++)
		put_entry(&dir, s[i].name, 2, i + 1 < n ? (uint32_t)i + 2 : FREE, FREE, 0, start[i],
			  s[i].len);
	at_dir = put_chain(&m, dir.data, dir.len);
	at_fat = put_fat(&m, &n_fat, &at_difat, &n_difat);
	need(!ibb_buf_append_zero(&out, m.sector));
	put_header(how, out.data, n_fat, at_fat, at_dir, at_minifat,
		   (uint32_t)(minifat.len / m.sector), at_difat, n_difat);
	need(!ibb_buf_append(&out, m.b.data, m.b.len));
	how->fat_at = ((size_t)at_fat + 1) * m.sector;
	how->minifat_at = ((size_t)at_minifat + 1) * m.sector;
	how->dir_at = ((size_t)at_dir + 1) * m.sector;
	how->difat_at = ((size_t)at_difat + 1) * m.sector;
	free(start);
	ibb_buf_clear(&mini);
	ibb_buf_clear(&minifat);
	ibb_buf_clear(&dir);
	ibb_buf_clear(&m.b);
	ibb_buf_clear(&m.fat);
	return out;
}
