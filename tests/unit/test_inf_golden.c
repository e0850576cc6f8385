/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Real INFs. The values below were read out of the files by hand; the digests of the models lines
 * were made by a separate reader (a few lines of Python over the section's text).
 */
#include "test_inf.h"

#include "base/hash.h"

#define MLX5  "drivers/mlx5-24.4.26429/mlx5.inf"
#define HB_ID "PCI\\VEN_15B3&DEV_101c&SUBSYS_000715B3&REV_00"

static void put(struct ibb_buf *b, const char *before, const char *s)
{
	assert_int_equal(ibb_buf_printf(b, "%s%s", before, s), 0);
}

/* SHA-256 over "install|id|id...\n" of every line, its first 16 hex digits. */
static void digest_models(const struct ibb_inf_models *m, char out[17])
{
	char hex[IBB_SHA256_HEX_SIZE];
	struct ibb_sha256 d;
	struct ibb_buf b = {0};

	for (size_t i = 0; i < m->n; i++) {
		const struct ibb_inf_model *x = &m->models[i];

		put(&b, "", x->install_section);
		put(&b, "|", x->hardware_id);
		for (size_t k = 0; k < x->n_compatible; k++)
			put(&b, "|", x->compatible_ids[k]);
		put(&b, "", "\n");
	}
	assert_int_equal(ibb_sha256(b.data, b.len, &d), 0);
	ibb_sha256_hex(&d, hex);
	memcpy(out, hex, 16);
	out[16] = '\0';
	ibb_buf_clear(&b);
}

/* How many different installs the models lines come to; each is evaluated. */
static size_t count_installs(struct ibb_inf *inf, const struct ibb_inf_target *t,
			     const struct ibb_inf_models *m, const struct ibb_inf_install **first)
{
	static const struct ibb_inf_install *seen[1024];
	size_t n = 0, k;
	struct ibb_error err = {0};

	for (size_t i = 0; i < m->n; i++) {
		const struct ibb_inf_install *in = NULL;

		assert_ok(ibb_inf_install(inf, t, m->models[i].install_section, &in, &err), err);
		for (k = 0; k < n && seen[k] != in; k++)
			;
		if (k == n && n < IBB_ARRAY_SIZE(seen))
			seen[n++] = in;
	}
	*first = n ? seen[0] : NULL;
	return n;
}

/* "source>dirid" of every file. */
static void list_files(struct ibb_inf *inf, const struct ibb_inf_target *t, struct ibb_buf *b)
{
	struct ibb_inf_files f;
	struct ibb_error err = {0};

	assert_ok(ibb_inf_files(inf, t, &f, &err), err);
	assert_int_equal(ibb_buf_append_str(b, ""), 0);
	for (size_t i = 0; i < f.n; i++) {
		assert_string_equal(f.files[i].source_dir, "");
		assert_int_equal(ibb_buf_printf(b, "%s%s>%d", i ? " " : "", f.files[i].source,
						f.files[i].dirid),
				 0);
	}
}

/* The choice for every Windows that matters; [Manufacturer] of line 17 offers seven sections. */
static void mlx5_targets(void **state)
{
	static const struct {
		unsigned major, minor, build, product;
		const char *decoration; /* NULL: unsupported */
		unsigned line;
		const char *digest;
	} cases[] = {
		/* Server 2012 R2, 8.1: 10.0 is above 6.3 */
		{6, 3, 9600, 3, NULL, 0, NULL},
		{6, 3, 9600, 1, NULL, 0, NULL},
		/* 10 1507: does not parse build numbers; the plain one is left */
		{10, 0, 10240, 1, "10.0", 21, "6d19b2851351ef52"},
		/* Server 2016, 10 1607: 14393 is below 17763 */
		{10, 0, 14393, 3, "10.0", 21, "6d19b2851351ef52"},
		{10, 0, 14393, 1, "10.0", 21, "6d19b2851351ef52"},
		/* one below the boundary, and on it */
		{10, 0, 17762, 1, "10.0", 21, "6d19b2851351ef52"},
		/* Server 2019, 10 1809 */
		{10, 0, 17763, 3, "10.0...17763", 4282, "716e88e6b407189d"},
		{10, 0, 17763, 1, "10.0...17763", 4282, "716e88e6b407189d"},
		/* 10 2004, 22H2 */
		{10, 0, 19041, 1, "10.0...18305", 8542, "6db294fb66e2493a"},
		{10, 0, 19045, 1, "10.0...18305", 8542, "6db294fb66e2493a"},
		/* Server 2022, also as domain controller: ".1" is for workstations */
		{10, 0, 20348, 3, "10.0...20287", 12801, "aa5f7e2bb5739656"},
		{10, 0, 20348, 2, "10.0...20287", 12801, "aa5f7e2bb5739656"},
		/* 11 21H2, 23H2: same build, the product type decides */
		{10, 0, 22000, 1, "10.0.1..20287", 17061, "95ea4ebfffdc2509"},
		{10, 0, 22631, 1, "10.0.1..20287", 17061, "95ea4ebfffdc2509"},
		/* Server 2025 and 11 24H2 */
		{10, 0, 26100, 3, "10.0...26020", 21320, "4d790a87bbd9c6bc"},
		{10, 0, 26100, 1, "10.0.1..26020", 25580, "1e9d2995848fb9c8"},
	};
	struct ibb_buf b = {0};
	struct ibb_inf *inf;

	(void)state;
	TEST_DATA_OR_SKIP(MLX5, &b);
	inf = parse_data(MLX5, &b);
	for (size_t i = 0; i < IBB_ARRAY_SIZE(cases); i++) {
		struct ibb_inf_target t = {IBB_ARCH_AMD64, cases[i].major,   cases[i].minor,
					   cases[i].build, cases[i].product, 0};
		const struct ibb_inf_install *first;
		struct ibb_inf_models m;
		struct ibb_error err = {0};
		char text[80];

		if (!cases[i].decoration) {
			assert_fails(ibb_inf_models(inf, &t, &m, &err), IBB_E_UNSUPPORTED, err,
				     "mlx5.inf:16: no models section for Windows 6.3 build 9600 "
				     "amd64");
			assert_non_null(strstr(err.msg, "offers NTamd64.10.0, NTamd64.10.0...177"));
			continue;
		}
		assert_ok(ibb_inf_models(inf, &t, &m, &err), err);
		assert_int_equal(m.n_sections, 1);
		snprintf(text, sizeof(text), "Mellanox.NTamd64.%s", cases[i].decoration);
		assert_string_equal(m.sections[0], text);
		assert_int_equal(m.section_lines[0], cases[i].line);
		assert_int_equal(m.n, 4255);
		digest_models(&m, text);
		assert_string_equal(text, cases[i].digest);
		assert_int_equal(count_installs(inf, &t, &m, &first), 5);
	}
	ibb_inf_free(inf);
	ibb_buf_clear(&b);
}

static void mlx5_details(void **state)
{
	struct ibb_buf b = {0}, files = {0};
	struct ibb_inf *inf;
	struct ibb_inf_models m;
	struct ibb_inf_version v;
	const struct ibb_inf_install *in;
	struct ibb_error err = {0};
	size_t found = 0;

	(void)state;
	TEST_DATA_OR_SKIP(MLX5, &b);
	inf = parse_data(MLX5, &b);
	assert_int_equal(ibb_inf_encoding(inf), IBB_INF_ANSI);
	assert_ok(ibb_inf_version(inf, &win10_19041, &v, &err), err);
	assert_string_equal(v.class_name, "Net");
	assert_string_equal(v.provider, "Mellanox Technologies Ltd.");
	assert_string_equal(v.version_text, "24.4.26429.0");
	assert_int_equal(v.date, (1713225600 + 11644473600) * 10000000); /* 2024-04-16 */
	assert_string_equal(v.catalog, "mlx5.cat");
	assert_true(v.pnp_lockdown);
	assert_ok(ibb_inf_models(inf, &win10_19041, &m, &err), err);
	for (size_t i = 0; i < m.n; i++) {
		if (strcmp(m.models[i].hardware_id, HB_ID) != 0)
			continue;
		found++;
		assert_string_equal(m.models[i].install_section, "mlx5.vMlx5install.10.0...18305");
		assert_int_equal(m.models[i].n_compatible, 0);
		assert_ok(
			ibb_inf_install(inf, &win10_19041, m.models[i].install_section, &in, &err),
			err);
		assert_string_equal(in->section, "mlx5.vMlx5install.10.0...18305");
		assert_int_equal(in->line, 30092);
		assert_int_equal(in->feature_score, 0xff);
		assert_string_equal(in->service, "mlx5");
		assert_int_equal(in->service_start, 3);
		assert_int_equal(in->n_includes, 1);
		assert_string_equal(in->includes[0], "pci.inf");
		assert_true(in->copies_files && in->outside_store);
		assert_true(in->absolute_addreg); /* line 30880 and on: HKLM,...\Autologger */
		assert_false(in->coinstallers);
	}
	assert_int_equal(found, 1);
	list_files(inf, &win10_19041, &files);
	assert_string_equal(ibb_buf_cstr(&files), "mlx5.sys>12 mlx5ui.dll>11");
	ibb_buf_clear(&files);
	ibb_inf_free(inf);
	ibb_buf_clear(&b);
}

static const struct real {
	const char *path;
	enum ibb_inf_encoding encoding;
	unsigned build; /* of a 10.0 workstation */
	const char *class_name, *version, *catalog;
	int date; /* yyyymmdd */
	const char *section;
	size_t n, installs;
	const char *digest, *install, *service;
	unsigned start;
	bool outside, absolute, coinstallers;
	const char *include, *files;
} reals[] = {
	{"asix-win7-utf16/AX88172A.inf", IBB_INF_UTF16LE, 19041, "Net", "1.14.0.2",
	 "ax88172aex.cat", 20100602, "USB.NTamd64.6.1", 1, 1, "c58cb140aed2c87e", "AX88172A.Ndi",
	 "AX88172A", 3, true, false, true, NULL, "ax88172a.sys>12 WdfCoInstaller01009.dll>11"},
	{"asix-win7-utf16/AX88179_178a.inf", IBB_INF_UTF16LE, 19041, "Net", "1.14.7.0",
	 "ax88179_178a.cat", 20121210, "USB.NTamd64.6.1", 3, 1, "5f3ba07efef987f2", "AX88179.Ndi",
	 "AX88179", 3, true, false, false, NULL, "ax88179_178a.sys>12"},
	{"asix-win7-utf16/Ax88178.inf", IBB_INF_UTF16LE, 19041, "Net", "1.14.4.0", "ax88178ex.cat",
	 20121015, "USB.NTamd64.6.1", 1, 1, "b0ca0cab672a02a2", "AX88178.Ndi", "AX88178", 3, true,
	 false, true, NULL, "ax88178.sys>12 WdfCoInstaller01009.dll>11"},
	{"asix-win7-utf16/Ax88772.inf", IBB_INF_UTF16LE, 19041, "Net", "3.14.3.6", "ax88772ex.cat",
	 20110601, "USB.NTamd64.6.1", 5, 2, "2f9629bb0d437ae3", "AX88772.Ndi", "AX88772", 3, true,
	 false, true, NULL, "ax88772.sys>12 WdfCoInstaller01009.dll>11"},
	{"asix-win7-utf16/Ax88772b.inf", IBB_INF_UTF16LE, 19041, "Net", "5.14.8.0",
	 "ax88772bex.cat", 20121224, "USB.NTamd64.6.1", 2, 2, "167a18c7d86a55f2", "AX88772B.Ndi",
	 "AX88772B", 3, true, false, false, NULL, "ax88772b.sys>12"},
	{"asix-win7-utf16/USBMAC64.inf", IBB_INF_ANSI, 19041, "Net", "1.0.0.17", "USBMAC64.cat",
	 20100601, "MosChip.NTamd64", 3, 1, "d861d36c0523c17e", "MOSUsbEth.NT", "MOSUMAC", 3, true,
	 false, false, NULL, "USBMAC64.SYS>12"},
	{"broadcom-5720/b57nd60a.inf", IBB_INF_ANSI, 19041, "Net", "221.0.8.0", "b57nd60a.cat",
	 20250703, "Broadcom.NTamd64.6.1", 693, 147, "ae55bcda906b1a6e",
	 "3C998SX_LHinst.NTamd64.6.1", "b57nd60a", 3, true, false, false, NULL, "b57nd60a.sys>12"},
	{"extension-surfacecoverclick/SurfaceCoverClick.inf", IBB_INF_ANSI, 19041, "Extension",
	 "1.0.7.0", "SurfaceCoverClick.cat", 20170320, "Microsoft.NTamd64", 1, 1,
	 "d50515e5272d8809", "SurfaceCoverClick_Install", NULL, 3, false, false, false, NULL, ""},
	{"netkvm-100.94.104/netkvm.inf", IBB_INF_ANSI, 19041, "Net", "100.94.104.24200",
	 "netkvm.cat", 20231009, "NetKVM.NTamd64.6.3", 2, 1, "e886ac0c562cfb64", "kvmnet6.ndi",
	 "netkvm", 3, true, false, false, NULL, "netkvm.sys>12"},
	{"netkvm-100.94.104/vioprot.inf", IBB_INF_ANSI, 19041, "NetTrans", "100.94.104.24200",
	 "vioprot.cat", 20231009, "Standard.NTamd64", 1, 1, "00912d85e5b82f26", "Install", NULL, 3,
	 true, false, false, NULL, "netkvmno.dll>11 netkvmp.exe>11"},
	/* 20124 and later only; service pvscsi starts at boot */
	{"pvscsi-1.3.28/pvscsi.inf", IBB_INF_ANSI, 22000, "SCSIAdapter", "1.3.28.0", "pvscsi.cat",
	 20240606, "pvscsi.NTamd64.10.0...20124", 1, 1, "0eda90f5104cd93e", "DDInstall.NT",
	 "pvscsi", 0, true, false, false, "pci.inf", "pvscsi.sys>12"},
	{"softwarecomponent-iastorhsa/iaStorHsaComponent.inf", IBB_INF_UTF16LE, 19041,
	 "SoftwareComponent", "20.0.0.1037", "iaStorHsaComponent.cat", 20231013,
	 "INTEL.ntamd64.10.0...19041", 1, 1, "70a0d3c2498e0ab6", "RstHsaComponent_install.ntamd64",
	 NULL, 3, false, false, false, NULL, ""},
	{"tampered-nvidia-65.6.5/nvefd64A.inf", IBB_INF_ANSI, 19041, "Net", "65.6.5.0",
	 "NVENETFD.CAT", 20060601, "Nvidia.ntamd64", 8, 1, "bfbb3a7c2552ef87",
	 "NVENET_XP.NDI.ntamd64", "NVENETFD", 3, true, false, true, NULL,
	 "nvefdxp.sys>12 fdco1.dll>11"},
	/* HKLM stands only in ClassInstall32, which is no part of a device's install */
	{"tampered-nvidia-65.6.5/nvnbd64a.inf", IBB_INF_ANSI, 19041,
	 "NVIDIA Network Bus Enumerator", "65.6.5.0", "nvnetbus.cat", 20060601, "Standard.ntamd64",
	 6, 1, "c5b43a3c92b102ee", "nvnetBus_Device.ntamd64", "nvnetbus", 3, true, false, true,
	 NULL, "nvnetbus.sys>12 nvnrm.sys>12 nvsnpu.sys>12 bdco1.dll>11 nvconrm.dll>11"},
	{"vboxguest-attested-and-cross-signed/VBoxGuest.inf", IBB_INF_ANSI, 19041, "System",
	 "7.0.6.5176", "VBoxGuest.cat", 20230111, "VBoxGuest.NTamd64", 1, 1, "665e217ddd5af632",
	 "VBoxGuest_Install", "VBoxGuest", 0, true, true, false, NULL,
	 "VBoxGuest.sys>12 VBoxControl.exe>11 VBoxTray.exe>11"},
	{"vmci-9.8.18/vmci.inf", IBB_INF_ANSI, 19041, "System", "9.8.18.0", "vmci.cat", 20211029,
	 "VMware.NTamd64.6.2", 2, 1, "c4a13573cd6091f0", "vmci.install.x64.NT", "vmci", 0, true,
	 false, false, NULL, "vmci.sys>12"},
	/* an inbox INF: no catalog of its own; a compatible ID only */
	{"vmxnet3-inbox-1.8.17/vmxnet3.inf", IBB_INF_UTF16LE, 19041, "Net", "1.8.17.0", NULL,
	 20090101, "vmxnet3.NTamd64.6.2", 1, 1, "8f81b3efbeb53346", "vmxnet3.ndis630.x64.ndi.NT",
	 "vmxnet3ndis6", 3, true, false, false, "machine.inf", "vmxnet3.sys>12"},
	/* CatalogFile.NT; the models section's name comes from %strings% */
	{"wintun-0.14/wintun.inf", IBB_INF_ANSI, 19041, "Net", "0.14.0.0", "wintun.cat", 20211013,
	 "Wintun.NTamd64", 1, 1, "322e513863ac12d3", "Wintun.Install", "wintun", 3, true, false,
	 false, NULL, "wintun.sys>12"},
	{"wintun-0.7-cross-signed/wintun.inf", IBB_INF_ANSI, 19041, "Net", "0.2.0.0", "wintun.cat",
	 20190608, "Wintun.NTamd64", 1, 1, "322e513863ac12d3", "Wintun.Install", "wintun", 3, true,
	 false, false, NULL, "wintun.sys>12"},
	{"wireguard-nt-attested/mullvad-wireguard.inf", IBB_INF_ANSI, 19041, "Net", "0.10.1.0",
	 "mullvad-wireguard.cat", 20240604, "MullvadWireGuard.NTamd64", 1, 1, "6544832a38b19463",
	 "WireGuard.Install", "MullvadWireGuard", 3, true, false, false, NULL,
	 "mullvad-wireguard.sys>12"},
};

static void assert_same(const char *what, const char *have, const char *want)
{
	if ((have == NULL) != (want == NULL) || (have && strcmp(have, want) != 0))
		fail_msg("%s: '%s', wanted '%s'", what, have ? have : "(none)",
			 want ? want : "(none)");
}

static void check_real(const struct real *x, struct ibb_buf *b)
{
	struct ibb_inf_target t = {IBB_ARCH_AMD64, 10, 0, x->build, 1, 0};
	struct ibb_inf *inf = parse_data(x->path, b);
	const struct ibb_inf_install *in;
	struct ibb_inf_version v;
	struct ibb_inf_models m;
	struct ibb_buf files = {0};
	struct ibb_error err = {0};
	char digest[17];

	assert_int_equal(ibb_inf_encoding(inf), x->encoding);
	assert_ok(ibb_inf_version(inf, &t, &v, &err), err);
	assert_same("class", v.class_name, x->class_name);
	assert_same("version", v.version_text, x->version);
	assert_same("catalog", v.catalog, x->catalog);
	assert_int_equal(v.year * 10000 + v.month * 100 + v.day, x->date);
	assert_ok(ibb_inf_models(inf, &t, &m, &err), err);
	assert_int_equal(m.n_sections, 1);
	assert_same("section", m.sections[0], x->section);
	assert_int_equal(m.n, x->n);
	digest_models(&m, digest);
	assert_same(x->path, digest, x->digest);
	assert_int_equal(count_installs(inf, &t, &m, &in), x->installs);
	assert_same("install", in->section, x->install);
	assert_same("service", in->service, x->service);
	assert_int_equal(in->service_start, x->start);
	assert_int_equal(in->feature_score, 0xff);
	assert_int_equal(in->outside_store, x->outside);
	assert_int_equal(in->copies_files, x->outside);
	assert_int_equal(in->absolute_addreg, x->absolute);
	assert_int_equal(in->coinstallers, x->coinstallers);
	assert_int_equal(in->n_includes, x->include != NULL);
	assert_same("include", in->n_includes ? in->includes[0] : NULL, x->include);
	list_files(inf, &t, &files);
	assert_same("files", ibb_buf_cstr(&files), x->files);
	ibb_buf_clear(&files);
	ibb_inf_free(inf);
}

static void real_infs(void **state)
{
	(void)state;
	for (size_t i = 0; i < IBB_ARRAY_SIZE(reals); i++) {
		struct ibb_buf b = {0};
		char path[256];

		snprintf(path, sizeof(path), "drivers/%s", reals[i].path);
		TEST_DATA_OR_SKIP(path, &b);
		check_real(&reals[i], &b);
		ibb_buf_clear(&b);
	}
}

/* The Chinese, Japanese, ... sections of a UTF-16 file survive; en-US reads [Strings]. */
static void utf16_strings(void **state)
{
	struct ibb_buf b = {0};
	struct ibb_inf *inf;

	(void)state;
	TEST_DATA_OR_SKIP("drivers/asix-win7-utf16/AX88172A.inf", &b);
	inf = parse_data("AX88172A.inf", &b);
	assert_string_equal(ibb_inf_value(inf, "Strings.0404", "Disabled", 0),
			    "\xe9\x97\x9c\xe9\x96\x89");
	assert_string_equal(ibb_inf_string(inf, "Disabled"), "Disabled");
	assert_int_equal(ibb_inf_section(inf, "Strings.0404")->line, 225);
	ibb_inf_free(inf);
	ibb_buf_clear(&b);
}

/* pvscsi.inf on a Windows that its one amd64 section excludes. */
static void too_old(void **state)
{
	struct ibb_buf b = {0};
	struct ibb_inf *inf;
	struct ibb_inf_models m;
	struct ibb_error err = {0};

	(void)state;
	TEST_DATA_OR_SKIP("drivers/pvscsi-1.3.28/pvscsi.inf", &b);
	inf = parse_data("pvscsi.inf", &b);
	assert_fails(ibb_inf_models(inf, &win10_19041, &m, &err), IBB_E_UNSUPPORTED, err,
		     "pvscsi.inf:82: no models section for Windows 10.0 build 19041 amd64 "
		     "workstation; [Manufacturer] offers NTx86, NTamd64.10.0...20124");
	ibb_inf_free(inf);
	ibb_buf_clear(&b);
}

/*
 * A large INF without the real material: as many lines as mlx5.inf has in all its sections, and
 * the same facts out of it.
 */
static void generated_large(void **state)
{
	struct ibb_buf b = {0};
	struct ibb_inf *inf;
	struct ibb_inf_models m;
	const struct ibb_inf_install *in;
	struct ibb_error err = {0};
	char id[80];

	(void)state;
	put(&b, INF_VERSION "[Manufacturer]\r\n%P%=M,NTamd64.10.0", "");
	for (int s = 1; s < 7; s++)
		assert_int_equal(ibb_buf_printf(&b, ",NTamd64.10.0...%d", 14400 + s), 0);
	for (int s = 0; s < 7; s++) {
		if (s)
			assert_int_equal(
				ibb_buf_printf(&b, "\r\n[M.NTamd64.10.0...%d]\r\n", 14400 + s), 0);
		else
			put(&b, "\r\n[M.NTamd64.10.0]\r\n", "");
		for (int i = 0; i < 4255; i++)
			assert_int_equal(ibb_buf_printf(&b,
							"%%D%d%% = I%d, PCI\\VEN_15B3&DEV_101c"
							"&SUBSYS_%04x15B3&REV_%02x\r\n",
							i % 300, i % 5, i, s),
					 0);
	}
	for (int i = 0; i < 5; i++)
		assert_int_equal(ibb_buf_printf(&b, "[I%d]\r\nFeatureScore=F%d\r\n", i, i), 0);
	put(&b, INF_STRINGS, "");
	for (int i = 0; i < 300; i++)
		assert_int_equal(ibb_buf_printf(&b, "D%d = \"Device %d\"\r\n", i, i), 0);
	inf = parse_data("t.inf", &b);
	assert_ok(ibb_inf_models(inf, &win10_19041, &m, &err), err);
	assert_string_equal(m.sections[0], "M.NTamd64.10.0...14406");
	assert_int_equal(m.n, 4255);
	for (size_t i = 0; i < m.n; i++) {
		snprintf(id, sizeof(id), "PCI\\VEN_15B3&DEV_101c&SUBSYS_%04zx15B3&REV_06", i);
		assert_string_equal(m.models[i].hardware_id, id);
		snprintf(id, sizeof(id), "Device %zu", i % 300);
		assert_string_equal(m.models[i].description, id);
		assert_ok(
			ibb_inf_install(inf, &win10_19041, m.models[i].install_section, &in, &err),
			err);
		assert_int_equal(in->feature_score, 0xf0 + i % 5);
	}
	assert_int_equal(count_installs(inf, &win10_19041, &m, &in), 5);
	ibb_inf_free(inf);
	ibb_buf_clear(&b);
}

static const struct CMUnitTest tests[] = {
	cmocka_unit_test(mlx5_targets), cmocka_unit_test(mlx5_details),
	cmocka_unit_test(real_infs),	cmocka_unit_test(utf16_strings),
	cmocka_unit_test(too_old),	cmocka_unit_test(generated_large),
};

IBB_TEST_MAIN(tests)
