/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What an error of wimlib means here. */
#include "volume/wim_internal.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>

static const struct {
	int lib, code;
	const char *words; /* NULL: wimlib's own */
} codes[] = {
	{WIMLIB_ERR_DECOMPRESSION, IBB_E_CORRUPT, "compressed data is damaged"},
	{WIMLIB_ERR_IMAGE_COUNT, IBB_E_CORRUPT,
	 "header, XML data and metadata disagree about how many images there are"},
	{WIMLIB_ERR_INTEGRITY, IBB_E_CORRUPT, "does not match its integrity table"},
	{WIMLIB_ERR_INVALID_CHUNK_SIZE, IBB_E_CORRUPT, "impossible chunk size"},
	{WIMLIB_ERR_INVALID_COMPRESSION_TYPE, IBB_E_CORRUPT, "unknown compression"},
	{WIMLIB_ERR_INVALID_HEADER, IBB_E_CORRUPT, "the header is damaged"},
	{WIMLIB_ERR_INVALID_INTEGRITY_TABLE, IBB_E_CORRUPT, "the integrity table is damaged"},
	{WIMLIB_ERR_INVALID_LOOKUP_TABLE_ENTRY, IBB_E_CORRUPT, "the table of contents is damaged"},
	{WIMLIB_ERR_INVALID_METADATA_RESOURCE, IBB_E_CORRUPT, "the list of files is damaged"},
	{WIMLIB_ERR_INVALID_PART_NUMBER, IBB_E_CORRUPT, "impossible part number"},
	{WIMLIB_ERR_INVALID_PIPABLE_WIM, IBB_E_CORRUPT, "damaged pipable WIM"},
	{WIMLIB_ERR_INVALID_REPARSE_DATA, IBB_E_CORRUPT, "damaged reparse point"},
	{WIMLIB_ERR_INVALID_RESOURCE_HASH, IBB_E_CORRUPT,
	 "content does not have the digest that the WIM has for it"},
	{WIMLIB_ERR_INVALID_UTF16_STRING, IBB_E_CORRUPT, "a text is no UTF-16"},
	{WIMLIB_ERR_INVALID_UTF8_STRING, IBB_E_CORRUPT, "a text is no UTF-8"},
	{WIMLIB_ERR_NOT_A_WIM_FILE, IBB_E_CORRUPT, "is no WIM file"},
	{WIMLIB_ERR_RESOURCE_NOT_FOUND, IBB_E_CORRUPT, "content of a file is missing in the WIM"},
	{WIMLIB_ERR_SPLIT_INVALID, IBB_E_CORRUPT, "the parts of the split WIM do not fit"},
	{WIMLIB_ERR_UNEXPECTED_END_OF_FILE, IBB_E_CORRUPT, "ends too early: it is truncated"},
	{WIMLIB_ERR_XML, IBB_E_CORRUPT, "the XML data is damaged"},
	{WIMLIB_ERR_INVALID_XATTR, IBB_E_CORRUPT, NULL},
	{WIMLIB_ERR_WIM_IS_INCOMPLETE, IBB_E_CORRUPT, "is not whole"},
	{WIMLIB_ERR_METADATA_NOT_FOUND, IBB_E_UNSUPPORTED,
	 "has no metadata: it is not the first part of a split WIM, or holds content only"},
	{WIMLIB_ERR_UNKNOWN_VERSION, IBB_E_UNSUPPORTED, "unknown version of WIM"},
	{WIMLIB_ERR_IS_SPLIT_WIM, IBB_E_UNSUPPORTED, "is a part of a split WIM"},
	{WIMLIB_ERR_UNSUPPORTED, IBB_E_UNSUPPORTED, NULL},
	{WIMLIB_ERR_UNSUPPORTED_FILE, IBB_E_UNSUPPORTED, NULL},
	{WIMLIB_ERR_NOT_A_REGULAR_FILE, IBB_E_UNSUPPORTED, NULL},
	{WIMLIB_ERR_COMPACTION_NOT_POSSIBLE, IBB_E_UNSUPPORTED, NULL},
	{WIMLIB_ERR_WIM_IS_READONLY, IBB_E_READONLY, "is marked read-only, or may not be written"},
	{WIMLIB_ERR_PATH_DOES_NOT_EXIST, IBB_E_NOTFOUND, "is not in the image"},
	{WIMLIB_ERR_NOTDIR, IBB_E_CONFLICT, NULL},
	{WIMLIB_ERR_IS_DIRECTORY, IBB_E_CONFLICT, NULL},
	{WIMLIB_ERR_ALREADY_LOCKED, IBB_E_CONFLICT, "another program is writing it"},
	{WIMLIB_ERR_CONCURRENT_MODIFICATION_DETECTED, IBB_E_CHANGED,
	 "a file changed while it was read"},
	{WIMLIB_ERR_ABORTED_BY_PROGRESS, IBB_E_CANCELLED, "stopped"},
	{WIMLIB_ERR_OPEN, IBB_E_IO, NULL},
	{WIMLIB_ERR_READ, IBB_E_IO, NULL},
	{WIMLIB_ERR_WRITE, IBB_E_IO, NULL},
	{WIMLIB_ERR_STAT, IBB_E_IO, NULL},
	{WIMLIB_ERR_RENAME, IBB_E_IO, NULL},
	{WIMLIB_ERR_NTFS_3G, IBB_E_IO, NULL},
};

static int code_of(int lib, const char **ret_words)
{
	*ret_words = wimlib_get_error_string((enum wimlib_error_code)lib);
	for (size_t i = 0; i < IBB_ARRAY_SIZE(codes); i++) {
		if (codes[i].lib != lib)
			continue;
		if (codes[i].words)
			*ret_words = codes[i].words;
		return codes[i].code;
	}
	return IBB_E_INTERNAL;
}

int ibb_wim_fail(const struct ibb_wim *w, int code, struct ibb_error *err, const char *fmt, ...)
{
	int e = errno, rc;
	char what[600];
	const char *words;
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(what, sizeof(what), fmt, ap);
	va_end(ap);
	if (code == WIMLIB_ERR_NOMEM)
		return ibb_err_nomem(err);
	rc = code_of(code, &words);
	if (code == WIMLIB_ERR_WIM_IS_ENCRYPTED) {
		(void)ibb_err_lib(err, IBB_E_UNSUPPORTED, "libwim",
				  "%s: is an encrypted ESD, as Windows Update delivers them; what "
				  "it holds cannot be read without Microsoft's key",
				  w->name);
		return ibb_err_hint(err, IBB_E_UNSUPPORTED,
				    "use an install.wim or install.esd of installation media");
	}
	/* wimlib reads at whatever offset the file says */
	if (code == WIMLIB_ERR_READ && (e == EINVAL || e == EOVERFLOW)) {
		rc = IBB_E_CORRUPT;
		words = "a place that lies outside of the file: it is truncated or damaged";
	}
	if (code == WIMLIB_ERR_WRITE && (e == ENOSPC || e == EDQUOT))
		rc = IBB_E_NOSPACE;
	return ibb_err_lib(err, rc, "libwim", "%s: %s: %s", w->name, what, words);
}
