/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "disk/writer.h"

void ibb_writer_free(struct ibb_writer *w)
{
	if (w)
		w->ops->free(w);
}

int ibb_writer_new(enum ibb_format format, struct ibb_sink *sink, const struct ibb_write_opts *o,
		   struct ibb_writer **ret, struct ibb_error *err)
{
	switch (format) {
	case IBB_FORMAT_VHD_FIXED:
		return ibb_writer_vhd_fixed_new(sink, o, ret, err);
	case IBB_FORMAT_VHD_DYNAMIC:
		return ibb_writer_vhd_dynamic_new(sink, o, ret, err);
	case IBB_FORMAT_VHDX:
		return ibb_writer_vhdx_new(sink, o, ret, err);
	case IBB_FORMAT_RAW:
		return ibb_writer_raw_new(sink, o, ret, err);
	}
	return ibb_err(err, IBB_E_INTERNAL, "%s: no such format", sink->name);
}
