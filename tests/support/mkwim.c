/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "mkwim.h"

#include <stdio.h>
#include <unistd.h>

#define DEFAULT_SOLID_CHUNK (1u << 20)

static int failed(int code, const char *path, const char *what, struct ibb_error *err)
{
	return code ? ibb_err_lib(err, IBB_E_INTERNAL, "libwim", "%s: %s: %s", path, what,
				  wimlib_get_error_string((enum wimlib_error_code)code))
		    : IBB_OK;
}

static int add_image(WIMStruct *w, int index, const struct mkwim_image *im)
{
	int code = wimlib_add_image(w, im->ntfs ? im->ntfs : im->directory, im->name, NULL,
				    im->ntfs ? WIMLIB_ADD_FLAG_NTFS : WIMLIB_ADD_FLAG_NORPFIX);

	for (size_t i = 0; !code && i < im->n_properties; i++)
		code = wimlib_set_image_property(w, index, im->properties[i].name,
						 im->properties[i].value);
	return code;
}

static int settings(WIMStruct *w, const struct mkwim *m)
{
	struct wimlib_wim_info info = {.boot_index = m->boot_index,
				       .is_marked_readonly = m->readonly};
	int code = m->chunk_bytes ? wimlib_set_output_chunk_size(w, m->chunk_bytes) : 0;

	if (!code && m->solid)
		code = wimlib_set_output_pack_compression_type(
			w,
			m->solid_compression ? m->solid_compression : WIMLIB_COMPRESSION_TYPE_LZMS);
	if (!code && m->solid)
		code = wimlib_set_output_pack_chunk_size(
			w, m->solid_chunk_bytes ? m->solid_chunk_bytes : DEFAULT_SOLID_CHUNK);
	if (!code && m->boot_index)
		code = wimlib_set_wim_info(w, &info, WIMLIB_CHANGE_BOOT_INDEX);
	return code;
}

static int write_flags(const struct mkwim *m)
{
	return (m->solid ? WIMLIB_WRITE_FLAG_SOLID : 0) |
	       (m->pipable ? WIMLIB_WRITE_FLAG_PIPABLE : WIMLIB_WRITE_FLAG_NOT_PIPABLE) |
	       (m->integrity ? WIMLIB_WRITE_FLAG_CHECK_INTEGRITY
			     : WIMLIB_WRITE_FLAG_NO_CHECK_INTEGRITY);
}

/* Header flags at offset 16. */
static int mark_readonly(const char *path, struct ibb_error *err)
{
	FILE *f = fopen(path, "r+b");
	int c;

	if (!f)
		return ibb_err(err, IBB_E_IO, "%s: open", path);
	c = fseek(f, 16, SEEK_SET) ? EOF : fgetc(f);
	if (c == EOF || fseek(f, 16, SEEK_SET) || fputc(c | 4, f) == EOF) {
		fclose(f);
		return ibb_err(err, IBB_E_IO, "%s: flags", path);
	}
	return fclose(f) ? ibb_err(err, IBB_E_IO, "%s: flags", path) : IBB_OK;
}

static int write_whole(const char *path, const struct mkwim *m, struct ibb_error *err)
{
	WIMStruct *w = NULL;
	int rc = failed(wimlib_create_new_wim(m->compression, &w), path, "new", err);

	for (size_t i = 0; !rc && i < m->n_images; i++)
		rc = failed(add_image(w, (int)i + 1, &m->images[i]), path, "image", err);
	if (!rc)
		rc = failed(settings(w, m), path, "settings", err);
	if (!rc)
		rc = failed(wimlib_write(w, path, WIMLIB_ALL_IMAGES, write_flags(m), 1), path,
			    "write", err);
	wimlib_free(w);
	return rc;
}

static int split(const char *whole, const char *path, const struct mkwim *m, struct ibb_error *err)
{
	WIMStruct *w = NULL;
	int rc = failed(wimlib_open_wim(whole, 0, &w), whole, "open", err);

	if (!rc)
		rc = failed(wimlib_split(w, path, m->part_bytes, write_flags(m)), path, "split",
			    err);
	wimlib_free(w);
	unlink(whole);
	return rc;
}

int mkwim(const char *path, const struct mkwim *m, struct ibb_error *err)
{
	char whole[4096];
	int rc = failed(wimlib_global_init(WIMLIB_INIT_FLAG_DEFAULT_CASE_INSENSITIVE), path, "init",
			err);

	if (!rc)
		rc = failed(wimlib_set_print_errors(false), path, "init", err);
	if (rc)
		return rc;
	snprintf(whole, sizeof(whole), "%s.whole", path);
	rc = write_whole(m->part_bytes ? whole : path, m, err);
	if (!rc && m->part_bytes)
		rc = split(whole, path, m, err);
	return rc || !m->readonly ? rc : mark_readonly(path, err);
}
