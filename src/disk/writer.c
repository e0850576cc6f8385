/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "disk/writer.h"

void ibb_writer_free(struct ibb_writer *w)
{
	if (w)
		w->ops->free(w);
}
