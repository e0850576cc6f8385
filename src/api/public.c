/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The public edge: what the caller may leave out is put in, then the task is done elsewhere. */
#include "api/doc.h"

/* A caller who does not want the error still gets the code. */
#define IBB_PUBLIC(task)                                                                    \
	int ibb_##task(const struct ibb_request *q, char **ret_json, struct ibb_error *err) \
	{                                                                                   \
		struct ibb_error unwanted = {0};                                            \
                                                                                            \
		return ibb_do_##task(q, ret_json, err ? err : &unwanted);                   \
	}

IBB_PUBLIC(sizes)
IBB_PUBLIC(resolve)
IBB_PUBLIC(inspect)
IBB_PUBLIC(plan)
IBB_PUBLIC(bake)
IBB_PUBLIC(verify)
IBB_PUBLIC(drivers_list)
IBB_PUBLIC(drivers_add)
IBB_PUBLIC(drivers_remove)
