/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Seeds of cat and pe: generated lists and images, and real ones that are small enough. */
#include "mkcorpus.h"

#include <openssl/objects.h>
#include <openssl/pkcs7.h>

#include "fuzz.h"
#include "base/le.h"
#include "mkcat.h"
#include "mkder.h"
#include "mkpe.h"

#define REAL_MAX (96u << 10)

static void made_lists(const struct ibb_buf *sys)
{
	const struct mkcat_member members[] = {
		{"a.inf", {(const uint8_t *)"[Version]", 9}},
		{"a.sys", ibb_buf_bytes(sys)},
		{"b.txt", {(const uint8_t *)"text", 4}},
	};
	static const char *const hwids[] = {"PCI\\VEN_15B3&DEV_101C", "PCI\\VEN_15B3"};
	static const struct mkcat_attr further[] = {{"\xc3\xa9", "\xf0\x9f\x98\x80", 0},
						    {"b", "c", 0x10020001}};

	for (unsigned i = 0; i < 8; i++) {
		const struct mkcat_opts o = {.members = members,
					     .n_members = i & 4 ? 3 : 1,
					     .hwids = hwids,
					     .n_hwids = 2,
					     .version = i & 1 ? 1 : 2,
					     .bare_sha1 = i & 2,
					     .page_hashes = i & 2,
					     .submission = "1",
					     .attrs = further,
					     .n_attrs = 2};
		struct ibb_error err = {0};
		struct ibb_buf b = {0};
		char *name = ibb_asprintf("list-%u", i);

		FUZZ_CHECK(!mkctl(&o, &b, &err), "%s", err.msg);
		mkcorpus_write("cat", name, b.data, b.len);
		ibb_buf_clear(&b);
		free(name);
	}
}

/* Signed by the demonstration's publisher, whom nobody vouches for. */
static void made_messages(const struct ibb_buf *sys)
{
	const struct mkcat_member member = {"a.sys", ibb_buf_bytes(sys)};

	for (unsigned i = 0; i < 4; i++) {
		const struct mkcat_opts o = {.key_dir = IBB_SOURCE_DIR "/tests/support",
					     .members = &member,
					     .n_members = 1,
					     .no_signer = i == 1,
					     .no_certificate = i == 2,
					     .version = i == 3 ? 1 : 2};
		struct ibb_error err = {0};
		struct ibb_buf b = {0};
		char *name = ibb_asprintf("made-%u", i);

		FUZZ_CHECK(!mkcat(&o, &b, &err), "%s", err.msg);
		mkcorpus_write("signature", name, b.data, b.len);
		ibb_buf_clear(&b);
		free(name);
	}
}

static void made_indirect(void)
{
	static const uint8_t digest[32] = {1, 2, 3};

	for (unsigned i = 0; i < 4; i++) {
		char *name = ibb_asprintf("indirect-%u", i);
		struct mkder d = {0};

		mkctl_indirect(&d, digest, i & 1 ? 20 : 32, true, i & 2);
		mkcorpus_write("cat", name, d.b.data, d.b.len);
		ibb_buf_clear(&d.b);
		free(name);
	}
}

/* As made by mkpe, with something behind it, and with a certificate table. */
static void made_images(const struct ibb_buf *sys)
{
	static const uint8_t entry[] = {16, 0, 0, 0, 0, 2, 2, 0, 0x30, 3, 'a', 'b', 'c', 0, 0, 0};
	const size_t directory = 0x80 + 24 + 112 + 32;
	struct ibb_buf b = fuzz_copy(sys->data, sys->len);

	mkcorpus_write("pe", "plain", b.data, b.len);
	FUZZ_CHECK(!ibb_buf_append(&b, "overlay", 7), "out of memory");
	mkcorpus_write("pe", "overlay", b.data, b.len);
	FUZZ_CHECK(!ibb_buf_append_zero(&b, 1), "out of memory");
	ibb_put_le32(b.data + directory, (uint32_t)b.len);
	ibb_put_le32(b.data + directory + 4, 2 * sizeof(entry));
	FUZZ_CHECK(!ibb_buf_append(&b, entry, sizeof(entry)) &&
			   !ibb_buf_append(&b, entry, sizeof(entry)),
		   "out of memory");
	mkcorpus_write("pe", "signed", b.data, b.len);
	mkcorpus_write("pe", "headers", b.data, 0x200);
	ibb_put_le16(b.data + 0x80 + 24, 0x10b); /* fields are elsewhere then */
	mkcorpus_write("pe", "pe32", b.data, b.len);
	ibb_buf_clear(&b);
}

static const char *const catalogs[] = {
	"wintun-0.7-cross-signed/wintun.cat", "wintun-0.14/wintun.cat",
	"asix-win7-utf16/ax88772ex.cat",      "pvscsi-1.3.28/pvscsi.cat",
	"netkvm-100.94.104/vioprot.cat",      "vboxguest-attested-and-cross-signed/VBoxGuest.cat",
	"tampered-nvidia-65.6.5/nvnetbus.cat"};

static const char *const images[] = {"wintun-0.7-cross-signed/wintun.sys",
				     "wintun-0.14/wintun.sys",
				     "pvscsi-1.3.28/pvscsi.sys",
				     "asix-win7-utf16/USBMAC64.sys",
				     "vboxguest-attested-and-cross-signed/VBoxHook.dll",
				     "tampered-nvidia-65.6.5/bdco1.dll",
				     "tampered-nvidia-65.6.5/nvefdxp.sys"};

static void real_list(const struct ibb_buf *cat, const char *name)
{
	const unsigned char *p = cat->data;
	PKCS7 *p7 = d2i_PKCS7(NULL, &p, (long)cat->len);
	const ASN1_STRING *s;

	FUZZ_CHECK(p7 && PKCS7_type_is_signed(p7), "%s", name);
	s = p7->d.sign->contents->d.other->value.sequence;
	mkcorpus_write("cat", name, ASN1_STRING_get0_data(s), (size_t)ASN1_STRING_length(s));
	PKCS7_free(p7);
}

static void real_ones(const char *const *files, size_t n, bool list)
{
	for (size_t i = 0; i < n; i++) {
		char *name = ibb_asprintf("real-%02zu", i);
		struct ibb_buf b = {0};

		if (!mkcorpus_read_from("drivers", files[i], &b))
			printf("SKIPPED: no test data (drivers/%s)\n", files[i]);
		else if (list) {
			real_list(&b, name);
			mkcorpus_write("signature", name, b.data, b.len);
		} else if (b.len <= REAL_MAX)
			mkcorpus_write("pe", name, b.data, b.len);
		ibb_buf_clear(&b);
		free(name);
	}
}

void mkcorpus_catalogs(void)
{
	struct ibb_buf sys = {0};

	FUZZ_CHECK(!mkpe_driver("seed", &sys), "out of memory");
	made_lists(&sys);
	made_indirect();
	made_images(&sys);
	made_messages(&sys);
	ibb_buf_clear(&sys);
	real_ones(catalogs, IBB_ARRAY_SIZE(catalogs), true);
	real_ones(images, IBB_ARRAY_SIZE(images), false);
}
