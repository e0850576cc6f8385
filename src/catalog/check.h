/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What is wrong, doubtful or missing in driver catalogs: all of it, not only the first. Pure. */
#ifndef IBB_CATALOG_CHECK_H
#define IBB_CATALOG_CHECK_H

#include "catalog/catalog.h"

enum ibb_severity { IBB_SEV_ERROR, IBB_SEV_WARNING, IBB_SEV_NOTE };
const char *ibb_severity_name(enum ibb_severity s);

struct ibb_finding {
	enum ibb_severity severity;
	const char *file; /* whose fault it is */
	const char *path; /* in it: "sizes[3].status"; "" for the whole */
	const char *text;
};
/* Zero-initialise. */
struct ibb_findings {
	struct ibb_finding *v;
	size_t n, cap;
	struct ibb_arena arena;
};
void ibb_findings_clear(struct ibb_findings *f);
int ibb_findings_add(struct ibb_findings *f, enum ibb_severity severity, const char *file,
		     const char *path, struct ibb_error *err, const char *fmt, ...)
	IBB_PRINTF(6, 7) IBB_MUST_CHECK;

/*
 * As ibb_catalog_load_all(), but a faulty record is left out and its fault put on the list; what
 * refers to it is a fault in turn. *ret is NULL when something was faulty. An error only when there
 * is no catalog to read at all (no JSON, another format) or memory is short.
 */
int ibb_catalog_load_checked(const struct ibb_catalog_text *texts, size_t n, struct ibb_findings *f,
			     struct ibb_catalog **ret, struct ibb_error *err) IBB_MUST_CHECK;

/*
 * Judge a sound catalog: rules and recommendations that contradict each other and only their order
 * decides; sizes and Windows that nobody speaks of; a size in service without a driver for a
 * Windows that is validated (the one error); dates; conflicts of overlays. `today`: YYYY-MM-DD.
 */
int ibb_catalog_judge(const struct ibb_catalog *c, const char *today, struct ibb_findings *f,
		      struct ibb_error *err) IBB_MUST_CHECK;

#endif
