/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Opening a VHD of any type: footer, header, table; all of it is checked before the first read. */
#include "disk/vhd_sparse.h"

#include "base/limits.h"

static int parse_at(struct ibb_disk *file, uint64_t at, struct ibb_vhd_footer *ret,
		    struct ibb_error *err)
{
	uint8_t b[IBB_VHD_FOOTER_BYTES];
	int r = ibb_disk_pread(file, b, sizeof(b), at, err);

	return r ? r : ibb_vhd_footer_parse(file->name, at, b, ret, err);
}

/*
 * Programs differ in which of the two they believe: Windows the last one, qemu-img the first one.
 * They must not come to different disks. A first one that is no footer is not asked.
 */
static int check_copy(struct ibb_disk *file, const struct ibb_vhd_footer *f, struct ibb_error *err)
{
	struct ibb_vhd_footer copy;
	int r = parse_at(file, 0, &copy, err);

	if (r == IBB_E_CORRUPT)
		return IBB_OK;
	if (r)
		return r;
	if (copy.type == f->type && copy.data_offset == f->data_offset &&
	    copy.current_size_bytes == f->current_size_bytes)
		return IBB_OK;
	return ibb_err(err, IBB_E_CORRUPT,
		       "%s: the VHD footer (type %u, %llu bytes, header at %llu) and its copy at "
		       "offset 0 (type %u, %llu bytes, header at %llu) contradict each other",
		       file->name, f->type, (unsigned long long)f->current_size_bytes,
		       (unsigned long long)f->data_offset, copy.type,
		       (unsigned long long)copy.current_size_bytes,
		       (unsigned long long)copy.data_offset);
}

/* The last 512 bytes or, when these are damaged, the copy that all but fixed disks begin with. */
static int find_footer(struct ibb_disk *file, struct ibb_vhd_info *info, struct ibb_error *err)
{
	struct ibb_error own = {0};
	int r;

	if (file->size_bytes < IBB_VHD_FOOTER_BYTES)
		return ibb_err(err, IBB_E_CORRUPT, "%s: %llu bytes are too few for a VHD",
			       file->name, (unsigned long long)file->size_bytes);
	r = parse_at(file, file->size_bytes - IBB_VHD_FOOTER_BYTES, &info->footer, err);
	if (!r)
		return info->footer.type == IBB_VHD_FIXED ? IBB_OK
							  : check_copy(file, &info->footer, err);
	if (r != IBB_E_CORRUPT)
		return r;
	r = parse_at(file, 0, &info->footer, &own);
	if (r == IBB_E_IO || r == IBB_E_NOMEM) {
		if (err)
			*err = own;
		return r;
	}
	if (r || info->footer.type == IBB_VHD_FIXED)
		return IBB_E_CORRUPT; /* with what is wrong at the end */
	info->footer_from_copy = true;
	return IBB_OK;
}

static int check_size(const char *name, const struct ibb_vhd_footer *f, struct ibb_error *err)
{
	const unsigned long long size = f->current_size_bytes;

	if (!size || size % IBB_VHD_SECTOR)
		return ibb_err(err, IBB_E_CORRUPT,
			       "%s: VHD footer: a disk of %llu bytes is no multiple of 512", name,
			       size);
	if (size > IBB_LIMIT_VHD_DISK_BYTES)
		return ibb_err(err, IBB_E_LIMIT,
			       "%s: a VHD of %llu bytes; dynamic ones go up to %llu", name, size,
			       (unsigned long long)IBB_LIMIT_VHD_DISK_BYTES);
	return IBB_OK;
}

static int read_header(struct ibb_disk *file, const struct ibb_vhd_footer *f, uint64_t end,
		       struct ibb_vhd_header *ret, struct ibb_error *err)
{
	uint8_t b[IBB_VHD_HEADER_BYTES];
	int r;

	if (f->data_offset % IBB_VHD_SECTOR || f->data_offset < IBB_VHD_FOOTER_BYTES ||
	    !ibb_in_range(f->data_offset, sizeof(b), end))
		return ibb_err(err, IBB_E_CORRUPT,
			       "%s: VHD footer: no dynamic disk header can be at its data offset "
			       "%llu",
			       file->name, (unsigned long long)f->data_offset);
	r = ibb_disk_pread(file, b, sizeof(b), f->data_offset, err);
	return r ? r : ibb_vhd_header_parse(file->name, f->data_offset, b, ret, err);
}

static int check_table(const char *name, const struct ibb_vhd_header *h, uint64_t n, uint64_t end,
		       struct ibb_error *err)
{
	if (n > h->max_entries)
		return ibb_err(err, IBB_E_CORRUPT,
			       "%s: VHD dynamic disk header: a table of %u entries is too short "
			       "for %llu blocks",
			       name, h->max_entries, (unsigned long long)n);
	if (n > IBB_LIMIT_VHD_BLOCKS)
		return ibb_err(err, IBB_E_LIMIT,
			       "%s: a VHD of %llu blocks (of %u bytes); ibbake reads up to %u",
			       name, (unsigned long long)n, h->block_bytes, IBB_LIMIT_VHD_BLOCKS);
	if (!ibb_in_range(h->table_off, (uint64_t)h->max_entries * 4, end))
		return ibb_err(err, IBB_E_CORRUPT,
			       "%s: VHD block allocation table of %u entries at offset %llu goes "
			       "past the end of the file: truncated?",
			       name, h->max_entries, (unsigned long long)h->table_off);
	return IBB_OK;
}

static void add_region(struct ibb_vhd_layout *l, uint64_t off, uint64_t len, const char *what,
		       bool path)
{
	l->region[l->n++] = (struct ibb_vhd_region){off, len, what, path};
}

static void lay_out(const struct ibb_vhd_info *info, const struct ibb_vhd_header *h, uint64_t end,
		    struct ibb_vhd_layout *l)
{
	*l = (struct ibb_vhd_layout){
		.end = end,
		.block_bytes = (uint64_t)ibb_vhd_bitmap_bytes(h->block_bytes) + h->block_bytes,
	};
	add_region(l, 0, IBB_VHD_FOOTER_BYTES, "copy of the footer", false);
	add_region(l, info->footer.data_offset, IBB_VHD_HEADER_BYTES, "dynamic disk header", false);
	add_region(l, h->table_off, (uint64_t)h->max_entries * 4, "block allocation table", false);
	if (info->footer.type != IBB_VHD_DIFFERENCING)
		return;
	for (unsigned i = 0; i < IBB_VHD_LOCATORS; i++)
		if (ibb_vhd_locator_known(&h->locators[i]))
			add_region(l, h->locators[i].off_bytes, h->locators[i].len_bytes,
				   "parent locator", true);
}

static int open_sparse(struct ibb_disk *file, struct ibb_vhd_info *info,
		       struct ibb_parent_link *link, struct ibb_disk **ret, struct ibb_error *err)
{
	const uint64_t end = file->size_bytes - (info->footer_from_copy ? 0 : IBB_VHD_FOOTER_BYTES);
	IBB_AUTO_FREE uint32_t *bat = NULL;
	struct ibb_vhd_layout layout;
	struct ibb_vhd_header h;
	uint64_t n;
	int r = ibb_vhd_check_saved(file->name, &info->footer, err);

	if (!r)
		r = check_size(file->name, &info->footer, err);
	if (!r)
		r = read_header(file, &info->footer, end, &h, err);
	if (r)
		return r;
	n = (info->footer.current_size_bytes + h.block_bytes - 1) / h.block_bytes;
	r = check_table(file->name, &h, n, end, err);
	if (!r && info->footer.type == IBB_VHD_DIFFERENCING)
		r = ibb_vhd_link_read(file, &h, link, err);
	if (r)
		return r;
	lay_out(info, &h, end, &layout);
	info->block_bytes = h.block_bytes;
	info->table_off = h.table_off;
	r = ibb_vhd_bat_read(file, h.table_off, n, &layout, &bat, &info->allocated_blocks, err);
	if (!r)
		r = ibb_vhd_sparse_new(file, info, bat, n, ret, err);
	if (!r)
		bat = NULL;
	return r;
}

int ibb_disk_vhd_open(struct ibb_disk *file, struct ibb_vhd_info *ret_info,
		      struct ibb_parent_link *ret_link, struct ibb_disk **ret,
		      struct ibb_error *err)
{
	struct ibb_parent_link link = {0};
	struct ibb_vhd_info info = {0};
	struct ibb_disk *d;
	int r = find_footer(file, &info, err);

	if (r)
		return r;
	if (info.footer.type == IBB_VHD_FIXED)
		r = ibb_disk_vhd_fixed_open(file, &info.footer, &d, err);
	else
		r = open_sparse(file, &info, &link, &d, err);
	if (r) {
		ibb_parent_link_clear(&link);
		return r;
	}
	*ret_info = info;
	*ret_link = link;
	*ret = d;
	return IBB_OK;
}
