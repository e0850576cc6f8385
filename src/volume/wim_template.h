/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * An empty NTFS volume as the build made it with mkntfs (template/): what is not zero in it.
 */
#ifndef IBB_VOLUME_WIM_TEMPLATE_H
#define IBB_VOLUME_WIM_TEMPLATE_H

#include <stddef.h>
#include <stdint.h>

enum wim_template_kind {
	TEMPLATE_BYTES, /* arg: where in ibb_wim_template_data */
	TEMPLATE_FILL,	/* arg: the byte */
	TEMPLATE_COUNT	/* arg: the first of 16-bit little endian numbers that count up ($UpCase) */
};

struct wim_template_run {
	uint64_t off;
	uint32_t len;
	uint32_t kind;
	uint32_t arg;
};

extern const uint64_t ibb_wim_template_bytes; /* of the volume */
extern const struct wim_template_run ibb_wim_template_runs[];
extern const size_t ibb_wim_template_n;
extern const unsigned char ibb_wim_template_data[];

#endif
