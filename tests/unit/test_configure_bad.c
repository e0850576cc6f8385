/* SPDX-License-Identifier: GPL-3.0-or-later */
/* INFs that must not be configured: each with its code and what the message names. */
#include "driver/configure.h"

#include "test.h"

#include "cfgtest.h"

static struct ibb_error E;

#define HW  CFG_ALL "[Inst.HW]\nAddReg=R\n[R]\n"
#define INF "[Version]\nSignature=\"$Windows NT$\"\n"

static void refused(struct cfg_bed *b, const char *text, int code, const char *message)
{
	struct ibb_configuration *c = NULL;

	cfg_load(b, text);
	E = (struct ibb_error){0};
	assert_fails(cfg_build(b, &c, &E), code, E, message);
	assert_null(c);
	cfg_free(b);
}

struct bad {
	const char *text;
	int code;
	const char *message;
};

static void all(const struct bad *t, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		struct cfg_bed b = {0};

		refused(&b, t[i].text, t[i].code, t[i].message);
	}
}

static void test_addreg(void **state)
{
	static const struct bad t[] = {
		{HW "HKLM,a,b,,c\n", IBB_E_UNSUPPORTED, "disk.inf:36: AddReg to a root other"},
		{HW "HKX,a,b,,c\n", IBB_E_CORRUPT, "disk.inf:36: 'HKX' is no registry root"},
		{HW "HKR,,a,zz,c\n", IBB_E_CORRUPT, "disk.inf:36: AddReg flags are not a number"},
		{HW "HKR,,a,4,c\n", IBB_E_UNSUPPORTED, "flags 0x4 are not understood"},
		{HW "HKR,,a,0x20,c\n", IBB_E_UNSUPPORTED, "flags 0x20 are not understood"},
		{HW "HKR,,a,0x50001,1\n", IBB_E_UNSUPPORTED, "0x50001 name a value type"},
		{HW "HKR,,a,0x10009,1\n", IBB_E_UNSUPPORTED, "append to what is no list"},
		{HW "HKR,,a,0x100000000,1\n", IBB_E_CORRUPT, "not a number"},
		{HW "HKR,,a,0x10001,4294967296\n", IBB_E_UNSUPPORTED, "not one number: '4294"},
		{HW "HKR,,a,0x10001,-1\n", IBB_E_UNSUPPORTED, "not one number: '-1'"},
		{HW "HKR,,a,0x10001,1,2\n", IBB_E_UNSUPPORTED, "a 32-bit value that is not one"},
		{HW "HKR,,a,0x10001\n", IBB_E_UNSUPPORTED, "a 32-bit value"},
		{HW "HKR,,a,1,100\n", IBB_E_UNSUPPORTED, "not single bytes: '100'"},
		{HW "HKR,,a,1,g\n", IBB_E_UNSUPPORTED, "not single bytes: 'g'"},
		{HW "HKR,,a,1,0x\n", IBB_E_UNSUPPORTED, "not single bytes: '0x'"},
		{HW "HKR,,a,,b,c\n", IBB_E_UNSUPPORTED, "quotes are missing"},
		{HW "HKR,,a,0x10000\n", IBB_E_UNSUPPORTED, "a list of strings without a string"},
		{HW "HKR,,a,0x10000,a,,b\n", IBB_E_UNSUPPORTED, "with an empty one in it"},
		{HW "HKR,a\n", IBB_E_UNSUPPORTED, "neither value name nor value"},
		{HW "HKR,\\a,b,,c\n", IBB_E_UNSUPPORTED, "an empty component"},
		{HW "HKR,a\\,b,,c\n", IBB_E_UNSUPPORTED, "an empty component"},
		{HW "HKR,a\\\\b,b,,c\n", IBB_E_UNSUPPORTED, "an empty component"},
		{HW "x=HKR,a,b,,c\n", IBB_E_CORRUPT, "'x =' in a list of registry changes"},
		{HW "HKR,,a,,b\nHKR,,A,,c\n", IBB_E_UNSUPPORTED,
		 "disk.inf:37: AddReg: sets 'A' of Device to something else than disk.inf:36"},
		{HW "HKR,,a,,b\nHKR,,a,2,b\n", IBB_E_UNSUPPORTED, "to something else"},
		{HW "HKR,,Security,,\"D:P(A;;GA;;;SY)\"\n", IBB_E_UNSUPPORTED,
		 "the device property 'Security'"},
		{HW "HKR,,FriendlyName,,x\n", IBB_E_UNSUPPORTED, "property 'FriendlyName'"},
		{HW "HKR,,DeviceCharacteristics,,x\n", IBB_E_UNSUPPORTED, "'DeviceCharacter"},
		{HW "HKR,,UpperFilters,0x10008,x\n", IBB_E_UNSUPPORTED, "UpperFilters in another"},
		{HW "HKR,,LowerFilters,,x\n", IBB_E_UNSUPPORTED, "LowerFilters in another"},
		{CFG_ALL "[Inst]\nAddReg=R\n[R]\nHKR,,CoInstallers32,0x10000,a\n",
		 IBB_E_UNSUPPORTED, "the driver property 'CoInstallers32'"},
		{CFG_ALL "[Inst.HW]\nDelReg=R\n[R]\nHKR,a,b,0x18002,c\n", IBB_E_UNSUPPORTED,
		 "DelReg with flags"},
		{CFG_ALL "[Inst.HW]\nDelReg=R\n[R]\nHKR,a\\b\n", IBB_E_UNSUPPORTED,
		 "DelReg of 'a\\b', a key below another"},
		{CFG_ALL "[Inst.HW]\nDelReg=R\n[R]\nHKR\n", IBB_E_UNSUPPORTED,
		 "DelReg of a whole root"},
	};

	(void)state;
	all(t, IBB_ARRAY_SIZE(t));
}

static void test_directives(void **state)
{
	static const struct bad t[] = {
		{CFG_ALL "[Inst]\nLogConfig=x\n", IBB_E_UNSUPPORTED,
		 "disk.inf:34: the directive 'LogConfig' in [Inst] is not understood"},
		{CFG_ALL "[Inst]\nReboot\n", IBB_E_UNSUPPORTED, "the directive 'Reboot'"},
		{CFG_ALL "[Inst]\nAddProperty=x\n", IBB_E_UNSUPPORTED, "'AddProperty'"},
		{CFG_ALL "[Inst.HW]\nCopyFiles=Files\n", IBB_E_UNSUPPORTED,
		 "the directive 'CopyFiles' in [Inst.HW]"},
		{CFG_ALL "[Inst.Services]\nDelService=x\n", IBB_E_UNSUPPORTED, "'DelService'"},
		{CFG_ALL "[Inst.CoInstallers]\nAddReg=x\n[x]\n", IBB_E_UNSUPPORTED,
		 "disk.inf:33: what Windows records for [Inst.CoInstallers] is not known"},
		{CFG_ALL "[Inst.Filters]\nAddFilter=x\n", IBB_E_UNSUPPORTED, "[Inst.Filters]"},
		{CFG_ALL "[Inst.Interfaces]\nAddInterface={53F5630D-B6BF-11D0-94F2-00A0C91EFB8B}"
			 ",,S\n[S]\n",
		 IBB_E_UNSUPPORTED, "AddInterface with 'S' behind its class"},
		{CFG_ALL "[Inst.Interfaces]\nAddInterface={nonsense}\n", IBB_E_CORRUPT,
		 "AddInterface of no class"},
		{CFG_ALL "[Inst.Wdf]\nUmdfService=x,y\n", IBB_E_UNSUPPORTED, "'UmdfService'"},
		{CFG_ALL "[Inst.Wdf]\nKmdfService=disk,K\n[K]\nOther=1\n", IBB_E_UNSUPPORTED,
		 "the directive 'Other' of a framework section"},
		{CFG_ALL "[Inst.Wdf]\nKmdfService=disk\n", IBB_E_UNSUPPORTED,
		 "KmdfService without its section"},
		{CFG_ALL "[Inst.HW]\nAddReg=Nowhere\n", IBB_E_UNSUPPORTED,
		 "names the section [Nowhere], which it lacks"},
	};

	(void)state;
	all(t, IBB_ARRAY_SIZE(t));
}

#define SVC CFG_HEAD CFG_MODELS CFG_INST "[Inst.Services]\n"
#define S4  "ServiceType=1\nStartType=0\nErrorControl=1\nServiceBinary=%12%\\disk.sys\n"

static void test_services(void **state)
{
	static const struct bad t[] = {
		{SVC "AddService=disk,2,S\n[S]\n" S4 "Security=x\n", IBB_E_UNSUPPORTED,
		 "the directive 'Security' of the service section [S] is not understood"},
		{SVC "AddService=disk,2,S\n[S]\nServiceType=1\n", IBB_E_CORRUPT,
		 "the service section [S] lacks StartType"},
		{SVC "AddService=disk,2,S\n[S]\n" S4 "ServiceType=1\n", IBB_E_CORRUPT,
		 "[S] has ServiceType twice"},
		{SVC "AddService=disk,2,S\n[S]\n" S4 "BootFlags=x\n", IBB_E_CORRUPT,
		 "BootFlags 'x' is not a number"},
		{SVC "AddService=disk,2,S\n[S]\nServiceType=1\nStartType=0\nErrorControl=9\n",
		 IBB_E_CORRUPT, "ErrorControl '9' is not a number up to 3"},
		{SVC "AddService=disk,2,S\n[S]\nServiceType=1\nStartType=0\nErrorControl=1\n"
		     "ServiceBinary=disk.sys\n",
		 IBB_E_UNSUPPORTED, "ServiceBinary 'disk.sys' is not of the form"},
		{SVC "AddService=disk,2,S\n[S]\nServiceType=1\nStartType=0\nErrorControl=1\n"
		     "ServiceBinary=%13%\\disk.sys\n",
		 IBB_E_UNSUPPORTED, "'disk' is no kernel driver in the system directories"},
		{SVC "AddService=disk,2,S\n[S]\nServiceType=16\nStartType=2\nErrorControl=1\n"
		     "ServiceBinary=%11%\\disk.exe\n",
		 IBB_E_UNSUPPORTED, "is no kernel driver"},
		{SVC "AddService=disk,2,S\n[S]\nServiceType=1\nStartType=0\nErrorControl=1\n"
		     "ServiceBinary=%12%\\other.sys\n",
		 IBB_E_UNSUPPORTED,
		 "disk.inf:27: AddService: the service disk runs "
		 "Windows/System32/drivers/other.sys, which the package does not copy"},
		{SVC "AddService=disk,2,S\n[S]\n" S4 "DisplayName=The %Svc%\n", IBB_E_UNSUPPORTED,
		 "text with a token in it: 'The %Svc%'"},
		{SVC "AddService=disk,2,S\n[S]\n" S4 "DisplayName=%Nope%\n", IBB_E_UNSUPPORTED,
		 "%Nope%, which [Strings] lacks"},
		{SVC "AddService=disk,2,S\n[S]\n" S4 "Dependencies=+group\n", IBB_E_UNSUPPORTED,
		 "Dependencies on a group"},
		{SVC "AddService=disk,2,S\n[S]\n" S4 "AddReg=R\n[R]\nHKR,,Start,0x10001,3\n",
		 IBB_E_UNSUPPORTED, "sets 'Start' of Services\\disk to something else"},
		{SVC "AddService=disk,0x803,S\n[S]\n" S4, IBB_E_UNSUPPORTED,
		 "the flags of AddService = disk are not understood"},
		{SVC "AddService=disk,2,S\nAddService=two,2,S\n[S]\n" S4, IBB_E_UNSUPPORTED,
		 "a second associated service, 'two'"},
		{SVC "AddService=disk,2,S\nAddService=DISK,,T\n[S]\n" S4 "[T]\n" S4,
		 IBB_E_UNSUPPORTED, "another definition of the service 'DISK'"},
		{SVC "AddService=..\\x,2,S\n[S]\n" S4, IBB_E_CORRUPT,
		 "'..\\x' cannot be the name of a service"},
		{SVC "AddService=disk,2,S,L,a\\b\n[S]\n" S4 "[L]\n", IBB_E_CORRUPT, "'a\\b'"},
		{SVC "AddService=disk,2,S,L\n[S]\n" S4 "[L]\nBitReg=x\n", IBB_E_UNSUPPORTED,
		 "the directive 'BitReg' of an event log section"},
		{SVC "AddService=,,S\n[S]\n" S4, IBB_E_UNSUPPORTED, "without a name"},
		{SVC "AddService=disk,2,S,L\n[S]\n" S4
		     "[L]\nAddReg=R\n[R]\nHKR,,m,0x10000,a\nHKR,,m,0x10008,b\n",
		 IBB_E_UNSUPPORTED,
		 "sets 'm' of Services\\EventLog\\System\\disk to something else"},
		{SVC "AddService=disk,2,S,L\n[S]\n" S4
		     "[L]\nAddReg=R\n[R]\nHKR,,a,,b\nHKR,,a,2,b\n",
		 IBB_E_UNSUPPORTED,
		 "sets 'a' of Services\\EventLog\\System\\disk to something else"},
		{SVC "AddService=disk,2,S\n[S]\n" S4 "DisplayName=%Svc% x\n", IBB_E_UNSUPPORTED,
		 "text with a token in it: '%Svc% x'"},
		{SVC "AddService=disk,2,S\n[S]\nServiceType=1\nStartType=0\nErrorControl=1\n",
		 IBB_E_CORRUPT, "lacks ServiceBinary"},
	};

	(void)state;
	all(t, IBB_ARRAY_SIZE(t));
}

static void test_files(void **state)
{
	static const struct bad t[] = {
		{CFG_ALL "[DestinationDirs]\nFiles=10\n", IBB_E_UNSUPPORTED,
		 "files for directory '10'"},
		{CFG_ALL "[DestinationDirs]\nFiles=13,sub\n", IBB_E_UNSUPPORTED,
		 "a directory 'sub' of the driver store"},
		{CFG_ALL "[Files]\nb.sys,disk.sys,,16\n", IBB_E_UNSUPPORTED,
		 "the CopyFiles flags '16' are not understood"},
		{CFG_ALL "[Inst]\nCopyFiles=More\n[More]\ndisk.sys\n[DestinationDirs]\nMore=12,x\\."
			 ".\\..\\config\n",
		 IBB_E_CORRUPT,
		 "copies to 'Windows/System32/drivers/x\\..\\..\\config/disk.sys', no path below"},
		{CFG_ALL "[Inst]\nCopyFiles=@disk.sys,More\n[More]\nDISK.SYS,disk.sys,,,\n"
			 "[Inst.HW]\nAddReg=Nowhere\n",
		 IBB_E_UNSUPPORTED, "[Nowhere]"},
		{CFG_ALL "[Files]\nb.sys,disk.sys,,x\n", IBB_E_UNSUPPORTED, "flags 'x'"},
		{CFG_ALL "[SourceDisksFiles]\nfilter.sys=1,sub\n"
			 "[Files]\nDISK.SYS,filter.sys\n",
		 IBB_E_UNSUPPORTED, "two files for Windows/System32/drivers/DISK.SYS"},
	};

	(void)state;
	all(t, IBB_ARRAY_SIZE(t));
}

/* ---- included INFs ---- */

struct with {
	struct cfg_inf infs[3];
	struct bad bad;
};

#define NEEDS(x) CFG_ALL "[Inst.HW]\nInclude=a.inf\nNeeds=" x "\n"

static void test_includes(void **state)
{
	static const struct with t[] = {
		{{{0}},
		 {NEEDS("X.HW"), IBB_E_UNSUPPORTED,
		  "disk.inf:34: includes a.inf, which the target's INF directory lacks"}},
		{{{0}},
		 {CFG_ALL "[Inst.HW]\nInclude=..\\a.inf\n", IBB_E_CORRUPT,
		  "disk.inf:34: Include of '..\\a.inf', no file name"}},
		{{{"a.inf", "garbage", NULL}},
		 {NEEDS("X.HW"), IBB_E_CORRUPT, "disk.inf:34 includes a.inf: a.inf:1:"}},
		{{{"a.inf", INF, NULL}},
		 {NEEDS("X.HW"), IBB_E_UNSUPPORTED,
		  "disk.inf:35: Needs=X.HW: neither the file nor what it includes"}},
		{{{"a.inf", INF "[X.HW]\nInclude=b.inf\nNeeds=Y.HW\n", NULL},
		  {"b.inf", INF "[Y.HW]\nInclude=a.inf\nNeeds=X.HW\n", NULL}},
		 {NEEDS("X.HW"), IBB_E_CORRUPT, "Needs goes round in a circle through [X.HW]"}},
		{{{"a.inf", INF "[X.HW]\nInclude=a.inf\nNeeds=X.HW\n", NULL}},
		 {NEEDS("X.HW"), IBB_E_CORRUPT, "a.inf:5: Needs goes round in a circle"}},
		{{{"a.inf", INF "[X.HW]\n", NULL}},
		 {NEEDS("X.HW") "[X.HW]\n", IBB_E_UNSUPPORTED,
		  "Needs=X.HW: more than one file has that section"}},
		{{{"a.inf", INF "[X.HW]\nBitReg=y\n", NULL}},
		 {NEEDS("X.HW"), IBB_E_UNSUPPORTED,
		  "a.inf:4: the directive 'BitReg' in [X.HW] is not understood"}},
		{{{"a.inf", INF "[X.HW]\nAddReg=y\n", NULL}},
		 {NEEDS("X.HW"), IBB_E_UNSUPPORTED,
		  "a.inf:4: names the section [y], which it lacks"}},
		{{{"a.inf", INF "[X.HW]\n", NULL}},
		 {CFG_ALL "[Inst]\nInclude=a.inf\nNeeds=X.HW\n", IBB_E_UNSUPPORTED,
		  "Needs=X.HW in [Inst]: a section of another part"}},
		{{{"a.inf", INF "[X]\nCopyFiles=y\n", NULL}},
		 {CFG_ALL "[Inst]\nInclude=a.inf\nNeeds=X\n", IBB_E_UNSUPPORTED,
		  "a.inf:4: CopyFiles=y in an INF that is only included"}},
		{{{"a.inf", INF "[X.Services]\nAddService=y,,z\n", NULL}},
		 {CFG_ALL "[Inst.Services]\nInclude=a.inf\nNeeds=X.Services\n", IBB_E_UNSUPPORTED,
		  "a.inf:4: AddService of 'y' in an INF that is only included"}},
		{{{"a.inf", INF "[X.HW]\nAddReg=y\n[y]\nHKR,,v,,other\n", NULL}},
		 {NEEDS("X.HW") "AddReg=r\n[r]\nHKR,,v,,mine\n", IBB_E_UNSUPPORTED,
		  "a.inf:6: AddReg: sets 'v' of Device to something else than disk.inf:38"}},
	};

	static const struct with named[] = {
		{{{"a.inf", INF, NULL}},
		 {CFG_ALL "[Inst]\nInclude=a.inf\nCopyFiles=Nowhere\n", IBB_E_UNSUPPORTED,
		  "disk.inf:35: names the section [Nowhere], which it lacks"}},
		{{{"a.inf", INF, NULL}},
		 {CFG_ALL "[Inst]\nInclude=a.inf\n[Inst.Services]\nAddService=two,,Nowhere\n",
		  IBB_E_UNSUPPORTED, "AddService without a name or its section [Nowhere]"}},
		{{{"a.inf", INF, NULL}},
		 {SVC "AddService=disk,2,S,Nowhere\n[S]\n" S4 "[Inst]\nInclude=a.inf\n",
		  IBB_E_UNSUPPORTED, "disk.inf:27: names the section [Nowhere], which it lacks"}},
	};

	(void)state;
	for (size_t i = 0; i < IBB_ARRAY_SIZE(named); i++) {
		struct cfg_bed b = {0};

		memcpy(b.infs, named[i].infs, sizeof(named[i].infs));
		refused(&b, named[i].bad.text, named[i].bad.code, named[i].bad.message);
	}
	for (size_t i = 0; i < IBB_ARRAY_SIZE(t); i++) {
		struct cfg_bed b = {0};

		memcpy(b.infs, t[i].infs, sizeof(t[i].infs));
		refused(&b, t[i].bad.text, t[i].bad.code, t[i].bad.message);
	}
}

/* A provider that fails is an error of its own, told with the line that asked. */
static int broken(void *ctx, const char *name, struct ibb_inf **ret, struct ibb_error *err)
{
	(void)ctx;
	(void)ret;
	return ibb_err(err, IBB_E_IO, "%s: cannot be read", name);
}

static void test_provider(void **state)
{
	struct cfg_bed b = {0};
	struct ibb_configure_opts o = {"oem7.inf", "disk.inf_amd64_0123456789abcdef", {0}};
	struct ibb_configuration *c = NULL;

	(void)state;
	cfg_load(&b, NEEDS("X.HW"));
	assert_fails(ibb_configure_build(b.p, &o, &c, &E), IBB_E_UNSUPPORTED, E, "lacks");
	o.included.get = broken;
	assert_fails(ibb_configure_build(b.p, &o, &c, &E), IBB_E_IO, E,
		     "disk.inf:34 includes a.inf: a.inf: cannot be read");
	assert_null(c);
	cfg_free(&b);
}

/* ---- sizes ---- */

static char *grown(const char *head, const char *unit, size_t n, const char *tail)
{
	struct ibb_buf b = {0};

	assert_int_equal(ibb_buf_append_str(&b, head), 0);
	for (size_t i = 0; i < n; i++)
		assert_int_equal(ibb_buf_append_str(&b, unit), 0);
	assert_int_equal(ibb_buf_append_str(&b, tail), 0);
	return ibb_buf_take_str(&b);
}

static void too_large(char *text, const char *message)
{
	struct cfg_bed b = {0};

	assert_non_null(text);
	refused(&b, text, IBB_E_LIMIT, message);
	free(text);
}

static char *numbered(const char *head, const char *fmt, unsigned n)
{
	struct ibb_buf b = {0};

	assert_int_equal(ibb_buf_append_str(&b, head), 0);
	for (unsigned i = 0; i < n; i++) {
		char line[64];

		for (const char *p = fmt; *p; p++) {
			snprintf(line, sizeof(line), "%u", i);
			assert_int_equal(*p == '#' ? ibb_buf_append_str(&b, line)
						   : ibb_buf_append(&b, p, 1),
					 0);
		}
	}
	return ibb_buf_take_str(&b);
}

static void test_sizes(void **state)
{
	(void)state;
	too_large(grown(HW "HKR,,a,,\"", "x", 9000, "\"\n"), "value of more than 16344 bytes");
	too_large(grown(HW "HKR,\"", "x", 256, "\",a,,b\n"), "a name of more than 255");
	too_large(grown(HW "HKR,\"", "x\\", 40, "x\",a,,b\n"), "registry key deeper than 32");
	too_large(grown(HW "HKR,\"", "x", 1025, "\",a,,b\n"), "key of more than 1024");
	too_large(grown(HW "HKR,,\"", "x", 16384, "\",,b\n"), "name of more than 16383");
	too_large(numbered(HW, "HKR,,v#,,x\n", 4097), "more than 4096 registry values");
	too_large(
		grown(HW, "HKR,,a,0x10008,\"0123456789012345678901234567890123456789\"\n", 400, ""),
		"a list of more than 16344 bytes");
	too_large(numbered(CFG_ALL "[Inst.HW]\n", "Needs=N#.HW\n[N#.HW]\n[Inst.HW]\n", 1100),
		  "more than 1024 sections take part");
}

/* Each INF is there, but nobody needs so many. */
static int anything(void *ctx, const char *name, struct ibb_inf **ret, struct ibb_error *err)
{
	struct ibb_inf **inf = ctx;
	int rc = IBB_OK;

	if (!*inf)
		rc = ibb_inf_parse(name, (struct ibb_bytes){(const uint8_t *)INF, strlen(INF)}, inf,
				   err);
	*ret = *inf;
	return rc;
}

static void test_many_includes(void **state)
{
	char *text = numbered(CFG_ALL "[Inst.HW]\n", "Include=i#.inf\n", 33);
	struct ibb_inf *inf = NULL;
	struct ibb_configure_opts o = {
		"oem7.inf", "disk.inf_amd64_0123456789abcdef", {anything, &inf}};
	struct ibb_configuration *c = NULL;
	struct cfg_bed b = {0};

	(void)state;
	cfg_load(&b, text);
	assert_fails(ibb_configure_build(b.p, &o, &c, &E), IBB_E_LIMIT, E,
		     "disk.inf:66: more than 32 included INFs");
	assert_null(c);
	cfg_free(&b);
	ibb_inf_free(inf);
	free(text);
}

/* A chain that is no circle, in an INF of the target. */
static void test_depth(void **state)
{
	struct cfg_bed b = {0};
	struct ibb_buf chain = {0};

	(void)state;
	assert_int_equal(ibb_buf_append_str(&chain, INF), 0);
	for (unsigned i = 0; i < 20; i++)
		assert_int_equal(ibb_buf_printf(&chain, "[N%u.HW]\nNeeds=N%u.HW\n", i, i + 1), 0);
	assert_non_null(ibb_buf_cstr(&chain));
	b.infs[0] = (struct cfg_inf){"a.inf", (char *)chain.data, NULL};
	refused(&b, NEEDS("N0.HW"), IBB_E_LIMIT, "a.inf:34: Needs nested more than 16 deep");
	ibb_buf_clear(&chain);
}

/* ---- device IDs ---- */

static void test_ids(void **state)
{
	static const struct bad t[] = {
		{CFG_HEAD
		 "[Models.NTamd64]\n%Dev%=Inst,PCI\\A\n%Svc%=Inst,pci\\a\n" CFG_INST CFG_SERVICE,
		 IBB_E_UNSUPPORTED,
		 "disk.inf:22: models line: the device ID pci\\a stands on another line too "
		 "(disk.inf:21: models line)"},
		{CFG_HEAD "[Models.NTamd64]\n%Dev%=Inst,PCI\\A\n%Dev%=Two,PCI\\A\n[Two]\n" CFG_INST
			 CFG_SERVICE,
		 IBB_E_UNSUPPORTED, "with another text or section"},
		{CFG_HEAD "[Models.NTamd64]\nThe %Dev%=Inst,PCI\\A\n" CFG_INST CFG_SERVICE,
		 IBB_E_UNSUPPORTED, "the text 'The %Dev%' is not one token"},
		{CFG_HEAD "[Models.NTamd64]\n%None%=Inst,PCI\\A\n" CFG_INST CFG_SERVICE,
		 IBB_E_UNSUPPORTED, "the text '%None%' is not one token of [Strings]"},
	};
	struct cfg_bed b = {.target = client_22h2};

	(void)state;
	all(t, IBB_ARRAY_SIZE(t));
	refused(&b, CFG_ALL "[Version]\nExtensionId={00112233-4455-6677-8899-AABBCCDDEEFF}\n",
		IBB_E_UNSUPPORTED, "an Extension INF is not configured by itself");
	b.target = windows_81;
	b.infs[0] = (struct cfg_inf){"a.inf", INF "[X.HW]\n", NULL};
	refused(&b, NEEDS("X.HW"), IBB_E_UNSUPPORTED,
		"disk.inf:29: install section: includes a.inf; what Windows before 10");
	b.target = client_22h2;
	b.target.build = 22621;
	refused(&b, CFG_ALL, IBB_E_UNSUPPORTED, "build 22621");
}

/* ---- records that Windows would not have written ---- */

struct rec {
	const char *key, *name;
	uint32_t type;
	const char *data;
	size_t len;
	int code;
	const char *message;
};

static void test_decode(void **state)
{
	static const struct rec t[] = {
		{"Configurations\\A", "Other", 1, "\0\0", 2, IBB_E_UNSUPPORTED, "not known in a"},
		{"Configurations\\A", "Service", 3, "\0\0", 2, IBB_E_UNSUPPORTED, "not a string"},
		{"Configurations\\A", "Service", 1, "a\0", 2, IBB_E_CORRUPT, "do not fit"},
		{"Configurations\\A", "Service", 1, "\0\0a\0", 4, IBB_E_CORRUPT, "do not fit"},
		{"Configurations\\A", "Service", 1, "", 0, IBB_E_CORRUPT, "do not fit"},
		{"Configurations\\A", "Service", 1, "\0", 1, IBB_E_CORRUPT, "do not fit"},
		{"Configurations\\A", "ConfigScope", 4, "\0\0", 2, IBB_E_CORRUPT, "do not fit"},
		{"Configurations\\A", "ConfigScope", 1, "\0\0", 2, IBB_E_UNSUPPORTED,
		 "not a DWORD"},
		{"Configurations\\A", "LowerFilters", 1, "\0\0", 2, IBB_E_UNSUPPORTED,
		 "not a list"},
		{"Configurations\\A", "Reboot", 4, "\2\0\0\0", 4, IBB_E_UNSUPPORTED, "not 1"},
		{"Configurations\\A", "UpperFilters", 7, "\0\0", 2, IBB_E_CORRUPT, "empty list"},
		{"Configurations\\A", "UpperFilters", 7, "a\0\0\0", 4, IBB_E_CORRUPT, "do not fit"},
		{"Configurations\\A", "UpperFilters", 7, "\0\0\0\0", 4, IBB_E_CORRUPT, "do not"},
		{"Configurations\\A", NULL, 0, "", 0, IBB_E_UNSUPPORTED, "an empty configuration"},
		{"Configurations\\A\\What", "a", 1, "\0\0", 2, IBB_E_UNSUPPORTED, "in a key that"},
		{"Configurations\\A\\Services", "a", 1, "\0\0", 2, IBB_E_UNSUPPORTED, "in a key"},
		{"Configurations\\A\\Device", "a", 0x60001, "\0\0", 2, IBB_E_UNSUPPORTED, "flags"},
		{"Configurations\\A\\Device", "a", 0x40001, "\0\0", 2, IBB_E_UNSUPPORTED, "flags"},
		{"Configurations\\A\\Device", "a", 99, "\0\0", 2, IBB_E_UNSUPPORTED, "a type that"},
		{"Configurations\\A\\Device", "a", 0x200000, "\0\0", 2, IBB_E_CORRUPT, "deletion"},
		{"Configurations\\A\\Device", "a", 11, "\0\0", 2, IBB_E_CORRUPT, "do not fit"},
		{"Configurations\\A\\Properties\\x", "", 0xffff0007, "", 0, IBB_E_UNSUPPORTED,
		 "not the key of a property"},
		{"Configurations\\A\\Properties\\{a45c254e-df1c-4efd-8020-67d146a850e0}\\001D", "",
		 4, "", 0, IBB_E_UNSUPPORTED, "not the value of a property"},
		{"Configurations\\A\\Interfaces\\x", NULL, 0, "", 0, IBB_E_UNSUPPORTED, "just the"},
		{"Descriptors\\PCI\\A", "Configuration", 1, "\0\0", 2, IBB_E_CORRUPT, "lacks one"},
		{"Descriptors\\PCI\\A", "Else", 1, "\0\0", 2, IBB_E_UNSUPPORTED, "not known in a"},
		{"Descriptors\\PCI\\A", NULL, 0, "", 0, IBB_E_UNSUPPORTED, "without values"},
		{"Strings", "a", 2, "\0\0", 2, IBB_E_UNSUPPORTED, "not a string"},
		{"Properties\\x", "a", 1, "\0\0", 2, IBB_E_UNSUPPORTED, "not in Configurations"},
	};
	static const struct ibb_configure_value twice[] = {
		{.key = "Configurations\\A",
		 .name = "Service",
		 .type = 1,
		 .data = {(const uint8_t *)"\0\0", 2}},
		{.key = "Configurations\\A",
		 .name = "ConfigFlags",
		 .type = 4,
		 .data = {(const uint8_t *)"\0\0\0\0", 4}},
		{.key = "Configurations\\A",
		 .name = "LowerFilters",
		 .type = 7,
		 .data = {(const uint8_t *)"a\0\0\0\0\0", 6}},
	};
	struct ibb_config_record rec = {0};
	struct ibb_arena a = {0};

	(void)state;
	for (size_t i = 0; i < IBB_ARRAY_SIZE(twice); i++) {
		const struct ibb_configure_value v[] = {twice[i], twice[i]};

		assert_fails(ibb_config_record_decode(v, 2, &a, &rec, &E), IBB_E_CORRUPT, E,
			     "there twice");
	}
	for (size_t i = 0; i < IBB_ARRAY_SIZE(t); i++) {
		const struct ibb_configure_value v = {
			.key = t[i].key,
			.name = t[i].name,
			.type = t[i].type,
			.data = {(const uint8_t *)t[i].data, t[i].len},
		};

		assert_fails(ibb_config_record_decode(&v, 1, &a, &rec, &E), t[i].code, E,
			     t[i].message);
		assert_int_equal(rec.n_sections, 0);
	}
	ibb_arena_clear(&a);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_addreg),	      cmocka_unit_test(test_directives),
		cmocka_unit_test(test_services),      cmocka_unit_test(test_files),
		cmocka_unit_test(test_includes),      cmocka_unit_test(test_provider),
		cmocka_unit_test(test_sizes),	      cmocka_unit_test(test_depth),
		cmocka_unit_test(test_many_includes), cmocka_unit_test(test_ids),
		cmocka_unit_test(test_decode),
	};

	return cmocka_run_group_tests(tests, NULL, NULL) ? 1 : 0;
}
