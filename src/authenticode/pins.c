/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What is pinned, by fingerprint; catalogs/trust/README.md has the source of each. Only roots come
 * with ibbake; the other certificates are in the signatures that need them.
 */
#include <string.h>

#include "authenticode/pkcs7_internal.h"

static const struct ibb_pin pins[] = {
	{IBB_PIN_ROOT, "a43489159a520f0d93d032ccaf37e7fe20a8b419",
	 "f38406e540d7a9d90cb4a9479299640ffb6df9e224ecc7a01c0d9558d8dad77d",
	 "Microsoft Root Authority"},
	{IBB_PIN_ROOT, "cdd4eeae6000ac7f40c3802c171e30148030c072",
	 "885de64c340e3ea70658f01e1145f957fcda27aabeea1ab9faa9fdb0102d4077",
	 "Microsoft Root Certificate Authority"},
	{IBB_PIN_ROOT, "3b1efd3a66ea28b16697394703a72ca340a05bd5",
	 "df545bf919a2439c36983b54cdfc903dfa4f37d3996d8d84b4c31eec6f3c163e",
	 "Microsoft Root Certificate Authority 2010"},
	{IBB_PIN_ROOT, "8f43288ad272f3103b6fb1428485ea3014c0bcfe",
	 "847df6a78497943f27fc72eb93f9a637320a02b561d0a91b09e87a7807ed7c61",
	 "Microsoft Root Certificate Authority 2011"},

	/* Microsoft, "Cross-Certificates for Kernel Mode Code Signing": issued by the "Microsoft
	 * Code Verification Root" to the roots of these names. */
	{IBB_PIN_CROSS, "55435515fdd2486575fdc5cf3bad00c913123d03", NULL,
	 "Certum Trusted Network CA"},
	{IBB_PIN_CROSS, "ba3ea54d72c145d37c255e1ea40afbc63348b96e", NULL,
	 "DigiCert Assured ID Root CA"},
	{IBB_PIN_CROSS, "c9833919f1f36a6348111e93026fd40eb96fbc34", NULL,
	 "DigiCert Global Root CA"},
	{IBB_PIN_CROSS, "2f2513af3992db0a3f79709ff8143b3f7bd2d143", NULL,
	 "DigiCert High Assurance EV Root CA"},
	{IBB_PIN_CROSS, "00a3e6009eaa739b3deef4b506649d8a1a7ad33a", NULL,
	 "Entrust.net Certification Authority (2048)"},
	{IBB_PIN_CROSS, "d8fc248748585e173efbfb3075c4b4d60f9d8d08", NULL,
	 "Entrust Root Certification Authority - G2"},
	{IBB_PIN_CROSS, "e86e8082990e3dfaed816d9eb1720f91a4f1a185", NULL,
	 "GeoTrust Primary Certification Authority"},
	{IBB_PIN_CROSS, "b2bbbdfac8f1a8ad5895cd49384b22ca19db2d1f", NULL,
	 "GeoTrust Primary Certification Authority - G3"},
	{IBB_PIN_CROSS, "cc1deebf6d55c2c9061ba16f10a0bfa6979a4a32", NULL, "GlobalSign Root CA"},
	{IBB_PIN_CROSS, "842c5cb34b73bbc5ed8564bdeda786967d7b42ef", NULL,
	 "Go Daddy Root Certificate Authority - G2"},
	{IBB_PIN_CROSS, "894f1d2897aa4c074dcd85c5fc09ee73b95104d8", NULL,
	 "NetLock Arany (Class Gold)"},
	{IBB_PIN_CROSS, "97dd74971620572941dc800c2fd80a48077d10b0", NULL,
	 "NetLock Platina (Class Platinum)"},
	{IBB_PIN_CROSS, "41f28ce56fd8b9cb467fb5032a3cae1cdc9d8648", NULL,
	 "Security Communication RootCA1"},
	{IBB_PIN_CROSS, "40c20a9a33fad036acbfe82d6cbbee1b429b86de", NULL,
	 "Starfield Root Certificate Authority - G2"},
	{IBB_PIN_CROSS, "e6069e048dea8d817afc4188b1bef1d888d0af17", NULL,
	 "StartCom Certification Authority"},
	{IBB_PIN_CROSS, "4262ff7d897066aae77580d33ad28803f9a11a62", NULL,
	 "TC TrustCenter Class 2 CA II"},
	{IBB_PIN_CROSS, "5538e9fec14030b740152349e115a1165d29074a", NULL, "Thawte Primary Root CA"},
	{IBB_PIN_CROSS, "ba57ca5e78dd2d1d7476aebee9953e396fd05546", NULL,
	 "Thawte Primary Root CA - G3"},
	{IBB_PIN_CROSS, "57534ccc33914c41f70e2cbb2103a1db18817d8b", NULL,
	 "VeriSign Class 3 Public Primary Certification Authority - G5"},
	{IBB_PIN_CROSS, "9ed8cd5601f0105651ebbb3f57f03182e5fa7e01", NULL,
	 "VeriSign Universal Root Certification Authority"},
	{IBB_PIN_CROSS, "a75ac657aa7a4cdfe5f9de393e69efcab659d250", NULL,
	 "AddTrust External CA Root"},
	{IBB_PIN_CROSS, "d9612472ef0f2787e2b2d9e063a06b32fa5e333d", NULL,
	 "Go Daddy Class 2 Certification Authority"},
	{IBB_PIN_CROSS, "f8fc7f3cdd5176add27cf97f73965909466d9a22", NULL,
	 "Starfield Class 2 Certification Authority"},
	{IBB_PIN_CROSS, "ae1e25260130a30b1bc2202935653be5a723bef5", NULL, "UTN-USERFirst-Object"},

	/* Third-party timestamping CAs whose certificate the stamped signature carries. */
	{IBB_PIN_TSA, "19a09b5a36f4dd99727df783c17a51231a56c117", NULL, "DigiCert Assured ID CA-1"},
	{IBB_PIN_TSA, "3ba63a6e4841355772debef9cdcf4d5af353a297", NULL,
	 "DigiCert SHA2 Assured ID Timestamping CA"},
	{IBB_PIN_TSA, "b6c8af834d4e53b673c76872aa8c950c7c54df5f", NULL,
	 "DigiCert Trusted G4 RSA4096 SHA256 TimeStamping CA"},
	{IBB_PIN_TSA, "6c07453ffdda08b83707c09b82fb3d15f35336b1", NULL,
	 "Symantec Time Stamping Services CA - G2"},
	{IBB_PIN_TSA, "6fc9edb5e00ab64151c1cdfcac74ad2c7b7e3be4", NULL,
	 "Symantec SHA256 TimeStamping CA"},
	{IBB_PIN_TSA, "02d65b95e28370c1570095fa88f923dd937fad8f", NULL,
	 "Sectigo RSA Time Stamping CA"},
	{IBB_PIN_TSA, "503006091d97d4f5ae39f7cbe7927d7d652d3431", NULL,
	 "Entrust.net Certification Authority (2048)"},

	{IBB_PIN_TEST, "2bd63d28d7bcd0e251195aeb519243c13142ebc3", NULL,
	 "Microsoft Test Root Authority"},
	{IBB_PIN_TEST, "8a334aa8052dd244a647306a76b8178fa215f344", NULL,
	 "Microsoft Testing Root Certificate Authority 2010"},
};

const struct ibb_pin *ibb_pin_find(enum ibb_pin_kind kind, const char *sha1)
{
	for (size_t i = 0; i < IBB_ARRAY_SIZE(pins); i++)
		if (pins[i].kind == kind && strcmp(pins[i].sha1, sha1) == 0)
			return &pins[i];
	return NULL;
}

bool ibb_pin_test_name(const char *common_name)
{
	for (size_t i = 0; i < IBB_ARRAY_SIZE(pins); i++)
		if (pins[i].kind == IBB_PIN_TEST && strcmp(pins[i].name, common_name) == 0)
			return true;
	return false;
}
