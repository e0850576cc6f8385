/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "authenticode/signer.h"

#include "test.h"

#include "mkcat.h"

#define KEY_DIR IBB_SOURCE_DIR "/tests/support"

#define MS_PUBLISHER "Microsoft Windows Hardware Compatibility Publisher"
#define CA_2012	     "Microsoft Windows Third Party Component CA 2012"
#define CA_2014	     "Microsoft Windows Third Party Component CA 2014"
#define WHC_PCA	     "Microsoft Windows Hardware Compatibility PCA"

/* Read with: openssl pkcs7 -inform der -print_certs -text; osslsigncode verify (signer, serial). */
static const struct {
	const char *path, *name, *issuer, *serial;
	bool whql, attested;
} real[] = {
	{"mlx5-24.4.26429/mlx5.cat", MS_PUBLISHER, CA_2012,
	 "33000001095edea2127e9281cc000000000109", true, false},
	{"netkvm-100.94.104/netkvm.cat", MS_PUBLISHER, CA_2012,
	 "33000001095edea2127e9281cc000000000109", true, false},
	{"netkvm-100.94.104/vioprot.cat", MS_PUBLISHER, CA_2012,
	 "33000001095edea2127e9281cc000000000109", true, false},
	{"broadcom-5720/b57nd60a.cat", MS_PUBLISHER, CA_2012,
	 "3300000125f31cb555767340d6000000000125", true, false},
	{"pvscsi-1.3.28/pvscsi.cat", MS_PUBLISHER, CA_2012,
	 "3300000110bbda1909b3f83897000000000110", true, false},
	{"vmci-9.8.18/vmci.cat", MS_PUBLISHER, CA_2012, "33000000c45021ba6ed85a72ad0000000000c4",
	 true, false},
	{"wintun-0.14/wintun.cat", MS_PUBLISHER, CA_2012, "33000000b5213fca1e4aa03de40000000000b5",
	 true, false},
	{"extension-surfacecoverclick/surfacecoverclick.cat", MS_PUBLISHER, CA_2012,
	 "330000002f68b2be77b6b35ecc00000000002f", true, false},
	{"softwarecomponent-iastorhsa/iaStorHsaComponent.cat", MS_PUBLISHER, CA_2012,
	 "3300000108e2337a567040c0d5000000000108", true, false},
	{"wireguard-nt-attested/mullvad-wireguard.cat", MS_PUBLISHER, CA_2014,
	 "33000000699d42c97675b50882000000000069", true, true},
	{"vboxguest-attested-and-cross-signed/vboxguest.cat", MS_PUBLISHER, CA_2014,
	 "3300000057ee4d659a923e7c10000000000057", true, true},
	{"vboxguest-attested-and-cross-signed/VBoxGuest.cat", "Oracle Corporation",
	 "VeriSign Class 3 Code Signing 2010 CA", "51ca009816fdbd80f120e015ee75823e", false, false},
	{"wintun-0.7-cross-signed/wintun.cat", "WireGuard LLC",
	 "DigiCert EV Code Signing CA (SHA2)", "0663d5fca728882f36ff1bdf5d85f0ba", false, false},
	{"asix-win7-utf16/ax88172aex.cat", MS_PUBLISHER, WHC_PCA, "61269246000100000011", true,
	 false},
	{"asix-win7-utf16/ax88178ex.cat", MS_PUBLISHER, WHC_PCA,
	 "33000000085200a3244e119a5b000100000008", true, false},
	{"asix-win7-utf16/ax88179_178a.cat", MS_PUBLISHER, WHC_PCA,
	 "3300000009b3a6bb556666748b000100000009", true, false},
	{"asix-win7-utf16/ax88772bex.cat", MS_PUBLISHER, WHC_PCA,
	 "3300000009b3a6bb556666748b000100000009", true, false},
	{"asix-win7-utf16/ax88772ex.cat", MS_PUBLISHER, WHC_PCA, "610c2e31000200000014", true,
	 false},
	{"asix-win7-utf16/usbmac64.cat", MS_PUBLISHER, WHC_PCA, "61269246000100000011", true,
	 false},
	{"tampered-nvidia-65.6.5/nvenetfd.cat", MS_PUBLISHER, WHC_PCA, "610e27d7000000000009", true,
	 false},
	{"tampered-nvidia-65.6.5/nvnetbus.cat", MS_PUBLISHER, WHC_PCA, "610e27d7000000000009", true,
	 false},
};

static void real_catalogs(void **state)
{
	(void)state;
	for (size_t i = 0; i < IBB_ARRAY_SIZE(real); i++) {
		struct ibb_cat_signer s = {0};
		struct ibb_error err = {0};
		struct ibb_buf b = {0};
		char rel[256];

		snprintf(rel, sizeof(rel), "drivers/%s", real[i].path);
		TEST_DATA_OR_SKIP(rel, &b);
		assert_ok(ibb_cat_signer(real[i].path, ibb_buf_bytes(&b), &s, &err), err);
		assert_string_equal(s.name, real[i].name);
		assert_string_equal(s.issuer, real[i].issuer);
		assert_string_equal(s.serial, real[i].serial);
		assert_int_equal(s.whql, real[i].whql);
		assert_int_equal(s.attested, real[i].attested);
		assert_false(s.windows_system);
		ibb_buf_clear(&b);
	}
}

static const struct mkcat_member members[] = {
	{"demo.inf", {(const uint8_t *)"[Version]\r\n", 11}},
	{"demo.txt", {(const uint8_t *)"something else", 14}},
};
static const char *const hwids[] = {"PCI\\VEN_15B3&DEV_101C"};

static struct mkcat_opts demo_opts(void)
{
	return (struct mkcat_opts){
		.key_dir = KEY_DIR,
		.members = members,
		.n_members = 2,
		.hwids = hwids,
		.n_hwids = 1,
	};
}

static struct ibb_buf demo(const struct mkcat_opts *o)
{
	struct ibb_error err = {0};
	struct ibb_buf b = {0};

	assert_ok(mkcat(o, &b, &err), err);
	return b;
}

static void made_catalog(void **state)
{
	struct mkcat_opts o = demo_opts();
	struct ibb_error err = {0};
	struct ibb_cat_signer s;
	struct ibb_buf b = demo(&o), again = demo(&o);

	(void)state;
	assert_int_equal(b.len, again.len);
	assert_memory_equal(b.data, again.data, b.len);
	assert_ok(ibb_cat_signer("demo.cat", ibb_buf_bytes(&b), &s, &err), err);
	assert_string_equal(s.name, MKCAT_PUBLISHER);
	assert_string_equal(s.issuer, MKCAT_ROOT);
	assert_string_equal(s.serial, MKCAT_SERIAL);
	assert_false(s.whql || s.attested || s.windows_system);
	ibb_buf_clear(&b);
	ibb_buf_clear(&again);
}

static void key_usages(void **state)
{
	static const struct {
		const char *eku;
		bool whql, attested, windows_system;
	} t[] = {
		{"1.3.6.1.4.1.311.10.3.5", true, false, false},
		{"1.3.6.1.4.1.311.10.3.5.1", false, true, false},
		{"1.3.6.1.4.1.311.10.3.6", false, false, true},
		{"1.3.6.1.4.1.311.10.3.50", false, false, false},
	};

	(void)state;
	for (size_t i = 0; i < IBB_ARRAY_SIZE(t); i++) {
		struct mkcat_opts o = demo_opts();
		struct ibb_error err = {0};
		struct ibb_cat_signer s;
		struct ibb_buf b;

		o.eku = t[i].eku;
		o.publisher = "J\xc3\xb6rg's publisher";
		b = demo(&o);
		assert_ok(ibb_cat_signer("demo.cat", ibb_buf_bytes(&b), &s, &err), err);
		assert_string_equal(s.name, "J\xc3\xb6rg's publisher");
		assert_int_equal(s.whql, t[i].whql);
		assert_int_equal(s.attested, t[i].attested);
		assert_int_equal(s.windows_system, t[i].windows_system);
		ibb_buf_clear(&b);
	}
}

static void hostile(void **state)
{
	struct mkcat_opts o = demo_opts();
	struct ibb_cat_signer s;
	struct ibb_error err = {0};
	struct ibb_buf b;

	(void)state;
	memset(&s, 0x5a, sizeof(s));
	o.content_type = "1.2.840.113549.1.9.16.1.4";
	b = demo(&o);
	assert_fails(ibb_cat_signer("x.cat", ibb_buf_bytes(&b), &s, &err), IBB_E_CORRUPT, err,
		     "x.cat: signed data that is no certificate trust list");
	ibb_buf_clear(&b);

	o = demo_opts();
	o.list_usage = "1.3.6.1.4.1.311.10.3.9"; /* a list of roots */
	b = demo(&o);
	assert_fails(ibb_cat_signer("x.cat", ibb_buf_bytes(&b), &s, &err), IBB_E_CORRUPT, err,
		     "x.cat: a certificate trust list, but not a list of files");
	ibb_buf_clear(&b);

	o = demo_opts();
	o.no_signer = true;
	b = demo(&o);
	assert_fails(ibb_cat_signer("x.cat", ibb_buf_bytes(&b), &s, &err), IBB_E_CORRUPT, err,
		     "x.cat: nobody signed this catalog");
	ibb_buf_clear(&b);

	o = demo_opts();
	o.no_certificate = true;
	b = demo(&o);
	assert_fails(ibb_cat_signer("x.cat", ibb_buf_bytes(&b), &s, &err), IBB_E_CORRUPT, err,
		     "x.cat: the signer's certificate is not in it");
	ibb_buf_clear(&b);

	o = demo_opts();
	o.publisher = "two\nlines";
	b = demo(&o);
	assert_fails(ibb_cat_signer("x.cat", ibb_buf_bytes(&b), &s, &err), IBB_E_CORRUPT, err,
		     "x.cat: the signer's name is unreadable");
	ibb_buf_clear(&b);
	assert_int_equal(((uint8_t *)&s)[0], 0x5a); /* untouched */
}

/* Every prefix is refused as damaged; so is anything behind the end. */
static void truncated(const char *name, const struct ibb_buf *b)
{
	struct ibb_cat_signer s;
	struct ibb_error err = {0};
	size_t step = b->len / 400 + 1;
	struct ibb_buf longer = {0};

	for (size_t n = 0; n < b->len; n += step)
		assert_fails(ibb_cat_signer(name, (struct ibb_bytes){b->data, n}, &s, &err),
			     IBB_E_CORRUPT, err, "not a security catalog: no PKCS#7 structure");
	assert_fails(ibb_cat_signer(name, (struct ibb_bytes){NULL, 0}, &s, &err), IBB_E_CORRUPT,
		     err, "no PKCS#7 structure");
	assert_int_equal(ibb_buf_append(&longer, b->data, b->len), 0);
	assert_int_equal(ibb_buf_append(&longer, "xyz", 3), 0);
	assert_fails(ibb_cat_signer(name, ibb_buf_bytes(&longer), &s, &err), IBB_E_CORRUPT, err,
		     "3 bytes follow the security catalog's end");
	ibb_buf_clear(&longer);
}

static uint32_t xorshift(uint32_t *s)
{
	*s ^= *s << 13;
	*s ^= *s >> 17;
	*s ^= *s << 5;
	return *s;
}

/* Whatever is flipped: it reads, or it is an error with a message; sanitizers watch the rest. */
static void flipped(const struct ibb_buf *b, unsigned rounds)
{
	struct ibb_buf c = {0};
	uint32_t seed = 20261120;

	assert_int_equal(ibb_buf_append(&c, b->data, b->len), 0);
	for (unsigned i = 0; i < rounds; i++) {
		struct ibb_cat_signer s = {0};
		struct ibb_error err = {0};
		unsigned flips = 1 + i % 4;
		int rc;

		memcpy(c.data, b->data, b->len);
		while (flips--) /* the interesting bytes are headers and the tail */
			c.data[xorshift(&seed) % (i % 2 ? b->len : 64)] ^=
				(uint8_t)(1u << xorshift(&seed) % 8);
		rc = ibb_cat_signer("f.cat", ibb_buf_bytes(&c), &s, &err);
		if (rc) {
			assert_int_equal(rc, IBB_E_CORRUPT);
			assert_non_null(strstr(err.msg, "f.cat: "));
		} else {
			assert_true(s.name[0] && s.issuer[0] && s.serial[0]);
		}
	}
	ibb_buf_clear(&c);
}

static void damaged_made(void **state)
{
	struct mkcat_opts o = demo_opts();
	struct ibb_buf b = demo(&o);

	(void)state;
	truncated("demo.cat", &b);
	flipped(&b, 4000);
	ibb_buf_clear(&b);
}

static void damaged_real(void **state)
{
	struct ibb_buf b = {0};

	(void)state;
	TEST_DATA_OR_SKIP("drivers/wintun-0.7-cross-signed/wintun.cat", &b);
	truncated("wintun.cat", &b);
	flipped(&b, 2000);
	ibb_buf_clear(&b);
}

static void not_catalogs(void **state)
{
	static const char *const text[] = {"",
					   "x",
					   "MZ",
					   "[Version]\r\nSignature=\"$CHICAGO$\"",
					   "\x30\x80\x00\x00",
					   "\x30\x84\xff\xff\xff\xff",
					   "-----BEGIN PKCS7-----\n"};
	struct ibb_cat_signer s;
	struct ibb_error err = {0};

	(void)state;
	for (size_t i = 0; i < IBB_ARRAY_SIZE(text); i++)
		assert_fails(ibb_cat_signer(
				     "n.cat",
				     (struct ibb_bytes){(const uint8_t *)text[i], strlen(text[i])},
				     &s, &err),
			     IBB_E_CORRUPT, err, "n.cat: not a security catalog");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(real_catalogs), cmocka_unit_test(made_catalog),
		cmocka_unit_test(key_usages),	 cmocka_unit_test(hostile),
		cmocka_unit_test(damaged_made),	 cmocka_unit_test(damaged_real),
		cmocka_unit_test(not_catalogs),
	};

	return cmocka_run_group_tests(tests, NULL, NULL) ? 1 : 0;
}
