/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "disk/link.h"

#include <stdlib.h>

void ibb_parent_link_clear(struct ibb_parent_link *l)
{
	for (size_t i = 0; i < l->n; i++)
		free(l->locators[i].path);
	*l = (struct ibb_parent_link){0};
}
