/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "api/azure.h"

#include "api/target.h"

/* What is changed in place keeps its container and its size. */
static void describe_disk(const struct ibb_session *s, struct ibb_azure_input *in)
{
	const uint64_t bytes = ibb_image_disk(s->image)->size_bytes;
	const bool made = in->output && !s->q->in_place;
	const enum ibb_container kind =
		made ? ibb_target_kind(s->q->format) : ibb_image_kind(s->image);

	in->container =
		made ? ibb_container_name(kind) : ibb_link_kind_name(&s->image->chain.links[0]);
	in->fixed_vhd = kind == IBB_CONTAINER_VHD_FIXED;
	in->disk_bytes = made ? ibb_target_bytes(s->q->format, bytes) : bytes;
	in->sector_bytes = s->image->table.sector_bytes;
}

static bool is_data_disk(const struct ibb_image *im)
{
	for (size_t i = 0; i < im->table.n; i++)
		if (im->found[i].windows || im->found[i].problem.code)
			return false;
	return true;
}

int ibb_session_azure(struct ibb_session *s, bool output, struct ibb_error *err)
{
	struct ibb_azure_input in = {.output = output,
				     .data_disk = is_data_disk(s->image),
				     .boot = &s->boot,
				     .facts = s->facts};
	int r;

	ibb_boot_clear(&s->boot);
	r = ibb_boot_read(s->image->overlay, &s->image->table, &s->boot, err);
	if (r)
		return r;
	describe_disk(s, &in);
	ibb_azure_judge(&in, &s->azure);
	return IBB_OK;
}

int ibb_session_azure_enforce(struct ibb_session *s, bool output, struct ibb_error *err)
{
	int r = ibb_session_azure(s, output, err);

	return r || !s->q->azure ? r : ibb_azure_enforce(&s->azure, s->q->image, err);
}

int ibb_azure_check_convert(const struct ibb_request *q, struct ibb_error *err)
{
	struct ibb_session s = {.q = q};
	int r = IBB_OK;

	if (!q->azure)
		return IBB_OK;
	/* what keeps a Windows from being opened shows as unknown, or it is a data disk */
	r = ibb_session_open(&s, false, err);
	if (s.image && r != IBB_E_NOMEM && r != IBB_E_CANCELLED)
		r = ibb_session_azure_enforce(&s, true, err);
	ibb_session_clear(&s);
	return r;
}
