/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "authenticode/trust.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define POLICY                                                          \
	"https://learn.microsoft.com/windows-hardware/drivers/install/" \
	"kernel-mode-code-signing-requirements--windows-vista-and-later-"
#define OFFERINGS \
	"https://learn.microsoft.com/windows-hardware/drivers/dashboard/driver-signing-offerings"
#define CHANGES_1607                                                             \
	"https://techcommunity.microsoft.com/t5/Windows-Hardware-Certification/" \
	"Driver-Signing-changes-in-Windows-10-version-1607/ba-p/364894"
#define PNP_POLICY                                                      \
	"https://learn.microsoft.com/windows-hardware/drivers/install/" \
	"pnp-device-installation-signing-requirements--windows-vista-and-later-"

/* 2015-07-29 00:00 UTC: certificates issued before go on being accepted for cross-signing. */
#define CROSS_SIGNING_ENDS 1438128000
#define BUILD_1607	   14393

const char *ibb_verdict_name(enum ibb_verdict v)
{
	static const char *const names[] = {
		"whql",	       "attested",	 "cross-signed", "trust-anchor", "vendor-only",
		"test-signed", "untrusted-root", "unsigned",	 "invalid",	 "tampered"};

	return names[v];
}

const char *ibb_trust_allow_name(unsigned bit)
{
	switch (bit) {
	case IBB_TRUST_ALLOW_UNSIGNED:
		return "unsigned";
	case IBB_TRUST_ALLOW_VENDOR_SIGNED:
		return "vendor-signed";
	case IBB_TRUST_ALLOW_TEST_SIGNED:
		return "test-signed";
	case IBB_TRUST_ALLOW_UNTRUSTED_ROOT:
		return "untrusted-root";
	default:
		return "";
	}
}

static void say(struct ibb_judgement *j, enum ibb_verdict v, bool loads, unsigned allow,
		const char *policy, const char *fmt, ...) IBB_PRINTF(6, 7);
static void say(struct ibb_judgement *j, enum ibb_verdict v, bool loads, unsigned allow,
		const char *policy, const char *fmt, ...)
{
	va_list ap;

	j->verdict = v;
	j->loads = loads;
	j->allow = loads ? 0 : allow;
	j->policy = policy;
	va_start(ap, fmt);
	vsnprintf(j->reason, sizeof(j->reason), fmt, ap);
	va_end(ap);
}

/* ---- one signature that holds ---- */

static void judge_attested(const struct ibb_trust_target *t, struct ibb_judgement *j)
{
	if (t->major < 10)
		say(j, IBB_VERDICT_ATTESTED, false, 0, OFFERINGS,
		    "attestation signed: loads on Windows 10 and later only");
	else if (t->server)
		say(j, IBB_VERDICT_ATTESTED, false, 0, OFFERINGS,
		    "attestation signed: loads on client editions only; Windows Server 2016 and "
		    "later "
		    "want a driver that passed the hardware tests");
	else
		say(j, IBB_VERDICT_ATTESTED, true, 0, OFFERINGS,
		    "attestation signed by Microsoft, on a client edition of Windows 10 or later");
}

static void judge_cross(const struct ibb_signature *s, const struct ibb_trust_target *t,
			struct ibb_judgement *j)
{
	if (t->major < 10)
		say(j, IBB_VERDICT_CROSS_SIGNED, true, 0, POLICY,
		    "cross-signed by %s through %s: enough before Windows 10", s->signer.name,
		    s->anchor_name);
	else if (t->build < BUILD_1607)
		say(j, IBB_VERDICT_CROSS_SIGNED, true, 0, CHANGES_1607,
		    "cross-signed by %s through %s: enough before Windows 10 version 1607",
		    s->signer.name, s->anchor_name);
	else if (s->leaf_not_before < CROSS_SIGNING_ENDS)
		say(j, IBB_VERDICT_CROSS_SIGNED, true, 0, CHANGES_1607,
		    "cross-signed by %s through %s with a certificate issued before 2015-07-29, "
		    "which stays accepted",
		    s->signer.name, s->anchor_name);
	else
		say(j, IBB_VERDICT_CROSS_SIGNED, false, IBB_TRUST_ALLOW_VENDOR_SIGNED, CHANGES_1607,
		    "cross-signed by %s with a certificate issued after 2015-07-29: Windows 10 "
		    "version 1607 and later load it only with Secure Boot off or after an upgrade",
		    s->signer.name);
}

static void judge_microsoft(const struct ibb_signature *s, const struct ibb_trust_target *t,
			    struct ibb_judgement *j)
{
	if (s->signer.attested)
		judge_attested(t, j);
	else if (s->signer.whql)
		say(j, IBB_VERDICT_WHQL, true, 0, OFFERINGS, "signed by %s up to %s",
		    s->signer.name, s->anchor_name);
	else if (s->signer.windows_system)
		say(j, IBB_VERDICT_WHQL, true, 0, POLICY, "part of Windows: signed by %s up to %s",
		    s->signer.name, s->anchor_name);
	else
		say(j, IBB_VERDICT_VENDOR_ONLY, false, IBB_TRUST_ALLOW_VENDOR_SIGNED, POLICY,
		    "signed by %s up to %s, but not for drivers (no hardware verification usage)",
		    s->signer.name, s->anchor_name);
}

static void judge_sound(const struct ibb_signature *s, const struct ibb_trust_target *t,
			struct ibb_judgement *j)
{
	switch (s->anchor) {
	case IBB_ANCHOR_MICROSOFT:
		judge_microsoft(s, t, j);
		return;
	case IBB_ANCHOR_CROSS:
		judge_cross(s, t, j);
		return;
	case IBB_ANCHOR_USER:
		say(j, IBB_VERDICT_ANCHORED, true, 0, PNP_POLICY,
		    "signed by %s up to %s, a root added by --trust-anchor: Windows loads it only "
		    "where that root is installed and test signing is on",
		    s->signer.name, s->anchor_name);
		return;
	case IBB_ANCHOR_TEST:
	case IBB_ANCHOR_NONE:
		break;
	}
	say(j, IBB_VERDICT_TEST_SIGNED, false, IBB_TRUST_ALLOW_TEST_SIGNED, PNP_POLICY,
	    "test-signed by %s: loads only with test signing on", s->signer.name);
}

static void judge_one(const struct ibb_signature *s, const struct ibb_trust_target *t,
		      struct ibb_judgement *j)
{
	*j = (struct ibb_judgement){.signature = s};
	switch (s->fault) {
	case IBB_SIG_OK:
		judge_sound(s, t, j);
		return;
	case IBB_SIG_UNTRUSTED:
		if (s->anchor == IBB_ANCHOR_TEST)
			say(j, IBB_VERDICT_TEST_SIGNED, false, IBB_TRUST_ALLOW_TEST_SIGNED,
			    PNP_POLICY, "test-signed by %s: loads only with test signing on",
			    s->signer.name);
		else
			say(j, IBB_VERDICT_UNTRUSTED_ROOT, false, IBB_TRUST_ALLOW_UNTRUSTED_ROOT,
			    PNP_POLICY, "signed by %s, but no pinned root vouches for that: %s",
			    s->signer.name, s->why);
		return;
	case IBB_SIG_NO_SIGNER:
		say(j, IBB_VERDICT_UNSIGNED, false, IBB_TRUST_ALLOW_UNSIGNED, POLICY, "%s", s->why);
		return;
	case IBB_SIG_BROKEN:
		say(j, IBB_VERDICT_TAMPERED, false, 0, POLICY, "%s", s->why);
		return;
	case IBB_SIG_EXPIRED:
	case IBB_SIG_USAGE:
	case IBB_SIG_REVOKED:
	case IBB_SIG_WEAK:
		break;
	}
	say(j, IBB_VERDICT_INVALID, false, 0, POLICY, "signature of %s is %s: %s", s->signer.name,
	    ibb_signature_fault_name(s->fault), s->why);
}

/* What loads beats what does not; then the order of the verdicts. */
static bool better(const struct ibb_judgement *a, const struct ibb_judgement *b)
{
	if (a->loads != b->loads)
		return a->loads;
	return a->verdict < b->verdict;
}

void ibb_trust_judge(const struct ibb_signature *signatures, size_t n,
		     const struct ibb_trust_target *t, struct ibb_judgement *ret)
{
	struct ibb_judgement best = {0};

	say(&best, IBB_VERDICT_UNSIGNED, false, IBB_TRUST_ALLOW_UNSIGNED, POLICY,
	    "nobody signed it: Windows for amd64 loads no unsigned driver");
	for (size_t i = 0; i < n; i++) {
		struct ibb_judgement j;

		judge_one(&signatures[i], t, &j);
		if (!i || better(&j, &best))
			best = j;
	}
	*ret = best;
}

/* ---- for which Windows ---- */

static const char *behind_comma(const char *p)
{
	p = strchr(p, ',');
	return p ? p + 1 : NULL;
}

/* "2:10.0": of at most three digits each, so that nothing wraps. */
static bool os_attr_entry(const char *p, unsigned ret[3])
{
	static const char behind[] = ":.";

	for (unsigned i = 0; i < 3; i++) {
		unsigned n = 0;

		for (ret[i] = 0; *p >= '0' && *p <= '9' && n < 3; n++)
			ret[i] = ret[i] * 10 + (unsigned)(*p++ - '0');
		if (!n || (i < 2 && *p++ != behind[i]))
			return false;
	}
	return !*p || *p == ',';
}

bool ibb_trust_os_attr(const char *os_attr, const struct ibb_trust_target *t)
{
	if (!os_attr)
		return true;
	for (const char *p = os_attr; p; p = behind_comma(p)) {
		unsigned v[3];

		while (*p == ' ')
			p++;
		if (os_attr_entry(p, v) && v[0] == 2 &&
		    (v[1] < t->major || (v[1] == t->major && v[2] <= t->minor)))
			return true;
	}
	return false;
}

/*
 * Codes as they stand in catalogs of Microsoft's hardware dashboard. "Vb" is the code name of 2004,
 * on whose base 20H2 to 22H2 of Windows 10 run; the codes 21H2 to 24H2 without "Server" are Windows
 * 11. Which builds a code stands for follows from the versions' names; Microsoft publishes no table
 * of these strings (guess: 25H2, which shares 24H2's base, is judged by its build 26200).
 */
static const struct release {
	unsigned major, minor, first_build, last_build;
	const char *client, *server;
} releases[] = {
	{6, 2, 0, 99999, "8X64", "Server2012X64"},
	{6, 3, 0, 99999, "_v63_X64", "_v63_Server_X64"},
	{10, 0, 10240, 10586, "_v100_X64", NULL},
	{10, 0, 14393, 14393, "_v100_X64_RS1", "Server_v100_X64_RS1"},
	{10, 0, 15063, 15063, "_v100_X64_RS2", NULL},
	{10, 0, 16299, 16299, "_v100_X64_RS3", "Server_v100_X64_RS3"},
	{10, 0, 17134, 17134, "_v100_X64_RS4", "Server_v100_X64_RS4"},
	{10, 0, 17763, 17763, "_v100_X64_RS5", "Server_v100_X64_RS5"},
	{10, 0, 18362, 18363, "_v100_X64_19H1", "Server_v100_X64_19H1"},
	{10, 0, 19041, 19045, "_v100_X64_Vb", "Server_v100_X64_Vb"},
	{10, 0, 20348, 20348, NULL, "Server_v100_X64_21H2"},
	{10, 0, 22000, 22000, "_v100_X64_21H2", NULL},
	{10, 0, 22621, 22631, "_v100_X64_22H2", NULL},
	{10, 0, 25398, 25398, NULL, "Server_v100_X64_23H2"},
	{10, 0, 26100, 26100, "_v100_X64_24H2", "Server_v100_X64_24H2"},
};

const char *ibb_trust_os_code(const struct ibb_trust_target *t)
{
	for (size_t i = 0; i < IBB_ARRAY_SIZE(releases); i++) {
		const struct release *r = &releases[i];

		if (r->major == t->major && r->minor == t->minor && t->build >= r->first_build &&
		    t->build <= r->last_build)
			return t->server ? r->server : r->client;
	}
	return NULL;
}

bool ibb_trust_os_listed(const char *list, const char *code)
{
	size_t n = strlen(code);

	for (const char *p = list; p; p = behind_comma(p)) {
		while (*p == ' ')
			p++;
		if (strncmp(p, code, n) == 0 && (!p[n] || p[n] == ',' || p[n] == ' '))
			return true;
	}
	return false;
}
