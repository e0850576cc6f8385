/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Azure fitness of a session's image or output. */
#ifndef IBB_API_AZURE_H
#define IBB_API_AZURE_H

#include "api/session.h"

/*
 * Judge the image as it is, or (`output`) what a bake of it will write; into s->azure. The image
 * has to be open; the facts may be missing. IBB_E_NOMEM, IBB_E_IO.
 */
int ibb_session_azure(struct ibb_session *s, bool output, struct ibb_error *err) IBB_MUST_CHECK;
/* The same, and with --azure IBB_E_UNSUPPORTED unless it is fit: before anything is written. */
int ibb_session_azure_enforce(struct ibb_session *s, bool output,
			      struct ibb_error *err) IBB_MUST_CHECK;
/* The same for a disk that is only converted: it may hold no Windows. Without --azure nothing. */
int ibb_azure_check_convert(const struct ibb_request *q, struct ibb_error *err) IBB_MUST_CHECK;

#endif
