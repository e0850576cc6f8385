/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Is what counts as staged already whole? */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api/session.h"

static int damaged(const struct ibb_plan_package *pp, struct ibb_error *err, const char *fmt, ...)
	IBB_PRINTF(3, 4);
static int damaged(const struct ibb_plan_package *pp, struct ibb_error *err, const char *fmt, ...)
{
	char text[768];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	ibb_err(err, IBB_E_CONFLICT,
		"%s is staged in the image as %s, but %s: the driver store is damaged",
		pp->package->inf_name, pp->published, text);
	return ibb_err_hint(err, IBB_E_CONFLICT,
			    "in Windows: pnputil /delete-driver %s; then bake again",
			    pp->published);
}

/* Is the file of the image the one of the package? What WOF compressed is at least there. */
static int check_staged_file(const struct ibb_session *s, const struct ibb_plan_package *pp,
			     const char *path, struct ibb_bytes want, struct ibb_error *err)
{
	IBB_AUTO_BUF struct ibb_buf have = {0};
	struct ibb_error sub = {0};
	int r = ibb_volume_read(s->volume, path, want.len, &have, &sub);

	if (r == IBB_E_UNSUPPORTED)
		return IBB_OK;
	if (r == IBB_E_NOTFOUND)
		return damaged(pp, err, "%s is missing", path);
	if (r == IBB_E_LIMIT || (!r && (have.len != want.len ||
					(want.len && memcmp(have.data, want.data, want.len) != 0))))
		return damaged(pp, err, "%s is not the package's", path);
	if (r && err)
		*err = sub;
	return r;
}

static int check_staged_files(const struct ibb_session *s, const struct ibb_plan_package *pp,
			      struct ibb_error *err)
{
	const struct ibb_package *p = pp->package;
	IBB_AUTO_FREE char *inf = ibb_asprintf("%s/%s", IBB_STORE_INF_DIR, pp->published);
	int r;

	if (!inf)
		return ibb_err_nomem(err);
	r = check_staged_file(s, pp, inf, ibb_buf_bytes(&p->files[0].bytes), err);
	for (size_t i = 0; i < p->n_files && !r; i++) {
		IBB_AUTO_FREE char *path =
			ibb_asprintf("%s/%s/%s", IBB_STORE_DIR, pp->name, p->files[i].path);

		r = path ? check_staged_file(s, pp, path, ibb_buf_bytes(&p->files[i].bytes), err)
			 : ibb_err_nomem(err);
	}
	return r;
}

/* "Nothing to do" is said only of a package that is there as a whole. */
static int check_staged(const struct ibb_session *s, struct ibb_error *err)
{
	const struct ibb_facts *f = s->facts;
	int r = IBB_OK;

	for (size_t i = 0; i < s->plan->n_packages && !r; i++) {
		const struct ibb_plan_package *pp = &s->plan->packages[i];

		if (!pp->existing)
			continue;
		if (!pp->existing->active)
			return damaged(pp, err,
				       "DriverInfFiles\\%s does not make it the active one",
				       pp->published);
		if (f->oem_map_present &&
		    !ibb_oem_map_get(ibb_buf_bytes(&f->oem_map), pp->oem_number))
			return damaged(pp, err, "OemInfMap says that its number is free");
		r = check_staged_files(s, pp, err);
	}
	return r;
}

int ibb_session_check_plan(struct ibb_session *s, struct ibb_error *err)
{
	int r = check_staged(s, err);

	return r ? r : ibb_plan_check_space(s->plan, &s->info, err);
}
