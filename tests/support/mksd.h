/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Self-relative security descriptors from a subset of SDDL, for test images and hives.
 * Source: [MS-DTYP] 2.5.1 Security Descriptor Description Language.
 */
#ifndef IBB_TEST_MKSD_H
#define IBB_TEST_MKSD_H

#include "base/buf.h"

/*
 * "O:SYG:SYD:PAI(A;OICI;FA;;;SY)(A;;0x1200a9;;;BU)": allow ACEs only, the rights and SIDs that
 * mksd.c lists. IBB_E_INVALID with the place of what it does not know.
 */
int mksd(const char *sddl, struct ibb_buf *ret, struct ibb_error *err) IBB_MUST_CHECK;

#endif
