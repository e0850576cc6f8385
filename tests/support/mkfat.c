/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Source: Microsoft, "FAT: General Overview of On-Disk Format" 1.03. */
#include "mkfat.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/le.h"

#define MAX_NODES 512u
#define ROOT	  0u

struct node {
	char name[200];
	size_t parent;
	bool dir;
	const uint8_t *data;
	uint32_t size; /* bytes; of a directory, of its entries */
	uint32_t first, n_clusters;
};

struct fat {
	struct ibb_disk *d;
	struct mkfat_opts o;
	struct node *nodes;
	size_t n_nodes;
	uint32_t sector, cluster_bytes, reserved, table_sectors, n_clusters, next;
	uint64_t root_off, data_off;
	uint32_t *table; /* one number a cluster */
	uint32_t used;	 /* the highest cluster in use + 1 */
};

/* ---- the tree ---- */

static size_t child(const struct fat *f, size_t parent, const char *name, size_t len)
{
	for (size_t i = 1; i < f->n_nodes; i++)
		if (f->nodes[i].parent == parent && strlen(f->nodes[i].name) == len &&
		    strncmp(f->nodes[i].name, name, len) == 0)
			return i;
	return 0;
}

static int add_path(struct fat *f, const struct mkfat_file *file, struct ibb_error *err)
{
	const char *at = file->path;
	size_t here = ROOT;

	while (*at) {
		size_t len = strcspn(at, "/"), known = child(f, here, at, len);

		if (!known) {
			if (f->n_nodes == MAX_NODES || len >= sizeof(f->nodes[0].name))
				return ibb_err(err, IBB_E_INVALID, "mkfat: %s", file->path);
			known = f->n_nodes++;
			f->nodes[known].parent = here;
			snprintf(f->nodes[known].name, sizeof(f->nodes[known].name), "%.*s",
				 (int)len, at);
			f->nodes[known].dir = at[len] == '/';
			f->nodes[known].data = file->data;
			f->nodes[known].size = at[len] == '/' ? 0 : file->size;
		}
		here = known;
		at += len + (at[len] == '/');
	}
	return IBB_OK;
}

/* ---- names ---- */

static bool plain(char c)
{
	return isupper((unsigned char)c) || isdigit((unsigned char)c) || c == '_' || c == '-';
}

static void upper_into(uint8_t *out, size_t room, const char *from, size_t n)
{
	for (size_t i = 0; i < n && i < room; i++) {
		int c = toupper((unsigned char)from[i]);

		out[i] = (uint8_t)(plain((char)c) ? c : '_');
	}
}

/* The short name; is it all that the name needs? */
static bool short_name(const struct fat *f, size_t i, uint8_t out[11])
{
	const char *name = f->nodes[i].name, *dot = strrchr(name, '.');
	size_t base = dot && dot != name ? (size_t)(dot - name) : strlen(name);
	const char *ext = name + base + (name[base] == '.');
	bool fits = base <= 8 && strlen(ext) <= 3, same = fits;

	memset(out, ' ', 11);
	upper_into(out, 8, name, base);
	upper_into(out + 8, 3, ext, strlen(ext));
	for (size_t k = 0; name[k]; k++)
		same &= plain(name[k]) || (name + k == dot && k == base);
	if (!fits) {
		char tail[8];
		int n = snprintf(tail, sizeof(tail), "~%zu", i);

		memcpy(out + 8 - n, tail, (size_t)n);
		for (int k = 7 - n; k >= 0 && out[k] == ' '; k--)
			out[k] = '_';
	}
	return same;
}

static unsigned long_pieces(const struct fat *f, size_t i)
{
	uint8_t name[11];

	if (short_name(f, i, name) || f->o.short_only)
		return 0;
	return (unsigned)(strlen(f->nodes[i].name) + 12) / 13;
}

static void put_long(const char *name, unsigned piece, unsigned pieces, const uint8_t *alias,
		     uint8_t *b)
{
	static const uint8_t at[13] = {1, 3, 5, 7, 9, 14, 16, 18, 20, 22, 24, 28, 30};
	size_t n = strlen(name);
	uint8_t sum = 0;

	for (unsigned i = 0; i < 11; i++)
		sum = (uint8_t)(((sum & 1) << 7) + (sum >> 1) + alias[i]);
	memset(b, 0, 32);
	b[0] = (uint8_t)(piece | (piece == pieces ? 0x40 : 0));
	b[11] = 0x0f;
	b[13] = sum;
	for (unsigned i = 0; i < 13; i++) {
		size_t k = (piece - 1) * 13 + i;

		ibb_put_le16(b + at[i], k < n ? (uint8_t)name[k] : k == n ? 0 : 0xffff);
	}
}

static void put_short(const uint8_t *name, const struct node *n, uint32_t cluster, uint8_t *b)
{
	memset(b, 0, 32);
	memcpy(b, name, 11);
	b[11] = n->dir ? 0x10 : 0x20;
	ibb_put_le16(b + 16, 0x5c21); /* 2026-01-01 */
	ibb_put_le16(b + 24, 0x5c21);
	ibb_put_le16(b + 20, (uint16_t)(cluster >> 16));
	ibb_put_le16(b + 26, (uint16_t)cluster);
	ibb_put_le32(b + 28, n->dir ? 0 : n->size);
}

/* ---- clusters ---- */

static int allocate(struct fat *f, uint32_t n, uint32_t *ret_first, struct ibb_error *err)
{
	uint32_t last = 0;

	*ret_first = 0;
	for (uint32_t i = 0; i < n; i++) {
		if (f->next > f->n_clusters + 1)
			return ibb_err(err, IBB_E_NOSPACE, "mkfat: the volume is full");
		if (last)
			f->table[last] = f->next;
		else
			*ret_first = f->next;
		last = f->next;
		f->table[last] = 0x0fffffff;
		f->used = last + 1;
		f->next += f->o.stride;
	}
	return IBB_OK;
}

static uint32_t clusters_of(const struct fat *f, uint32_t bytes)
{
	return (bytes + f->cluster_bytes - 1) / f->cluster_bytes;
}

static int place(struct fat *f, struct ibb_error *err)
{
	int r = IBB_OK;

	for (size_t i = 0; i < f->n_nodes; i++)
		if (f->nodes[i].dir)
			f->nodes[i].size = i == ROOT ? 0 : 64;
	for (size_t i = 1; i < f->n_nodes; i++)
		f->nodes[f->nodes[i].parent].size += 32 * (1 + long_pieces(f, i));
	for (size_t i = 0; i < f->n_nodes && !r; i++) {
		struct node *n = &f->nodes[i];
		uint32_t bytes = n->size;

		if (i == ROOT && f->o.bits != 32) {
			if (bytes > f->o.root_entries * 32)
				r = ibb_err(err, IBB_E_NOSPACE, "mkfat: the root is full");
			continue;
		}
		if (n->dir && !bytes)
			bytes = 1;
		n->n_clusters = clusters_of(f, bytes);
		r = allocate(f, n->n_clusters, &n->first, err);
	}
	return r;
}

static int write_chain(struct fat *f, const struct node *n, const uint8_t *data, uint32_t size,
		       struct ibb_error *err)
{
	uint32_t c = n->first, done = 0;
	int r = IBB_OK;

	while (done < size && !r) {
		uint32_t len = size - done < f->cluster_bytes ? size - done : f->cluster_bytes;

		r = ibb_disk_pwrite(f->d, data + done, len,
				    f->data_off + (uint64_t)(c - 2) * f->cluster_bytes, err);
		done += len;
		c = f->table[c];
	}
	return r;
}

static int write_dir(struct fat *f, size_t dir, struct ibb_error *err)
{
	const struct node *n = &f->nodes[dir];
	IBB_AUTO_FREE uint8_t *b = ibb_zalloc(n->size + 64);
	uint32_t at = 0;

	if (!b)
		return ibb_err_nomem(err);
	if (dir != ROOT) {
		put_short((const uint8_t *)".          ", n, n->first, b);
		put_short((const uint8_t *)"..         ", n,
			  n->parent == ROOT ? 0 : f->nodes[n->parent].first, b + 32);
		at = 64;
	}
	for (size_t i = 1; i < f->n_nodes; i++) {
		unsigned pieces = long_pieces(f, i);
		uint8_t name[11];

		if (f->nodes[i].parent != dir)
			continue;
		short_name(f, i, name);
		for (unsigned k = pieces; k; k--, at += 32)
			put_long(f->nodes[i].name, k, pieces, name, b + at);
		put_short(name, &f->nodes[i], f->nodes[i].first, b + at);
		at += 32;
	}
	if (dir == ROOT && f->o.bits != 32)
		return at ? ibb_disk_pwrite(f->d, b, at, f->root_off, err) : IBB_OK;
	return write_chain(f, n, b, at, err);
}

/* ---- the volume ---- */

static int write_table(struct fat *f, unsigned number, struct ibb_error *err)
{
	const size_t bytes = ((size_t)f->used * f->o.bits + 7) / 8;
	IBB_AUTO_FREE uint8_t *b = ibb_zalloc(bytes + 4);

	if (!b)
		return ibb_err_nomem(err);
	f->table[0] = 0x0ffffff8;
	f->table[1] = 0x0fffffff;
	for (size_t i = 0; i < f->used; i++) {
		size_t at = i * f->o.bits / 8;
		uint32_t v = f->table[i];

		if (f->o.bits == 32)
			ibb_put_le32(b + at, v);
		else if (f->o.bits == 16)
			ibb_put_le16(b + at, (uint16_t)v);
		else if (i & 1)
			ibb_put_le16(b + at, (uint16_t)((b[at] & 0x0f) | (v & 0xfff) << 4));
		else
			ibb_put_le16(b + at, v & 0xfff);
	}
	return ibb_disk_pwrite(
		f->d, b, bytes,
		((uint64_t)f->reserved + (uint64_t)number * f->table_sectors) * f->sector, err);
}

static int write_boot(struct fat *f, struct ibb_error *err)
{
	const uint64_t sectors = f->d->size_bytes / f->sector;
	const bool large = f->o.bits == 32;
	uint8_t b[512] = {0xeb, 0x58, 0x90, 'M', 'S', 'D', 'O', 'S', '5', '.', '0'};
	uint8_t info[512] = "RRaA";
	uint8_t *tail = b + (large ? 64 : 36);
	int r;

	ibb_put_le16(b + 11, (uint16_t)f->sector);
	b[13] = (uint8_t)f->o.per_cluster;
	ibb_put_le16(b + 14, (uint16_t)f->reserved);
	b[16] = (uint8_t)f->o.tables;
	ibb_put_le16(b + 17, large ? 0 : (uint16_t)f->o.root_entries);
	b[21] = 0xf8;
	ibb_put_le16(b + 22, large ? 0 : (uint16_t)f->table_sectors);
	ibb_put_le16(b + 24, 63);
	ibb_put_le16(b + 26, 255);
	ibb_put_le32(b + 28, (uint32_t)(f->o.hidden_bytes / f->sector));
	if (sectors < 65536 && !large)
		ibb_put_le16(b + 19, (uint16_t)sectors);
	else
		ibb_put_le32(b + 32, (uint32_t)sectors);
	if (large) {
		ibb_put_le32(b + 36, f->table_sectors);
		if (f->o.active_table)
			ibb_put_le16(b + 40, (uint16_t)(0x80 | f->o.active_table));
		ibb_put_le32(b + 44, f->nodes[ROOT].first);
		ibb_put_le16(b + 48, 1);
		ibb_put_le16(b + 50, 6);
	}
	tail[0] = 0x80;
	tail[2] = 0x29;
	memcpy(tail + 7, "NO NAME    ", 11);
	memcpy(tail + 18, large ? "FAT32   " : f->o.bits == 16 ? "FAT16   " : "FAT12   ", 8);
	b[510] = 0x55;
	b[511] = 0xaa;
	r = ibb_disk_pwrite(f->d, b, sizeof(b), 0, err);
	if (r || !large)
		return r;
	memcpy(info + 484, "rrAa", 4);
	memset(info + 488, 0xff, 8);
	info[510] = 0x55;
	info[511] = 0xaa;
	r = ibb_disk_pwrite(f->d, info, sizeof(info), f->sector, err);
	return r ? r : ibb_disk_pwrite(f->d, b, sizeof(b), 6ull * f->sector, err);
}

static int lay_out(struct fat *f, struct ibb_error *err)
{
	const uint64_t sectors = f->d->size_bytes / f->sector;
	uint64_t clusters, root;

	if (!f->o.bits) {
		clusters = sectors / f->o.per_cluster;
		f->o.bits = clusters < 4200 ? 12 : clusters < 65600 ? 16 : 32;
	}
	f->reserved = f->o.bits == 32 ? 32 : 1;
	f->table_sectors = 1;
	for (;;) {
		root = f->reserved + (uint64_t)f->o.tables * f->table_sectors;
		f->root_off = root * f->sector;
		if (f->o.bits != 32)
			root += (f->o.root_entries * 32 + f->sector - 1) / f->sector;
		if (root + f->o.per_cluster > sectors)
			return ibb_err(err, IBB_E_NOSPACE, "mkfat: no room for a cluster");
		clusters = (sectors - root) / f->o.per_cluster;
		if ((clusters + 2) * f->o.bits <= 8ull * f->table_sectors * f->sector)
			break;
		f->table_sectors++;
	}
	if ((f->o.bits == 12 && clusters >= 4085) || clusters > 0x0ffffff5 ||
	    (f->o.bits == 16 && (clusters < 4085 || clusters >= 65525)))
		return ibb_err(err, IBB_E_INVALID, "mkfat: %llu clusters do not suit FAT%u",
			       (unsigned long long)clusters, f->o.bits);
	f->n_clusters = (uint32_t)clusters;
	f->data_off = root * f->sector;
	f->cluster_bytes = f->o.per_cluster * f->sector;
	f->next = f->used = 2;
	f->table = ibb_calloc_array(clusters + 2, sizeof(*f->table));
	return f->table ? IBB_OK : ibb_err_nomem(err);
}

static int write_all(struct fat *f, struct ibb_error *err)
{
	int r = place(f, err);

	for (size_t i = 0; i < f->n_nodes && !r; i++)
		r = f->nodes[i].dir
			    ? write_dir(f, i, err)
			    : write_chain(f, &f->nodes[i], f->nodes[i].data, f->nodes[i].size, err);
	for (unsigned i = 0; i < f->o.tables && !r; i++)
		if (!f->o.active_table || f->o.active_table == i)
			r = write_table(f, i, err);
	return r ? r : write_boot(f, err);
}

int mkfat(struct ibb_disk *d, const struct mkfat_opts *o, const struct mkfat_file *files, size_t n,
	  struct ibb_error *err)
{
	struct fat f = {.d = d, .o = *o, .sector = d->sector_bytes, .n_nodes = 1};
	int r = IBB_OK;

	f.o.per_cluster += !f.o.per_cluster;
	f.o.stride += !f.o.stride;
	f.o.tables = f.o.tables ? f.o.tables : 2;
	f.o.root_entries = f.o.root_entries ? f.o.root_entries : 512;
	f.nodes = ibb_calloc_array(MAX_NODES, sizeof(*f.nodes));
	if (!f.nodes)
		return ibb_err_nomem(err);
	f.nodes[ROOT].dir = true;
	for (size_t i = 0; i < n && !r; i++)
		r = add_path(&f, &files[i], err);
	if (!r)
		r = lay_out(&f, err);
	if (!r)
		r = write_all(&f, err);
	free(f.table);
	free(f.nodes);
	return r;
}
