/* SPDX-License-Identifier: GPL-3.0-or-later */
/* CRC-32 as in IEEE 802.3 and UEFI's CalculateCrc32: polynomial 0x04c11db7, reflected. */
#ifndef IBB_DISK_CRC32_H
#define IBB_DISK_CRC32_H

#include <stddef.h>
#include <stdint.h>

/* Of n bytes; `crc` is 0, or the result for what went before. */
uint32_t ibb_crc32(uint32_t crc, const void *p, size_t n);

#endif
