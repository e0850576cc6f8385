/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Which files of the real packages their catalogs list: all of it, said by hand. */
#include "test_cat.h"

#include <dirent.h>

/* A file, a catalog beside it, and the name that the catalog has for it. */
static const struct {
	const char *dir, *file, *cat, *member;
} listed[] = {
	{"asix-win7-utf16", "AX88172A.inf", "ax88172aex.cat", "ax88172a.inf"},
	{"asix-win7-utf16", "AX88172A.sys", "ax88172aex.cat", "ax88172a.sys"},
	{"asix-win7-utf16", "AX88179_178a.inf", "ax88179_178a.cat", "ax88179_178a.inf"},
	{"asix-win7-utf16", "AX88179_178a.sys", "ax88179_178a.cat", "ax88179_178a.sys"},
	{"asix-win7-utf16", "Ax88178.inf", "ax88178ex.cat", "ax88178.inf"},
	{"asix-win7-utf16", "Ax88772.inf", "ax88772ex.cat", "ax88772.inf"},
	{"asix-win7-utf16", "Ax88772b.inf", "ax88772bex.cat", "ax88772b.inf"},
	{"asix-win7-utf16", "USBMAC64.inf", "usbmac64.cat", "usbmac64.inf"},
	{"asix-win7-utf16", "USBMAC64.sys", "usbmac64.cat", "usbmac64.sys"},
	{"asix-win7-utf16", "WdfCoInstaller01009.dll", "ax88172aex.cat", "wdfcoinstaller01009.dll"},
	{"asix-win7-utf16", "WdfCoInstaller01009.dll", "ax88178ex.cat", "wdfcoinstaller01009.dll"},
	{"asix-win7-utf16", "WdfCoInstaller01009.dll", "ax88772ex.cat", "wdfcoinstaller01009.dll"},
	{"asix-win7-utf16", "ax88178.sys", "ax88178ex.cat", "ax88178.sys"},
	{"asix-win7-utf16", "ax88772.sys", "ax88772ex.cat", "ax88772.sys"},
	{"asix-win7-utf16", "ax88772b.sys", "ax88772bex.cat", "ax88772b.sys"},
	{"broadcom-5720", "b57nd60a.inf", "b57nd60a.cat", "b57nd60a.inf"},
	{"broadcom-5720", "b57nd60a.sys", "b57nd60a.cat", "b57nd60a.sys"},
	{"extension-surfacecoverclick", "SurfaceCoverClick.inf", "surfacecoverclick.cat",
	 "surfacecoverclick.inf"},
	{"mlx5-24.4.26429", "mlx5.inf", "mlx5.cat", "mlx5.inf"},
	{"mlx5-24.4.26429", "mlx5.sys", "mlx5.cat", "mlx5.sys"},
	{"mlx5-24.4.26429", "mlx5ui.dll", "mlx5.cat", "mlx5ui.dll"},
	{"netkvm-100.94.104", "netkvm.inf", "netkvm.cat", "netkvm.inf"},
	{"netkvm-100.94.104", "netkvm.sys", "netkvm.cat", "netkvm.sys"},
	{"netkvm-100.94.104", "netkvmno.dll", "vioprot.cat", "netkvmno.dll"},
	{"netkvm-100.94.104", "netkvmp.exe", "vioprot.cat", "netkvmp.exe"},
	{"netkvm-100.94.104", "vioprot.inf", "vioprot.cat", "vioprot.inf"},
	{"pvscsi-1.3.28", "pvscsi.inf", "pvscsi.cat", "pvscsi.inf"},
	{"pvscsi-1.3.28", "pvscsi.sys", "pvscsi.cat", "pvscsi.sys"},
	{"softwarecomponent-iastorhsa", "iaStorHsaComponent.inf", "iaStorHsaComponent.cat",
	 "iastorhsacomponent.inf"},
	{"tampered-nvidia-65.6.5", "bdco1.dll", "nvnetbus.cat", "bdco1ins.dll"},
	{"tampered-nvidia-65.6.5", "fdco1.dll", "nvenetfd.cat", "fdco1ins.dll"},
	{"tampered-nvidia-65.6.5", "nvconrm.dll", "nvnetbus.cat", "nvconrm.dll"},
	{"tampered-nvidia-65.6.5", "nvefdxp.sys", "nvenetfd.cat", "nvenetfd.sys"},
	{"tampered-nvidia-65.6.5", "nvnetbus.sys", "nvnetbus.cat", "nvnetbus.sys"},
	{"tampered-nvidia-65.6.5", "nvnrm.sys", "nvnetbus.cat", "nvnrm.sys"},
	{"tampered-nvidia-65.6.5", "nvsnpu.sys", "nvnetbus.cat", "nvsnpu.sys"},
	{"vboxguest-attested-and-cross-signed", "VBoxControl.exe", "VBoxGuest.cat",
	 "vboxcontrol.exe"},
	{"vboxguest-attested-and-cross-signed", "VBoxControl.exe", "vboxguest.cat",
	 "vboxcontrol.exe"},
	{"vboxguest-attested-and-cross-signed", "VBoxGuest.inf", "VBoxGuest.cat", "vboxguest.inf"},
	{"vboxguest-attested-and-cross-signed", "VBoxGuest.inf", "vboxguest.cat", "vboxguest.inf"},
	{"vboxguest-attested-and-cross-signed", "VBoxGuest.sys", "VBoxGuest.cat", "vboxguest.sys"},
	{"vboxguest-attested-and-cross-signed", "VBoxGuest.sys", "vboxguest.cat", "vboxguest.sys"},
	{"vboxguest-attested-and-cross-signed", "VBoxTray.exe", "VBoxGuest.cat", "vboxtray.exe"},
	{"vboxguest-attested-and-cross-signed", "VBoxTray.exe", "vboxguest.cat", "vboxtray.exe"},
	{"vmci-9.8.18", "vmci.inf", "vmci.cat", "vmci.inf"},
	{"vmci-9.8.18", "vmci.sys", "vmci.cat", "vmci.sys"},
	{"wintun-0.14", "wintun.inf", "wintun.cat", "wintun.inf"},
	{"wintun-0.14", "wintun.sys", "wintun.cat", "wintun.sys"},
	{"wintun-0.7-cross-signed", "wintun.inf", "wintun.cat", "wintun.inf"},
	{"wintun-0.7-cross-signed", "wintun.sys", "wintun.cat", "wintun.sys"},
	{"wireguard-nt-attested", "mullvad-wireguard.inf", "mullvad-wireguard.cat",
	 "mullvad-wireguard.inf"},
	{"wireguard-nt-attested", "mullvad-wireguard.sys", "mullvad-wireguard.cat",
	 "mullvad-wireguard.sys"},
};

/* Not in any catalog beside it: not part of the package as it was signed, or changed since. */
static const struct {
	const char *dir, *file;
} unlisted[] = {
	{"mlx5-24.4.26429", "Mlx5.man"},
	{"netkvm-100.94.104", "netkvm.DVL-compat.XML"},
	{"netkvm-100.94.104", "netkvm.DVL.XML"},
	{"netkvm-100.94.104", "netkvmco.exe"},
	{"netkvm-100.94.104", "vioprot.inf_override.x86"},
	{"pvscsi-1.3.28", "pvscsi.inf_override.x86"},
	{"tampered-nvidia-65.6.5", "nvefd64A.inf"},
	{"tampered-nvidia-65.6.5", "nvenetfd.tag"},
	{"tampered-nvidia-65.6.5", "nvnbd64a.inf"},
	{"tampered-nvidia-65.6.5", "nvnetbus.tag"},
	{"tampered-nvidia-65.6.5", "nvnrm.nvu"},
	{"tampered-nvidia-65.6.5", "nvphy.bin"},
	{"tampered-nvidia-65.6.5", "nvtcp.sys"},
	{"tampered-nvidia-65.6.5", "nvunrm.exe"},
	{"vboxguest-attested-and-cross-signed", "VBoxHook.dll"},
	{"vmxnet3-inbox-1.8.17", "vmxnet3.inf"},
	{"vmxnet3-inbox-1.8.17", "vmxnet3.inf_override.x86"},
	{"vmxnet3-inbox-1.8.17", "vmxnet3.sys"},
};

static struct ibb_buf read_real(const char *dir, const char *file)
{
	struct ibb_buf b = {0};
	char rel[256];

	snprintf(rel, sizeof(rel), "drivers/%s/%s", dir, file);
	TEST_DATA_OR_SKIP(rel, &b);
	return b;
}

static struct ibb_cat *open_real(const char *dir, const char *file)
{
	struct ibb_buf p7 = read_real(dir, file), ctl = {0};
	struct ibb_error err = {0};
	struct ibb_cat *c = NULL;

	test_content(ibb_buf_bytes(&p7), &ctl);
	assert_ok(ibb_cat_parse(file, ibb_buf_bytes(&ctl), &c, &err), err);
	ibb_buf_clear(&p7);
	ibb_buf_clear(&ctl);
	return c;
}

static const struct ibb_cat_member *find(const struct ibb_cat *c, const char *dir, const char *file)
{
	struct ibb_buf b = read_real(dir, file);
	struct ibb_error err = {0};
	const struct ibb_cat_member *m;
	uint8_t digest[32];
	struct ibb_bytes bytes = ibb_buf_bytes(&b);

	assert_ok(ibb_file_digest(file, bytes, c->alg, digest, &err), err);
	m = ibb_cat_find(c, digest, ibb_alg_bytes(c->alg));
	if (m)
		assert_int_equal(m->subject, ibb_pe_is(bytes) ? IBB_SUBJECT_PE : IBB_SUBJECT_FLAT);
	ibb_buf_clear(&b);
	return m;
}

static void files_are_listed(void **state)
{
	(void)state;
	for (size_t i = 0; i < IBB_ARRAY_SIZE(listed); i++) {
		struct ibb_cat *c = open_real(listed[i].dir, listed[i].cat);
		const struct ibb_cat_member *m = find(c, listed[i].dir, listed[i].file);

		if (!m)
			fail_msg("%s/%s is not in %s", listed[i].dir, listed[i].file,
				 listed[i].cat);
		assert_string_equal(m->file, listed[i].member);
		assert_non_null(m->os_attr);
		ibb_cat_free(c);
	}
}

/* In how many catalogs of its directory a file is. */
static unsigned count(const char *dir, const char *file)
{
	char rel[256];
	DIR *d;
	const struct dirent *e;
	unsigned n = 0;

	snprintf(rel, sizeof(rel), "drivers/%s", dir);
	d = opendir(test_data(rel));
	assert_non_null(d);
	while ((e = readdir(d))) {
		size_t len = strlen(e->d_name);
		struct ibb_cat *c;

		if (len < 4 || strcmp(e->d_name + len - 4, ".cat") != 0)
			continue;
		c = open_real(dir, e->d_name);
		n += find(c, dir, file) != NULL;
		ibb_cat_free(c);
	}
	closedir(d);
	return n;
}

static void others_are_not(void **state)
{
	(void)state;
	for (size_t i = 0; i < IBB_ARRAY_SIZE(unlisted); i++) {
		if (!test_data("drivers"))
			skip();
		if (count(unlisted[i].dir, unlisted[i].file))
			fail_msg("%s/%s is in a catalog", unlisted[i].dir, unlisted[i].file);
	}
}

/* No more than the table says. */
static void only_these(void **state)
{
	(void)state;
	for (size_t i = 0; i < IBB_ARRAY_SIZE(listed); i++) {
		unsigned n = 0;

		if (!test_data("drivers"))
			skip();
		for (size_t k = 0; k < IBB_ARRAY_SIZE(listed); k++)
			n += !strcmp(listed[k].dir, listed[i].dir) &&
			     !strcmp(listed[k].file, listed[i].file);
		assert_int_equal(count(listed[i].dir, listed[i].file), n);
	}
}

/* The catalog that speed is measured with: version 2, members also by their SHA-1. */
static void mlx5(void **state)
{
	struct ibb_cat *c = open_real("mlx5-24.4.26429", "mlx5.cat");
	unsigned bare = 0, hwids = 0;

	(void)state;
	assert_int_equal(c->version, 2);
	assert_int_equal(c->alg, IBB_ALG_SHA256);
	assert_int_equal(c->created, 1714479438); /* 2024-04-30T12:17:18Z */
	assert_int_equal(c->n_members, 6);
	for (size_t i = 0; i < c->n_members; i++)
		if (c->members[i].digest_bytes == 20) {
			bare++;
			assert_int_equal(c->members[i].subject, IBB_SUBJECT_UNKNOWN);
			assert_null(ibb_cat_find(c, c->members[i].digest, 20));
		}
	assert_int_equal(bare, 3);
	assert_int_equal(c->n_attrs, 4264);
	for (size_t i = 0; i < c->n_attrs; i++)
		hwids += !strncmp(c->attrs[i].name, "HWID", 4);
	assert_int_equal(hwids, 4257);
	assert_string_equal(ibb_cat_attr(c, "HWID1"), "pci\\ven_15b3&dev_1015&subsys_061e1014");
	assert_string_equal(ibb_cat_attr(c, "Universal"), "True");
	assert_non_null(ibb_cat_attr(c, "OS"));
	assert_non_null(ibb_cat_attr(c, "Submission ID"));
	assert_null(ibb_cat_attr(c, "os"));
	ibb_cat_free(c);
}

static void wintun(void **state)
{
	struct ibb_cat *c = open_real("wintun-0.7-cross-signed", "wintun.cat");

	(void)state;
	assert_int_equal(c->version, 1);
	assert_int_equal(c->alg, IBB_ALG_SHA1);
	assert_int_equal(c->created, 1559985673); /* 2019-06-08T09:21:13Z */
	assert_int_equal(c->n_members, 2);
	assert_int_equal(c->members[0].digest_bytes, 20);
	ibb_cat_free(c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(files_are_listed), cmocka_unit_test(others_are_not),
		cmocka_unit_test(only_these),	    cmocka_unit_test(mlx5),
		cmocka_unit_test(wintun),
	};

	return cmocka_run_group_tests(tests, NULL, NULL) ? 1 : 0;
}
