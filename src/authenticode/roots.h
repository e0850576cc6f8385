/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The roots of catalogs/trust, as they were when the library was built. */
#ifndef IBB_AUTHENTICODE_ROOTS_H
#define IBB_AUTHENTICODE_ROOTS_H

#include "base/buf.h"

struct ibb_root_pem {
	const char *name; /* of the file */
	struct ibb_bytes pem;
};
extern const struct ibb_root_pem ibb_root_pems[];
extern const size_t ibb_root_pems_n;

#endif
