/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What plan and bake share: from a request to a plan. */
#ifndef IBB_API_SESSION_H
#define IBB_API_SESSION_H

#include "api/image.h"
#include "api/packages.h"
#include "api/sources.h"
#include "api/target.h"
#include "ibbake/ibbake.h"
#include "inspect/azure.h"
#include "plan/plan.h"
#include "volume/wim.h"

/* An INF of the image, see ibb_session_plan_opts(). */
struct ibb_included {
	char *name;
	struct ibb_inf *inf;
};

struct ibb_trust_store;
struct ibb_winre;
struct ibb_lockfile;

struct ibb_session {
	const struct ibb_request *q;
	struct ibb_catalog *catalog;
	struct ibb_image *image;   /* of a disk; NULL with a WIM, */
	struct ibb_wim *wim;	   /* which is borrowed, */
	unsigned index;		   /* and this image of it, */
	bool by_all;		   /* which nobody named: it may lack what is to be removed, */
	bool lacks;		   /* and does */
	struct ibb_volume *volume; /* with Windows; the image's, or owned with a WIM */
	struct ibb_volume_info info;
	struct ibb_facts *facts;
	struct ibb_boot boot;	/* by ibb_session_azure(), */
	struct ibb_azure azure; /* as this */
	size_t n_targets;
	struct ibb_resolution **resolutions;
	struct ibb_selection *selections;
	/* where packages come from; opened by the first who asks. NULL: own_sources */
	struct ibb_sources *sources, own_sources;
	struct ibb_package_set found;
	struct ibb_package **chosen; /* distinct */
	size_t n_chosen, cap_chosen;
	struct ibb_removal *removals;
	size_t n_removals;
	struct ibb_trust_store *trust;
	struct ibb_trust_file
		*trust_files;	       /* the anchors of q, then its CRLs; NULL without trust */
	struct ibb_lockfile *lockfile; /* of q->lock, when it is there */
	struct ibb_plan *plan;
	struct ibb_winre *winre;  /* the recovery images, with q->winre */
	struct ibb_target target; /* of the output, while it is made */
	struct ibb_included *included;
	size_t n_included;
	char **warnings;
	size_t n_warnings, cap_warnings;
};

int ibb_session_warn(struct ibb_session *s, struct ibb_error *err, const char *fmt, ...)
	IBB_PRINTF(3, 4) IBB_MUST_CHECK;
/*
 * What is unusual about the files of a chain, and what was left unchecked; `said` is of libvhdi,
 * when it was asked.
 */
int ibb_session_warn_chain(struct ibb_session *s, const struct ibb_chain *c,
			   const struct ibb_opinion_result *said,
			   struct ibb_error *err) IBB_MUST_CHECK;
/* The warnings so far, as "warnings" of obj. */
void ibb_session_warnings_json(const struct ibb_session *s, struct ibb_jb *b, struct ibb_json *obj);
/* What was read, for documents that do not describe the image: "second_opinion" and "warnings". */
void ibb_session_source_json(const struct ibb_session *s, struct ibb_jb *b, struct ibb_json *obj);
/* Report where we are; IBB_E_CANCELLED when the caller says so. */
int ibb_session_phase(const struct ibb_request *q, const char *phase, uint64_t done, uint64_t total,
		      struct ibb_error *err) IBB_MUST_CHECK;

/* The catalog of the request, or the built-in one, with q->catalog_dirs laid over it. */
int ibb_session_catalog(const struct ibb_request *q, struct ibb_catalog **ret,
			struct ibb_error *err) IBB_MUST_CHECK;
/* Open the image and its Windows volume, read the facts. */
int ibb_session_open(struct ibb_session *s, bool writable, struct ibb_error *err) IBB_MUST_CHECK;
/*
 * The same for an image of a WIM, with `temp_dir` for what is staged. IBB_E_NOTFOUND, and nothing
 * else, when it holds no Windows.
 */
int ibb_session_open_wim(struct ibb_session *s, struct ibb_wim *w, unsigned index, bool writable,
			 const char *temp_dir, struct ibb_error *err) IBB_MUST_CHECK;
/* A disk's volume, closed and opened again read-only: what was committed. */
int ibb_session_reopen(struct ibb_session *s, struct ibb_error *err) IBB_MUST_CHECK;
/* Load the catalog; may this Windows be edited? */
int ibb_session_check(struct ibb_session *s, struct ibb_error *err) IBB_MUST_CHECK;
/* How to plan; the INFs that it leads to live as long as the session. */
struct ibb_plan_opts ibb_session_plan_opts(struct ibb_session *s);
void ibb_session_clear_included(struct ibb_session *s);
/* What the plan warns of. */
int ibb_session_plan_warnings(struct ibb_session *s, struct ibb_error *err) IBB_MUST_CHECK;
/* Is what counts as staged already whole, and does the rest fit? */
int ibb_session_check_plan(struct ibb_session *s, struct ibb_error *err) IBB_MUST_CHECK;
/* The sources of q->driver_dirs; what they warn of is warned of. */
int ibb_session_sources(struct ibb_session *s, const struct ibb_sources **ret,
			struct ibb_error *err) IBB_MUST_CHECK;
/* What a session that shares this one's sources has to know. */
struct ibb_sources *ibb_session_shared_sources(struct ibb_session *s);
/* The archives among them, into a list; the same as a list of its own. */
void ibb_session_archives_json(const struct ibb_session *s, struct ibb_jb *b,
			       struct ibb_json *list);
int ibb_session_archives(const struct ibb_session *s, struct ibb_json **ret,
			 struct ibb_error *err) IBB_MUST_CHECK;
/* Search them, and what else `how` names, into s->found. */
int ibb_session_find(struct ibb_session *s, struct ibb_package_search *how,
		     struct ibb_error *err) IBB_MUST_CHECK;
/* Put a package on the list of what is staged, once; and the companions of all on it. */
int ibb_session_choose(struct ibb_session *s, struct ibb_package *p,
		       struct ibb_error *err) IBB_MUST_CHECK;
int ibb_session_choose_companions(struct ibb_session *s, struct ibb_error *err) IBB_MUST_CHECK;
/* Resolve the sizes, find and choose packages, build the plan, check space and --require. */
int ibb_session_plan(struct ibb_session *s, struct ibb_error *err) IBB_MUST_CHECK;
void ibb_session_clear(struct ibb_session *s);
/* Does `name`, of q->published, mean this one: by its published name, or an added one by its INF's?
 */
bool ibb_session_names(const struct ibb_fact_package *p, const char *name);

/* What a manifest says of the request and the driver catalog. */
struct ibb_manifest_options ibb_session_options(const struct ibb_session *s);
/* What a manifest says of this Windows, but for the container; free() *ret_left_out, which m leads
 * to. */
int ibb_session_manifest(const struct ibb_session *s, const struct ibb_applied *applied,
			 struct ibb_manifest_input *m, struct ibb_left_out **ret_left_out,
			 struct ibb_error *err) IBB_MUST_CHECK;
struct ibb_lock_entry;
/* Write q->lock, when the image is complete. */
int ibb_session_lock(const struct ibb_request *q, const struct ibb_lock_entry *list, size_t n,
		     struct ibb_error *err) IBB_MUST_CHECK;

/* Turns an open session into a plan. */
typedef int (*ibb_planner_fn)(struct ibb_session *s, struct ibb_error *err);
/* Open, plan with `planner`, apply, write the output and its manifest (bake.c). */
int ibb_session_change(const struct ibb_request *q, ibb_planner_fn planner, char **ret_json,
		       struct ibb_error *err) IBB_MUST_CHECK;

/* The Windows of the image as the catalog names it. */
void ibb_session_windows(const struct ibb_session *s, struct ibb_windows *ret);

#endif
