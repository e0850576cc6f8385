/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What a cloud asks of its guest: page files, and the services of the virtual machine agent. */
#include "inspect/internal.h"

#include <stdlib.h>
#include <string.h>

#include "base/path.h"
#include "base/utf16.h"

#define MAX_PAGING_FILES 32u /* Windows takes 16 */

/* ---- page files ---- */

static int add_line(struct ibb_facts *f, const char *line, size_t n, struct ibb_error *err)
{
	char **p = ibb_realloc_array(f->paging_files, f->n_paging_files + 1, sizeof(*p));

	if (!p)
		return ibb_err_nomem(err);
	f->paging_files = p;
	p[f->n_paging_files] = ibb_strndup(line, n);
	if (!p[f->n_paging_files])
		return ibb_err_nomem(err);
	f->n_paging_files++;
	return IBB_OK;
}

/* REG_MULTI_SZ, and REG_SZ as a list of one. */
static int read_paging_files(struct ibb_facts *f, const struct ibb_hive *h, struct ibb_error *err)
{
	IBB_AUTO_FREE char *key =
		ibb_asprintf("%s\\Control\\Session Manager\\Memory Management", f->control_set);
	IBB_AUTO_BUF struct ibb_buf data = {0}, text = {0};
	uint32_t type = IBB_REG_NONE;
	ibb_key k;
	int r;

	if (!key)
		return ibb_err_nomem(err);
	r = ibb_hive_find(h, ibb_hive_root(h), key, &k, err);
	if (!r)
		r = ibb_hive_get(h, k, "PagingFiles", &type, &data, err);
	if (r)
		return r == IBB_E_NOTFOUND ? IBB_OK : r;
	if (type != IBB_REG_MULTI_SZ && type != IBB_REG_SZ && type != IBB_REG_EXPAND_SZ)
		return ibb_facts_warn(f, err, "%s\\PagingFiles is no list of texts (type %u)", key,
				      type);
	f->paging_files_set = true;
	if (ibb_utf8_append(&text, data.data, data.len))
		return ibb_err_nomem(err);
	for (size_t at = 0; at < text.len && !r && f->n_paging_files < MAX_PAGING_FILES;) {
		const char *line = (const char *)text.data + at;
		size_t n = strnlen(line, text.len - at);

		if (n)
			r = add_line(f, line, n, err);
		at += n + 1;
	}
	return r;
}

/* ---- the agent ---- */

/*
 * "C:\WindowsAzure\GuestAgent_2.7\WindowsAzureGuestAgent.exe" to its path in the volume; arguments
 * and quotes go. The letter that the volume gets is not known: any letter is taken for it.
 */
static int image_path(const char *text, char **ret, struct ibb_error *err)
{
	IBB_AUTO_FREE char *copy = ibb_strdup(text + (text[0] == '"'));
	char *at = copy, *end;
	struct ibb_error why;
	int r;

	if (!copy)
		return ibb_err_nomem(err);
	if (text[0] == '"') {
		copy[strcspn(copy, "\"")] = '\0';
	} else {
		for (end = copy; *end; end++)
			if (ibb_case_prefix(end, ".exe") && (!end[4] || end[4] == ' '))
				break;
		if (*end)
			end[4] = '\0';
	}
	if (strncmp(at, "\\??\\", 4) == 0)
		at += 4;
	if (ibb_case_prefix(at, "%SystemDrive%\\"))
		at += strlen("%SystemDrive%\\");
	else if (at[0] && at[1] == ':' && at[2] == '\\')
		at += 3;
	else
		return IBB_OK;
	r = ibb_path_normalize(at, ret, &why);
	return r == IBB_E_NOMEM ? ibb_err_nomem(err) : IBB_OK;
}

static int look_for_file(struct ibb_fact_agent *a, struct ibb_volume *v, struct ibb_error *err)
{
	struct ibb_stat st;
	int r = ibb_volume_stat(v, a->path, &st, err);

	if (r == IBB_E_NOTFOUND || r == IBB_E_UNSUPPORTED)
		return IBB_OK;
	a->file_found = !r && st.type == IBB_FILE_REGULAR;
	return r;
}

static int read_agent(struct ibb_facts *f, struct ibb_fact_agent *a, const struct ibb_hive *h,
		      struct ibb_volume *v, struct ibb_error *err)
{
	IBB_AUTO_FREE char *key = ibb_asprintf("%s\\Services\\%s", f->control_set, a->service);
	IBB_AUTO_FREE char *image = NULL;
	struct ibb_error why;
	int r;

	if (!key)
		return ibb_err_nomem(err);
	r = ibb_facts_has_key(h, key, &a->present, err);
	if (r || !a->present)
		return r;
	/* nothing depends on it: one of another type counts as not set */
	r = ibb_facts_dword(h, key, "Start", 0, &a->start, &why);
	if (r == IBB_E_NOMEM)
		return ibb_err_nomem(err);
	r = ibb_facts_string(h, key, "ImagePath", &image, err);
	if (!r && image)
		r = image_path(image, &a->path, err);
	return r || !a->path ? r : look_for_file(a, v, err);
}

int ibb_facts_read_guest(struct ibb_facts *f, struct ibb_volume *v, struct ibb_error *err)
{
	static const char *const services[IBB_N_AGENTS] = {"WindowsAzureGuestAgent", "RdAgent"};
	const struct ibb_hive *h = f->hives[IBB_HIVE_SYSTEM].hive;
	int r;

	for (size_t i = 0; i < IBB_N_AGENTS; i++)
		f->agents[i].service = services[i];
	if (!h)
		return IBB_OK;
	r = read_paging_files(f, h, err);
	for (size_t i = 0; i < IBB_N_AGENTS && !r; i++)
		r = read_agent(f, &f->agents[i], h, v, err);
	return r;
}
