/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Verdicts by signature, Windows version and product type. */
#include "test.h"

#include "authenticode/trust.h"

static const struct ibb_trust_target w8 = {6, 2, 9200, false}, s2012 = {6, 2, 9200, true},
				     w81 = {6, 3, 9600, false}, w10_1511 = {10, 0, 10586, false},
				     w10_1607 = {10, 0, 14393, false}, s2016 = {10, 0, 14393, true},
				     s2019 = {10, 0, 17763, true}, w10 = {10, 0, 19044, false},
				     s2022 = {10, 0, 20348, true}, w11 = {10, 0, 22621, false},
				     s2025 = {10, 0, 26100, true};

static struct ibb_signature signature(enum ibb_signature_fault fault, enum ibb_anchor anchor)
{
	struct ibb_signature s = {.fault = fault, .anchor = anchor, .why = "because"};

	strcpy(s.signer.name, "Somebody");
	strcpy(s.anchor_name, "Root");
	s.leaf_not_before = 1600000000;
	return s;
}

static void judged(const struct ibb_signature *s, size_t n, const struct ibb_trust_target *t,
		   enum ibb_verdict verdict, bool loads, unsigned allow, const char *text)
{
	struct ibb_judgement j;

	ibb_trust_judge(s, n, t, &j);
	assert_string_equal(ibb_verdict_name(j.verdict), ibb_verdict_name(verdict));
	assert_int_equal(j.loads, loads);
	assert_int_equal(j.allow, allow);
	if (!strstr(j.reason, text))
		fail_msg("reason '%s' lacks '%s'", j.reason, text);
	assert_true(strncmp(j.policy, "https://", 8) == 0);
}

static void test_whql(void **state)
{
	struct ibb_signature s = signature(IBB_SIG_OK, IBB_ANCHOR_MICROSOFT);
	const struct ibb_trust_target *all[] = {&w8, &s2012, &w81, &s2016, &w10, &s2022, &s2025};

	(void)state;
	s.signer.whql = true;
	for (size_t i = 0; i < IBB_ARRAY_SIZE(all); i++)
		judged(&s, 1, all[i], IBB_VERDICT_WHQL, true, 0, "signed by Somebody up to Root");
	s.signer.whql = false;
	s.signer.windows_system = true;
	judged(&s, 1, &w10, IBB_VERDICT_WHQL, true, 0, "part of Windows");
	s.signer.windows_system = false;
	judged(&s, 1, &w10, IBB_VERDICT_VENDOR_ONLY, false, IBB_TRUST_ALLOW_VENDOR_SIGNED,
	       "not for drivers");
}

static void test_attested(void **state)
{
	struct ibb_signature s = signature(IBB_SIG_OK, IBB_ANCHOR_MICROSOFT);

	(void)state;
	s.signer.attested = true;
	s.signer.whql = true; /* the attestation usage stands beside the general one */
	judged(&s, 1, &w10, IBB_VERDICT_ATTESTED, true, 0, "client edition");
	judged(&s, 1, &w11, IBB_VERDICT_ATTESTED, true, 0, "client edition");
	judged(&s, 1, &s2016, IBB_VERDICT_ATTESTED, false, 0, "Windows Server 2016 and later");
	judged(&s, 1, &s2025, IBB_VERDICT_ATTESTED, false, 0, "Windows Server 2016 and later");
	judged(&s, 1, &w81, IBB_VERDICT_ATTESTED, false, 0, "Windows 10 and later only");
}

static void test_cross(void **state)
{
	struct ibb_signature s = signature(IBB_SIG_OK, IBB_ANCHOR_CROSS);

	(void)state;
	judged(&s, 1, &w8, IBB_VERDICT_CROSS_SIGNED, true, 0, "before Windows 10");
	judged(&s, 1, &w81, IBB_VERDICT_CROSS_SIGNED, true, 0, "before Windows 10");
	judged(&s, 1, &w10_1511, IBB_VERDICT_CROSS_SIGNED, true, 0, "before Windows 10 version");
	judged(&s, 1, &w10_1607, IBB_VERDICT_CROSS_SIGNED, false, IBB_TRUST_ALLOW_VENDOR_SIGNED,
	       "Secure Boot off");
	judged(&s, 1, &s2019, IBB_VERDICT_CROSS_SIGNED, false, IBB_TRUST_ALLOW_VENDOR_SIGNED,
	       "after 2015-07-29");
	s.leaf_not_before = 1438128000 - 1;
	judged(&s, 1, &w10, IBB_VERDICT_CROSS_SIGNED, true, 0, "before 2015-07-29");
	s.leaf_not_before = 1438128000;
	judged(&s, 1, &w10, IBB_VERDICT_CROSS_SIGNED, false, IBB_TRUST_ALLOW_VENDOR_SIGNED, "");
}

static void test_refused(void **state)
{
	static const struct {
		enum ibb_signature_fault fault;
		enum ibb_anchor anchor;
		enum ibb_verdict verdict;
		unsigned allow;
		const char *text;
	} cases[] = {
		{IBB_SIG_OK, IBB_ANCHOR_TEST, IBB_VERDICT_TEST_SIGNED, IBB_TRUST_ALLOW_TEST_SIGNED,
		 "test signing"},
		{IBB_SIG_UNTRUSTED, IBB_ANCHOR_TEST, IBB_VERDICT_TEST_SIGNED,
		 IBB_TRUST_ALLOW_TEST_SIGNED, "test signing"},
		{IBB_SIG_UNTRUSTED, IBB_ANCHOR_NONE, IBB_VERDICT_UNTRUSTED_ROOT,
		 IBB_TRUST_ALLOW_UNTRUSTED_ROOT, "no pinned root vouches for that: because"},
		{IBB_SIG_NO_SIGNER, IBB_ANCHOR_NONE, IBB_VERDICT_UNSIGNED, IBB_TRUST_ALLOW_UNSIGNED,
		 "because"},
		{IBB_SIG_BROKEN, IBB_ANCHOR_MICROSOFT, IBB_VERDICT_TAMPERED, 0, "because"},
		{IBB_SIG_EXPIRED, IBB_ANCHOR_MICROSOFT, IBB_VERDICT_INVALID, 0, "because"},
		{IBB_SIG_USAGE, IBB_ANCHOR_MICROSOFT, IBB_VERDICT_INVALID, 0, "because"},
		{IBB_SIG_REVOKED, IBB_ANCHOR_MICROSOFT, IBB_VERDICT_INVALID, 0, "because"},
		{IBB_SIG_WEAK, IBB_ANCHOR_MICROSOFT, IBB_VERDICT_INVALID, 0, "because"},
	};

	(void)state;
	for (size_t i = 0; i < IBB_ARRAY_SIZE(cases); i++) {
		struct ibb_signature s = signature(cases[i].fault, cases[i].anchor);

		judged(&s, 1, &w10, cases[i].verdict, false, cases[i].allow, cases[i].text);
	}
	judged(NULL, 0, &w10, IBB_VERDICT_UNSIGNED, false, IBB_TRUST_ALLOW_UNSIGNED,
	       "nobody signed it");
}

/* Of several signatures one that loads is enough; what does not load is told by the best. */
static void test_several(void **state)
{
	struct ibb_signature s[] = {signature(IBB_SIG_EXPIRED, IBB_ANCHOR_CROSS),
				    signature(IBB_SIG_OK, IBB_ANCHOR_MICROSOFT),
				    signature(IBB_SIG_OK, IBB_ANCHOR_CROSS)};

	(void)state;
	s[1].signer.attested = true;
	judged(s, 3, &w10, IBB_VERDICT_ATTESTED, true, 0, "");
	judged(s, 3, &w81, IBB_VERDICT_CROSS_SIGNED, true, 0, "");
	judged(s, 3, &s2022, IBB_VERDICT_ATTESTED, false, 0, "");
	judged(s, 1, &w10, IBB_VERDICT_INVALID, false, 0, "");
}

static void test_os_attr(void **state)
{
	static const char *const closed[] = {"",	   "1:4.0",  "nonsense", "2:6",
					     "2:6.x",	   "2:6.1x", "2:.1",	 "2:4294967302.1",
					     "2:6.1 2:10", ",",	     "2:06 .1"};

	(void)state;
	assert_true(ibb_trust_os_attr(NULL, &w81));
	assert_false(ibb_trust_os_attr("2:10.0", &w81));
	assert_true(ibb_trust_os_attr("2:10.0", &w10));
	assert_true(ibb_trust_os_attr("2:6.1", &w10));
	assert_true(ibb_trust_os_attr("2:6.3,2:10.0", &w81));
	assert_false(ibb_trust_os_attr("2:6.3,2:10.0", &w8));
	assert_true(ibb_trust_os_attr("2:5.1,2:5.2,2:6.0", &w8));
	/* what is there and does not name the target does not let it in */
	for (size_t i = 0; i < IBB_ARRAY_SIZE(closed); i++)
		assert_false(ibb_trust_os_attr(closed[i], &w8));
	assert_true(ibb_trust_os_attr("1:4.0, 2:6.2", &w8));
}

static void test_os_list(void **state)
{
	static const char list[] = "Server_v100_X64_RS1,_v100_X64_RS5,_v100_X64_Vb, 7X64";

	(void)state;
	assert_string_equal(ibb_trust_os_code(&s2022), "Server_v100_X64_21H2");
	assert_string_equal(ibb_trust_os_code(&s2025), "Server_v100_X64_24H2");
	assert_string_equal(ibb_trust_os_code(&s2016), "Server_v100_X64_RS1");
	assert_string_equal(ibb_trust_os_code(&w10), "_v100_X64_Vb");
	assert_string_equal(ibb_trust_os_code(&w11), "_v100_X64_22H2");
	assert_string_equal(ibb_trust_os_code(&w81), "_v63_X64");
	assert_string_equal(ibb_trust_os_code(&s2012), "Server2012X64");
	assert_null(ibb_trust_os_code(&(struct ibb_trust_target){10, 0, 99999, false}));
	assert_true(ibb_trust_os_listed(list, "_v100_X64_Vb"));
	assert_true(ibb_trust_os_listed(list, "7X64"));
	assert_true(ibb_trust_os_listed(list, "Server_v100_X64_RS1"));
	assert_false(ibb_trust_os_listed(list, "_v100_X64_RS1"));
	assert_false(ibb_trust_os_listed(list, "_v100_X64"));
	assert_false(ibb_trust_os_listed("", "7X64"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_whql),	cmocka_unit_test(test_attested),
		cmocka_unit_test(test_cross),	cmocka_unit_test(test_refused),
		cmocka_unit_test(test_several), cmocka_unit_test(test_os_attr),
		cmocka_unit_test(test_os_list),
	};

	return cmocka_run_group_tests(tests, NULL, NULL) ? 1 : 0;
}
