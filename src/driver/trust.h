/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Does anybody that the target Windows believes vouch for every byte of a driver package? Pure over
 * the package's bytes.
 */
#ifndef IBB_DRIVER_TRUST_H
#define IBB_DRIVER_TRUST_H

#include "authenticode/trust.h"
#include "driver/package.h"

struct ibb_trust_policy {
	const struct ibb_trust_store *store;
	int64_t now;	/* seconds since 1970: when signatures without a timestamp are judged */
	unsigned allow; /* IBB_TRUST_ALLOW_* */
};

/* How one file of the package is vouched for. */
struct ibb_file_trust {
	const char *path; /* the package's */
	bool member;	  /* of the security catalog; the catalog itself is none */
	bool pe;	  /* by its Authenticode digest, else over all its bytes */
};

struct ibb_package_trust {
	struct ibb_judgement judgement; /* of signature and members together */
	bool accepted;			/* the target loads it, or it was allowed */
	bool allowed;			/* accepted only because of policy.allow */
	struct ibb_signature *signatures;
	size_t n_signatures;
	enum ibb_digest_alg alg; /* of the members */
	struct ibb_file_trust *files;
	size_t n_files;
	char *submission; /* attribute "Submission ID" of the catalog, or NULL */
	char *os_list;	  /* attribute "OS", or NULL */
	char **warnings;
	size_t n_warnings, cap_warnings;
};

/*
 * Judge a package for the target it was loaded for: fills p->trust. Of catalogs whose names differ
 * in case only the one that the INF spells is taken, unless the target loads another one only. What
 * is not accepted is a result, not an error. IBB_E_CORRUPT: the catalog is no catalog; IBB_E_NOMEM.
 */
int ibb_package_judge(struct ibb_package *p, const struct ibb_trust_policy *policy,
		      struct ibb_error *err) IBB_MUST_CHECK;
void ibb_package_trust_free(struct ibb_package_trust *t);
IBB_DEFINE_CLEANUP(struct ibb_package_trust *, ibb_package_trust_free)

/* IBB_E_UNTRUSTED with reason and remedy when the judged package is not accepted. */
int ibb_package_trust_check(const struct ibb_package *p, struct ibb_error *err) IBB_MUST_CHECK;

/*
 * A file that no security catalog covers (a NetworkDirect provider, the vendor's registration
 * tool): accepted with the SHA-256 that was pinned for it, or with an embedded Authenticode
 * signature up to a pinned root or one that the user added. Its verdict is "companion".
 */
struct ibb_companion {
	bool accepted, pinned, has_signature;
	struct ibb_signature signature; /* the embedded one, when has_signature */
	char reason[1100];
};
int ibb_companion_judge(const char *name, struct ibb_bytes file, const struct ibb_sha256 *pinned,
			const struct ibb_trust_policy *policy, struct ibb_companion *ret,
			struct ibb_error *err) IBB_MUST_CHECK;

#endif
