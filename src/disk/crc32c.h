/* SPDX-License-Identifier: GPL-3.0-or-later */
/* CRC-32C (Castagnoli), as in RFC 3720: polynomial 0x1edc6f41, reflected. */
#ifndef IBB_DISK_CRC32C_H
#define IBB_DISK_CRC32C_H

#include <stddef.h>
#include <stdint.h>

/* Of n bytes; `crc` is 0, or the result for what went before. */
uint32_t ibb_crc32c(uint32_t crc, const void *p, size_t n);

#endif
