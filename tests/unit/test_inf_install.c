/* SPDX-License-Identifier: GPL-3.0-or-later */
/* DDInstall sections and the files of the package. */
#include "test_inf.h"

#define MODELS "[Manufacturer]\nM=M,NTamd64\n[M.NTamd64]\n"

static const struct ibb_inf_target arm64 = {IBB_ARCH_ARM64, 10, 0, 22000, 1, 0};

static struct ibb_inf_install install_of(struct ibb_inf *inf, const char *section)
{
	const struct ibb_inf_install *in = NULL;
	struct ibb_error err = {0};

	assert_ok(ibb_inf_install(inf, &win10_19041, section, &in, &err), err);
	return *in;
}

static void assert_no_install(const char *text, const char *section, int code, const char *msg)
{
	const struct ibb_inf_install *in = NULL;
	struct ibb_error err = {0};
	struct ibb_inf *inf = parse(text);

	assert_fails(ibb_inf_install(inf, &win10_19041, section, &in, &err), code, err, msg);
	assert_null(in);
	ibb_inf_free(inf);
}

/* .NT<arch>, then .NT, then none: SetupDiGetActualSectionToInstall. */
static void section_order(void **state)
{
	struct ibb_inf *inf = parse("[A]\n[A.NT]\n[A.ntamd64]\nFeatureScore=10\n[B]\n[b.nt]\n"
				    "[C]\n[C.NTx86]\n[D.NTarm64]\n");
	const struct ibb_inf_install *in, *again;
	struct ibb_error err = {0};

	(void)state;
	assert_string_equal(install_of(inf, "a").section, "A.ntamd64");
	assert_int_equal(install_of(inf, "a").line, 3);
	assert_int_equal(install_of(inf, "a").feature_score, 0x10);
	assert_string_equal(install_of(inf, "B").section, "b.nt");
	assert_string_equal(install_of(inf, "C").section, "C");
	assert_ok(ibb_inf_install(inf, &arm64, "A", &in, &err), err);
	assert_string_equal(in->section, "A.NT");
	assert_ok(ibb_inf_install(inf, &arm64, "D", &in, &err), err);
	assert_ok(ibb_inf_install(inf, &arm64, "d", &again, &err), err);
	assert_ptr_equal(in, again); /* cached */
	assert_fails(ibb_inf_install(inf, &win10_19041, "D", &in, &err), IBB_E_CORRUPT, err,
		     "t.inf: no install section [D.NTamd64], .NT or undecorated");
	ibb_inf_free(inf);
}

static void missing_section_names_models_line(void **state)
{
	struct ibb_inf *inf = parse(MODELS "a=Nowhere,ID\n");
	const struct ibb_inf_install *in;
	struct ibb_inf_models m;
	struct ibb_inf_files f;
	struct ibb_error err = {0};

	(void)state;
	assert_ok(ibb_inf_models(inf, &win10_19041, &m, &err), err);
	assert_fails(ibb_inf_install(inf, &win10_19041, "Nowhere", &in, &err), IBB_E_CORRUPT, err,
		     "t.inf:4: no install section [Nowhere.NTamd64]");
	assert_ok(ibb_inf_files(inf, &win10_19041, &f, &err), err); /* it copies nothing */
	assert_int_equal(f.n, 0);
	ibb_inf_free(inf);
}

static void nothing_but_defaults(void **state)
{
	struct ibb_inf *inf = parse("[I]\nCharacteristics = 0x84\n");
	struct ibb_inf_install in = install_of(inf, "I");

	(void)state;
	assert_int_equal(in.feature_score, 0xff);
	assert_null(in.service);
	assert_int_equal(in.service_start, 3);
	assert_int_equal(in.n_includes, 0);
	assert_false(in.copies_files || in.outside_store || in.absolute_addreg || in.coinstallers);
	ibb_inf_free(inf);
}

static void services(void **state)
{
	static const struct {
		const char *lines, *service;
		unsigned start;
	} cases[] = {
		{"AddService = s, 2, S, Log\n[S]\nStartType = 0\n", "s", 0},
		{"AddService = s, 0x00000002, S\n[S]\nStartType = 0x1 ; boot\n", "s", 1},
		{"AddService = s, %ASSOC%, S\n[S]\nx=1\n", "s", 3},
		{"AddService = f,, F\nAddService = s, 0x802, "
		 "S\n[F]\nStartType=0\n[S]\nStartType=4\n",
		 "s", 4},
		{"AddService = s, 0x800, S\n[S]\nStartType = 2\n", NULL, 3},
		{"AddService = , 2\n", NULL, 3}, /* the NULL driver */
		{"AddService = , %ASSOC%\n", NULL, 3},
	};

	(void)state;
	for (size_t i = 0; i < IBB_ARRAY_SIZE(cases); i++) {
		char text[512];
		struct ibb_inf *inf;
		struct ibb_inf_install in;

		snprintf(text, sizeof(text), "[Strings]\nASSOC=0x2\n[Log]\n[I]\n[I.Services]\n%s",
			 cases[i].lines);
		inf = parse(text);
		in = install_of(inf, "I");
		if (cases[i].service)
			assert_string_equal(in.service, cases[i].service);
		else
			assert_null(in.service);
		assert_int_equal(in.service_start, cases[i].start);
		ibb_inf_free(inf);
	}
	assert_no_install("[I]\n[I.Services]\nAddService=s,%ASSOC%,S\n[S]\n", "I", IBB_E_CORRUPT,
			  "t.inf:3: AddService flags are not a number: '%ASSOC%'");
	assert_no_install("[I]\n[I.Services]\nAddService=s,2,S\n[S]\nStartType=5\n", "I",
			  IBB_E_CORRUPT, "t.inf:5: StartType '5' is none of 0 to 4");
	assert_no_install("[I]\n[I.Services]\nAddService=s,2,S\n", "I", IBB_E_CORRUPT,
			  "t.inf:3: AddService names the section [S]");
}

/* The .Services of the section that was chosen, not of another decoration. */
static void parts_belong_to_the_chosen_section(void **state)
{
	struct ibb_inf *inf = parse("[I.NTamd64]\n[I.Services]\nAddService=a,2,S\n"
				    "[I.NT.Services]\nAddService=b,2,S\n"
				    "[i.ntamd64.services]\nAddService=c,2,S\n[S]\n");

	(void)state;
	assert_string_equal(install_of(inf, "I").service, "c");
	ibb_inf_free(inf);
}

static void feature_score(void **state)
{
	struct ibb_inf *inf =
		parse("[A]\nFeatureScore=F9\nFeatureScore=01\n"
		      "[B]\nFeatureScore=0x80\n[C]\nNeeds=A\n[D]\n[D.HW]\nFeatureScore=1\n"
		      "[E]\nNeeds=A\nFeatureScore=2\n");

	(void)state;
	assert_int_equal(install_of(inf, "A").feature_score, 0xf9); /* the first */
	assert_int_equal(install_of(inf, "B").feature_score, 0x80);
	/* "only processed when specified directly in the [DDInstall] section" */
	assert_int_equal(install_of(inf, "C").feature_score, 0xff);
	assert_int_equal(install_of(inf, "D").feature_score, 0xff);
	assert_int_equal(install_of(inf, "E").feature_score, 2);
	ibb_inf_free(inf);
	assert_no_install("[I]\nFeatureScore=100\n", "I", IBB_E_CORRUPT,
			  "t.inf:2: FeatureScore is not a hexadecimal byte: '100'");
	assert_no_install("[I]\nFeatureScore=x\n", "I", IBB_E_CORRUPT, "'x'");
	assert_no_install("[I]\nFeatureScore=-1\n", "I", IBB_E_CORRUPT, "'-1'");
	assert_no_install("[I]\nFeatureScore=\n", "I", IBB_E_CORRUPT, "''");
}

/* AddReg counts wherever it stands. */
static void absolute_addreg(void **state)
{
	static const struct {
		const char *text;
		bool absolute;
	} cases[] = {
		{"[I]\nAddReg=r\n[r]\nHKR,,x,,1\n", false},
		{"[I]\nAddReg=r\n[r]\nHKR,,x,,1\nhklm,S,x,,1\n", true},
		{"[I]\nAddReg=a,r\n[a]\n[r]\nHKCR,S,x,,1\n", true},
		{"[I]\nAddReg=r\n[r]\nHKU,S,x,,1\n", true},
		{"[I]\nAddReg=r\n[r]\nHKCU,S,x,,1\n", true},
		{"[I]\nAddReg=gone\n", false},
		{"[I]\nDelReg=r\n[r]\nHKLM,S,x\n", false},
		{"[I]\n[I.HW]\nAddReg=r\n[r]\nHKLM,S,x,,1\n", true},
		{"[I]\n[I.Services]\nAddService=s,2,S\n[S]\nAddReg=r\n[r]\nHKLM,S\n", true},
		{"[I]\n[I.Services]\nAddService=s,2,S,E\n[S]\n[E]\nAddReg=r\n[r]\nHKLM,S\n", true},
		{"[I]\n[I.CoInstallers]\nAddReg=r\n[r]\nHKLM,S\n", true},
		{"[I]\n[I.Interfaces]\nAddInterface={g},,A\n[A]\nAddReg=r\n[r]\nHKLM,S\n", true},
		{"[I]\n[I.Components]\nAddComponent=c,,A\n[A]\nAddReg=r\n[r]\nHKLM,S\n", true},
		{"[I]\n[I.Software]\nAddSoftware=c,,A\n[A]\nAddReg=r\n[r]\nHKLM,S\n", true},
		{"[I]\n[I.Events]\nAddEventProvider={g},A\n[A]\nAddReg=r\n[r]\nHKLM,S\n", true},
		{"[I]\nNeeds=N\n[N]\nAddReg=r\n[r]\nHKLM,S\n", true},
	};

	(void)state;
	for (size_t i = 0; i < IBB_ARRAY_SIZE(cases); i++) {
		struct ibb_inf *inf = parse(cases[i].text);

		if (install_of(inf, "I").absolute_addreg != cases[i].absolute)
			fail_msg("case %zu", i);
		ibb_inf_free(inf);
	}
}

static void include_and_needs(void **state)
{
	struct ibb_inf *inf =
		parse("[I]\nInclude=pci.inf, Machine.inf\nNeeds=Local, Foreign.NT\n"
		      "CopyFiles=list.of.pci\n"
		      "[Local]\nCopyFiles=l\nAddReg=r\nNeeds=Deeper\n[Deeper]\nAddReg=r\n"
		      "[I.HW]\nInclude=PCI.INF,t.inf\nNeeds=Deeper\n[l]\nf.sys\n[r]\nHKLM,x\n");
	struct ibb_inf_install in = install_of(inf, "I");

	(void)state;
	assert_int_equal(in.n_includes, 3);
	assert_string_equal(in.includes[0], "pci.inf");
	assert_string_equal(in.includes[1], "Machine.inf");
	assert_string_equal(in.includes[2], "t.inf");
	assert_true(in.copies_files); /* list.of.pci may be pci.inf's, [l] is ours */
	assert_true(in.absolute_addreg);
	assert_false(in.coinstallers);
	ibb_inf_free(inf);
	assert_no_install("[A]\nNeeds=B\n[B]\nx=1\nNeeds=A\n", "A", IBB_E_CORRUPT,
			  "t.inf:5: Needs goes round in a circle through [A]");
	assert_no_install("[A]\nNeeds=a\n", "A", IBB_E_CORRUPT, "t.inf:2: Needs goes round");
	assert_no_install("[A]\n[A.HW]\nNeeds=B\n[B]\nNeeds=B\n", "A", IBB_E_CORRUPT,
			  "t.inf:5: Needs");
}

static void deep_needs(void **state)
{
	struct ibb_buf b = {0};

	(void)state;
	for (int i = 0; i < 40; i++)
		assert_int_equal(ibb_buf_printf(&b, "[N%d]\nNeeds=N%d\n", i, i + 1), 0);
	assert_no_install(ibb_buf_cstr(&b), "N0", IBB_E_LIMIT, "Needs nested more than 16 deep");
	ibb_buf_clear(&b);
}

static void copy_destinations(void **state)
{
	static const struct {
		const char *text;
		bool copies, outside;
	} cases[] = {
		{"[I]\nCopyFiles=l\n[l]\nf.sys\n[DestinationDirs]\nl=13\n", true, false},
		{"[I]\nCopyFiles=l\n[l]\nf.sys\n[DestinationDirs]\nL=12\n", true, true},
		{"[I]\nCopyFiles=l\n[l]\nf.sys\n[DestinationDirs]\nDefaultDestDir=13\n", true,
		 false},
		{"[I]\nCopyFiles=l\n[l]\nf\n[DestinationDirs]\nDefaultDestDir=13\nl=11,x\n", true,
		 true},
		{"[I]\nCopyFiles=l\n[l]\nf.sys\n", true, true}, /* setupapi: the system directory */
		{"[I]\nCopyFiles=@f.sys\n[DestinationDirs]\nDefaultDestDir=13\n", true, false},
		{"[I]\nCopyFiles=@f.sys\n[DestinationDirs]\n@f.sys=13\nDefaultDestDir=12\n", true,
		 true},
		{"[I]\nCopyFiles=l\n[l]\n", false, false},
		{"[I]\nCopyFiles=\n", false, false},
		{"[I]\n[I.CoInstallers]\nCopyFiles=l\n[l]\nc.dll\n[DestinationDirs]\nl=11\n", true,
		 true},
		{"[I]\n[I.Interfaces]\nAddInterface={g},,A\n[A]\nCopyFiles=l\n[l]\nc.dll\n", true,
		 true},
		{"[I]\nCopyFiles=l\n[l]\nf\n[DestinationDirs]\nl=-1,c:\\x\n", true, true},
	};

	(void)state;
	for (size_t i = 0; i < IBB_ARRAY_SIZE(cases); i++) {
		struct ibb_inf *inf = parse(cases[i].text);
		struct ibb_inf_install in = install_of(inf, "I");

		if (in.copies_files != cases[i].copies || in.outside_store != cases[i].outside)
			fail_msg("case %zu", i);
		assert_int_equal(in.coinstallers, strstr(cases[i].text, "CoInst") != NULL);
		ibb_inf_free(inf);
	}
	assert_no_install("[I]\nCopyFiles=gone\n", "I", IBB_E_CORRUPT,
			  "t.inf:2: CopyFiles names the section [gone], which the file does not");
	assert_no_install("[I]\nCopyFiles=@x\n[DestinationDirs]\nDefaultDestDir=x\n", "I",
			  IBB_E_CORRUPT, "t.inf:4: DestinationDirs: 'x' is not a directory number");
}

static void assert_file(const struct ibb_inf_file *f, const char *source, const char *dir,
			const char *cabinet, unsigned line, int dirid, const char *dest)
{
	assert_string_equal(f->source, source);
	assert_string_equal(f->source_dir, dir);
	if (cabinet)
		assert_string_equal(f->cabinet, cabinet);
	else
		assert_null(f->cabinet);
	assert_int_equal(f->line, line);
	assert_int_equal(f->dirid, dirid);
	assert_string_equal(f->dest_name, dest);
}

static const char package_text[] =
	MODELS "a=I1,ID1\nb=I2,ID2\nc=I1,ID3\n"
	       "[I1]\nCopyFiles=drv,@root.dll\n"
	       "[I2.NTamd64]\nCopyFiles=drv,ren\n"
	       "[I3]\nCopyFiles=@never.sys\n"
	       "[drv]\nd.sys,,,2\n"
	       "[ren]\nnew.dll,OLD.dll\nagain.dll,old.dll\n"
	       "[SourceDisksNames]\n1=\"Disk, one\",x.cab,,\\base\n2=two,\"\",,\n"
	       "[SourceDisksNames.amd64]\n1=one64,,,\".\\amd64\\\"\n"
	       "[SourceDisksFiles]\nD.sys=1,x86\nold.dll=2,\\sub\\deep\nunused.txt=2\nx86=1\n"
	       "[SourceDisksFiles.AMD64]\nd.sys=1,,4711\nx86=2\n"
	       "[SourceDisksFiles.x86]\nonly86.sys=9\n"
	       "[DestinationDirs]\nDefaultDestDir=13\ndrv=12\nren=11,My\\Dir\n";

static void package_files(void **state)
{
	struct ibb_inf *inf = parse(package_text);
	struct ibb_inf_files f;
	struct ibb_error err = {0};

	(void)state;
	assert_ok(ibb_inf_files(inf, &win10_19041, &f, &err), err);
	assert_int_equal(f.n, 5);
	assert_file(&f.files[0], "root.dll", "", NULL, 8, 13, "root.dll");
	assert_file(&f.files[1], "old.dll", "sub\\deep", NULL, 25, 11, "new.dll");
	assert_string_equal(f.files[1].dest_subdir, "My\\Dir");
	assert_file(&f.files[2], "unused.txt", "", NULL, 26, 0, "unused.txt");
	/* the entry of the architecture, with the disk of the architecture */
	assert_file(&f.files[3], "d.sys", "amd64", NULL, 29, 12, "d.sys");
	assert_file(&f.files[4], "x86", "", NULL, 30, 0, "x86");
	ibb_inf_free(inf);
}

static void cabinets(void **state)
{
	struct ibb_inf *inf = parse(MODELS "a=I,ID\n"
					   "[I]\nCopyFiles=@a.sys\n"
					   "[SourceDisksNames]\n1=d,x.cab,,\\d\n"
					   "2=e,x.bin,,\\d\\e\\,0x10,x.tag\n3=f,,,,16\n"
					   "4=g,x.cab,,,0x20\n"
					   "[SourceDisksFiles]\na.sys=1\nb=2,s\nc=3\nd=4\n");
	struct ibb_inf_files f;
	struct ibb_error err = {0};

	(void)state;
	assert_ok(ibb_inf_files(inf, &win10_19041, &f, &err), err);
	assert_int_equal(f.n, 4);
	assert_file(&f.files[0], "a.sys", "d", "x.cab", 13, 11, "a.sys");
	assert_string_equal(f.files[0].cabinet_dir, "d");
	assert_false(f.files[0].cabinet_first);
	assert_file(&f.files[1], "b", "d\\e\\s", "x.bin", 14, 0, "b");
	assert_string_equal(f.files[1].cabinet_dir, "d\\e");
	assert_true(f.files[1].cabinet_first);
	assert_file(&f.files[2], "c", "", NULL, 15, 0, "c");
	assert_false(f.files[2].cabinet_first); /* a cabinet without a name is none */
	assert_false(f.files[3].cabinet_first);
	ibb_inf_free(inf);
}

/* Names that leave the package or that Windows cannot have. */
static void path_escapes(void **state)
{
	static const struct {
		const char *copy, *disk, *file, *text;
	} cases[] = {
		{"@..\\x.sys", "", "x=1", "t.inf:6: file '..\\x.sys'"},
		{"@..", "", "x=1", "file '..'"},
		{"@/etc/passwd", "", "x=1", "file '/etc/passwd'"},
		{"@C:x.sys", "", "x=1", "file 'C:x.sys'"},
		{"@x.sys:stream", "", "x=1", "file 'x.sys:stream'"},
		{"@NUL", "", "x=1", "DOS device name"},
		{"@com1.sys", "", "x=1", "DOS device name"},
		{"@x.sys.", "", "x=1", "ends in a dot"},
		{"@a*b", "", "x=1", "file 'a*b'"},
		{"", "", "..\\..\\x=1", "t.inf:10: file '..\\..\\x'"},
		{"", "", "aux=1", "DOS device name"},
		{"", "", "x=1,..", "t.inf:10: subdirectory '..'"},
		{"", "", "x=1,a\\..\\..\\b", "subdirectory 'a\\..\\..\\b'"},
		{"", "", "x=1,C:\\Windows", "subdirectory 'C:\\Windows'"},
		{"", "", "x=1,\\\\server\\share", "leaves the package"},
		{"", "", "x=1,dir.\\sub", "ends in a dot"},
		{"", "\\..\\up", "x=1", "t.inf:8: path '\\..\\up'"},
		{"", "", "x=7", "t.inf:10: disk '7' of 'x' is not in [SourceDisksNames]"},
		{"", "", "x", "t.inf:10: [SourceDisksFiles] line is not 'name=values'"},
		{"l\n[l]\nout\\x.sys,y.sys", "", "y.sys=1", "t.inf:8: destination 'out\\x.sys'"},
		{"l\n[l]\nx,..\\y.sys", "", "x=1", "t.inf:8: file '..\\y.sys'"},
		{"l\n[l]\nx\n[DestinationDirs]\nl=12,..\\up", "", "x=1",
		 "t.inf:8: destination directory '..\\up'"},
	};

	(void)state;
	for (size_t i = 0; i < IBB_ARRAY_SIZE(cases); i++) {
		struct ibb_inf_files f = {0};
		struct ibb_error err = {0};
		struct ibb_inf *inf;
		char text[512];

		snprintf(text, sizeof(text),
			 MODELS "a=I,ID\n"
				"[I]\nCopyFiles=%s\n[SourceDisksNames]\n1=d,,,%s\n"
				"[SourceDisksFiles]\n%s\n",
			 cases[i].copy, cases[i].disk, cases[i].file);
		inf = parse(text);
		assert_fails(ibb_inf_files(inf, &win10_19041, &f, &err), IBB_E_CORRUPT, err,
			     cases[i].text);
		assert_null(f.files);
		ibb_inf_free(inf);
	}
}

static void too_many_files(void **state)
{
	struct ibb_buf b = {0};
	struct ibb_inf_files f;
	struct ibb_error err = {0};
	struct ibb_inf *inf;

	(void)state;
	assert_int_equal(ibb_buf_append_str(&b, MODELS "a=I,ID\n"
						       "[I]\nCopyFiles=l\n[l]\n"),
			 0);
	for (int i = 0; i < 5000; i++)
		assert_int_equal(ibb_buf_printf(&b, "f%d\n", i), 0);
	inf = parse(ibb_buf_cstr(&b));
	assert_fails(ibb_inf_files(inf, &win10_19041, &f, &err), IBB_E_LIMIT, err,
		     "more than 4096 files");
	ibb_inf_free(inf);
	ibb_buf_clear(&b);
}

static void companions(void **state)
{
	struct ibb_inf *inf = parse(MODELS "a=I,ID\nb=J,ID2\nc=Gone,ID3\n"
					   "[I]\nCopyINF=a.inf,B.inf\n[J]"
					   "\nCopyINF=b.inf\nCopyINF=c.inf\n");
	const char *const *names;
	struct ibb_error err = {0};
	size_t n;

	(void)state;
	assert_ok(ibb_inf_copyinf(inf, &win10_19041, &n, &names, &err), err);
	assert_int_equal(n, 3);
	assert_string_equal(names[0], "a.inf");
	assert_string_equal(names[1], "B.inf");
	assert_string_equal(names[2], "c.inf");
	ibb_inf_free(inf);
	inf = parse(MODELS "a=I,ID\n"
			   "[I]\nCopyINF=..\\a.inf\n");
	assert_fails(ibb_inf_copyinf(inf, &win10_19041, &n, &names, &err), IBB_E_CORRUPT, err,
		     "t.inf:5: CopyINF '..\\a.inf'");
	ibb_inf_free(inf);
}

static const struct CMUnitTest tests[] = {
	cmocka_unit_test(section_order),
	cmocka_unit_test(missing_section_names_models_line),
	cmocka_unit_test(nothing_but_defaults),
	cmocka_unit_test(services),
	cmocka_unit_test(parts_belong_to_the_chosen_section),
	cmocka_unit_test(feature_score),
	cmocka_unit_test(absolute_addreg),
	cmocka_unit_test(include_and_needs),
	cmocka_unit_test(deep_needs),
	cmocka_unit_test(copy_destinations),
	cmocka_unit_test(package_files),
	cmocka_unit_test(cabinets),
	cmocka_unit_test(path_escapes),
	cmocka_unit_test(too_many_files),
	cmocka_unit_test(companions),
};

IBB_TEST_MAIN(tests)
