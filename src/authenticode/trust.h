/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What Windows makes of a driver package's signatures: a verdict, and whether the target loads it.
 * Pure. Sources, named in each judgement: Microsoft, "Driver Signing Policy"; "Driver signing
 * offerings" (HLK and attestation); "Kernel-mode code signing requirements"; "Driver Signing
 * changes in Windows 10, version 1607".
 */
#ifndef IBB_AUTHENTICODE_TRUST_H
#define IBB_AUTHENTICODE_TRUST_H

#include "authenticode/signature.h"

struct ibb_trust_target {
	unsigned major, minor, build;
	bool server;
};

enum ibb_verdict {
	IBB_VERDICT_WHQL,	    /* signed by Microsoft after the hardware tests */
	IBB_VERDICT_ATTESTED,	    /* signed by Microsoft on the vendor's word */
	IBB_VERDICT_CROSS_SIGNED,   /* by a vendor whose CA Microsoft cross-certified */
	IBB_VERDICT_ANCHORED,	    /* up to a root that the user added */
	IBB_VERDICT_VENDOR_ONLY,    /* a sound signature that is none for drivers */
	IBB_VERDICT_TEST_SIGNED,    /* up to a test root */
	IBB_VERDICT_UNTRUSTED_ROOT, /* up to a root that nobody pinned */
	IBB_VERDICT_UNSIGNED,
	IBB_VERDICT_INVALID, /* expired, revoked, wrong usage, weak */
	IBB_VERDICT_TAMPERED /* signature or digest does not fit the bytes */
};
const char *ibb_verdict_name(enum ibb_verdict v); /* "whql", "vendor-only", ... */

/* What the user may allow by name; what is tampered with or invalid cannot be allowed. */
enum {
	IBB_TRUST_ALLOW_UNSIGNED = 1,
	IBB_TRUST_ALLOW_VENDOR_SIGNED = 2, /* also cross-signed where Windows asks for more */
	IBB_TRUST_ALLOW_TEST_SIGNED = 4,
	IBB_TRUST_ALLOW_UNTRUSTED_ROOT = 8
};
const char *ibb_trust_allow_name(unsigned bit); /* "unsigned", ... */

struct ibb_judgement {
	enum ibb_verdict verdict;
	bool loads;	/* the target Windows loads it */
	unsigned allow; /* the IBB_TRUST_ALLOW_* that would take it all the same; 0: none does */
	const struct ibb_signature *signature; /* the one it rests on, or NULL */
	char reason[512];
	const char *policy; /* the page it rests on */
};

/*
 * Judge signatures[0..n) of one catalog for a target. Of several the best counts, as Windows looks
 * for one that satisfies it. None at all: unsigned.
 */
void ibb_trust_judge(const struct ibb_signature *signatures, size_t n,
		     const struct ibb_trust_target *t, struct ibb_judgement *ret);

/*
 * Does a member's OSAttr ("2:6.1,2:10.0": platform 2 is Windows NT, then the lowest version) let
 * the target in? Members without the attribute (NULL) do; text that is none of these does not.
 */
bool ibb_trust_os_attr(const char *os_attr, const struct ibb_trust_target *t);

/*
 * The code of the target's release in a catalog's OS list, e.g. "Server_v100_X64_21H2", or NULL
 * when it is not known here. Only amd64.
 */
const char *ibb_trust_os_code(const struct ibb_trust_target *t);
/* Is that code in the list (comma separated)? */
bool ibb_trust_os_listed(const char *list, const char *code);

#endif
