/* SPDX-License-Identifier: GPL-3.0-or-later */
/* GUIDs in Windows' memory layout (first three fields little endian), and their text form. */
#ifndef IBB_BASE_GUID_H
#define IBB_BASE_GUID_H

#include <stdbool.h>
#include <stdint.h>

struct ibb_guid {
	uint8_t b[16]; /* as stored on disk and in the registry */
};

#define IBB_GUID_STR_SIZE 39 /* "{xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx}" and NUL */

/* Parse "{...}" or the bare form, any case, nothing behind it. False when it is none. */
bool ibb_guid_parse(const char *s, struct ibb_guid *ret);
/* Lower case, in braces, as DriverDatabase spells class keys. */
void ibb_guid_format(const struct ibb_guid *g, char out[IBB_GUID_STR_SIZE]);
bool ibb_guid_equal(const struct ibb_guid *a, const struct ibb_guid *b);
bool ibb_guid_is_zero(const struct ibb_guid *g);

#endif
