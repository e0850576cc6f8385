/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "mkpkg.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/io.h"
#include "base/utf16.h"
#include "mkcat.h"
#include "mkpe.h"

/* The functions the sizes show (ConnectX-5, -6 and -7 virtual functions), see catalogs/. */
static const char *const functions[] = {"1018", "101C", "101E"};

static const char *either(const char *s, const char *dflt)
{
	return s ? s : dflt;
}

static const char *inf_name(const struct mkpkg_opts *o)
{
	return either(o->inf_name, "ibbdemo.inf");
}

/* "ibbdemo" of "ibbdemo.inf" */
static int stem_length(const struct mkpkg_opts *o)
{
	const char *name = inf_name(o), *dot = strrchr(name, '.');

	return (int)(dot ? (size_t)(dot - name) : strlen(name));
}

struct text {
	struct ibb_buf b;
	bool failed;
};

static void line(struct text *t, const char *fmt, ...) IBB_PRINTF(2, 3);

static void line(struct text *t, const char *fmt, ...)
{
	char buf[512];
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(buf, sizeof(buf), fmt, ap);
	va_end(ap);
	if (n < 0 || (size_t)n >= sizeof(buf) || ibb_buf_append(&t->b, buf, (size_t)n) ||
	    ibb_buf_append_str(&t->b, "\r\n"))
		t->failed = true;
}

static void blank(struct text *t)
{
	line(t, "%s", "");
}

static void version_section(struct text *t, const struct mkpkg_opts *o)
{
	static const struct {
		const char *name, *guid;
	} classes[] = {[MKPKG_NET] = {"Net", "4d36e972"},
		       [MKPKG_SYSTEM] = {"System", "4d36e97d"},
		       [MKPKG_SCSI] = {"SCSIAdapter", "4d36e97b"}};

	line(t, "; %s: made by ibbake's tests. It drives nothing.", inf_name(o));
	line(t, "[Version]");
	line(t, "Signature   = \"$Windows NT$\"");
	line(t, "Class       = %s", classes[o->class].name);
	line(t, "ClassGUID   = {%s-e325-11ce-bfc1-08002be10318}", classes[o->class].guid);
	line(t, "Provider    = %%Provider%%");
	line(t, "DriverVer   = %s,%s", either(o->date, "04/16/2026"),
	     either(o->version, "1.0.0.0"));
	if (!o->no_catalog)
		line(t, "CatalogFile = %.*s.cat", stem_length(o), inf_name(o));
	line(t, "PnpLockdown = 1");
	blank(t);
}

static void model(struct text *t, const char *what, const char *id, const char *compatible)
{
	line(t, "%%%s.Desc%% = Demo.%s, %s%s%s", what, what, id, compatible ? ", " : "",
	     compatible ? compatible : "");
}

static void default_models(struct text *t)
{
	for (size_t i = 0; i < IBB_ARRAY_SIZE(functions); i++) {
		const char *f = functions[i];

		/* InfiniBand virtual function; the same device as an accelerated network port. */
		line(t, "%%Vf.Desc%% = Demo.Vf, PCI\\VEN_15B3&DEV_%s&SUBSYS_000715B3&REV_00", f);
		line(t, "%%An.Desc%% = Demo.An, PCI\\VEN_15B3&DEV_%s&SUBSYS_000715B3&REV_80", f);
		line(t, "%%Vf.Desc%% = Demo.Vf, PCI\\VEN_15B3&DEV_%s&REV_00", f);
		line(t, "%%An.Desc%% = Demo.An, PCI\\VEN_15B3&DEV_%s", f);
	}
	model(t, "An", "PCI\\VEN_15B3&DEV_1016&SUBSYS_000315B3&REV_80", NULL);
	/* A device that does not exist, served by compatible IDs as well. */
	model(t, "Vf", "PCI\\VEN_15B3&DEV_FFFE&SUBSYS_0001FFFE&REV_00",
	      "PCI\\VEN_15B3&DEV_FFFE&SUBSYS_0001FFFE, PCI\\VEN_15B3&DEV_FFFE");
}

static void models(struct text *t, const struct mkpkg_opts *o)
{
	static const char *const decorations[] = {"NTamd64.6.2", "NTamd64.10.0...17763"};

	line(t, "[Manufacturer]");
	line(t, "%%Provider%% = Demo, %s, %s", decorations[0], decorations[1]);
	blank(t);
	for (size_t d = 0; d < IBB_ARRAY_SIZE(decorations); d++) {
		line(t, "[Demo.%s]", decorations[d]);
		for (size_t i = 0; i < o->n_ids; i++)
			model(t, "Vf", o->ids[i], NULL);
		for (size_t i = 0; !o->n_ids && o->bare_only && i < IBB_ARRAY_SIZE(functions); i++)
			line(t, "%%Vf.Desc%% = Demo.Vf, PCI\\VEN_15B3&DEV_%s", functions[i]);
		if (!o->n_ids && !o->bare_only)
			default_models(t);
		blank(t);
	}
}

static void install(struct text *t, const struct mkpkg_opts *o, const char *what)
{
	const char *service = either(o->service, "ibbdemo");

	line(t, "[Demo.%s.NT]", what);
	line(t, "CopyFiles = Demo.Files");
	line(t, "AddReg    = Demo.Reg");
	if (o->copy_inf)
		line(t, "CopyINF = %s", o->copy_inf);
	if (o->feature_score)
		line(t, "FeatureScore = %s", o->feature_score);
	if (o->class == MKPKG_NET) {
		line(t, "Characteristics = 0x84");
		line(t, "BusType = 5");
		line(t, "*IfType = 6");
		line(t, "*MediaType = 0");
		line(t, "*PhysicalMediaType = 14");
	}
	blank(t);
	line(t, "[Demo.%s.NT.HW]", what);
	if (o->boot_start) {
		line(t, "AddReg  = Demo.Interrupts");
	} else {
		line(t, "Include = pci.inf");
		line(t, "Needs   = PciIoSpaceNotRequired.HW");
	}
	blank(t);
	line(t, "[Demo.%s.NT.Services]", what);
	line(t, "AddService = %s, 2, Demo.Service%s", service,
	     o->boot_start ? ", Demo.Events" : "");
	blank(t);
}

static void boot_start(struct text *t, const char *service)
{
	line(t, "LoadOrderGroup = SCSI Miniport");
	line(t, "AddReg = Demo.Parameters");
	blank(t);
	line(t, "[Demo.Parameters]");
	line(t, "HKR, Parameters, BusType, 0x00010001, 0x0000000A");
	blank(t);
	line(t, "[Demo.Interrupts]");
	line(t, "HKR, \"Interrupt Management\\MessageSignaledInterruptProperties\", MSISupported, "
		"0x00010001, 1");
	blank(t);
	line(t, "[Demo.Events]");
	line(t, "AddReg = Demo.EventSource");
	blank(t);
	line(t, "[Demo.EventSource]");
	line(t,
	     "HKR,, EventMessageFile, 0x00020000, "
	     "\"%%%%SystemRoot%%%%\\System32\\drivers\\%s.sys\"",
	     service);
	line(t, "HKR,, TypesSupported, 0x00010001, 7");
}

static void rest(struct text *t, const struct mkpkg_opts *o)
{
	const char *service = either(o->service, "ibbdemo");

	line(t, "[Demo.Reg]");
	line(t, "HKR, Ndi, Service, 0, \"%s\"", service);
	line(t, "HKR, Ndi\\Interfaces, UpperRange, 0, \"ndis5\"");
	line(t, "HKR, Ndi\\Interfaces, LowerRange, 0, \"ethernet\"");
	blank(t);
	line(t, "[Demo.Service]");
	line(t, "DisplayName   = %%Vf.Desc%%");
	line(t, "ServiceType   = 1 ; kernel driver");
	line(t, o->boot_start ? "StartType     = 0 ; boot" : "StartType     = 3 ; on demand");
	line(t, "ErrorControl  = 1 ; normal");
	line(t, "ServiceBinary = %%12%%\\%s.sys", service);
	if (o->boot_start)
		boot_start(t, service);
	blank(t);
	line(t, "[DestinationDirs]");
	line(t, "Demo.Files = 12");
	blank(t);
	line(t, "[Demo.Files]");
	line(t, "%s.sys,,,2", service);
	blank(t);
	line(t, "[SourceDisksNames]");
	line(t, "1 = %%Disk%%,,,");
	blank(t);
	line(t, "[SourceDisksFiles]");
	line(t, "%s.sys = 1,,", service);
	blank(t);
	line(t, "[Strings]");
	line(t, "Provider = \"%s\"", either(o->provider, MKPKG_PROVIDER));
	line(t, "Vf.Desc  = \"ibbake demonstration InfiniBand function\"");
	line(t, "An.Desc  = \"ibbake demonstration network function\"");
	line(t, "Disk     = \"ibbake demonstration disk\"");
}

int mkpkg_inf(const struct mkpkg_opts *o, struct ibb_buf *ret, struct ibb_error *err)
{
	struct text t = {0};
	const char *ascii;
	int rc;

	version_section(&t, o);
	models(&t, o);
	install(&t, o, "Vf");
	install(&t, o, "An");
	rest(&t, o);
	ascii = ibb_buf_cstr(&t.b);
	if (t.failed || !ascii)
		rc = IBB_E_NOMEM;
	else if (o->utf16)
		rc = ibb_buf_append(ret, "\xff\xfe", 2) ? IBB_E_NOMEM
							: ibb_utf16le_append(ret, ascii);
	else
		rc = ibb_buf_append(ret, t.b.data, t.b.len);
	ibb_buf_clear(&t.b);
	return rc ? ibb_err(err, rc, "the INF could not be made (a name over 500 characters?)")
		  : IBB_OK;
}

static int write_file(const char *dir, const struct mkpkg_opts *o, const char *name,
		      const struct ibb_buf *bytes, struct ibb_error *err)
{
	IBB_AUTO_FREE char *path = ibb_asprintf("%s/%s", dir, name);
	struct ibb_atomic a;
	int rc;

	if (o->omit && ibb_caseeq(o->omit, name))
		return IBB_OK;
	if (!path)
		return ibb_err_nomem(err);
	rc = ibb_atomic_begin(&a, path, true, err);
	if (rc)
		return rc;
	rc = ibb_pwrite_full(a.fd, bytes->data, bytes->len, 0, path, err);
	if (!rc)
		rc = ibb_atomic_commit(&a, err);
	ibb_atomic_abort(&a);
	return rc;
}

/* The IDs as the catalog repeats them. */
static int write_catalog(const char *dir, const struct mkpkg_opts *o,
			 const struct mkcat_member *members, size_t n, struct ibb_error *err)
{
	static const char *const dflt[] = {"PCI\\VEN_15B3&DEV_101C&SUBSYS_000715B3&REV_00"};
	IBB_AUTO_FREE char *name = ibb_asprintf("%.*s.cat", stem_length(o), inf_name(o));
	IBB_AUTO_BUF struct ibb_buf cat = {0};
	struct mkcat_opts co = {
		.key_dir = o->key_dir,
		.members = members,
		.n_members = n,
		.hwids = o->n_ids ? o->ids : dflt,
		.n_hwids = o->n_ids ? o->n_ids : IBB_ARRAY_SIZE(dflt),
		.eku = o->eku,
	};
	int rc;

	if (!name)
		return ibb_err_nomem(err);
	rc = mkcat(&co, &cat, err);
	return rc ? rc : write_file(dir, o, name, &cat, err);
}

/* splitmix64, begun with the name */
static void make_noise(uint8_t *p, size_t n, const char *seed)
{
	uint64_t state = 0;

	while (*seed)
		state = state * 31 + (uint8_t)*seed++;
	for (size_t i = 0; i < n; i++) {
		uint64_t z = (state += 0x9e3779b97f4a7c15u);

		z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
		p[i] = (uint8_t)(z >> 27);
	}
}

int mkpkg_write(const char *dir, const struct mkpkg_opts *o, struct ibb_error *err)
{
	IBB_AUTO_BUF struct ibb_buf inf = {0};
	IBB_AUTO_BUF struct ibb_buf sys = {0};
	IBB_AUTO_FREE char *sys_name = NULL;
	struct mkcat_member members[2];
	int rc;

	if (mkdir(dir, 0777) < 0 && errno != EEXIST)
		return ibb_err_os(err, errno, "%s: cannot make the directory", dir);
	sys_name = ibb_asprintf("%s.sys", either(o->service, "ibbdemo"));
	if (!sys_name || mkpe_driver(either(o->version, "1.0.0.0"), &sys) ||
	    ibb_buf_append_zero(&sys, o->pad_bytes))
		return ibb_err_nomem(err);
	if (o->noise)
		make_noise(sys.data + sys.len - o->pad_bytes, o->pad_bytes, sys_name);
	rc = mkpkg_inf(o, &inf, err);
	if (rc)
		return rc;
	members[0] = (struct mkcat_member){inf_name(o), ibb_buf_bytes(&inf)};
	members[1] = (struct mkcat_member){sys_name, ibb_buf_bytes(&sys)};
	rc = write_file(dir, o, inf_name(o), &inf, err);
	if (!rc)
		rc = write_file(dir, o, sys_name, &sys, err);
	if (!rc && !o->no_catalog)
		rc = write_catalog(dir, o, members, 2, err);
	return rc;
}
