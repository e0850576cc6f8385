/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Fixed-width integers in on-disk byte order, read from and written to bytes. */
#ifndef IBB_BASE_LE_H
#define IBB_BASE_LE_H

#include <endian.h>
#include <stdint.h>
#include <string.h>

#define IBB_DEFINE_ENDIAN(name, bits, order)                               \
	static inline uint##bits##_t ibb_get_##name##bits(const void *p)   \
	{                                                                  \
		uint##bits##_t v;                                          \
		memcpy(&v, p, sizeof(v));                                  \
		return order##bits##toh(v);                                \
	}                                                                  \
	static inline void ibb_put_##name##bits(void *p, uint##bits##_t v) \
	{                                                                  \
		v = hto##order##bits(v);                                   \
		memcpy(p, &v, sizeof(v));                                  \
	}

IBB_DEFINE_ENDIAN(le, 16, le)
IBB_DEFINE_ENDIAN(le, 32, le)
IBB_DEFINE_ENDIAN(le, 64, le)
IBB_DEFINE_ENDIAN(be, 16, be)
IBB_DEFINE_ENDIAN(be, 32, be)
IBB_DEFINE_ENDIAN(be, 64, be)

#endif
