/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "inspect/facts.h"

#include "disktest.h"
#include "test.h"

#include "base/le.h"
#include "base/time.h"
#include "mklog.h"
#include "wintree.h"

#define VERSION	 "Microsoft\\Windows NT\\CurrentVersion"
#define PRODUCT	 "ControlSet001\\Control\\ProductOptions"
#define PACKAGES "DriverDatabase\\DriverPackages"

static struct ibb_facts *read_facts(const struct wintree *t)
{
	struct ibb_volume *v = wintree_open(t);
	struct ibb_facts *f = NULL;
	struct ibb_error err = {0};

	assert_ok(ibb_facts_read(v, false, &f, &err), err);
	ibb_volume_close(v);
	return f;
}

static struct ibb_facts *plain_facts(const char *release)
{
	struct wintree t;

	wintree_plain(&t, test_dir(), release);
	return read_facts(&t);
}

static bool warned(const struct ibb_facts *f, const char *text)
{
	for (size_t i = 0; i < f->n_warnings; i++)
		if (strstr(f->warnings[i], text))
			return true;
	return false;
}

static void assert_warned(const struct ibb_facts *f, const char *text)
{
	if (!warned(f, text))
		fail_msg("no warning holds '%s' (%zu warnings, first: %s)", text, f->n_warnings,
			 f->n_warnings ? f->warnings[0] : "none");
}

/* Refused with this code and text; `hint` may be NULL. */
static void assert_refused(const struct ibb_facts *f, bool force, int code, const char *text)
{
	struct ibb_error err = {0};

	assert_fails(ibb_facts_check(f, force, &err), code, err, text);
}

static void assert_accepted(const struct ibb_facts *f, bool force)
{
	struct ibb_error err = {0};

	assert_ok(ibb_facts_check(f, force, &err), err);
}

/* ---- which Windows ---- */

static void releases(void **state)
{
	static const struct {
		const char *id;
		unsigned major, minor, build, ubr;
		bool server;
		const char *product, *display;
	} t[] = {
		{"server2012", 6, 2, 9200, 0, true, "Windows Server 2012 Datacenter", NULL},
		{"win8.1", 6, 3, 9600, 0, false, "Windows 8.1 Pro", NULL},
		{"server2016", 10, 0, 14393, 5582, true, "Windows Server 2016 Datacenter", "1607"},
		{"server2019", 10, 0, 17763, 4010, true, "Windows Server 2019 Datacenter", "1809"},
		{"server2022", 10, 0, 20348, 1547, true, "Windows Server 2022 Datacenter", "21H2"},
		{"win11-22631", 10, 0, 22631, 2861, false, "Windows 10 Pro", "23H2"},
	};

	(void)state;
	for (size_t i = 0; i < IBB_ARRAY_SIZE(t); i++) {
		struct ibb_facts *f = plain_facts(t[i].id);

		assert_int_equal(f->target.major, t[i].major);
		assert_int_equal(f->target.minor, t[i].minor);
		assert_int_equal(f->target.build, t[i].build);
		assert_int_equal(f->target.arch, IBB_ARCH_AMD64);
		assert_int_equal(f->target.product_type, t[i].server ? 3 : 1);
		assert_int_equal(f->ubr, t[i].ubr);
		assert_int_equal(f->server, t[i].server);
		assert_string_equal(f->product_name, t[i].product);
		if (t[i].display)
			assert_string_equal(f->display_version, t[i].display);
		else
			assert_null(f->display_version);
		assert_string_equal(f->windows_dir, "Windows");
		assert_string_equal(f->control_set, "ControlSet001");
		assert_int_equal(f->n_control_sets, 1);
		assert_int_equal(f->n_warnings, 0);
		assert_accepted(f, false);
		ibb_facts_free(f);
	}
}

static void product_types(void **state)
{
	static const struct {
		const char *text;
		unsigned type;
		bool server;
	} t[] = {{"WinNT", 1, false},
		 {"winnt", 1, false},
		 {"LanmanNT", 2, true},
		 {"ServerNT", 3, true}};

	(void)state;
	for (size_t i = 0; i < IBB_ARRAY_SIZE(t); i++) {
		struct wintree w;
		struct ibb_facts *f;

		wintree_plain(&w, test_dir(), "server2022");
		wintree_edit_sz(&w, "SYSTEM", PRODUCT, "ProductType", t[i].text);
		f = read_facts(&w);
		assert_int_equal(f->target.product_type, t[i].type);
		assert_int_equal(f->server, t[i].server);
		assert_string_equal(f->product_type, t[i].text);
		ibb_facts_free(f);
	}
}

static void current_control_set(void **state)
{
	struct wintree w;
	struct ibb_hive *h;
	struct ibb_facts *f;

	(void)state;
	wintree_plain(&w, test_dir(), "server2022");
	h = wintree_hive(&w, "SYSTEM");
	wintree_set_dword(h, "Select", "Current", 2);
	wintree_set_sz(h, "ControlSet002\\Control\\ProductOptions", "ProductType", "WinNT");
	wintree_key(h, "ControlSetX"); /* no control set */
	wintree_save(&w, "SYSTEM", h);
	f = read_facts(&w);
	assert_string_equal(f->control_set, "ControlSet002");
	assert_string_equal(f->product_type, "WinNT"); /* the first one says ServerNT */
	assert_int_equal(f->n_control_sets, 2);
	assert_string_equal(f->control_sets[0], "ControlSet001");
	assert_string_equal(f->control_sets[1], "ControlSet002");
	ibb_facts_free(f);

	wintree_edit_dword(&w, "SYSTEM", "Select", "Current", 7);
	f = read_facts(&w);
	assert_warned(f, "Select\\Current names ControlSet007");
	assert_warned(f, "ControlSet007\\Control\\ProductOptions\\ProductType");
	ibb_facts_free(f);
}

static void missing_values(void **state)
{
	static const char *const optional[] = {"ProductName",	 "EditionID", "InstallationType",
					       "DisplayVersion", "ReleaseId", "UBR"};
	struct wintree w;
	struct ibb_hive *h;
	struct ibb_facts *f;

	(void)state;
	wintree_plain(&w, test_dir(), "server2022");
	h = wintree_hive(&w, "SOFTWARE");
	for (size_t i = 0; i < IBB_ARRAY_SIZE(optional); i++)
		wintree_unset(h, VERSION, optional[i]);
	wintree_unset(h, VERSION, "CurrentBuildNumber"); /* CurrentBuild is left */
	wintree_unset(h, "Microsoft\\Windows\\CurrentVersion\\Setup\\State", "ImageState");
	wintree_save(&w, "SOFTWARE", h);
	h = wintree_hive(&w, "SYSTEM");
	wintree_unset(h, PRODUCT, "ProductType");
	wintree_delete(h, "Setup");
	wintree_delete(h, "Select");
	wintree_unset(h, "DriverDatabase", "OemInfMap");
	wintree_unset(h, "DriverDatabase", "Version");
	wintree_save(&w, "SYSTEM", h);
	f = read_facts(&w);
	assert_int_equal(f->target.build, 20348);
	assert_null(f->product_name);
	assert_null(f->edition);
	assert_null(f->installation_type);
	assert_null(f->display_version);
	assert_null(f->product_type);
	assert_null(f->image_state);
	assert_int_equal(f->ubr, 0);
	assert_string_equal(f->control_set, "ControlSet001"); /* Windows' own default */
	assert_false(f->oem_map_present);
	assert_false(f->generalized || f->audit || f->setup_unfinished);
	assert_warned(f, "client or server is unknown");
	assert_int_equal(f->n_warnings, 1);
	ibb_facts_free(f);
}

/* Before 10 the version stands only in CurrentVersion. */
static void version_text(void **state)
{
	static const struct {
		const char *text;
		unsigned major, minor;
	} t[] = {{"6.3", 6, 3}, {"6.2", 6, 2}, {"nonsense", 0, 0}, {"", 0, 0}, {"6", 0, 0}};

	(void)state;
	for (size_t i = 0; i < IBB_ARRAY_SIZE(t); i++) {
		struct wintree w;
		struct ibb_facts *f;

		wintree_plain(&w, test_dir(), "win8.1");
		wintree_edit_sz(&w, "SOFTWARE", VERSION, "CurrentVersion", t[i].text);
		f = read_facts(&w);
		assert_int_equal(f->target.major, t[i].major);
		assert_int_equal(f->target.minor, t[i].minor);
		if (!t[i].major)
			assert_refused(f, true, IBB_E_UNSUPPORTED, "names no Windows version");
		ibb_facts_free(f);
	}
}

static void no_build(void **state)
{
	static const char *const builds[] = {"", "x", "99999999"};

	(void)state;
	for (size_t i = 0; i < IBB_ARRAY_SIZE(builds); i++) {
		struct wintree w;
		struct ibb_facts *f;

		wintree_plain(&w, test_dir(), "server2022");
		wintree_edit_sz(&w, "SOFTWARE", VERSION, "CurrentBuildNumber", builds[i]);
		f = read_facts(&w);
		assert_int_equal(f->target.build, 0);
		assert_refused(f, false, IBB_E_UNSUPPORTED,
			       "Windows/System32/config/SOFTWARE names no Windows version");
		ibb_facts_free(f);
	}
}

/* A string that is none counts as missing; a number that is none is damage, and says where. */
static void wrong_types(void **state)
{
	struct wintree w;
	struct ibb_facts *f = NULL;
	struct ibb_error err = {0};
	struct ibb_volume *v;

	(void)state;
	wintree_plain(&w, test_dir(), "server2022");
	wintree_edit_dword(&w, "SOFTWARE", VERSION, "ProductName", 4);
	wintree_edit_dword(&w, "SYSTEM", PRODUCT, "ProductType", 1);
	f = read_facts(&w);
	assert_null(f->product_name);
	assert_null(f->product_type);
	assert_warned(f, "client or server is unknown");
	ibb_facts_free(f);

	wintree_edit_sz(&w, "SYSTEM", "Select", "Current", "1");
	v = wintree_open(&w);
	f = NULL;
	assert_fails(ibb_facts_read(v, false, &f, &err), IBB_E_CORRUPT, err,
		     "'Current' of key 'Select'");
	assert_null(f);
	ibb_volume_close(v);
}

static void architectures(void **state)
{
	static const struct {
		const char *arch, *name;
		enum ibb_arch number;
	} t[] = {{"x86", "x86", IBB_ARCH_X86}, {"arm64", "arm64", IBB_ARCH_ARM64}};
	struct wintree w;
	struct ibb_facts *f;
	char text[64];

	(void)state;
	for (size_t i = 0; i < IBB_ARRAY_SIZE(t); i++) {
		struct winhives_spec s = wintree_spec("win11-22631");

		s.arch = t[i].arch;
		wintree_make(&w, test_dir(), &s);
		f = read_facts(&w);
		assert_int_equal(f->target.arch, t[i].number);
		snprintf(text, sizeof(text), "this Windows is for %s", t[i].name);
		assert_refused(f, true, IBB_E_UNSUPPORTED, text);
		ibb_facts_free(f);
		/* without the database's own word, the environment tells */
		wintree_edit_unset(&w, "SYSTEM", "DriverDatabase", "Architecture");
		f = read_facts(&w);
		assert_int_equal(f->target.arch, t[i].number);
		ibb_facts_free(f);
	}
}

static void hives_of_two_windows(void **state)
{
	struct wintree w;
	struct ibb_facts *f;

	(void)state;
	wintree_plain(&w, test_dir(), "server2022");
	wintree_edit_dword(&w, "SYSTEM", "DriverDatabase", "Version", 0x06030000);
	f = read_facts(&w);
	assert_warned(f, "SYSTEM's driver database is of Windows 6.3, SOFTWARE says 10.0");
	ibb_facts_free(f);
}

/* ---- states ---- */

static void setup_states(void **state)
{
	static const struct {
		enum win_state state;
		bool generalized, audit, unfinished;
		const char *warning;
	} t[] = {
		{WIN_SPECIALIZED, false, false, false, NULL},
		{WIN_GENERALIZED, true, false, false, NULL},
		{WIN_AUDIT, false, true, true,
		 "audit mode (IMAGE_STATE_SPECIALIZE_RESEAL_TO_AUDIT"},
		{WIN_SETUP, false, false, true,
		 "(SetupType 1, SystemSetupInProgress 1, ImageState IMAGE_STATE_UNDEPLOYABLE)"},
	};

	(void)state;
	for (size_t i = 0; i < IBB_ARRAY_SIZE(t); i++) {
		struct winhives_spec s = wintree_spec("server2022");
		struct wintree w;
		struct ibb_facts *f;

		s.state = t[i].state;
		wintree_make(&w, test_dir(), &s);
		f = read_facts(&w);
		assert_int_equal(f->generalized, t[i].generalized);
		assert_int_equal(f->audit, t[i].audit);
		assert_int_equal(f->setup_unfinished, t[i].unfinished);
		assert_int_equal(f->n_warnings, t[i].warning ? 1 : 0);
		if (t[i].warning)
			assert_warned(f, t[i].warning);
		assert_accepted(f, false);
		ibb_facts_free(f);
	}
}

/* Each sign of an unfinished set-up is enough alone; of a generalized image they are expected. */
static void signs_of_setup(void **state)
{
	static const struct {
		const char *key, *value;
		uint32_t number;
		bool audit, unfinished, of_generalized;
	} t[] = {
		{"Setup", "SetupType", 1, false, true, true},
		{"Setup", "SetupType", 2, false, false, false},
		{"Setup", "SystemSetupInProgress", 1, false, true, false},
		{"Setup\\Status", "AuditBoot", 1, true, false, false},
	};

	(void)state;
	for (size_t i = 0; i < IBB_ARRAY_SIZE(t); i++) {
		for (int generalized = 0; generalized < 2; generalized++) {
			struct winhives_spec s = wintree_spec("server2022");
			struct wintree w;
			struct ibb_facts *f;

			s.state = generalized ? WIN_GENERALIZED : WIN_SPECIALIZED;
			wintree_make(&w, test_dir(), &s);
			wintree_edit_dword(&w, "SYSTEM", t[i].key, t[i].value, t[i].number);
			f = read_facts(&w);
			assert_int_equal(f->audit, t[i].audit);
			assert_int_equal(f->setup_unfinished,
					 generalized ? t[i].of_generalized : t[i].unfinished);
			assert_int_equal(f->n_warnings, f->audit || f->setup_unfinished);
			ibb_facts_free(f);
		}
	}
}

static void servicing_is_pending(void **state)
{
	struct winhives_spec s = wintree_spec("server2022");
	struct wintree w;
	struct ibb_facts *f;
	struct ibb_error err = {0};

	(void)state;
	s.reboot_pending = true;
	wintree_make(&w, test_dir(), &s);
	f = read_facts(&w);
	assert_true(f->reboot_pending);
	assert_false(f->pending_xml);
	assert_refused(f, false, IBB_E_UNSUPPORTED, "pending (CBS RebootPending)");
	assert_accepted(f, true);
	ibb_facts_free(f);

	wintree_plain(&w, test_dir(), "server2022");
	wintree_text(&w, "Windows/WinSxS/Pending.XML", "<x/>");
	f = read_facts(&w);
	assert_true(f->pending_xml);
	assert_fails(ibb_facts_check(f, false, &err), IBB_E_UNSUPPORTED, err,
		     "pending (WinSxS\\pending.xml)");
	assert_non_null(strstr(err.hint, "--force"));
	assert_accepted(f, true);
	ibb_facts_free(f);
}

static void snapshots_and_journal(void **state)
{
#define VSS "System Volume Information/"
	struct wintree w;
	struct ibb_facts *f;

	(void)state;
	wintree_plain(&w, test_dir(), "server2022");
	/* the catalogue of snapshots alone is none; nor is a directory called like one */
	wintree_text(&w, VSS "{3808876b-c176-4e48-b7ae-04046e6cc752}", "");
	wintree_mkdir(&w, VSS "{5a2f3d1e-9c41-4b7a-8f63-0d2c1b9e7a55}"
			      "{3808876b-c176-4e48-b7ae-04046e6cc752}");
	f = read_facts(&w);
	assert_int_equal(f->vss_snapshots, 0);
	assert_int_equal(f->n_warnings, 0);
	ibb_facts_free(f);

	wintree_text(&w,
		     VSS "{00000000-9c41-4b7a-8f63-0d2c1b9e7a55}"
			 "{3808876B-C176-4E48-B7AE-04046E6CC752}",
		     "");
	wintree_text(&w, "$Extend/$UsnJrnl", "");
	f = read_facts(&w);
	assert_int_equal(f->vss_snapshots, 1);
	assert_true(f->usn_journal);
	assert_warned(f, "holds 1 shadow copy store(s)");
	assert_warned(f, "USN change journal");
	ibb_facts_free(f);
}

static void installed_before(void **state)
{
#define PLUGIN "Packages/Plugins/Microsoft.HpcCompute.InfiniBandDriverWindows"
	struct winhives_spec s = wintree_spec("server2022");
	struct wintree w;
	struct ibb_hive *h;
	struct ibb_facts *f;

	(void)state;
	s.winof2 = "24.4.50000";
	wintree_make(&w, test_dir(), &s);
	wintree_mkdir(&w, PLUGIN "/1.2.0.0");
	wintree_mkdir(&w, PLUGIN "/1.5.0.0");
	wintree_text(&w, PLUGIN "/Status.txt", "");
	f = read_facts(&w);
	assert_string_equal(f->winof2, "24.4.50000");
	assert_int_equal(f->n_extensions, 2);
	assert_string_equal(f->extensions[0], "1.2.0.0");
	assert_string_equal(f->extensions[1], "1.5.0.0");
	assert_warned(f, "WinOF-2 24.4.50000 is installed");
	assert_warned(f, "InfiniBandDriverWindows 1.5.0.0 has run");
	ibb_facts_free(f);

	h = wintree_hive(&w, "SOFTWARE");
	wintree_set_sz(h, "Mellanox\\MLNX_WinOF2", "Version", "unknown");
	wintree_save(&w, "SOFTWARE", h);
	f = read_facts(&w);
	assert_string_equal(f->winof2, "");
	assert_warned(f, "WinOF-2 (version unknown) is installed");
	ibb_facts_free(f);
}

/* ---- hives ---- */

static void spoil_hive(const struct wintree *w, const char *name, void (*spoil)(struct ibb_buf *))
{
	struct ibb_buf b = {0};
	char path[128];

	snprintf(path, sizeof(path), WINTREE_CONFIG "/%s", name);
	wintree_read(w, path, &b);
	spoil(&b);
	wintree_put(w, path, b.data, b.len);
	ibb_buf_clear(&b);
}

static void no_signature(struct ibb_buf *b)
{
	b->data[0] = 'x';
}

static void truncate_hive(struct ibb_buf *b)
{
	b->len = 4096;
}

/* Every hive dirty, then damaged, then gone: a fact with its reason, and a refusal. */
static void hives_that_do_not_open(void **state)
{
	static const struct {
		void (*spoil)(struct ibb_buf *b);
		int code;
		bool header;
		const char *text;
	} t[] = {
		{winhives_make_dirty, IBB_E_DIRTY, true, "not cleanly closed"},
		{no_signature, IBB_E_CORRUPT, false, "not a registry hive"},
		{truncate_hive, IBB_E_CORRUPT, true, ""},
	};

	(void)state;
	for (size_t i = 0; i < IBB_ARRAY_SIZE(t); i++) {
		for (int id = 0; id < IBB_N_HIVES; id++) {
			const char *name = ibb_hive_id_name(id);
			struct wintree w;
			struct ibb_facts *f;
			char path[64];

			wintree_plain(&w, test_dir(), "server2022");
			spoil_hive(&w, name, t[i].spoil);
			f = read_facts(&w);
			assert_true(f->hives[id].present);
			assert_null(f->hives[id].hive);
			assert_int_equal(f->hives[id].header_ok, t[i].header);
			assert_int_equal(f->hives[id].problem.code, t[i].code);
			if (t[i].code == IBB_E_DIRTY)
				assert_true(f->hives[id].header.dirty);
			snprintf(path, sizeof(path), WINTREE_CONFIG "/%s", name);
			assert_string_equal(f->hives[id].path, path);
			assert_refused(f, true, t[i].code, path);
			assert_refused(f, true, t[i].code, t[i].text);
			assert_int_equal(ibb_facts_check(f, true, NULL), t[i].code);
			ibb_facts_free(f);
		}
	}
}

static void hives_that_are_missing(void **state)
{
	(void)state;
	for (int id = 0; id < IBB_N_HIVES; id++) {
		struct wintree w;
		struct ibb_facts *f;
		char path[64], text[128];

		wintree_plain(&w, test_dir(), "server2022");
		snprintf(path, sizeof(path), WINTREE_CONFIG "/%s", ibb_hive_id_name(id));
		wintree_remove(&w, path);
		f = read_facts(&w);
		assert_false(f->hives[id].present);
		snprintf(text, sizeof(text), "no Windows\\System32\\config\\%s hive",
			 ibb_hive_id_name(id));
		assert_refused(f, true, IBB_E_UNSUPPORTED, text);
		ibb_facts_free(f);
	}
}

static void hive_facts(void **state)
{
	struct wintree w;
	struct ibb_facts *f;
	struct ibb_buf b = {0};
	struct ibb_sha256 d;

	(void)state;
	wintree_plain(&w, test_dir(), "server2022");
	wintree_text(&w, WINTREE_CONFIG "/SYSTEM.LOG1", "12345");
	wintree_text(&w, WINTREE_CONFIG "/system.Log2", "");
	wintree_mkdir(&w, WINTREE_CONFIG "/SYSTEM.LOG"); /* no file: no log */
	f = read_facts(&w);
	wintree_read(&w, WINTREE_CONFIG "/SYSTEM", &b);
	assert_int_equal(ibb_sha256(b.data, b.len, &d), 0);
	assert_memory_equal(&f->hives[IBB_HIVE_SYSTEM].sha256, &d, sizeof(d));
	assert_int_equal(f->hives[IBB_HIVE_SYSTEM].size_bytes, b.len);
	assert_int_equal(f->hives[IBB_HIVE_SYSTEM].n_logs, 2);
	assert_string_equal(f->hives[IBB_HIVE_SYSTEM].logs[0].path, WINTREE_CONFIG "/SYSTEM.LOG1");
	assert_int_equal(f->hives[IBB_HIVE_SYSTEM].logs[0].size_bytes, 5);
	assert_string_equal(f->hives[IBB_HIVE_SYSTEM].logs[1].path, WINTREE_CONFIG "/system.Log2");
	assert_int_equal(f->hives[IBB_HIVE_DRIVERS].n_logs, 0);
	ibb_buf_clear(&b);
	ibb_facts_free(f);
}

static struct ibb_error e;

/* Leave the hive dirty; what is written last goes to a log alone. */
static void into_log(const struct wintree *w, const char *name, const char *log_name, bool old)
{
	char path[200];
	struct ibb_buf before = {0}, after = {0}, log = {0};
	struct ibb_hive *h;
	uint32_t seq;

	snprintf(path, sizeof(path), WINTREE_CONFIG "/%s", name);
	wintree_read(w, path, &before);
	seq = ibb_get_le32(before.data + 8);
	h = wintree_hive(w, name);
	wintree_key(h, "only in the log");
	assert_ok(ibb_hive_serialize(h, ibb_get_le64(before.data + 12), &after, &e), e);
	ibb_hive_close(h);
	assert_int_equal(
		old ? mklog_old(ibb_buf_bytes(&before), ibb_buf_bytes(&after), seq + 1, 1, false,
				&log)
		    : mklog_new(ibb_buf_bytes(&before), ibb_buf_bytes(&after), seq, 1, &log),
		0);
	mklog_mark(&before, seq + 1, seq);
	wintree_put(w, path, before.data, before.len);
	snprintf(path, sizeof(path), WINTREE_CONFIG "/%s", log_name);
	wintree_put(w, path, log.data, log.len);
	ibb_buf_clear(&before);
	ibb_buf_clear(&after);
	ibb_buf_clear(&log);
}

/* Names of logs in any case, both formats, each of the three files. */
static void hives_from_logs(void **state)
{
	struct ibb_fact_hive *fh;
	struct ibb_facts *f;
	struct wintree w;
	ibb_key k;

	(void)state;
	wintree_plain(&w, test_dir(), "server2022");
	into_log(&w, "SYSTEM", "system.Log1", false);
	into_log(&w, "DRIVERS", "drivers.LOG", true);
	into_log(&w, "SOFTWARE", "SOFTWARE.log2", false);
	f = read_facts(&w);
	for (int i = 0; i < IBB_N_HIVES; i++) {
		fh = &f->hives[i];
		assert_non_null(fh->hive);
		assert_true(fh->header.dirty && fh->recovery.dirty && fh->recovery.replayed);
		assert_ok(
			ibb_hive_find(fh->hive, ibb_hive_root(fh->hive), "only in the log", &k, &e),
			e);
	}
	assert_warned(f,
		      "config/SYSTEM was not cleanly closed; it is read with what its transaction "
		      "logs hold (1 entry, ");
	assert_accepted(f, false);
	assert_ok(ibb_facts_check_hives(f, &e), e);
	for (int i = 0; i < IBB_N_HIVES; i++)
		assert_true(f->hives[i].checked && !f->hives[i].unsound.code &&
			    f->hives[i].check.keys > 5);
	ibb_facts_free(f);
	/* a log that is no use: refused, or taken as it is on demand */
	wintree_text(&w, WINTREE_CONFIG "/system.Log1", "regf, but no more");
	f = read_facts(&w);
	assert_null(f->hives[IBB_HIVE_SYSTEM].hive);
	assert_refused(f, true, IBB_E_DIRTY, "system.Log1");
	ibb_facts_free(f);
	{
		struct ibb_volume *v = wintree_open(&w);

		assert_ok(ibb_facts_read(v, true, &f, &e), e);
		ibb_volume_close(v);
	}
	fh = &f->hives[IBB_HIVE_SYSTEM];
	assert_true(fh->recovery.accepted && !fh->recovery.replayed);
	assert_int_equal(
		ibb_hive_find(fh->hive, ibb_hive_root(fh->hive), "only in the log", &k, &e),
		IBB_E_NOTFOUND);
	assert_true(f->hives[IBB_HIVE_DRIVERS].recovery.replayed);
	assert_warned(f, "--accept-dirty-hives");
	assert_accepted(f, false);
	ibb_facts_free(f);
}

/* Cells that only a check looks at. */
static void unsound_hives(void **state)
{
	struct ibb_facts *f;
	struct wintree w;
	struct ibb_buf b = {0};
	const uint8_t *p;

	(void)state;
	wintree_plain(&w, test_dir(), "server2022");
	wintree_read(&w, WINTREE_CONFIG "/SOFTWARE", &b);
	p = memmem(b.data, b.len, "lh\1\0", 4);
	assert_non_null(p);
	b.data[p - b.data + 8] ^= 1; /* a hash */
	wintree_put(&w, WINTREE_CONFIG "/SOFTWARE", b.data, b.len);
	ibb_buf_clear(&b);
	f = read_facts(&w);
	assert_accepted(f, false);
	assert_ok(ibb_facts_check_hives(f, &e), e);
	assert_int_equal(f->hives[IBB_HIVE_SYSTEM].unsound.code, 0);
	assert_int_equal(f->hives[IBB_HIVE_SOFTWARE].unsound.code, IBB_E_CORRUPT);
	assert_non_null(strstr(f->hives[IBB_HIVE_SOFTWARE].unsound.msg, "hash of subkey list"));
	ibb_facts_free(f);
}

#define GUID "{53b39e88-18c4-11ea-a811-000d3aa4692b}"

static void transactional_registry(void **state)
{
	static const uint8_t zeros[70000];
	struct ibb_facts *f;
	struct wintree w;

	(void)state;
	wintree_plain(&w, test_dir(), "server2022");
	/* never used; of a hive that is not ours; of another kind */
	wintree_put(&w, WINTREE_CONFIG "/TxR/" GUID ".TxR.0.regtrans-ms", zeros, sizeof(zeros));
	wintree_put(&w, WINTREE_CONFIG "/SYSTEM" GUID ".TM.blf", zeros, 0);
	wintree_text(&w, WINTREE_CONFIG "/COMPONENTS" GUID ".TM.blf", "used");
	wintree_text(&w, WINTREE_CONFIG "/SYSTEM" GUID ".TM.bak", "used");
	wintree_text(&w, WINTREE_CONFIG "/SYSTEMS" GUID ".TM.blf", "used");
	f = read_facts(&w);
	assert_false(warned(f, "TxR"));
	ibb_facts_free(f);
	wintree_text(&w, WINTREE_CONFIG "/TxR/" GUID ".TxR.blf", "used");
	f = read_facts(&w);
	assert_warned(
		f, "1 file of the transactional registry (TxR) lies beside the hives and is left");
	ibb_facts_free(f);
	wintree_text(&w, WINTREE_CONFIG "/software" GUID ".TMContainer001.REGTRANS-MS", "used");
	f = read_facts(&w);
	assert_warned(f,
		      "2 files of the transactional registry (TxR) lie beside the hives and are");
	assert_accepted(f, false);
	ibb_facts_free(f);
}

/* ---- what has no driver database ---- */

static void older_than_8(void **state)
{
	struct winhives_spec s = wintree_spec("win7");
	struct wintree w;
	struct ibb_facts *f;

	(void)state;
	s.no_driver_database = true;
	wintree_make(&w, test_dir(), &s);
	f = read_facts(&w);
	assert_false(f->node_present[IBB_NODE_SYSTEM]);
	/* its age is the reason, not the DRIVERS hive it never had */
	assert_refused(f, true, IBB_E_UNSUPPORTED, "Windows 6.1.7601 is older than Windows 8");
	ibb_facts_free(f);
}

static void no_database(void **state)
{
	struct wintree w;
	struct ibb_facts *f;

	(void)state;
	wintree_plain(&w, test_dir(), "server2022");
	wintree_edit_delete(&w, "DRIVERS", "DriverDatabase");
	f = read_facts(&w);
	assert_true(f->node_present[IBB_NODE_SYSTEM]);
	assert_false(f->node_present[IBB_NODE_DRIVERS]);
	assert_refused(f, true, IBB_E_UNSUPPORTED,
		       "Windows/System32/config/DRIVERS has no DriverDatabase key");
	ibb_facts_free(f);
	wintree_edit_delete(&w, "SYSTEM", "DriverDatabase");
	f = read_facts(&w);
	assert_refused(f, true, IBB_E_UNSUPPORTED,
		       "Windows/System32/config/SYSTEM has no DriverDatabase key");
	ibb_facts_free(f);
}

static void missing_directories(void **state)
{
	static const char *const dirs[] = {"Windows/INF", WINTREE_STORE, WINTREE_CAT};

	(void)state;
	for (size_t i = 0; i < IBB_ARRAY_SIZE(dirs); i++) {
		struct wintree w;
		struct ibb_facts *f;
		char text[128];

		wintree_plain(&w, test_dir(), "server2022");
		wintree_remove(&w, dirs[i]);
		f = read_facts(&w);
		snprintf(text, sizeof(text), "has no directory %s: not a complete Windows",
			 dirs[i]);
		assert_refused(f, true, IBB_E_UNSUPPORTED, text);
		ibb_facts_free(f);
	}
}

/* ---- the driver store ---- */

static void numbers_in_use(void **state)
{
	static const char *const no_numbers[] = {
		"Windows/INF/oem010.inf",    "Windows/INF/foem11.inf",	 "Windows/INF/oem12.txt",
		"Windows/INF/oem13.inf.bak", "Windows/INF/oem65536.inf", WINTREE_CAT "/oem14.inf"};
	static const unsigned map[] = {9};
	struct winhives_spec s = wintree_spec("server2022");
	struct wintree w;
	struct ibb_hive *h;
	struct ibb_facts *f;

	(void)state;
	s.oem = map;
	s.n_oem = 1;
	wintree_make(&w, test_dir(), &s);
	for (size_t i = 0; i < IBB_ARRAY_SIZE(no_numbers); i++)
		wintree_text(&w, no_numbers[i], "");
	wintree_text(&w, "Windows/INF/OEM3.INF", "");
	wintree_text(&w, "Windows/INF/oem4.PNF", "");
	wintree_text(&w, WINTREE_CAT "/oem5.cat", "");
	h = wintree_hive(&w, "SYSTEM");
	wintree_key(h, "DriverDatabase\\DriverInfFiles\\oem6.inf");
	wintree_save(&w, "SYSTEM", h);
	h = wintree_hive(&w, "DRIVERS");
	wintree_key(h, "DriverDatabase\\DriverInfFiles\\Oem700.inf");
	wintree_save(&w, "DRIVERS", h);
	f = read_facts(&w);
	for (unsigned i = 0; i < f->n_oem_in_use; i++) {
		bool want = (i >= 3 && i <= 6) || i == 9 || i == 700;

		if (!!f->oem_in_use[i] != want)
			fail_msg("oem%u: %d", i, f->oem_in_use[i]);
	}
	assert_true(f->n_oem_in_use > 700);
	assert_true(f->oem_map_present);
	ibb_facts_free(f);
}

static void packages(void **state)
{
	struct wintree w;
	struct ibb_hive *h;
	struct ibb_facts *f;
	const struct ibb_fact_package *p = NULL;
	uint8_t short_version[8] = {0};

	(void)state;
	wintree_plain(&w, test_dir(), "server2022");
	h = wintree_hive(&w, "DRIVERS");
	wintree_set_sz(h, PACKAGES "\\odd name", "", "oem7.inf");
	wintree_set(h, PACKAGES "\\odd name", "Version", IBB_REG_BINARY, short_version, 8);
	wintree_set_dword(h, PACKAGES "\\odd name", "Provider", 1);
	wintree_save(&w, "DRIVERS", h);
	f = read_facts(&w);
	assert_int_equal(f->n_packages, win_inbox_n + 1);
	for (size_t i = 0; i < f->n_packages; i++) {
		if (strcmp(f->packages[i].name, "mlx4_bus.inf_amd64_dfb8575c5904427b") == 0)
			p = &f->packages[i];
		if (strcmp(f->packages[i].name, "odd name") == 0) {
			assert_true(f->packages[i].oem);
			assert_int_equal(f->packages[i].oem_number, 7);
			assert_false(f->packages[i].has_version);
			assert_null(f->packages[i].provider);
		}
	}
	assert_non_null(p);
	assert_int_equal(p->node, IBB_NODE_SYSTEM);
	assert_string_equal(p->published, "mlx4_bus.inf");
	assert_false(p->oem);
	assert_true(p->boot_critical);
	assert_true(p->has_version);
	assert_int_equal(p->version.version[0], 5);
	assert_int_equal(p->version.version[2], 14643);
	assert_warned(f, "odd name: its Version value has 8 bytes, not 48");
	assert_warned(f, "driver package key 'odd name' has not the form Windows expects");
	ibb_facts_free(f);
}

static void boot_critical_classes(void **state)
{
	static const struct {
		const char *guid;
		bool critical;
	} t[] = {
		{"{4d36e97d-e325-11ce-bfc1-08002be10318}", true},  /* System */
		{"{4d36e972-e325-11ce-bfc1-08002be10318}", false}, /* Net */
		{"{e2f84ce7-8efa-411c-aa69-97454ca4cb57}", true},  /* Extension, whatever it says */
		{"{00000000-0000-0000-0000-000000000001}", false}, /* no such class */
	};
	struct wintree w;
	struct ibb_facts *f;
	struct ibb_hive *h;
	struct ibb_guid guid;
	struct ibb_error err = {0};
	bool critical;

	(void)state;
	wintree_plain(&w, test_dir(), "server2022");
	f = read_facts(&w);
	for (size_t i = 0; i < IBB_ARRAY_SIZE(t); i++) {
		assert_true(ibb_guid_parse(t[i].guid, &guid));
		assert_ok(ibb_facts_class_is_boot_critical(f, &guid, &critical, &err), err);
		assert_int_equal(critical, t[i].critical);
	}
	ibb_facts_free(f);
	/* the class key of the image decides, so a Net class marked there counts; 00 is false */
	h = wintree_hive(&w, "SYSTEM");
#define MARK(guid)                             \
	"ControlSet001\\Control\\Class\\" guid \
	"\\Properties\\{6a3433f4-5626-40e8-a9b9-dbd9ecd2884b}\\0003"
	wintree_set(h, MARK("{4d36e972-e325-11ce-bfc1-08002be10318}"), "", 0xffff0011, "\xff", 1);
	wintree_set(h, MARK("{4d36e97d-e325-11ce-bfc1-08002be10318}"), "", 0xffff0011, "\0", 1);
	wintree_save(&w, "SYSTEM", h);
	f = read_facts(&w);
	assert_true(ibb_guid_parse(t[1].guid, &guid));
	assert_ok(ibb_facts_class_is_boot_critical(f, &guid, &critical, &err), err);
	assert_true(critical);
	assert_true(ibb_guid_parse(t[0].guid, &guid));
	assert_ok(ibb_facts_class_is_boot_critical(f, &guid, &critical, &err), err);
	assert_false(critical);
	ibb_facts_free(f);
}

static void who_serves_an_id(void **state)
{
	struct wintree w;
	struct ibb_hive *h;
	struct ibb_facts *f;
	struct ibb_fact_match *m = NULL;
	struct ibb_error err = {0};
	size_t n = 99;

	(void)state;
	wintree_plain(&w, test_dir(), "server2022");
	h = wintree_hive(&w, "SYSTEM");
	wintree_set(h, "DriverDatabase\\DeviceIds\\PCI\\VEN_15B3&DEV_1013", "mlx4_bus.inf",
		    IBB_REG_BINARY, "\2\7\1\0", 4);
	/* of another type, another length, of a package that is not there: no match */
	wintree_set(h, "DriverDatabase\\DeviceIds\\PCI\\VEN_15B3&DEV_1013", "pci.inf",
		    IBB_REG_DWORD, "\1\0\0\0", 4);
	wintree_set(h, "DriverDatabase\\DeviceIds\\PCI\\VEN_15B3&DEV_1013", "machine.inf",
		    IBB_REG_BINARY, "\1\0\0", 3);
	wintree_set(h, "DriverDatabase\\DeviceIds\\PCI\\VEN_15B3&DEV_1013", "gone.inf",
		    IBB_REG_BINARY, "\1\0\0\0", 4);
	wintree_save(&w, "SYSTEM", h);
	f = read_facts(&w);
	assert_ok(ibb_facts_matches(f, "pci\\ven_15b3&dev_1013", &m, &n, &err), err);
	assert_int_equal(n, 2);
	assert_string_equal(m[0].package->published, "mlx4_bus.inf");
	assert_memory_equal(m[0].data, "\2\7\1\0", 4);
	assert_string_equal(m[1].package->published, "netmlx5.inf");
	assert_memory_equal(m[1].data, "\1\xff\0\0", 4);
	free(m);
	m = NULL;
	assert_ok(ibb_facts_matches(f, "PCI\\NOBODY", &m, &n, &err), err);
	assert_int_equal(n, 0);
	free(m);
	ibb_facts_free(f);
}

/* Keys as Windows records a third-party package, for the files beside them. */
static void record_package(const struct wintree *w, const char *name, const char *published,
			   const char *inf)
{
	struct ibb_hive *h = wintree_hive(w, "DRIVERS");
	char key[256];

	snprintf(key, sizeof(key), PACKAGES "\\%s", name);
	wintree_set_sz(h, key, "", published);
	wintree_set_sz(h, key, "InfName", inf);
	wintree_save(w, "DRIVERS", h);
}

static void digests_of_staged_packages(void **state)
{
	static const char *const names[] = {"MINE.inf", "lost.inf", "..\\..\\escape.inf",
					    "nocat.inf", "unsigned.inf"};
	struct wintree w;
	struct ibb_facts *f;
	struct ibb_volume *v;
	struct ibb_error err = {0};
	struct ibb_sha256 d;

	(void)state;
	wintree_plain(&w, test_dir(), "server2022");
	record_package(&w, "mine.inf_amd64_0000000000000001", "oem1.inf", "mine.inf");
	record_package(&w, "lost.inf_amd64_0000000000000002", "oem2.inf", "lost.inf");
	record_package(&w, "other.inf_amd64_0000000000000003", "oem3.inf", "other.inf");
	record_package(&w, "esc.inf_amd64_0000000000000004", "oem4.inf", "..\\..\\escape.inf");
	record_package(&w, "nocat.inf_amd64_0000000000000005", "oem5.inf", "nocat.inf");
	wintree_edit_sz(&w, "DRIVERS", PACKAGES "\\nocat.inf_amd64_0000000000000005", "SignerName",
			"somebody");
	record_package(&w, "unsigned.inf_amd64_0000000000000006", "oem6.inf", "unsigned.inf");
	wintree_edit_dword(&w, "DRIVERS", PACKAGES "\\unsigned.inf_amd64_0000000000000006",
			   "SignerScore", 0x80000000);
	wintree_edit_dword(&w, "DRIVERS", PACKAGES "\\mine.inf_amd64_0000000000000001",
			   "SignerScore", 0x0f000000);
	wintree_text(&w, WINTREE_STORE "/mine.inf_amd64_0000000000000001/Mine.INF", "inf");
	wintree_text(&w, WINTREE_CAT "/oem1.CAT", "cat");
	wintree_text(&w, WINTREE_STORE "/other.inf_amd64_0000000000000003/other.inf", "x");
	wintree_text(&w, WINTREE_CAT "/oem3.cat", "x");
	wintree_text(&w, "Windows/System32/escape.inf", "secret");
	wintree_text(&w, WINTREE_CAT "/oem4.cat", "x");
	wintree_text(&w, WINTREE_STORE "/nocat.inf_amd64_0000000000000005/nocat.inf", "x");
	wintree_text(&w, WINTREE_STORE "/unsigned.inf_amd64_0000000000000006/unsigned.inf", "inf");
	f = read_facts(&w);
	v = wintree_open(&w);
	assert_ok(ibb_facts_read_store(f, v, names, IBB_ARRAY_SIZE(names), &err), err);
	ibb_volume_close(v);
	for (size_t i = 0; i < f->n_packages; i++) {
		const struct ibb_fact_package *p = &f->packages[i];
		unsigned n = p->oem ? p->oem_number : 0;

		assert_int_equal(p->digest_known, n == 1 || n == 6);
		assert_int_equal(p->unsigned_, n == 6);
		assert_int_equal(p->files_missing, n == 2 || n == 4 || n == 5);
		if (!p->digest_known)
			continue;
		assert_int_equal(ibb_sha256("inf", 3, &d), 0);
		assert_memory_equal(&p->inf_sha256, &d, sizeof(d));
		if (n == 6)
			continue;
		assert_int_equal(ibb_sha256("cat", 3, &d), 0);
		assert_memory_equal(&p->cat_sha256, &d, sizeof(d));
	}
	ibb_facts_free(f);
}

/* ---- device instances ---- */

static void devices(void **state)
{
#define IB "PCI\\VEN_15B3&DEV_101C&SUBSYS_000715B3&REV_00"
	static const char *const pci[] = {IB "=oem3.inf", "PCI\\VEN_8086&DEV_1234"};
	struct winhives_spec s = wintree_spec("server2022");
	const struct ibb_fact_device *d;
	struct wintree w;
	struct ibb_hive *h;
	struct ibb_facts *f;

	(void)state;
	s.pci = pci;
	s.n_pci = IBB_ARRAY_SIZE(pci);
	s.state = WIN_SPECIALIZED;
	wintree_make(&w, test_dir(), &s);
	h = wintree_hive(&w, "SYSTEM");
	/* in a set that is not the current one; a list without its terminators; a lone half */
	wintree_set_sz(h, "ControlSet002\\Enum\\PCI\\ven_15b3&dev_1018\\1&2", "Driver", "\\\\");
	wintree_set(h, "ControlSet002\\Enum\\PCI\\ven_15b3&dev_1018\\1&2", "HardwareID",
		    IBB_REG_MULTI_SZ, "A\0B\0\0\0C\0D", 9);
	wintree_save(&w, "SYSTEM", h);
	f = read_facts(&w);
	assert_int_equal(f->n_devices, 2);
	d = &f->devices[0];
	assert_string_equal(d->control_set, "ControlSet001");
	assert_string_equal(d->device_id, IB);
	assert_string_equal(d->instance, "3&11583659&0&10");
	assert_string_equal(d->driver, "{4d36e972-e325-11ce-bfc1-08002be10318}\\0001");
	assert_string_equal(d->inf, "oem3.inf");
	assert_int_equal(d->n_ids, 3);
	assert_string_equal(d->ids[0], IB);
	assert_string_equal(d->ids[2], "PCI\\VEN_15B3&CC_0207");
	d = &f->devices[1];
	assert_string_equal(d->control_set, "ControlSet002");
	assert_string_equal(d->device_id, "PCI\\ven_15b3&dev_1018");
	assert_string_equal(d->driver, "\\\\"); /* no path of a key */
	assert_null(d->inf);
	assert_int_equal(d->n_ids, 2);
	assert_string_equal(d->ids[0], "AB");
	assert_string_equal(d->ids[1], "C");
	ibb_facts_free(f);
}

/* ---- NetworkDirect providers ---- */

#define CATALOG64 \
	"ControlSet001\\Services\\WinSock2\\Parameters\\Protocol_Catalog9\\Catalog_Entries64\\"

/* WSAPROTOCOL_INFOW behind a path of 260 characters; its fifth DWORD holds the provider flags. */
static void catalog_entry(struct ibb_hive *h, const char *number, const char *dll, uint32_t flags,
			  size_t len)
{
	uint8_t item[1000] = {0};
	char key[256];

	memcpy(item, dll, strlen(dll));
	item[260] = item[264] = item[268] = item[272] = 0xff; /* service flags */
	item[276] = (uint8_t)flags;
	snprintf(key, sizeof(key), CATALOG64 "%s", number);
	wintree_set(h, key, "PackedCatalogItem", IBB_REG_BINARY, item, len);
}

static void network_direct_providers(void **state)
{
	char long_path[400];
	struct wintree w;
	struct ibb_hive *h;
	struct ibb_facts *f;

	(void)state;
	wintree_plain(&w, test_dir(), "server2022");
	h = wintree_hive(&w, "SYSTEM");
	catalog_entry(h, "000000000001", "%SystemRoot%\\system32\\mswsock.dll", 0x08, 888);
	catalog_entry(h, "000000000002", "short.dll", 0x10, 887);
	catalog_entry(h, "000000000003", "long.dll", 0x10, 889);
	wintree_key(h, CATALOG64 "000000000004"); /* without the value */
	wintree_save(&w, "SYSTEM", h);
	f = read_facts(&w);
	assert_null(f->nd_provider);
	ibb_facts_free(f);

	h = wintree_hive(&w, "SYSTEM");
	catalog_entry(h, "000000000005", "C:\\Windows\\System32\\mlx5nd.dll", 0x18, 888);
	catalog_entry(h, "000000000006", "second.dll", 0x10, 888);
	wintree_save(&w, "SYSTEM", h);
	f = read_facts(&w);
	assert_string_equal(f->nd_provider, "C:\\Windows\\System32\\mlx5nd.dll");
	ibb_facts_free(f);

	/* a path that fills its field has no terminator */
	memset(long_path, 'x', 260);
	long_path[260] = '\0';
	h = wintree_hive(&w, "SYSTEM");
	wintree_delete(h, CATALOG64 "000000000005");
	wintree_delete(h, CATALOG64 "000000000006");
	catalog_entry(h, "000000000007", long_path, 0x10, 888);
	wintree_save(&w, "SYSTEM", h);
	f = read_facts(&w);
	assert_string_equal(f->nd_provider, long_path);
	ibb_facts_free(f);
}

/* ---- lack of memory ---- */

static void out_of_memory(void **state)
{
	static const char *const pci[] = {IB "=oem3.inf"};
	static const char *const names[] = {"mine.inf"};
	struct winhives_spec s = wintree_spec("server2022");
	struct wintree w;
	long n, asked, failed = 0, lenient = 0;

	(void)state;
	s.pci = pci;
	s.n_pci = 1;
	s.winof2 = "1.2";
	s.state = WIN_AUDIT;
	wintree_make(&w, test_dir(), &s);
	wintree_mkdir(&w, PLUGIN "/1.5.0.0");
	record_package(&w, "mine.inf_amd64_0000000000000001", "oem1.inf", "mine.inf");
	wintree_text(&w, WINTREE_STORE "/mine.inf_amd64_0000000000000001/mine.inf", "inf");
	wintree_text(&w, WINTREE_CAT "/oem1.cat", "cat");
	into_log(&w, "SYSTEM", "SYSTEM.LOG1", false);
	wintree_text(&w, WINTREE_CONFIG "/TxR/" GUID ".TxR.blf", "used");
	for (n = 0;; n++) {
		struct ibb_volume *v = wintree_open(&w);
		struct ibb_facts *f = NULL;
		struct ibb_error err = {0};
		int r;

		ibb_mem_fail_at(n, false);
		r = ibb_facts_read(v, false, &f, &err);
		if (!r)
			r = ibb_facts_read_store(f, v, names, 1, &err);
		asked = ibb_mem_count();
		ibb_mem_fail_at(-1, false);
		if (asked <= n) {
			assert_ok(r, err);
			ibb_facts_free(f);
			ibb_volume_close(v);
			break;
		}
		/* the file name in a hive's header is for messages only: done without */
		if (!r)
			lenient++;
		else if (r != IBB_E_NOMEM || err.code != IBB_E_NOMEM)
			fail_msg("allocation %ld failed: %d (%d %s)", n, r, err.code, err.msg);
		failed++;
		ibb_facts_free(f);
		ibb_volume_close(v);
	}
	assert_true(failed > 200);
	assert_true(lenient <= 2 * IBB_N_HIVES);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(releases),
		cmocka_unit_test(product_types),
		cmocka_unit_test(current_control_set),
		cmocka_unit_test(missing_values),
		cmocka_unit_test(version_text),
		cmocka_unit_test(no_build),
		cmocka_unit_test(wrong_types),
		cmocka_unit_test(architectures),
		cmocka_unit_test(hives_of_two_windows),
		cmocka_unit_test(setup_states),
		cmocka_unit_test(signs_of_setup),
		cmocka_unit_test(servicing_is_pending),
		cmocka_unit_test(snapshots_and_journal),
		cmocka_unit_test(installed_before),
		cmocka_unit_test(hives_that_do_not_open),
		cmocka_unit_test(hives_that_are_missing),
		cmocka_unit_test(hive_facts),
		cmocka_unit_test(older_than_8),
		cmocka_unit_test(no_database),
		cmocka_unit_test(missing_directories),
		cmocka_unit_test(numbers_in_use),
		cmocka_unit_test(packages),
		cmocka_unit_test(boot_critical_classes),
		cmocka_unit_test(who_serves_an_id),
		cmocka_unit_test(digests_of_staged_packages),
		cmocka_unit_test(devices),
		cmocka_unit_test(network_direct_providers),
		cmocka_unit_test(hives_from_logs),
		cmocka_unit_test(unsound_hives),
		cmocka_unit_test(transactional_registry),
		cmocka_unit_test(out_of_memory),
	};

	return cmocka_run_group_tests(tests, test_dir_setup, test_dir_teardown) ? 1 : 0;
}
