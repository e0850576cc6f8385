/* SPDX-License-Identifier: GPL-3.0-or-later */
/* CopyFiles to places outside the driver store, and what keeps those files from being replaced. */
#include <string.h>

#include "base/path.h"
#include "base/utf16.h"
#include "driver/configure_int.h"

#define DIRID_SYSTEM	   11
#define DIRID_DRIVERS	   12
#define DIRID_DRIVER_STORE 13

/* COPYFLG_* of setupapi.h that do not ask what stands there already */
#define KNOWN_COPY_FLAGS 0x782fu

#define LOCKDOWN_KEY   "Microsoft\\Windows\\CurrentVersion\\Setup\\PnpLockdownFiles\\%SystemRoot%"
#define LOCKDOWN_STORE "%SystemRoot%\\System32\\DriverStore\\FileRepository\\"
#define LOCKDOWN_ON    4u /* [Version] PnpLockdown = 1 */
#define LOCKDOWN_OFF   5u

struct destination {
	const char *dir; /* volume path, NULL: the driver store */
	const char *subdir;
};

const char *ibb_cfg_directory(int dirid)
{
	switch (dirid) {
	case DIRID_SYSTEM:
		return "Windows/System32";
	case DIRID_DRIVERS:
		return "Windows/System32/drivers";
	default:
		return NULL;
	}
}

static int refuse(struct builder *b, unsigned line, const char *fmt, const char *what)
{
	return ibb_inf_err(b->step->inf, line, IBB_E_UNSUPPORTED, b->err, fmt, what);
}

/* The list's own entry of [DestinationDirs], else the default; without either the system directory,
 * as setupapi has it. */
static int destination(struct builder *b, const struct ibb_inf_line *by, const char *list,
		       struct destination *ret)
{
	const struct ibb_inf *inf = b->step->inf;
	const struct ibb_inf_line *l = NULL;
	const char *id;

	if (list)
		l = ibb_inf_find(inf, "DestinationDirs", list);
	if (!l)
		l = ibb_inf_find(inf, "DestinationDirs", "DefaultDestDir");
	id = l ? (l->n ? l->fields[0] : "") : "11";
	*ret = (struct destination){.subdir = l && l->n > 1 ? l->fields[1] : ""};
	if (strcmp(id, "13") == 0)
		return *ret->subdir ? refuse(b, l->line, "a directory '%.80s' of the driver store",
					     ret->subdir)
				    : IBB_OK;
	ret->dir = strcmp(id, "11") == 0   ? ibb_cfg_directory(DIRID_SYSTEM)
		   : strcmp(id, "12") == 0 ? ibb_cfg_directory(DIRID_DRIVERS)
					   : NULL;
	return ret->dir ? IBB_OK
			: refuse(b, l ? l->line : by->line,
				 "files for directory '%.80s': whether Windows copies them into an "
				 "offline image is not known",
				 id);
}

/* The package's file for a source name: its directory stands in SourceDisksFiles. */
static int find_file(struct builder *b, const struct ibb_inf_line *l, const char *source,
		     const struct ibb_package_file **ret)
{
	const struct ibb_package *p = b->p;
	const struct ibb_inf_file *files = b->files.files;
	int rc = IBB_OK;

	for (size_t i = 0; !rc && i < b->files.n; i++) {
		IBB_AUTO_FREE char *joined = NULL;
		IBB_AUTO_FREE char *path = NULL;

		if (!ibb_caseeq(files[i].source, source))
			continue;
		joined = ibb_asprintf("%s/%s", files[i].source_dir, source);
		if (!joined)
			return ibb_err_nomem(b->err);
		rc = ibb_path_normalize(joined, &path, b->err);
		for (size_t k = 0; !rc && k < p->n_files; k++) {
			if (ibb_caseeq(p->files[k].path, path)) {
				*ret = &p->files[k];
				return IBB_OK;
			}
		}
	}
	return rc ? rc : refuse(b, l->line, "copies %.120s, which the package lacks", source);
}

static int keep_file(struct builder *b, const struct ibb_inf_line *l, const char *dest,
		     const struct ibb_package_file *file)
{
	struct ibb_configuration *c = b->c;
	struct ibb_configure_file f = {.file = file};

	f.lockdown = b->p->version.pnp_lockdown ? LOCKDOWN_ON : LOCKDOWN_OFF;
	for (size_t i = 0; i < c->n_files; i++) {
		if (!ibb_caseeq(c->files[i].dest, dest))
			continue;
		return c->files[i].file == file ? IBB_OK
						: refuse(b, l->line, "two files for %.200s", dest);
	}
	f.dest = ibb_arena_strdup(&c->arena, dest);
	f.evidence = ibb_cfg_evidence(&c->arena, b->step->inf, l->line, "CopyFiles");
	if (!f.dest || !f.evidence ||
	    ibb_grow(&c->files, &c->cap_files, c->n_files, sizeof(*c->files)))
		return ibb_err_nomem(b->err);
	c->files[c->n_files++] = f;
	return IBB_OK;
}

static int copy_one(struct builder *b, const struct ibb_inf_line *l, const struct destination *d,
		    const char *name, const char *source)
{
	const struct ibb_package_file *file = NULL;
	IBB_AUTO_FREE char *joined = NULL;
	IBB_AUTO_FREE char *dest = NULL;
	int rc;

	if (!d->dir)
		return IBB_OK;
	rc = find_file(b, l, source, &file);
	if (rc)
		return rc;
	joined = ibb_asprintf("%s/%s/%s", d->dir, d->subdir, name);
	if (!joined)
		return ibb_err_nomem(b->err);
	rc = ibb_path_normalize(joined, &dest, NULL);
	if (rc == IBB_E_INVALID)
		return ibb_inf_err(b->step->inf, l->line, IBB_E_CORRUPT, b->err,
				   "copies to '%.200s', no path below the system directory",
				   joined);
	if (rc)
		return ibb_err_nomem(b->err);
	return keep_file(b, l, dest, file);
}

static bool hex_or_decimal(const char *s, uint32_t *ret)
{
	bool hex = s[0] == '0' && (s[1] | 0x20) == 'x';
	unsigned base = hex ? 16 : 10;
	uint32_t v = 0;

	for (s += hex ? 2 : 0; *s; s++) {
		unsigned digit = *s >= '0' && *s <= '9' ? (unsigned)(*s - '0')
				 : (*s | 0x20) >= 'a'	? (unsigned)((*s | 0x20) - 'a') + 10
							: 99;

		if (digit >= base || v > 0xffffffu)
			return false;
		v = v * base + digit;
	}
	*ret = v;
	return true;
}

/* name[, source[, temporary[, flags]]] */
static int list_line(struct builder *b, const struct ibb_inf_line *l, const struct destination *d)
{
	const char *name = l->n ? l->fields[0] : "", *source = l->n > 1 ? l->fields[1] : "";
	uint32_t flags = 0;

	if (l->key || !*name)
		return ibb_inf_err(b->step->inf, l->line, IBB_E_CORRUPT, b->err,
				   "a line of a CopyFiles list without a file name");
	if (l->n > 3 && (!hex_or_decimal(l->fields[3], &flags) || flags & ~KNOWN_COPY_FLAGS))
		return refuse(b, l->line, "the CopyFiles flags '%.40s' are not understood",
			      l->fields[3]);
	return copy_one(b, l, d, name, *source ? source : name);
}

int ibb_cfg_copy_files(struct builder *b, const struct ibb_inf_line *l)
{
	struct destination d;
	int rc = IBB_OK;

	for (size_t i = 0; !rc && i < l->n; i++) {
		const char *name = l->fields[i];
		const struct ibb_inf_section *s;

		if (!*name)
			continue;
		if (!b->step->own)
			return refuse(b, l->line, "CopyFiles=%.80s in an INF that is only included",
				      name);
		s = *name == '@' ? NULL : ibb_inf_section(b->step->inf, name);
		if (*name != '@' && !s)
			return refuse(b, l->line, "names the section [%.120s], which it lacks",
				      name);
		rc = destination(b, l, s ? name : NULL, &d);
		if (!rc && !s)
			rc = copy_one(b, l, &d, name + 1, name + 1);
		for (size_t k = 0; !rc && s && k < s->n; k++)
			rc = list_line(b, &s->lines[k], &d);
	}
	return rc;
}

/* "%SystemRoot%/System32/drivers/x.sys", one key: its name holds slashes, no backslash. */
static int lock_file(struct builder *b, const struct ibb_configure_file *f)
{
	struct ibb_configuration *c = b->c;
	struct ibb_configure_value v = {.root = IBB_CONFIGURE_SOFTWARE, .evidence = f->evidence};
	const struct ibb_string_list owner = {1, &b->opts->published};
	char *source;
	int rc;

	v.key = ibb_arena_printf(&c->arena, "%s%s", LOCKDOWN_KEY, f->dest + strlen("Windows"));
	source = ibb_arena_printf(&c->arena, "%s%s\\%s", LOCKDOWN_STORE, b->opts->package_name,
				  f->file->path);
	if (!v.key || !source)
		return ibb_err_nomem(b->err);
	for (char *p = source; *p; p++)
		*p = *p == '/' ? '\\' : *p;
	v.name = "Class";
	rc = ibb_cfg_push_dword(&c->values, &c->arena, v, f->lockdown, b->err);
	if (rc)
		return rc;
	v.name = "Source";
	v.type = CFG_EXPAND_SZ;
	rc = ibb_cfg_push_sz(&c->values, &c->arena, v, source, b->err);
	if (rc)
		return rc;
	v.name = "Owners";
	v.op = IBB_CONFIGURE_APPEND;
	return ibb_cfg_push_multi(&c->values, &c->arena, v, &owner, b->err);
}

int ibb_cfg_lockdown(struct builder *b)
{
	int rc = IBB_OK;

	for (size_t i = 0; !rc && i < b->c->n_files; i++)
		rc = lock_file(b, &b->c->files[i]);
	return rc;
}
