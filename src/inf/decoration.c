/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * TargetOSVersion decorations. Microsoft, "INF Manufacturer Section" and "Combining Platform
 * Extensions with Operating System Versions".
 */
#include "inf/internal.h"

#include <string.h>

#include "base/utf16.h"

#define FIRST_BUILD_AWARE 14310u /* older builds do not parse a decoration with a build number */

static const struct {
	enum ibb_arch arch;
	const char *name;
} archs[] = {
	{IBB_ARCH_X86, "x86"},	   {IBB_ARCH_ARM, "arm"},	{IBB_ARCH_AMD64, "amd64"},
	{IBB_ARCH_ARM64, "arm64"}, {IBB_INF_ARCH_IA64, "ia64"},
};

const char *ibb_arch_name(enum ibb_arch a)
{
	for (size_t i = 0; i < IBB_ARRAY_SIZE(archs); i++)
		if (archs[i].arch == a)
			return archs[i].name;
	return "unknown";
}

static bool parse_arch(const char *s, size_t n, struct ibb_inf_decoration *d)
{
	d->has_arch = n != 0;
	for (size_t i = 0; n && i < IBB_ARRAY_SIZE(archs); i++) {
		if (ibb_ncasecmp(s, n, archs[i].name, strlen(archs[i].name)) == 0) {
			d->arch = archs[i].arch;
			return true;
		}
	}
	return n == 0;
}

/* One field, perhaps empty, up to the next dot. */
static bool parse_field(const char *s, size_t n, bool *ret_given, unsigned *ret)
{
	char digits[32];
	uint64_t v;

	if (!n)
		return true;
	if (n >= sizeof(digits))
		return false;
	memcpy(digits, s, n);
	digits[n] = '\0';
	if (!ibb_inf_number(digits, UINT32_MAX, &v))
		return false;
	*ret_given = true;
	*ret = (unsigned)v;
	return true;
}

bool ibb_inf_decoration_parse(const char *s, struct ibb_inf_decoration *ret)
{
	struct ibb_inf_decoration d = {.nt = true};
	bool minor = false;
	struct {
		bool *given;
		unsigned *value;
	} fields[] = {
		{&d.has_version, &d.major},	   {&minor, &d.minor},
		{&d.has_product, &d.product_type}, {&d.has_suite, &d.suite_mask},
		{&d.has_build, &d.build},
	};
	size_t n;

	if (!ibb_case_prefix(s, "nt"))
		return false;
	s += 2;
	n = strcspn(s, ".");
	if (!parse_arch(s, n, &d))
		return false;
	s += n;
	for (size_t i = 0; *s; i++) {
		s++;
		n = strcspn(s, ".");
		if (i == IBB_ARRAY_SIZE(fields) ||
		    !parse_field(s, n, fields[i].given, fields[i].value))
			return false;
		s += n;
	}
	if (minor && !d.has_version)
		return false;
	*ret = d;
	return true;
}

static int compare_version(const struct ibb_inf_decoration *d, const struct ibb_inf_target *t)
{
	if (d->major != t->major)
		return d->major < t->major ? -1 : 1;
	if (d->minor != t->minor)
		return d->minor < t->minor ? -1 : 1;
	return 0;
}

static bool applies(const struct ibb_inf_decoration *d, const struct ibb_inf_target *t)
{
	bool build_aware = t->major > 10 || (t->major == 10 && t->build >= FIRST_BUILD_AWARE) ||
			   (t->major == 10 && t->minor > 0);
	int order = d->has_version ? compare_version(d, t) : -1;

	/* From Server 2003 SP1 on only x86 may leave the architecture out. */
	if (d->has_arch ? d->arch != t->arch : t->arch != IBB_ARCH_X86)
		return false;
	if (order > 0 || (d->has_build && !build_aware))
		return false;
	/* The build number counts only when major and minor are exactly the target's. */
	if (d->has_build && order == 0 && d->build > t->build)
		return false;
	if (d->has_product && d->product_type != t->product_type)
		return false;
	return !d->has_suite || (d->suite_mask & t->suite_mask) == d->suite_mask;
}

static uint64_t clamp(unsigned v, unsigned bits)
{
	uint64_t max = (1u << bits) - 1;

	return v < max ? v : max;
}

uint64_t ibb_inf_decoration_rank(const struct ibb_inf_decoration *d, const struct ibb_inf_target *t)
{
	uint64_t rank;

	if (!applies(d, t))
		return 0;
	rank = clamp(d->has_version ? d->major : 0, 12);
	rank = rank << 12 | clamp(d->has_version ? d->minor : 0, 12);
	rank = rank << 24 | clamp(d->has_build ? d->build : 0, 24);
	rank = rank << 1 | d->has_product;
	rank = rank << 6 | (unsigned)(d->has_suite ? __builtin_popcount(d->suite_mask) : 0);
	rank = rank << 2 | (d->has_arch ? 2u : d->nt ? 1u : 0u);
	return rank << 1 | 1;
}
