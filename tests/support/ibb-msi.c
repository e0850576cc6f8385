/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * ibb-msi unpack FILE DIR               what ibb_unpack() makes of it, by itself
 * ibb-msi wrap old|stream|stream4 OUT FLAGS NAME=FILE...
 *                                       an InstallShield program around files; NAME begins with
 *                                       '+' to be compressed
 */
#include <stdio.h>
#include <stdlib.h>

#include "base/io.h"
#include "mkmsi.h"
#include "unpack/unpack.h"

static int fail(const struct ibb_error *err)
{
	fprintf(stderr, "%s: %s\n", ibb_code_name(err->code), err->msg);
	if (*err->hint)
		fprintf(stderr, "hint: %s\n", err->hint);
	return ibb_exit_status(err->code);
}

static int unpack(char **argv)
{
	struct ibb_unpack_result r = {0};
	struct ibb_error err = {0};

	if (ibb_unpack(argv[0], argv[1], NULL, NULL, &r, &err))
		return fail(&err);
	for (size_t i = 0; i < r.n_archives; i++)
		printf("%s %s\n", ibb_unpack_kind_name(r.archives[i].kind), r.archives[i].path);
	for (size_t i = 0; i < r.n_warnings; i++)
		printf("warning: %s\n", r.warnings[i]);
	ibb_unpack_result_clear(&r);
	return 0;
}

static int write_all(const char *path, const struct ibb_buf *b)
{
	FILE *f = fopen(path, "wb");
	bool ok = f && fwrite(b->data, 1, b->len, f) == b->len;

	return f && !fclose(f) && ok ? 0 : 1;
}

static int wrap(int argc, char **argv)
{
	static const char *const forms[] = {"old", "stream", "stream4"};
	struct mkis_file *f = calloc((size_t)argc, sizeof(*f));
	struct ibb_buf *b = calloc((size_t)argc, sizeof(*b)), out;
	unsigned form = 0;
	size_t n = 0;
	int rc;

	while (form < 2 && strcmp(argv[0], forms[form]) != 0)
		form++;
	for (int i = 3; f && b && i < argc; i++, n++) {
		struct ibb_error err = {0};
		char *eq = strchr(argv[i], '=');

		if (!eq || ibb_read_file(eq + 1, 1u << 30, &b[n], &err))
			return fail(&err);
		*eq = '\0';
		f[n].packed = *argv[i] == '+';
		f[n].name = argv[i] + f[n].packed;
		f[n].flags = (unsigned)strtoul(argv[2], NULL, 0);
		f[n].data = b[n].data;
		f[n].len = b[n].len;
	}
	if (!n)
		return 2;
	out = mkis_program((enum mkis_form)form, f, n);
	rc = write_all(argv[1], &out);
	ibb_buf_clear(&out);
	while (n)
		ibb_buf_clear(&b[--n]);
	free(b);
	free(f);
	return rc;
}

int main(int argc, char **argv)
{
	if (argc == 4 && strcmp(argv[1], "unpack") == 0)
		return unpack(argv + 2);
	if (argc > 5 && strcmp(argv[1], "wrap") == 0)
		return wrap(argc - 2, argv + 2);
	fprintf(stderr, "usage: ibb-msi unpack FILE DIR | wrap FORM OUT FLAGS NAME=FILE...\n");
	return 2;
}
