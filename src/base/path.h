/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Paths inside a volume: UTF-8, '/', relative to the root. */
#ifndef IBB_BASE_PATH_H
#define IBB_BASE_PATH_H

#include "base/mem.h"

/*
 * May this one name stand in a Windows directory? Refuses the empty name, "." and "..", control
 * characters, <>:"/\|?*, trailing dots and spaces, names over 255 UTF-16 units, and the DOS device
 * names (CON, PRN, AUX, NUL, COM0-9, LPT0-9, also with superscript digits, CONIN$, CONOUT$) with or
 * without extension. Source: Microsoft, "Naming Files, Paths, and Namespaces". Returns NULL when it
 * may, else why not (static).
 */
const char *ibb_name_problem(const char *name, size_t n);

/*
 * Bring `in` to the normal form: '\' becomes '/', no leading, trailing or double '/', every
 * component checked with ibb_name_problem(). The result is never empty.
 * *ret is free()d by the caller. IBB_E_INVALID (message says which component and why), NOMEM.
 */
int ibb_path_normalize(const char *in, char **ret, struct ibb_error *err) IBB_MUST_CHECK;

/* The part behind the last '/', and the length of the part before it (0 when there is none). */
const char *ibb_path_base(const char *path);
size_t ibb_path_dir_len(const char *path);

#endif
