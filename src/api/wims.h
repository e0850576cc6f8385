/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Requests about a WIM: which of its images they mean, and one session for each of them. All
 * images are worked on before the first byte of a result is written; the sessions follow each
 * other, so that one Windows at a time lies in memory.
 */
#ifndef IBB_API_WIMS_H
#define IBB_API_WIMS_H

#include "api/replace.h"
#include "api/session.h"
#include "api/trust.h"
#include "manifest/wim.h"

/* One of the images that a request is about. */
struct ibb_wim_item {
	unsigned index;
	bool named;    /* by number or name, or it is the only one: it has to hold a Windows */
	char *skipped; /* why nothing is done with it; else NULL */
	struct ibb_session s;	    /* while it is worked on */
	struct ibb_applied applied; /* what was written */
	size_t n_ops;
	char **paths; /* what the plan touches: all that may differ afterwards */
	size_t n_paths, cap_paths;
	struct ibb_json *doc; /* its part of the manifest */
};

/* What a name that is to be removed means. */
struct ibb_wim_removed {
	bool met;	/* in an image */
	unsigned index; /* as a published name: the first that has it, */
	char *inf;	/* and its original name there; NULL: none has */
};

struct ibb_wims {
	const struct ibb_request *q; /* borrowed */
	const char *name;	     /* for messages; borrowed */
	struct ibb_wim *wim;
	char *temp_dir;
	struct ibb_wim_item *items; /* ascending by number */
	size_t n;
	/* what documents say of all of them: request, driver catalog, trust files */
	struct ibb_session common;
	const char *signature; /* of all packages: the weakest */
	struct ibb_lock_entry *locked;
	size_t n_locked, cap_locked;
	struct ibb_wim_identity input;	 /* the WIM as it was */
	struct ibb_wim_removed *removed; /* beside q->published, once one of them was met */
	bool lacking;			 /* an image that nobody named lacks one of q->published */
};

/*
 * Is q->image a WIM? Then also: what of the request is for disks alone, or for WIMs alone, is
 * refused (IBB_E_INVALID, IBB_E_UNSUPPORTED). A file that cannot be opened fails as in
 * ibb_disk_file_open(). `part`: q->images names an image of the manifest, so it goes with a disk as
 * well.
 */
int ibb_wims_asked(const struct ibb_request *q, bool part, bool *ret,
		   struct ibb_error *err) IBB_MUST_CHECK;

/*
 * Open the WIM and choose the images that q->images names. Without any: the only one there is;
 * several: all of them with `all_by_default`, else IBB_E_INVALID with a list.
 */
int ibb_wims_open(const struct ibb_request *q, bool all_by_default, struct ibb_wims *ret,
		  struct ibb_error *err) IBB_MUST_CHECK;
/* The same of a WIM that messages call `name`, which has to live as long. */
int ibb_wims_open_as(const struct ibb_request *q, const char *name, bool all_by_default,
		     struct ibb_wims *ret, struct ibb_error *err) IBB_MUST_CHECK;
void ibb_wims_close(struct ibb_wims *set);

/*
 * Begin with an image: its volume and facts. An image without Windows is skipped, when it was not
 * named. Errors name the image.
 */
int ibb_wims_enter(struct ibb_wims *set, struct ibb_wim_item *it, bool writable,
		   struct ibb_error *err) IBB_MUST_CHECK;
void ibb_wims_leave(struct ibb_wims *set, struct ibb_wim_item *it);
/* All were skipped: IBB_E_UNSUPPORTED. */
int ibb_wims_any(const struct ibb_wims *set, struct ibb_error *err) IBB_MUST_CHECK;
/* Put "install.wim: image 2 (NAME): " in front; returns the code. */
int ibb_wims_fail(const struct ibb_wims *set, const struct ibb_wim_item *it, int code,
		  struct ibb_error *err);

/* The WIM as documents name it, with the digest that the request asks for. `path`: where it is, or
 * will be. */
int ibb_wims_identity(const struct ibb_request *q, struct ibb_wim *w, const char *path,
		      struct ibb_wim_identity *ret, struct ibb_error *err) IBB_MUST_CHECK;

/* ---- changing them; wim_run.c, wim_bake.c ---- */

/*
 * Plan, apply and commit every image, in memory: nothing is written yet. Afterwards the items have
 * `doc`, `applied` and `paths`.
 */
int ibb_wims_run(struct ibb_wims *set, ibb_planner_fn planner,
		 struct ibb_error *err) IBB_MUST_CHECK;
/*
 * The changed WIM goes to a new file, which gets a hidden name, is opened by it, read back and
 * compared with the source. *ret_now is what was written, opened; its messages say `name`.
 * set->wim is closed.
 */
int ibb_wims_write(struct ibb_wims *set, struct ibb_atomic *out, const char *name,
		   struct ibb_wim **ret_now, struct ibb_error *err) IBB_MUST_CHECK;
/* What `now` holds is what was meant, and all else is as in `before`. */
int ibb_wims_check(const struct ibb_wims *set, struct ibb_wim *before, struct ibb_wim *now,
		   struct ibb_error *err) IBB_MUST_CHECK;
/* Is there room for what is written to the file system of `path`, beside `base` bytes? */
int ibb_wims_check_room(const struct ibb_wims *set, const char *path, uint64_t base,
			struct ibb_error *err) IBB_MUST_CHECK;
struct ibb_wim_write_opts ibb_wims_write_opts(const struct ibb_wims *set);
/* The manifest; `now` NULL: nothing was written. */
int ibb_wims_manifest(const struct ibb_wims *set, struct ibb_wim *now, const char *path,
		      char **ret_text, struct ibb_error *err) IBB_MUST_CHECK;
/* bake and drivers add|remove of a WIM. */
int ibb_wims_change(const struct ibb_request *q, ibb_planner_fn planner, char **ret_json,
		    struct ibb_error *err) IBB_MUST_CHECK;

/* ---- in place; wim_inplace.c ---- */

/* Before the WIM is opened: may this file be changed, does somebody use it? */
int ibb_wims_claim(const struct ibb_request *q, struct ibb_error *err) IBB_MUST_CHECK;
/* Append, or write anew and rename, as the request says; then the manifest takes its place. */
int ibb_wims_inplace(struct ibb_wims *set, char **ret_text, struct ibb_error *err) IBB_MUST_CHECK;

/* ---- the other commands ---- */

int ibb_wims_inspect(const struct ibb_request *q, char **ret_json,
		     struct ibb_error *err) IBB_MUST_CHECK;
int ibb_wims_plan(const struct ibb_request *q, char **ret_json,
		  struct ibb_error *err) IBB_MUST_CHECK;
int ibb_wims_drivers_list(const struct ibb_request *q, char **ret_json,
			  struct ibb_error *err) IBB_MUST_CHECK;
int ibb_wims_verify(const struct ibb_request *q, const struct ibb_json *manifest, char **ret_json,
		    struct ibb_error *err) IBB_MUST_CHECK;

#endif
