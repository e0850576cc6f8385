/* SPDX-License-Identifier: GPL-3.0-or-later */
/* From a request to an open Windows: of a disk, or of an image of a WIM. */
#include <stdlib.h>
#include <string.h>

#include "api/inplace.h"
#include "api/session.h"

static int warn_table(struct ibb_session *s, struct ibb_error *err)
{
	const struct ibb_ptable *t = &s->image->table;
	int r = IBB_OK;

	if (t->primary_damaged)
		r = ibb_session_warn(
			s, err,
			"the primary GPT is damaged; the partitions were read from the "
			"backup GPT, and the output keeps the damage");
	if (!r && t->backup_damaged)
		r = ibb_session_warn(s, err,
				     "the backup GPT is missing, damaged or not at the end of the "
				     "disk; the output keeps that");
	return r;
}

/* With one Windows in sight, a partition that cannot be looked into may hold the one that is meant.
 */
static int warn_unseen(struct ibb_session *s, struct ibb_error *err)
{
	const struct ibb_image *im = s->image;
	int r = IBB_OK;

	for (size_t i = 0; i < im->table.n && !s->q->partition && !r; i++)
		if (i != im->windows && im->found[i].problem.code)
			r = ibb_session_warn(
				s, err,
				"partition %u could not be looked into, so the Windows of "
				"partition %u was taken: %s",
				im->table.parts[i].number, im->table.parts[im->windows].number,
				im->found[i].problem.msg);
	return r;
}

static int warn_link(struct ibb_session *s, const struct ibb_link *l, struct ibb_error *err)
{
	int r = IBB_OK;

	if (l->vhdx.log_replayed)
		r = ibb_session_warn(s, err,
				     "%s was not cleanly closed: %llu bytes of its log were "
				     "replayed in memory; the file stays as it is",
				     l->path, (unsigned long long)l->vhdx.log_bytes);
	if (!r && l->vhd.footer_from_copy)
		r = ibb_session_warn(s, err,
				     "%s: the footer at the end is damaged or missing; the copy "
				     "at its beginning was used",
				     l->path);
	if (!r && l->vhdx.bad_header_at)
		r = ibb_session_warn(s, err,
				     "%s: the VHDX header at offset %u is damaged; the other one "
				     "was used",
				     l->path, l->vhdx.bad_header_at);
	if (!r && l->vhdx.bad_region_at)
		r = ibb_session_warn(s, err,
				     "%s: the VHDX region table at offset %u is damaged; the other "
				     "one was used",
				     l->path, l->vhdx.bad_region_at);
	return r;
}

int ibb_session_warn_chain(struct ibb_session *s, const struct ibb_chain *c,
			   const struct ibb_opinion_result *said, struct ibb_error *err)
{
	struct ibb_identity_opinion o;
	int r = IBB_OK;

	for (size_t i = 0; i < c->n && !r; i++)
		r = warn_link(s, &c->links[i], err);
	for (size_t i = 0; i + 1 < c->n && !r; i++)
		if (ibb_link_time_later(&c->links[i], &c->links[i + 1]))
			r = ibb_session_warn(s, err,
					     "%s was changed after its child %s was made; going on "
					     "because of --accept-changed-parent",
					     c->links[i + 1].path, c->links[i].path);
	ibb_image_opinion(c, s->q->second_opinion_off, said, &o);
	if (r || c->links[0].kind == IBB_CONTAINER_RAW)
		return r;
	if (strcmp(o.result, "off") == 0)
		return ibb_session_warn(
			s, err, "no second opinion of the container was asked for (%s)", o.reason);
	if (strcmp(o.result, "not-asked") == 0)
		return ibb_session_warn(s, err, "there is no second opinion of the container: %s",
					o.reason);
	if (strcmp(o.result, "agrees-in-part") == 0)
		return ibb_session_warn(s, err,
					"the second opinion of the container is not of all of it: "
					"%s",
					o.reason);
	return IBB_OK;
}

void ibb_session_source_json(const struct ibb_session *s, struct ibb_jb *b, struct ibb_json *obj)
{
	struct ibb_identity_opinion o;

	ibb_image_opinion(&s->image->chain, s->q->second_opinion_off, &s->image->opinion, &o);
	ibb_opinion_json(&o, b, obj);
	ibb_session_warnings_json(s, b, obj);
}

static int spill_somewhere(struct ibb_session *s, struct ibb_error *err)
{
	IBB_AUTO_FREE char *dir = ibb_spill_dir(s->q);

	return dir ? ibb_disk_overlay_spill(s->image->overlay, dir, err) : ibb_err_nomem(err);
}

static int read_facts(struct ibb_session *s, struct ibb_error *err)
{
	return ibb_facts_read(s->volume, s->q->accept_dirty_hives, &s->facts, err);
}

static int warn_facts(struct ibb_session *s, struct ibb_error *err)
{
	int r = IBB_OK;

	for (size_t i = 0; !r && i < s->facts->n_warnings; i++)
		r = ibb_session_warn(s, err, "%s", s->facts->warnings[i]);
	return r;
}

static int open_windows(struct ibb_session *s, bool writable, struct ibb_error *err)
{
	int r = ibb_image_open_windows(s->image, s->q->partition, writable, err);

	if (r)
		return r;
	s->volume = s->image->volume;
	s->info = s->image->info;
	return IBB_OK;
}

int ibb_session_open(struct ibb_session *s, bool writable, struct ibb_error *err)
{
	const struct ibb_image_opts o = {.second_opinion_off = s->q->second_opinion_off,
					 .accept_changed_parent = s->q->accept_changed_parent};
	int r = ibb_session_phase(s->q, "inspect", 0, 0, err);

	if (!r)
		r = ibb_image_open(s->q->image, &o, &s->image, err);
	if (!r)
		r = ibb_session_warn_chain(s, &s->image->chain, &s->image->opinion, err);
	if (!r)
		r = spill_somewhere(s, err);
	if (!r)
		r = open_windows(s, writable, err);
	if (!r)
		r = read_facts(s, err);
	if (!r)
		r = warn_table(s, err);
	if (!r)
		r = warn_unseen(s, err);
	return r ? r : warn_facts(s, err);
}

int ibb_session_reopen(struct ibb_session *s, struct ibb_error *err)
{
	int r = ibb_image_reopen(s->image, err);

	s->volume = s->image->volume;
	return r;
}

/* A missing hive is expected, so that what else is missing must not be taken for that. */
static int find_system_hive(struct ibb_volume *v, struct ibb_error *err)
{
	struct ibb_stat st;
	int r = ibb_volume_stat(v, IBB_SYSTEM_HIVE, &st, err);

	if (!r && st.type != IBB_FILE_REGULAR)
		r = IBB_E_NOTFOUND;
	return r == IBB_E_NOTFOUND ? ibb_err(err, r, "holds no Windows (no " IBB_SYSTEM_HIVE ")")
				   : r;
}

int ibb_session_open_wim(struct ibb_session *s, struct ibb_wim *w, unsigned index, bool writable,
			 const char *temp_dir, struct ibb_error *err)
{
	int r = ibb_session_phase(s->q, "inspect", 0, 0, err);

	s->wim = w;
	s->index = index;
	if (!r)
		r = ibb_volume_open_wim(w, index, writable, temp_dir, &s->volume, err);
	if (!r)
		r = ibb_volume_info(s->volume, &s->info, err);
	if (r)
		return r == IBB_E_NOTFOUND ? ibb_err_prefix(err, IBB_E_CORRUPT, "open") : r;
	r = find_system_hive(s->volume, err);
	if (r)
		return r;
	r = read_facts(s, err);
	if (r == IBB_E_NOTFOUND)
		r = ibb_err_prefix(err, IBB_E_CORRUPT, "read Windows");
	return r ? r : warn_facts(s, err);
}
