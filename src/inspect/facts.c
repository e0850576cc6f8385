/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "inspect/internal.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/limits.h"
#include "base/utf16.h"

const char *ibb_hive_id_name(enum ibb_hive_id h)
{
	static const char *const names[] = {"SYSTEM", "DRIVERS", "SOFTWARE"};

	return names[h];
}

int ibb_facts_warn(struct ibb_facts *f, struct ibb_error *err, const char *fmt, ...)
{
	char text[768];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	if (ibb_grow(&f->warnings, &f->cap_warnings, f->n_warnings, sizeof(*f->warnings)))
		return ibb_err_nomem(err);
	f->warnings[f->n_warnings] = ibb_strdup(text);
	if (!f->warnings[f->n_warnings])
		return ibb_err_nomem(err);
	f->n_warnings++;
	return IBB_OK;
}

int ibb_facts_string(const struct ibb_hive *h, const char *key, const char *value, char **ret,
		     struct ibb_error *err)
{
	IBB_AUTO_BUF struct ibb_buf data = {0};
	uint32_t type = IBB_REG_NONE;
	char *s = NULL;
	ibb_key k;
	int r = ibb_hive_find(h, ibb_hive_root(h), key, &k, err);

	if (!r)
		r = ibb_hive_get(h, k, value, &type, &data, err);
	if (r && r != IBB_E_NOTFOUND)
		return r;
	if (!r && (type == IBB_REG_SZ || type == IBB_REG_EXPAND_SZ)) {
		s = ibb_utf8_from_utf16le(data.data, data.len & ~(size_t)1);
		if (!s)
			return ibb_err_nomem(err);
	}
	free(*ret);
	*ret = s;
	return IBB_OK;
}

int ibb_facts_dword(const struct ibb_hive *h, const char *key, const char *value, uint32_t dflt,
		    uint32_t *ret, struct ibb_error *err)
{
	int r = ibb_hive_get_dword(h, ibb_hive_root(h), key, value, ret, err);

	if (r == IBB_E_NOTFOUND) {
		*ret = dflt;
		r = IBB_OK;
	}
	return r;
}

int ibb_facts_has_key(const struct ibb_hive *h, const char *key, bool *ret, struct ibb_error *err)
{
	ibb_key k;
	int r = ibb_hive_find(h, ibb_hive_root(h), key, &k, err);

	if (r && r != IBB_E_NOTFOUND)
		return r;
	*ret = !r;
	return IBB_OK;
}

int ibb_facts_read(struct ibb_volume *v, bool accept_dirty, struct ibb_facts **ret,
		   struct ibb_error *err)
{
	IBB_AUTO(ibb_facts_free) struct ibb_facts *f = ibb_zalloc(sizeof(*f));
	int r;

	if (!f)
		return ibb_err_nomem(err);
	r = ibb_facts_read_hives(f, v, accept_dirty, err);
	if (!r)
		r = ibb_facts_read_windows(f, err);
	if (!r)
		r = ibb_facts_read_state(f, v, err);
	if (!r)
		r = ibb_facts_read_guest(f, v, err);
	if (!r)
		r = ibb_facts_read_database(f, err);
	if (!r)
		r = ibb_facts_read_devices(f, err);
	if (!r)
		r = ibb_facts_read_winsock(f, err);
	if (!r)
		r = ibb_facts_read_usage(f, err);
	if (!r)
		r = ibb_facts_read_oem_numbers(f, v, err);
	if (r)
		return r;
	*ret = IBB_TAKE(f);
	return IBB_OK;
}

static int check_hive(const struct ibb_facts *f, enum ibb_hive_id id, struct ibb_error *err)
{
	const struct ibb_fact_hive *fh = &f->hives[id];

	if (!fh->present)
		return ibb_err(err, IBB_E_UNSUPPORTED,
			       "the Windows volume has no Windows\\System32\\config\\%s hive",
			       ibb_hive_id_name(id));
	if (!fh->hive) {
		if (err)
			*err = fh->problem;
		return fh->problem.code;
	}
	if (fh->recovery.max_sequence == UINT32_MAX) {
		ibb_err(err, IBB_E_UNSUPPORTED,
			"%s: the sequence numbers of the hive or of its transaction logs are used "
			"up: an edit could not be told from what is older",
			fh->path);
		return ibb_err_hint(err, IBB_E_UNSUPPORTED,
				    "let Windows write the hive anew (reg save, reg restore)");
	}
	return IBB_OK;
}

static int check_target(const struct ibb_facts *f, struct ibb_error *err)
{
	const struct ibb_inf_target *t = &f->target;

	if (!t->major)
		return ibb_err(err, IBB_E_UNSUPPORTED,
			       "%s names no Windows version (CurrentBuildNumber, "
			       "CurrentMajorVersionNumber or CurrentVersion)",
			       f->hives[IBB_HIVE_SOFTWARE].path);
	if (t->major < 6 || (t->major == 6 && t->minor < 2))
		return ibb_err(
			err, IBB_E_UNSUPPORTED,
			"Windows %u.%u.%u is older than Windows 8 and Server 2012: it has no "
			"driver database to stage into",
			t->major, t->minor, t->build);
	if (!f->node_present[IBB_NODE_SYSTEM])
		return ibb_err(err, IBB_E_UNSUPPORTED,
			       "%s has no DriverDatabase key: not Windows 8, Server 2012 or later",
			       f->hives[IBB_HIVE_SYSTEM].path);
	if (t->arch != IBB_ARCH_AMD64)
		return ibb_err(err, IBB_E_UNSUPPORTED,
			       "this Windows is for %s; InfiniBand drivers for Azure sizes exist "
			       "for amd64 only",
			       ibb_arch_name(t->arch));
	if (!f->node_present[IBB_NODE_DRIVERS])
		return ibb_err(err, IBB_E_UNSUPPORTED, "%s has no DriverDatabase key",
			       f->hives[IBB_HIVE_DRIVERS].path);
	return IBB_OK;
}

int ibb_facts_check(const struct ibb_facts *f, bool force, struct ibb_error *err)
{
	int r = check_hive(f, IBB_HIVE_SYSTEM, err);

	if (!r)
		r = check_hive(f, IBB_HIVE_SOFTWARE, err);
	if (!r && f->target.major && !f->node_present[IBB_NODE_SYSTEM])
		r = check_target(f, err); /* old Windows: its reason, not a missing DRIVERS hive */
	if (!r)
		r = check_hive(f, IBB_HIVE_DRIVERS, err);
	if (!r)
		r = check_target(f, err);
	if (r)
		return r;
	if (!f->product_type)
		return ibb_err(err, IBB_E_UNSUPPORTED,
			       "%s names no ProductType: whether this is a client or a server is "
			       "not known",
			       f->hives[IBB_HIVE_SYSTEM].path);
	if (f->missing_dir)
		return ibb_err(err, IBB_E_UNSUPPORTED,
			       "the image has no directory %s: not a complete Windows",
			       f->missing_dir);
	if ((f->pending_xml || f->reboot_pending) && !force) {
		ibb_err(err, IBB_E_UNSUPPORTED,
			"Windows servicing is pending (%s): Windows would finish it over the "
			"edited image",
			f->pending_xml ? "WinSxS\\pending.xml" : "CBS RebootPending");
		return ibb_err_hint(err, IBB_E_UNSUPPORTED,
				    "boot the image once so that Windows finishes, or go on with "
				    "--force");
	}
	return IBB_OK;
}

static void free_strings(char **s, size_t n)
{
	for (size_t i = 0; i < n; i++)
		free(s[i]);
	free(s);
}

static void free_hive(struct ibb_fact_hive *fh)
{
	ibb_hive_close(fh->hive);
	free(fh->path);
	for (size_t i = 0; i < fh->n_logs; i++)
		free(fh->logs[i].path);
}

void ibb_facts_free(struct ibb_facts *f)
{
	if (!f)
		return;
	for (int i = 0; i < IBB_N_HIVES; i++)
		free_hive(&f->hives[i]);
	for (size_t i = 0; i < f->n_packages; i++) {
		struct ibb_fact_package *p = &f->packages[i];

		free(p->name);
		free(p->published);
		free(p->inf_name);
		free(p->provider);
		free(p->signer);
		free(p->catalog);
	}
	for (size_t i = 0; i < f->n_devices; i++) {
		struct ibb_fact_device *d = &f->devices[i];

		free(d->control_set);
		free(d->device_id);
		free(d->instance);
		free(d->driver);
		free(d->inf);
		free_strings(d->ids, d->n_ids);
	}
	free(f->packages);
	free(f->devices);
	free_strings(f->control_sets, f->n_control_sets);
	free_strings(f->extensions, f->n_extensions);
	free_strings(f->warnings, f->n_warnings);
	free_strings(f->paging_files, f->n_paging_files);
	for (size_t i = 0; i < IBB_N_AGENTS; i++)
		free(f->agents[i].path);
	ibb_buf_clear(&f->oem_map);
	free(f->oem_in_use);
	free(f->windows_dir);
	free(f->product_name);
	free(f->edition);
	free(f->installation_type);
	free(f->display_version);
	free(f->product_type);
	free(f->control_set);
	free(f->image_state);
	free(f->winof2);
	free(f->nd_provider);
	free(f);
}
