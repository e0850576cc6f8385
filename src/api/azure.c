/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "api/azure.h"

/* An output has the container and the size of its source. */
static void describe_disk(const struct ibb_session *s, struct ibb_azure_input *in)
{
	const struct ibb_image *im = s->image;

	in->container = ibb_link_kind_name(&im->chain.links[0]);
	in->fixed_vhd = ibb_image_kind(im) == IBB_CONTAINER_VHD_FIXED;
	in->disk_bytes = ibb_image_disk(im)->size_bytes;
	in->sector_bytes = im->table.sector_bytes;
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
