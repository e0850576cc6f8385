/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Catalogs of Microsoft and of driver vendors: who signed them, and whether it holds. */
#include "test_signature.h"

#include "base/le.h"
#include "base/time.h"

#define R1997 "Microsoft Root Authority"
#define R2001 "Microsoft Root Certificate Authority"
#define R2010 "Microsoft Root Certificate Authority 2010"
#define WHCP  "Microsoft Windows Hardware Compatibility Publisher"
#define MS    IBB_ANCHOR_MICROSOFT
#define CROSS IBB_ANCHOR_CROSS

/* Times were read with: openssl asn1parse, osslsigncode verify ("Timestamp time"). */
static const struct {
	const char *file;
	size_t n, i; /* signatures, and which this is about */
	enum ibb_signature_fault fault;
	enum ibb_anchor anchor;
	const char *root, *signer, *digest;
	bool whql, attested;
	const char *stamped, *authority, *why;
} real[] = {
	{"mlx5-24.4.26429/mlx5.cat", 1, 0, IBB_SIG_OK, MS, R2010, WHCP, "sha256", true, false,
	 "2024-05-02T14:27:27Z", "Microsoft Time-Stamp Service", ""},
	{"broadcom-5720/b57nd60a.cat", 1, 0, IBB_SIG_OK, MS, R2010, WHCP, "sha256", true, false,
	 "2025-07-21T05:07:08Z", "Microsoft Time-Stamp Service", ""},
	{"netkvm-100.94.104/netkvm.cat", 1, 0, IBB_SIG_OK, MS, R2010, WHCP, "sha256", true, false,
	 "2023-12-06T03:33:44Z", "Microsoft Time-Stamp Service", ""},
	{"netkvm-100.94.104/vioprot.cat", 1, 0, IBB_SIG_OK, MS, R2010, WHCP, "sha256", true, false,
	 "2023-12-06T03:33:48Z", "Microsoft Time-Stamp Service", ""},
	{"pvscsi-1.3.28/pvscsi.cat", 1, 0, IBB_SIG_OK, MS, R2010, WHCP, "sha256", true, false,
	 "2024-07-22T12:05:55Z", "Microsoft Time-Stamp Service", ""},
	{"vmci-9.8.18/vmci.cat", 1, 0, IBB_SIG_OK, MS, R2010, WHCP, "sha256", true, false,
	 "2021-11-30T23:53:37Z", "Microsoft Time-Stamp Service", ""},
	{"wintun-0.14/wintun.cat", 1, 0, IBB_SIG_OK, MS, R2010, WHCP, "sha256", true, false,
	 "2021-10-17T04:31:03Z", "Microsoft Time-Stamp Service", ""},
	{"extension-surfacecoverclick/surfacecoverclick.cat", 1, 0, IBB_SIG_OK, MS, R2010, WHCP,
	 "sha256", true, false, "2017-03-23T03:51:22Z", "Microsoft Time-Stamp Service", ""},
	{"softwarecomponent-iastorhsa/iaStorHsaComponent.cat", 1, 0, IBB_SIG_OK, MS, R2010, WHCP,
	 "sha256", true, false, "2023-10-26T11:36:16Z", "Microsoft Time-Stamp Service", ""},
	{"wireguard-nt-attested/mullvad-wireguard.cat", 1, 0, IBB_SIG_OK, MS, R2010, WHCP, "sha256",
	 true, true, "2024-06-04T12:43:18Z", "Microsoft Time-Stamp Service", ""},
	{"vboxguest-attested-and-cross-signed/vboxguest.cat", 1, 0, IBB_SIG_OK, MS, R2010, WHCP,
	 "sha256", true, true, "2023-01-11T16:20:37Z", "Microsoft Time-Stamp Service", ""},
	{"asix-win7-utf16/ax88172aex.cat", 1, 0, IBB_SIG_OK, MS, R1997, WHCP, "sha1", true, false,
	 "2010-06-21T03:32:54Z", "Microsoft Time-Stamp Service", ""},
	{"asix-win7-utf16/ax88178ex.cat", 1, 0, IBB_SIG_OK, MS, R2001, WHCP, "sha1", true, false,
	 "2012-10-22T07:07:31Z", "Microsoft Time-Stamp Service", ""},
	{"asix-win7-utf16/ax88179_178a.cat", 1, 0, IBB_SIG_OK, MS, R2001, WHCP, "sha1", true, false,
	 "2012-12-20T08:56:56Z", "Microsoft Time-Stamp Service", ""},
	{"asix-win7-utf16/ax88772bex.cat", 1, 0, IBB_SIG_OK, MS, R2001, WHCP, "sha1", true, false,
	 "2012-12-28T10:46:36Z", "Microsoft Time-Stamp Service", ""},
	{"asix-win7-utf16/ax88772ex.cat", 1, 0, IBB_SIG_OK, MS, R1997, WHCP, "sha1", true, false,
	 "2011-06-23T19:08:24Z", "Microsoft Time-Stamp Service", ""},
	{"asix-win7-utf16/usbmac64.cat", 1, 0, IBB_SIG_OK, MS, R1997, WHCP, "sha1", true, false,
	 "2010-06-28T15:50:37Z", "Microsoft Time-Stamp Service", ""},
	{"wintun-0.7-cross-signed/wintun.cat", 1, 0, IBB_SIG_OK, CROSS,
	 "DigiCert High Assurance EV Root CA", "WireGuard LLC", "sha256", false, false,
	 "2019-06-08T09:21:59Z", "DigiCert Timestamp Responder", ""},

	/* Its own authority stamped it, so that it counts as signed while the certificate was
	 * valid; and a second signature is nested that holds no content at all. */
	{"vboxguest-attested-and-cross-signed/VBoxGuest.cat", 2, 0, IBB_SIG_EXPIRED, CROSS,
	 "VeriSign Class 3 Public Primary Certification Authority - G5", "Oracle Corporation",
	 "sha1", false, false, NULL,
	 "VirtualBox for Legacy Windows Only Timestamp Kludge 2014 SHA1",
	 "the certificate 'Oracle Corporation' expired on 2016-12-22T23:59:59Z"},
	{"vboxguest-attested-and-cross-signed/VBoxGuest.cat", 2, 1, IBB_SIG_BROKEN, IBB_ANCHOR_NONE,
	 "", "", "", false, false, NULL, "",
	 "the nested signature is damaged: SignedData without a content that is signed"},

	/* Of 2007: the publisher's certificate is signed with MD5. */
	{"tampered-nvidia-65.6.5/nvenetfd.cat", 1, 0, IBB_SIG_WEAK, MS, R1997, WHCP, "sha1", true,
	 false, "2007-04-18T11:48:45Z", "Microsoft Timestamping Service",
	 "the certificate of '" WHCP "' is signed with MD5"},
	{"tampered-nvidia-65.6.5/nvnetbus.cat", 1, 0, IBB_SIG_WEAK, MS, R1997, WHCP, "sha1", true,
	 false, "2007-04-18T11:48:45Z", "Microsoft Timestamping Service",
	 "the certificate of '" WHCP "' is signed with MD5"},
};

static struct ibb_trust_store *store;

static int make_store(void **state)
{
	(void)state;
	store = store_with(NULL);
	return 0;
}

static int free_store(void **state)
{
	(void)state;
	ibb_trust_store_free(store);
	return 0;
}

static struct result check(const char *file, int64_t now)
{
	struct ibb_buf b = {0}, content = {0};
	struct ibb_error err = {0};
	struct result r = {0};
	char rel[256], type[64];

	snprintf(rel, sizeof(rel), "drivers/%s", file);
	TEST_DATA_OR_SKIP(rel, &b);
	assert_ok(ibb_signature_verify(file, ibb_buf_bytes(&b), store, now, &r.sigs, &r.n, &content,
				       type, &err),
		  err);
	assert_string_equal(type, MKPKI_CTL);
	assert_int_equal(content.data[0], 0x30);
	ibb_buf_clear(&b);
	ibb_buf_clear(&content);
	return r;
}

static void catalogs(void **state)
{
	(void)state;
	for (size_t i = 0; i < IBB_ARRAY_SIZE(real); i++) {
		struct result v = check(real[i].file, NOW);
		const struct ibb_signature *s = &v.sigs[real[i].i];
		char at[IBB_ISO8601_SIZE];

		assert_int_equal(v.n, real[i].n);
		if (s->fault != real[i].fault || !strstr(s->why, real[i].why))
			fail_msg("%s: %s: %s %s", real[i].file, ibb_signature_fault_name(s->fault),
				 s->why, s->timestamp_why);
		assert_int_equal(s->nested, real[i].i > 0);
		assert_int_equal(s->anchor, real[i].anchor);
		assert_string_equal(s->anchor_name, real[i].root);
		assert_string_equal(s->signer.name, real[i].signer);
		assert_string_equal(s->digest_name, real[i].digest);
		assert_int_equal(s->signer.whql, real[i].whql);
		assert_int_equal(s->signer.attested, real[i].attested);
		assert_false(s->signer.windows_system);
		assert_int_equal(s->timestamped, real[i].stamped != NULL);
		assert_string_equal(s->authority, real[i].authority);
		ibb_unix_format(s->signed_at, at);
		if (real[i].stamped)
			assert_string_equal(at, real[i].stamped);
		free(v.sigs);
	}
}

/* Timestamps hold whatever the clock says; what is not stamped is judged by it. */
static void clocks(void **state)
{
	struct result v;

	(void)state;
	for (size_t i = 0; i < IBB_ARRAY_SIZE(real); i++) {
		if (!real[i].stamped)
			continue;
		v = check(real[i].file, 4102444800); /* 2100 */
		assert_int_equal(v.sigs[0].fault, real[i].fault);
		free(v.sigs);
	}
	v = check("vboxguest-attested-and-cross-signed/VBoxGuest.cat", 1464739200); /* 2016-06-01 */
	assert_int_equal(v.sigs[0].fault, IBB_SIG_OK);
	assert_int_equal(v.sigs[0].anchor, IBB_ANCHOR_CROSS);
	assert_false(v.sigs[0].timestamped);
	assert_non_null(strstr(v.sigs[0].timestamp_why, "Timestamp CA SHA1'"));
	free(v.sigs);
	v = check("vboxguest-attested-and-cross-signed/VBoxGuest.cat", 1356998400); /* 2013 */
	assert_int_equal(v.sigs[0].fault, IBB_SIG_EXPIRED);
	assert_non_null(strstr(v.sigs[0].why, "was not valid before 2013-12-23"));
	free(v.sigs);
}

/* The first PKCS#7 of a PE file's certificate table, without the padding behind it. */
static struct ibb_bytes embedded(const struct ibb_buf *pe)
{
	size_t opt = ibb_get_le32(pe->data + 0x3c) + 24;
	size_t dir = opt + (ibb_get_le16(pe->data + opt) == 0x20b ? 112 : 96) + 32;
	const uint8_t *p = pe->data + ibb_get_le32(pe->data + dir) + 8;

	assert_int_equal(p[0], 0x30);
	assert_int_equal(p[1], 0x82);
	return (struct ibb_bytes){p, (size_t)(p[2] << 8 | p[3]) + 4};
}

/* Signatures inside PE files are of the same form; what they sign is another type. */
static void pe_files(void **state)
{
	static const struct {
		const char *file;
		size_t n;
		struct {
			enum ibb_signature_fault fault;
			enum ibb_anchor anchor;
			const char *signer, *why;
		} s[3];
	} t[] = {
		{"pvscsi-1.3.28/pvscsi.sys", 1, {{IBB_SIG_OK, MS, WHCP, ""}}},
		{"wintun-0.7-cross-signed/wintun.sys",
		 1,
		 {{IBB_SIG_OK, CROSS, "WireGuard LLC", ""}}},
		{"mlx5-24.4.26429/mlx5.sys",
		 2,
		 {{IBB_SIG_UNTRUSTED, IBB_ANCHOR_TEST, "MellanoxCert(Test)",
		   "test-signed: the certificate 'MellanoxCert(Test)' signed itself"},
		  {IBB_SIG_OK, MS, WHCP, ""}}},
		{"mlx5-24.4.26429/mlx5ui.dll",
		 2,
		 {{IBB_SIG_UNTRUSTED, IBB_ANCHOR_NONE, "NVIDIA Corporation",
		   "neither there nor trusted: 'DigiCert Trusted Root G4'"},
		  {IBB_SIG_OK, MS, WHCP, ""}}},
		/* SHA-1 outside, SHA-256 inside: what they sign differs, as it has to */
		{"vboxguest-attested-and-cross-signed/VBoxGuest.sys",
		 3,
		 {{IBB_SIG_EXPIRED, CROSS, "Oracle Corporation", "expired on 2016-12-22"},
		  {IBB_SIG_BROKEN, MS, WHCP, "the nested signature is over other content"},
		  {IBB_SIG_EXPIRED, CROSS, "Oracle Corporation",
		   "the certificate 'DigiCert Assured ID Root CA' expired on 2021-04-15"}}},
	};

	(void)state;
	for (size_t i = 0; i < IBB_ARRAY_SIZE(t); i++) {
		struct ibb_buf b = {0}, content = {0};
		struct ibb_signature *sigs = NULL;
		struct ibb_error err = {0};
		char rel[256], type[64];
		size_t n = 0;

		snprintf(rel, sizeof(rel), "drivers/%s", t[i].file);
		TEST_DATA_OR_SKIP(rel, &b);
		assert_ok(ibb_signature_verify(t[i].file, embedded(&b), store, NOW, &sigs, &n,
					       &content, type, &err),
			  err);
		assert_string_equal(type, "1.3.6.1.4.1.311.2.1.4");
		assert_int_equal(n, t[i].n);
		for (size_t k = 0; k < n; k++) {
			if (sigs[k].fault != t[i].s[k].fault || !strstr(sigs[k].why, t[i].s[k].why))
				fail_msg("%s %zu: %s %s", t[i].file, k,
					 ibb_signature_fault_name(sigs[k].fault), sigs[k].why);
			assert_int_equal(sigs[k].anchor, t[i].s[k].anchor);
			assert_string_equal(sigs[k].signer.name, t[i].s[k].signer);
		}
		free(sigs);
		ibb_buf_clear(&b);
		ibb_buf_clear(&content);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(catalogs),
		cmocka_unit_test(clocks),
		cmocka_unit_test(pe_files),
	};

	return cmocka_run_group_tests(tests, make_store, free_store) ? 1 : 0;
}
