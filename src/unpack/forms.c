/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The forms whose readers are not built in. */
#include "unpack/internal.h"

static int not_built(const struct unpack_source *s, struct ibb_error *err)
{
	return ibb_err(err, IBB_E_UNSUPPORTED, "%s: this build has no reader for it", s->name);
}

int unpack_msi(const struct unpack_source *s, struct unpack_tree *t, struct ibb_error *err)
{
	(void)t;
	return not_built(s, err);
}

int unpack_installshield(const struct unpack_source *s, struct unpack_tree *t,
			 struct ibb_error *err)
{
	(void)t;
	return not_built(s, err);
}

bool unpack_is_msi(const struct unpack_source *s)
{
	(void)s;
	return false;
}

bool unpack_is_installshield(const struct unpack_source *s)
{
	(void)s;
	return false;
}
