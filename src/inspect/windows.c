/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Version, product, control sets and set-up state. */
#include "inspect/internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/utf16.h"

#define CURRENT_VERSION "Microsoft\\Windows NT\\CurrentVersion"

static int add_string(char ***list, size_t *n, const char *s, struct ibb_error *err)
{
	char **p = ibb_realloc_array(*list, *n + 1, sizeof(**list));

	if (!p)
		return ibb_err_nomem(err);
	*list = p;
	p[*n] = ibb_strdup(s);
	if (!p[*n])
		return ibb_err_nomem(err);
	(*n)++;
	return IBB_OK;
}

static int collect_control_set(void *ctx, ibb_key k, const char *name, struct ibb_error *err)
{
	struct ibb_facts *f = ctx;

	(void)k;
	if (strlen(name) != 13 || !ibb_case_prefix(name, "ControlSet"))
		return IBB_OK;
	return add_string(&f->control_sets, &f->n_control_sets, name, err);
}

static int read_control_sets(struct ibb_facts *f, struct ibb_error *err)
{
	const struct ibb_hive *h = f->hives[IBB_HIVE_SYSTEM].hive;
	uint32_t current;
	bool found;
	int r = ibb_hive_subkeys(h, ibb_hive_root(h), collect_control_set, f, err);

	if (!r)
		r = ibb_facts_dword(h, "Select", "Current", 1, &current, err);
	if (r)
		return r;
	f->control_set = ibb_asprintf("ControlSet%03u", current);
	if (!f->control_set)
		return ibb_err_nomem(err);
	r = ibb_facts_has_key(h, f->control_set, &found, err);
	if (!r && !found)
		r = ibb_facts_warn(f, err, "Select\\Current names %s, which the SYSTEM hive lacks",
				   f->control_set);
	return r;
}

/* Architecture: of the driver database itself, which is what the packages are staged into. */
static int read_arch(struct ibb_facts *f, struct ibb_error *err)
{
	const struct ibb_hive *h = f->hives[IBB_HIVE_SYSTEM].hive;
	IBB_AUTO_FREE char *env = NULL, *key = NULL;
	uint32_t arch;
	int r = ibb_facts_dword(h, "DriverDatabase", "Architecture", UINT32_MAX, &arch, err);

	if (r)
		return r;
	if (arch == UINT32_MAX) {
		key = ibb_asprintf("%s\\Control\\Session Manager\\Environment", f->control_set);
		if (!key)
			return ibb_err_nomem(err);
		r = ibb_facts_string(h, key, "PROCESSOR_ARCHITECTURE", &env, err);
		if (r)
			return r;
		arch = !env			  ? IBB_ARCH_AMD64
		       : ibb_caseeq(env, "AMD64") ? IBB_ARCH_AMD64
		       : ibb_caseeq(env, "ARM64") ? IBB_ARCH_ARM64
		       : ibb_caseeq(env, "ARM")	  ? IBB_ARCH_ARM
						  : IBB_ARCH_X86;
	}
	f->target.arch = (enum ibb_arch)arch;
	return IBB_OK;
}

/* WinNT is a client, LanmanNT a domain controller, ServerNT a server. The edition's name is never
 * used: INF decorations are judged by this value. */
static int read_product_type(struct ibb_facts *f, struct ibb_error *err)
{
	const struct ibb_hive *h = f->hives[IBB_HIVE_SYSTEM].hive;
	IBB_AUTO_FREE char *key = ibb_asprintf("%s\\Control\\ProductOptions", f->control_set);
	int r;

	if (!key)
		return ibb_err_nomem(err);
	r = ibb_facts_string(h, key, "ProductType", &f->product_type, err);
	if (r)
		return r;
	if (!f->product_type)
		return ibb_facts_warn(f, err,
				      "the SYSTEM hive has no %s\\ProductType: client or server is "
				      "unknown",
				      key);
	f->target.product_type = ibb_caseeq(f->product_type, "WinNT")	   ? 1
				 : ibb_caseeq(f->product_type, "LanmanNT") ? 2
									   : 3;
	f->server = f->target.product_type != 1;
	return IBB_OK;
}

static unsigned to_number(const char *s)
{
	unsigned long v = s ? strtoul(s, NULL, 10) : 0;

	return v > 1000000 ? 0 : (unsigned)v;
}

/* Setup and the recovery environment are Windows PE as well, and say so in both places. */
static bool is_pe(const char *name)
{
	return name && ibb_caseeq(name, "WindowsPE");
}

static int read_version(struct ibb_facts *f, struct ibb_error *err)
{
	const struct ibb_hive *h = f->hives[IBB_HIVE_SOFTWARE].hive;
	IBB_AUTO_FREE char *build = NULL, *version = NULL;
	uint32_t major, minor, ubr;
	int r = ibb_facts_string(h, CURRENT_VERSION, "CurrentBuildNumber", &build, err);

	if (!r && !build)
		r = ibb_facts_string(h, CURRENT_VERSION, "CurrentBuild", &build, err);
	if (!r)
		r = ibb_facts_string(h, CURRENT_VERSION, "CurrentVersion", &version, err);
	/* Windows 10 and later say 6.3 in CurrentVersion and the truth in these two */
	if (!r)
		r = ibb_facts_dword(h, CURRENT_VERSION, "CurrentMajorVersionNumber", 0, &major,
				    err);
	if (!r)
		r = ibb_facts_dword(h, CURRENT_VERSION, "CurrentMinorVersionNumber", 0, &minor,
				    err);
	if (!r)
		r = ibb_facts_dword(h, CURRENT_VERSION, "UBR", 0, &ubr, err);
	if (r == IBB_E_CORRUPT) { /* of another type: nothing depends on it */
		ubr = 0;
		r = IBB_OK;
	}
	if (!r)
		r = ibb_facts_string(h, CURRENT_VERSION, "ProductName", &f->product_name, err);
	if (!r)
		r = ibb_facts_string(h, CURRENT_VERSION, "EditionID", &f->edition, err);
	if (!r)
		r = ibb_facts_string(h, CURRENT_VERSION, "InstallationType", &f->installation_type,
				     err);
	if (!r)
		r = ibb_facts_string(h, CURRENT_VERSION, "DisplayVersion", &f->display_version,
				     err);
	if (!r && !f->display_version)
		r = ibb_facts_string(h, CURRENT_VERSION, "ReleaseId", &f->display_version, err);
	if (r)
		return r;
	f->pe = is_pe(f->installation_type) || is_pe(f->edition);
	f->ubr = ubr;
	f->target.build = to_number(build);
	if (major) {
		f->target.major = major;
		f->target.minor = minor;
	} else if (version && sscanf(version, "%u.%u", &major, &minor) == 2) {
		f->target.major = major;
		f->target.minor = minor;
	}
	if (!f->target.build)
		f->target.major = 0;
	return IBB_OK;
}

/* DriverDatabase\Version is 0x06030000 on 8.1 and 0x0A000000 on 10: the two hives must belong to
 * the same Windows. */
static int cross_check(struct ibb_facts *f, struct ibb_error *err)
{
	uint32_t v;
	int r = ibb_facts_dword(f->hives[IBB_HIVE_SYSTEM].hive, "DriverDatabase", "Version", 0, &v,
				err);

	if (r || !v || !f->target.major)
		return r;
	if (v >> 24 != f->target.major || (v >> 16 & 0xff) != f->target.minor)
		return ibb_facts_warn(f, err,
				      "SYSTEM's driver database is of Windows %u.%u, SOFTWARE says "
				      "%u.%u: are the hives of one Windows?",
				      v >> 24, v >> 16 & 0xff, f->target.major, f->target.minor);
	return IBB_OK;
}

int ibb_facts_read_windows(struct ibb_facts *f, struct ibb_error *err)
{
	int r = IBB_OK;

	f->target.arch = IBB_ARCH_AMD64;
	if (f->hives[IBB_HIVE_SYSTEM].hive) {
		r = read_control_sets(f, err);
		if (!r)
			r = read_arch(f, err);
		if (!r)
			r = read_product_type(f, err);
	}
	if (!r && f->hives[IBB_HIVE_SOFTWARE].hive)
		r = read_version(f, err);
	if (!r && f->hives[IBB_HIVE_SYSTEM].hive)
		r = cross_check(f, err);
	return r;
}

static int read_setup(struct ibb_facts *f, struct ibb_error *err)
{
	const struct ibb_hive *sys = f->hives[IBB_HIVE_SYSTEM].hive;
	const struct ibb_hive *soft = f->hives[IBB_HIVE_SOFTWARE].hive;
	const char *s;
	uint32_t audit = 0;
	int r = IBB_OK;

	if (sys) {
		r = ibb_facts_dword(sys, "Setup", "SetupType", 0, &f->setup_type, err);
		if (!r)
			r = ibb_facts_dword(sys, "Setup", "SystemSetupInProgress", 0,
					    &f->setup_in_progress, err);
		if (!r)
			r = ibb_facts_dword(sys, "Setup\\Status", "AuditBoot", 0, &audit, err);
	}
	if (!r && soft) {
		r = ibb_facts_string(soft, "Microsoft\\Windows\\CurrentVersion\\Setup\\State",
				     "ImageState", &f->image_state, err);
		if (!r)
			r = ibb_facts_has_key(soft,
					      "Microsoft\\Windows\\CurrentVersion\\Component Based "
					      "Servicing\\RebootPending",
					      &f->reboot_pending, err);
	}
	if (r)
		return r;
	s = f->image_state;
	f->generalized = s && ibb_caseeq(s, "IMAGE_STATE_GENERALIZE_RESEAL_TO_OOBE");
	f->audit = audit || (s && ibb_case_suffix(s, "_AUDIT"));
	/* Windows PE is always in set-up, and starts all the same */
	if (f->pe)
		return IBB_OK;
	f->setup_unfinished = f->setup_type == 1 || (f->setup_in_progress && !f->generalized) ||
			      (s && !f->generalized && !ibb_caseeq(s, "IMAGE_STATE_COMPLETE"));
	if (f->audit)
		return ibb_facts_warn(f, err, "the image is in audit mode (%s)",
				      s ? s : "Setup\\Status\\AuditBoot");
	if (f->setup_unfinished)
		return ibb_facts_warn(f, err,
				      "Windows set-up is not finished (SetupType %u, "
				      "SystemSetupInProgress %u, ImageState %s)",
				      f->setup_type, f->setup_in_progress, s ? s : "not set");
	return IBB_OK;
}

static int exists(struct ibb_volume *v, const char *path, bool *ret, struct ibb_error *err)
{
	struct ibb_stat st;
	int r = ibb_volume_stat(v, path, &st, err);

	/* a reparse point on the way: what lies behind it is not part of this volume */
	if (r && r != IBB_E_NOTFOUND && r != IBB_E_UNSUPPORTED)
		return r;
	*ret = !r;
	return IBB_OK;
}

/* Snapshot stores are named {id}{3808876b-c176-4e48-b7ae-04046e6cc752}; the bare GUID is the
 * catalogue of them. Offline writes are invisible to VSS. */
static int count_snapshot(void *ctx, const char *name, enum ibb_file_type type,
			  struct ibb_error *err)
{
	struct ibb_facts *f = ctx;

	(void)err;
	if (type == IBB_FILE_REGULAR && name[0] == '{' &&
	    ibb_case_suffix(name, "}{3808876b-c176-4e48-b7ae-04046e6cc752}"))
		f->vss_snapshots++;
	return IBB_OK;
}

static int collect_extension(void *ctx, const char *name, enum ibb_file_type type,
			     struct ibb_error *err)
{
	struct ibb_facts *f = ctx;

	if (type != IBB_FILE_DIRECTORY)
		return IBB_OK;
	return add_string(&f->extensions, &f->n_extensions, name, err);
}

static int list_if_there(struct ibb_volume *v, const char *dir, ibb_dirent_fn fn, void *ctx,
			 struct ibb_error *err)
{
	int r = ibb_volume_list(v, dir, fn, ctx, err);

	return r == IBB_E_NOTFOUND || r == IBB_E_UNSUPPORTED ? IBB_OK : r;
}

/* The value that holds WinOF-2's version is not documented: any string that begins with a digit
 * and has a dot is taken. */
static int winof2_value(void *ctx, const struct ibb_value *v, struct ibb_error *err)
{
	struct ibb_facts *f = ctx;
	char *s;

	if (v->type != IBB_REG_SZ || !ibb_case_suffix(v->name, "version"))
		return IBB_OK;
	s = ibb_utf8_from_utf16le(v->data, v->size);
	if (!s)
		return ibb_err_nomem(err);
	if (s[0] >= '0' && s[0] <= '9' && strchr(s, '.')) {
		free(f->winof2);
		f->winof2 = s;
	} else {
		free(s);
	}
	return IBB_OK;
}

static int read_winof2(struct ibb_facts *f, struct ibb_error *err)
{
	const struct ibb_hive *h = f->hives[IBB_HIVE_SOFTWARE].hive;
	ibb_key k;
	int r;

	if (!h)
		return IBB_OK;
	r = ibb_hive_find(h, ibb_hive_root(h), "Mellanox\\MLNX_WinOF2", &k, err);
	if (r)
		return r == IBB_E_NOTFOUND ? IBB_OK : r;
	f->winof2 = ibb_strdup("");
	if (!f->winof2)
		return ibb_err_nomem(err);
	return ibb_hive_values(h, k, winof2_value, f, err);
}

static int warn_states(struct ibb_facts *f, struct ibb_error *err)
{
	int r = IBB_OK;

	if (f->vss_snapshots)
		r = ibb_facts_warn(f, err,
				   "the volume holds %u shadow copy store(s): offline writes are "
				   "invisible to VSS, restoring one would undo them",
				   f->vss_snapshots);
	if (!r && f->usn_journal)
		r = ibb_facts_warn(f, err,
				   "the volume has a USN change journal: offline writes are not "
				   "recorded in it, so backup and indexing tools will miss them");
	if (!r && f->winof2)
		r = ibb_facts_warn(f, err, "WinOF-2 %s is installed in the image",
				   *f->winof2 ? f->winof2 : "(version unknown)");
	for (size_t i = 0; i < f->n_extensions && !r; i++)
		r = ibb_facts_warn(f, err,
				   "the VM extension InfiniBandDriverWindows %s has run in this "
				   "image (its plugin folder is there)",
				   f->extensions[i]);
	return r;
}

int ibb_facts_read_state(struct ibb_facts *f, struct ibb_volume *v, struct ibb_error *err)
{
	int r = read_setup(f, err);

	if (!r)
		r = exists(v, "Windows/WinSxS/pending.xml", &f->pending_xml, err);
	if (!r)
		r = exists(v, "$Extend/$UsnJrnl", &f->usn_journal, err);
	if (!r)
		r = list_if_there(v, "System Volume Information", count_snapshot, f, err);
	if (!r)
		r = list_if_there(v,
				  "Packages/Plugins/Microsoft.HpcCompute.InfiniBandDriverWindows",
				  collect_extension, f, err);
	if (!r)
		r = read_winof2(f, err);
	return r ? r : warn_states(f, err);
}
