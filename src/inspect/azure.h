/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Is this disk fit to be a virtual machine's disk in Azure? A judgement of what can be read from
 * the image alone, on facts that were read before (pure). Every check says by which page of
 * Microsoft's it judges.
 */
#ifndef IBB_INSPECT_AZURE_H
#define IBB_INSPECT_AZURE_H

#include "base/json.h"
#include "inspect/boot.h"
#include "inspect/facts.h"

enum ibb_azure_state {
	IBB_AZURE_OK,
	IBB_AZURE_FAILED,
	IBB_AZURE_WARNING,
	IBB_AZURE_UNKNOWN, /* it could not be read */
	IBB_AZURE_NOT_APPLICABLE
};
const char *ibb_azure_state_name(enum ibb_azure_state s); /* "not-applicable" */

struct ibb_azure_input {
	bool output;	       /* judged is what is going to be written; else the image as it is */
	const char *container; /* "fixed VHD", for the text */
	bool fixed_vhd;
	uint64_t disk_bytes; /* of the output: after growing */
	uint32_t sector_bytes;
	bool data_disk;		     /* every partition was looked into, and none holds a Windows */
	const struct ibb_boot *boot; /* NULL: not read */
	const struct ibb_facts *facts; /* NULL: there is no Windows, or it cannot be looked at */
};

struct ibb_azure_check {
	const char *id; /* "container" */
	enum ibb_azure_state state;
	char finding[256];
	const char *remedy; /* NULL when there is nothing to do */
	const char *source; /* title of the page */
};

enum { IBB_AZURE_N_CHECKS = 9 };
struct ibb_azure {
	bool output;
	bool fit;		/* nothing failed, and nothing is unknown */
	const char *generation; /* "V1", "V2" or NULL */
	struct ibb_azure_check checks[IBB_AZURE_N_CHECKS];
};

void ibb_azure_judge(const struct ibb_azure_input *in, struct ibb_azure *ret);
/* IBB_E_UNSUPPORTED unless it is fit, with every check that is in the way and what to do. */
int ibb_azure_enforce(const struct ibb_azure *a, const char *name,
		      struct ibb_error *err) IBB_MUST_CHECK;
void ibb_azure_json(const struct ibb_azure *a, bool enforced, struct ibb_jb *b,
		    struct ibb_json *obj);

#endif
