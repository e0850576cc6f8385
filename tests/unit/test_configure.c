/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "driver/configure.h"

#include "test.h"

#include "cfgtest.h"

static struct ibb_error E;

static void differs(const char *got, const char *want)
{
	unsigned line = 1;
	size_t i = 0;

	for (; got[i] && got[i] == want[i]; i++)
		line += got[i] == '\n';
	fail_msg("line %u differs: got ...%.200s", line, got + i);
}

/* Configure the text and compare all of it. */
static void gives(struct cfg_bed *b, const char *text, const char *want)
{
	struct ibb_configuration *c = NULL;
	struct ibb_buf got = {0};

	cfg_load(b, text);
	assert_ok(cfg_build(b, &c, &E), E);
	cfg_dump(c, &got);
	if (strcmp((char *)got.data, want) != 0)
		differs((char *)got.data, want);
	ibb_buf_clear(&got);
	ibb_configuration_free(c);
	cfg_free(b);
}

/* The dump holds these lines and not those. */
static void has(struct cfg_bed *b, const char *text, const char *const *lines,
		const char *const *not_lines)
{
	struct ibb_configuration *c = NULL;
	struct ibb_buf got = {0};

	cfg_load(b, text);
	assert_ok(cfg_build(b, &c, &E), E);
	cfg_dump(c, &got);
	for (; lines && *lines; lines++)
		if (!strstr((char *)got.data, *lines))
			fail_msg("lacks '%s' in\n%s", *lines, (char *)got.data);
	for (; not_lines && *not_lines; not_lines++)
		if (strstr((char *)got.data, *not_lines))
			fail_msg("has '%s' in\n%s", *not_lines, (char *)got.data);
	ibb_buf_clear(&got);
	ibb_configuration_free(c);
	cfg_free(b);
}

#define LINES(...)                \
	(const char *const[])     \
	{                         \
		__VA_ARGS__, NULL \
	}

/*
 * The shape of virtio's SCSI driver, and what DISM made of it in a Windows 10 image: the public
 * project lxc/distrobuilder replays that record (windows/driver_vioscsi.go). Left out here: the
 * Tag of the service, which Windows gives out itself.
 */
static void test_as_dism(void **state)
{
	struct cfg_bed b = {0};

	(void)state;
	gives(&b,
	      CFG_HEAD
	      "[Models.NTamd64]\n"
	      "%Dev%=Inst, PCI\\VEN_1AF4&DEV_1004&REV_00, PCI\\VEN_1AF4&DEV_1004\n"
	      "%Dev%=Inst, PCI\\VEN_1AF4&DEV_1048&REV_01, PCI\\VEN_1AF4&DEV_1048\n"
	      "[Inst]\nCopyFiles=Files\n[Files]\ndisk.sys,,,2\n"
	      "[Inst.Services]\nAddService = disk, 0x00000002 , Svc_Inst, Log_Inst\n"
	      "[Svc_Inst]\nDisplayName=%Svc%\nServiceType=1\nStartType=0\nErrorControl=1\n"
	      "ServiceBinary=%12%\\disk.sys\nLoadOrderGroup=SCSI miniport\nAddReg=Bus\n"
	      "[Inst.HW]\nAddReg=Msi\n[Log_Inst]\nAddReg=Log\n"
	      "[Log]\nHKR,,EventMessageFile,0x00020000,\"%%SystemRoot%%\\System32\\IoLogMsg.dll\"\n"
	      "HKR,,TypesSupported,0x00010001,7\n"
	      "[Bus]\nHKR, \"Parameters\\PnpInterface\", \"5\", 0x00010001, 0x00000001\n"
	      "HKR, \"Parameters\", \"BusType\", 0x00010001, 0x0000000A\n"
	      "[Msi]\nHKR, \"Interrupt Management\",, 0x00000010\n"
	      "HKR, \"Interrupt Management\\Message\",, 0x00000010\n"
	      "HKR, \"Interrupt Management\\Message\", MSISupported, 0x00010001, 1\n"
	      "HKR, \"Interrupt Management\\Message\", MessageNumberLimit, 0x00010001, 256\n"
	      "HKR, \"Interrupt Management\\Affinity Policy\",, 0x00000010\n"
	      "HKR, \"Interrupt Management\\Affinity Policy\", DevicePolicy, 0x00010001, 5\n",
	      "control set Services\\disk\\Parameters\\PnpInterface : 5 = 4 01000000\n"
	      "control set Services\\disk\\Parameters : BusType = 4 0a000000\n"
	      "control set Services\\disk : Type = 4 01000000\n"
	      "control set Services\\disk : Start = 4 00000000\n"
	      "control set Services\\disk : ErrorControl = 4 01000000\n"
	      "control set Services\\disk : ImagePath = 2 System32\\drivers\\disk.sys~\n"
	      "control set Services\\disk : DisplayName = 1 @oem7.inf,%Svc%;Disk service~\n"
	      "control set Services\\disk : Group = 1 SCSI miniport~\n"
	      "control append Services\\disk : Owners = 7 oem7.inf~~\n"
	      "control set Services\\EventLog\\System\\disk : EventMessageFile = 2 "
	      "%SystemRoot%\\System32\\IoLogMsg.dll~\n"
	      "control set Services\\EventLog\\System\\disk : TypesSupported = 4 07000000\n"
	      "software set Microsoft\\Windows\\CurrentVersion\\Setup\\PnpLockdownFiles\\"
	      "%SystemRoot%/System32/drivers/disk.sys : Class = 4 04000000\n"
	      "software set Microsoft\\Windows\\CurrentVersion\\Setup\\PnpLockdownFiles\\"
	      "%SystemRoot%/System32/drivers/disk.sys : Source = 2 "
	      "%SystemRoot%\\System32\\DriverStore\\FileRepository\\"
	      "disk.inf_amd64_0123456789abcdef\\disk.sys~\n"
	      "software append Microsoft\\Windows\\CurrentVersion\\Setup\\PnpLockdownFiles\\"
	      "%SystemRoot%/System32/drivers/disk.sys : Owners = 7 oem7.inf~~\n"
	      "inf set  : Configurations = 7 Inst~~\n"
	      "package set Configurations\\Inst : Service = 1 disk~\n"
	      "package set Configurations\\Inst : ConfigScope = 4 07000000\n"
	      "package set Configurations\\Inst : ConfigFlags = 4 00000000\n"
	      "package set Configurations\\Inst\\Device\\Interrupt Management\\Message : "
	      "MSISupported = 4 01000000\n"
	      "package set Configurations\\Inst\\Device\\Interrupt Management\\Message : "
	      "MessageNumberLimit = 4 00010000\n"
	      "package set Configurations\\Inst\\Device\\Interrupt Management\\Affinity Policy : "
	      "DevicePolicy = 4 05000000\n"
	      "package set Configurations\\Inst\\Services\\disk\\Parameters\\PnpInterface : "
	      "5 = 4 01000000\n"
	      "package set Configurations\\Inst\\Services\\disk\\Parameters : "
	      "BusType = 4 0a000000\n"
	      "package set Descriptors\\PCI\\VEN_1AF4&DEV_1004&REV_00 : Configuration = 1 Inst~\n"
	      "package set Descriptors\\PCI\\VEN_1AF4&DEV_1004&REV_00 : Manufacturer = 1 %maker%~\n"
	      "package set Descriptors\\PCI\\VEN_1AF4&DEV_1004&REV_00 : Description = 1 %dev%~\n"
	      "package set Descriptors\\PCI\\VEN_1AF4&DEV_1004 : Configuration = 1 Inst~\n"
	      "package set Descriptors\\PCI\\VEN_1AF4&DEV_1004 : Manufacturer = 1 %maker%~\n"
	      "package set Descriptors\\PCI\\VEN_1AF4&DEV_1004 : Description = 1 %dev%~\n"
	      "package set Descriptors\\PCI\\VEN_1AF4&DEV_1048&REV_01 : Configuration = 1 Inst~\n"
	      "package set Descriptors\\PCI\\VEN_1AF4&DEV_1048&REV_01 : Manufacturer = 1 %maker%~\n"
	      "package set Descriptors\\PCI\\VEN_1AF4&DEV_1048&REV_01 : Description = 1 %dev%~\n"
	      "package set Descriptors\\PCI\\VEN_1AF4&DEV_1048 : Configuration = 1 Inst~\n"
	      "package set Descriptors\\PCI\\VEN_1AF4&DEV_1048 : Manufacturer = 1 %maker%~\n"
	      "package set Descriptors\\PCI\\VEN_1AF4&DEV_1048 : Description = 1 %dev%~\n"
	      "package set Strings : maker = 1 Maker Inc.~\n"
	      "package set Strings : dev = 1 Controller~\n");
}

/* Every AddReg flag that is understood, and the types Windows records for them. */
static void test_types(void **state)
{
	struct cfg_bed b = {0};

	(void)state;
	has(&b,
	    CFG_ALL
	    "[Inst.HW]\nAddReg=R\n[R]\n"
	    "HKR,,sz,,text\nHKR,,expand,0x20000,%%x%%\nHKR,,multi,0x10000,a,\"b c\"\n"
	    "HKR,,dword,0x10001,4294967295\nHKR,,qword,0xb0001,0x100000000\n"
	    "HKR,,bin,1,01,0xfe,a\nHKR,,none,0x20001\nHKR,,empty,1\n"
	    "HKR,,keep,0x10003,9\nHKR,,keeps,2,x\nHKR,,more,0x10008,a\n"
	    "HKR,,more,0x10008,b\nHKR,,tail,0x10000,a,,\nHKR,,,,default\nHKR,Deep\\Key,,0x10\n"
	    "HKR,\"Slip\",0x00000010\nHKR,,twice,,same\nHKR,,twice,,same\n",
	    LINES("Inst\\Device : sz = 1 text~\n", "Device : tail = 7 a~~\n",
		  "Device : expand = 2 %x%~\n", "Device : multi = 7 a~b c~~\n",
		  "Device : dword = 4 ffffffff\n", "Device : qword = b 0000000001000000\n",
		  "Device : bin = 3 01fe0a\n", "Device : none = 0 \n", "Device : empty = 3 \n",
		  "Device : keep = 20004 09000000\n", "Device : keeps = 20001 x~\n",
		  "Device : more = 40007 a~b~~\n", "Device :  = 1 default~\n",
		  "package key Configurations\\Inst\\Device\\Deep\\Key\n",
		  "Device\\Slip : 0x00000010 = 1 ~\n", "Device : twice = 1 same~\n"),
	    LINES("Deep\\Key :", "control set Device"));
}

/* Deletions are values of a type of their own, without data. */
static void test_delete(void **state)
{
	struct cfg_bed b = {0};

	(void)state;
	has(&b,
	    CFG_ALL "[Inst.HW]\nDelReg=D\n[D]\nHKR,,Old\nHKR,Sub,Older\nHKR,Gone\n"
		    "[Svc_Inst]\nDelReg=S\n[S]\nHKR,Parameters,Type\n",
	    LINES("Inst\\Device : Old = 200000 \n", "Inst\\Device\\Sub : Older = 200000 \n",
		  "Inst\\Device : Gone = 100000 \n",
		  "Services\\disk\\Parameters : Type = 200000 \n",
		  "control unset Services\\disk\\Parameters : Type = 0 \n"),
	    NULL);
}

static void test_parts(void **state)
{
	struct cfg_bed b = {0};

	(void)state;
	has(&b,
	    CFG_ALL "[Inst]\nAddReg=Drv\nDelReg=DrvDel\nFeatureScore=80\n"
		    "[Drv]\nHKR,Sub,x,0x10001,1\nHKR,,EnumPropPages32,,\"a.dll,Provider\"\n"
		    "HKR,Sub,EnumPropPages32,,here\nHKR,,DeviceCharacteristics,0x10001,1\n"
		    "[DrvDel]\nHKR,,y\n"
		    "[Inst.HW]\nAddReg=Hw\n[Hw]\nHKR,,UpperFilters,0x10000,up1,up2\n"
		    "HKR,,LowerFilters,0x10000,low\nHKR,,DeviceCharacteristics,0x10001,0x100\n"
		    "HKR,Sub,UpperFilters,0x10000,no\n"
		    "[Inst.Interfaces]\nAddInterface={53F5630D-B6BF-11D0-94F2-00A0C91EFB8B}\n"
		    "[Inst.Wdf]\nKmdfService=disk,Kmdf\n[Kmdf]\nKmdfLibraryVersion=1.15\n",
	    LINES("Inst : ConfigScope = 4 0f010000\n", "Device\\Sub : UpperFilters = 7 no~~\n",
		  "Inst : UpperFilters = 7 up1~up2~~\n", "Inst : LowerFilters = 7 low~~\n",
		  "Inst\\Driver\\Sub : x = 4 01000000\n", "Inst\\Driver : y = 200000 \n",
		  "Inst\\Driver\\Sub : EnumPropPages32 = 1 here~\n",
		  "Inst\\Driver : DeviceCharacteristics = 4 01000000\n",
		  "Inst\\Properties\\{a8b865dd-2e3d-4094-ad97-e593a70c75d6}\\000A :  = ffff0012 "
		  "a.dll,Provider~\n",
		  "Inst\\Properties\\{a45c254e-df1c-4efd-8020-67d146a850e0}\\001D :  = ffff0007 "
		  "00010000\n",
		  "package key "
		  "Configurations\\Inst\\Interfaces\\{53f5630d-b6bf-11d0-94f2-00a0c91efb8b}\n"),
	    LINES("Device : UpperFilters", "Driver : EnumPropPages32"));
}

static void test_services(void **state)
{
	struct cfg_bed b = {0};

	(void)state;
	has(&b,
	    CFG_HEAD CFG_MODELS CFG_INST
	    "[Files]\nfilter.sys\n[SourceDisksFiles]\nfilter.sys=1,sub\n"
	    "[Inst.Services]\nAddService=disk,0x3a,Svc_Inst,,Custom,Source\n"
	    "AddService=filter,,Filter_Inst,Log,Custom,Source\n"
	    "[Svc_Inst]\nServiceType=1\nStartType=0\nErrorControl=1\nServiceBinary=%12%\\disk.sys\n"
	    "DisplayName=plain\nDescription=%Svc%\nBootFlags=1\nDependencies=a,b\n"
	    "[Filter_Inst]\nServiceType=1\nStartType=3\nErrorControl=0\n"
	    "ServiceBinary=%12%\\filter.sys\nAddReg=F\n[F]\nHKR,P,v,0x10001,1\n"
	    "[Log]\nAddReg=L\n[L]\nHKR,,n,,t\n",
	    LINES("control absent Services\\disk : DisplayName = 1 plain~\n",
		  "control absent Services\\disk : Start = 4 00000000\n",
		  "control absent Services\\disk : ErrorControl = 4 01000000\n",
		  "control set Services\\disk : Description = 1 @oem7.inf,%Svc%;Disk service~\n",
		  "Services\\disk : BootFlags = 4 01000000\n",
		  "Services\\disk : DependOnService = 7 a~b~~\n",
		  "control set Services\\filter : ImagePath = 2 "
		  "\\SystemRoot\\System32\\drivers\\filter.sys~\n",
		  "control set Services\\EventLog\\Custom\\Source : n = 1 t~\n",
		  "Configurations\\Inst\\Services\\filter\\P : v = 4 01000000\n",
		  "Configurations\\Inst : Service = 1 disk~\n",
		  "FileRepository\\disk.inf_amd64_0123456789abcdef\\sub\\filter.sys~\n"),
	    LINES("Custom\\disk", "Services\\disk : Group"));
}

/* machine.inf includes pci.inf and needs the section of its own section's name from it. */
static void test_included(void **state)
{
	struct cfg_bed b = {
		.infs = {{.name = "machine.inf",
			  .text = "[Version]\nSignature=\"$Windows NT$\"\n"
				  "[Opt.HW]\nInclude=pci.inf\nNeeds=Opt.HW\n"},
			 {.name = "pci.inf",
			  .text = "[Version]\nSignature=\"$Windows NT$\"\n"
				  "[Opt.HW]\nAddReg=Opt.Reg\n[Opt.Reg]\nHKR,guid,%n%,0x10001,1\n"
				  "[Strings]\nn=\"Opt\"\n"}}};

	(void)state;
	has(&b, CFG_ALL "[Inst.HW]\nInclude=machine.inf\nNeeds=Opt.HW\nAddReg=R\n[R]\nHKR,,o,,w\n",
	    LINES("Inst : IncludedInfs = 7 machine.inf~pci.inf~~\n",
		  "Inst\\Device\\guid : Opt = 4 01000000\n", "Inst\\Device : o = 1 w~\n",
		  "Inst : ConfigScope = 4 07000000\n"),
	    NULL);
}

/* An INF that an earlier part included is still open; what two sections need is merged once. */
static void test_included_again(void **state)
{
	struct cfg_bed b = {.infs = {{.name = "a.inf",
				      .text = "[Version]\nSignature=\"$Windows NT$\"\n"
					      "[X.HW]\nNeeds=Z.HW\n[Y.HW]\nNeeds=Z.HW\n"
					      "[Z.HW]\nAddReg=R\n[R]\nHKR,,l,0x10008,one\n"}}};

	(void)state;
	has(&b, CFG_ALL "[Inst]\nInclude=a.inf\n[Inst.HW]\nNeeds=X.HW,Y.HW\n",
	    LINES("Inst\\Device : l = 40007 one~~\n", "Inst : IncludedInfs = 7 a.inf~~\n"), NULL);
}

/* Two makers of one name, each with its own token and models. */
static void test_makers(void **state)
{
	struct cfg_bed b = {0};

	(void)state;
	has(&b,
	    CFG_ALL "[Manufacturer]\n%Again%=Others,NTamd64\n[Others.NTamd64]\n%Dev%=Inst,PCI\\X\n"
		    "[Strings]\nAgain=\"Maker Inc.\"\n",
	    LINES("Descriptors\\PCI\\X : Manufacturer = 1 %again%~\n",
		  "VEN_1AF4&DEV_1004 : Manufacturer = 1 %maker%~\n",
		  "Strings : again = 1 Maker Inc.~\n", "Strings : maker = 1 Maker Inc.~\n"),
	    NULL);
}

/* A file for the driver store is there already. */
static void test_store_file(void **state)
{
	struct cfg_bed b = {0};

	(void)state;
	has(&b,
	    CFG_ALL "[Inst]\nCopyFiles=Store\n[Store]\nfilter.sys\n"
		    "[SourceDisksFiles]\nfilter.sys=1,sub\n[DestinationDirs]\nStore=13\n",
	    LINES("drivers/disk.sys : Class"), LINES("filter.sys"));
}

/* Windows 8.1 has no ConfigScope. */
static void test_targets(void **state)
{
	struct cfg_bed b = {.target = windows_81};
	struct ibb_inf_target t = client_22h2;

	(void)state;
	has(&b, CFG_ALL, LINES("Inst : ConfigFlags = 4 00000000\n"), LINES("ConfigScope"));
	assert_ok(ibb_configure_target(&t, &E), E);
	assert_ok(ibb_configure_target(&server_2022, &E), E);
	t.build = 22000;
	assert_fails(ibb_configure_target(&t, &E), IBB_E_UNSUPPORTED, E, "PnpResources");
	t.product_type = 3;
	t.build = 26100;
	assert_fails(ibb_configure_target(&t, &E), IBB_E_UNSUPPORTED, E, "build 26100");
	t = (struct ibb_inf_target){IBB_ARCH_AMD64, 6, 1, 7601, 1, 0};
	assert_fails(ibb_configure_target(&t, &E), IBB_E_UNSUPPORTED, E, "no driver database");
}

/* Two models lines with one section each, a service that both install, plain texts. */
static void test_two_sections(void **state)
{
	struct cfg_bed b = {0};
	struct ibb_configuration *c = NULL;

	(void)state;
	cfg_load(&b, CFG_HEAD "[Models.NTamd64]\nB text=B,PCI\\B\n%Dev%=A,PCI\\A,PCI\\SAME\n"
			      "%DEV%=A,PCI\\A2,PCI\\SAME\n"
			      "[A]\nCopyFiles=Files\n[B]\nCopyFiles=@disk.sys\n[Files]\ndisk.sys\n"
			      "[A.Services]\nAddService=disk,2,S\n"
			      "[B.Services]\nAddService=disk,2,S\n"
			      "[S]\nServiceType=1\nStartType=0\nErrorControl=1\n"
			      "ServiceBinary=%12%\\disk.sys\nAddReg=R\n[R]\nHKR,,l,0x10008,one\n");
	assert_ok(cfg_build(&b, &c, &E), E);
	assert_int_equal(c->record.n_sections, 2);
	assert_string_equal(c->record.sections[0].name, "B");
	assert_int_equal(c->record.n_descriptors, 4);
	assert_string_equal(c->record.descriptors[0].description, "B text");
	assert_string_equal(c->record.descriptors[2].id, "PCI\\SAME");
	assert_int_equal(c->record.n_strings, 2);
	assert_int_equal(c->n_services, 1);
	assert_int_equal(c->n_files, 1);
	assert_int_equal(c->files[0].lockdown, 4);
	/* The list is appended once, not once a section. */
	for (size_t i = 0; i < c->values.n; i++)
		if (c->values.items[i].name && strcmp(c->values.items[i].name, "l") == 0)
			assert_int_equal(c->values.items[i].data.len, 10);
	ibb_configuration_free(c);
	cfg_free(&b);
}

/* The null driver: a service name of nothing. */
static void test_null_driver(void **state)
{
	struct cfg_bed b = {0};

	(void)state;
	has(&b, CFG_HEAD CFG_MODELS "[Inst]\n[Inst.Services]\nAddService=,2\n",
	    LINES("package set Configurations\\Inst : Service = 1 ~\n"), LINES("control"));
}

/* ---- no memory ---- */

#define EVERYTHING                                                                      \
	CFG_ALL "[Inst.HW]\nInclude=pci.inf\nNeeds=Opt.HW\nAddReg=R\n[R]\nHKR,,a,,b\n"  \
		"HKR,,m,0x10008,a\nHKR,,m,0x10008,b\nHKR,K,,0x10\nHKR,,UpperFilters,"   \
		"0x10000,u\n[Svc_Inst]\nDisplayName=%Svc%\nDependencies=x\nAddReg=R2\n" \
		"[R2]\nHKR,P,v,1,00\n[Inst.Interfaces]\n"                               \
		"AddInterface={53F5630D-B6BF-11D0-94F2-00A0C91EFB8B}\n"

static void test_nomem(void **state)
{
	struct cfg_bed b = {.infs = {{.name = "pci.inf",
				      .text = "[Version]\nSignature=\"$Windows NT$\"\n"
					      "[Opt.HW]\nAddReg=O\n[O]\nHKR,g,o,0x10001,1\n"}}};
	struct ibb_configuration *c = NULL;
	long n = 0, asked;
	int rc;

	(void)state;
	for (;; n++) {
		cfg_load(&b, EVERYTHING);
		ibb_mem_fail_at(n, false);
		(void)ibb_mem_count();
		rc = cfg_build(&b, &c, &E);
		asked = ibb_mem_count();
		ibb_mem_fail_at(-1, false);
		if (!rc)
			break;
		assert_int_equal(rc, IBB_E_NOMEM);
		assert_null(c);
		ibb_package_free(b.p);
		ibb_inf_free(b.infs[0].inf);
		b.infs[0].inf = NULL;
		b.dir.n = 0;
	}
	/* It succeeded because nothing failed, not because a failure was passed over. */
	assert_true(asked <= n);
	assert_true(n > 30);
	ibb_configuration_free(c);
	cfg_free(&b);
}

/* The same for a record that is read and written again. */
static void test_record_nomem(void **state)
{
	struct cfg_bed b = {.infs = {{.name = "pci.inf",
				      .text = "[Version]\nSignature=\"$Windows NT$\"\n"
					      "[Opt.HW]\nAddReg=O\n[O]\nHKR,g,o,0x10001,1\n"}}};
	struct ibb_configure_values values = {0}, again = {0};
	struct ibb_configuration *c = NULL;
	struct ibb_config_record rec = {0};
	struct ibb_arena a = {0};
	long n = 0, asked;
	int rc;

	(void)state;
	cfg_load(&b, EVERYTHING);
	assert_ok(cfg_build(&b, &c, &E), E);
	assert_ok(ibb_config_record_encode(&c->record, &c->arena, &values, &E), E);
	for (;; n++) {
		ibb_arena_clear(&a);
		ibb_mem_fail_at(n, false);
		rc = ibb_config_record_decode(values.items, values.n, &c->arena, &rec, &E);
		if (!rc)
			rc = ibb_config_record_encode(&rec, &a, &again, &E);
		asked = ibb_mem_count();
		ibb_mem_fail_at(-1, false);
		ibb_config_record_clear(&rec);
		if (!rc)
			break;
		assert_int_equal(rc, IBB_E_NOMEM);
		assert_int_equal(again.n, 0);
	}
	assert_true(asked <= n);
	assert_true(n > 20);
	assert_int_equal(again.n, values.n);
	free(values.items);
	free(again.items);
	ibb_arena_clear(&a);
	ibb_configuration_free(c);
	cfg_free(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_as_dism),	       cmocka_unit_test(test_types),
		cmocka_unit_test(test_delete),	       cmocka_unit_test(test_parts),
		cmocka_unit_test(test_services),       cmocka_unit_test(test_included),
		cmocka_unit_test(test_included_again), cmocka_unit_test(test_makers),
		cmocka_unit_test(test_store_file),     cmocka_unit_test(test_targets),
		cmocka_unit_test(test_two_sections),   cmocka_unit_test(test_null_driver),
		cmocka_unit_test(test_nomem),	       cmocka_unit_test(test_record_nomem),
	};

	return cmocka_run_group_tests(tests, NULL, NULL) ? 1 : 0;
}
