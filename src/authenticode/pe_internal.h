/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Where the parts of a PE image lie that its digest leaves out. */
#ifndef IBB_AUTHENTICODE_PE_INTERNAL_H
#define IBB_AUTHENTICODE_PE_INTERNAL_H

#include "authenticode/pe.h"

struct ibb_pe_layout {
	size_t checksum; /* 4 bytes */
	size_t entry;	 /* 8 bytes: the data directory's entry for certificates */
	size_t end;	 /* of what is digested: where the certificates begin, or the file ends */
	struct ibb_bytes certificates; /* all that follows; empty when there are none */
};

/* IBB_E_CORRUPT: no PE image, or one that might be digested in more than one way. */
int ibb_pe_layout(const char *name, struct ibb_bytes file, struct ibb_pe_layout *ret,
		  struct ibb_error *err) IBB_MUST_CHECK;

#endif
