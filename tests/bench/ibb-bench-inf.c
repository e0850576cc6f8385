/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Understand one INF as staging does: parse it, choose its models for Windows 10 19041, evaluate
 * every install section they name and list the files. Prints counts; ci/bench measures it.
 */
#include <stdio.h>

#include "base/io.h"
#include "base/limits.h"
#include "inf/inf.h"

static int understand(const char *path, struct ibb_error *err)
{
	const struct ibb_inf_target t = {IBB_ARCH_AMD64, 10, 0, 19041, 1, 0};
	IBB_AUTO(ibb_inf_free) struct ibb_inf *inf = NULL;
	IBB_AUTO_BUF struct ibb_buf bytes = {0};
	struct ibb_inf_models models = {0};
	struct ibb_inf_files files = {0};
	int r = ibb_read_file(path, IBB_LIMIT_INF_BYTES, &bytes, err);

	if (!r)
		r = ibb_inf_parse(path, ibb_buf_bytes(&bytes), &inf, err);
	if (!r)
		r = ibb_inf_models(inf, &t, &models, err);
	for (size_t i = 0; i < models.n && !r; i++) {
		const struct ibb_inf_install *install;

		r = ibb_inf_install(inf, &t, models.models[i].install_section, &install, err);
	}
	if (!r)
		r = ibb_inf_files(inf, &t, &files, err);
	if (!r)
		printf("%s: %zu models, %zu files\n", path, models.n, files.n);
	return r;
}

int main(int argc, char **argv)
{
	struct ibb_error err = {0};

	if (argc != 2) {
		fprintf(stderr, "usage: ibb-bench-inf FILE.inf\n");
		return 2;
	}
	if (understand(argv[1], &err)) {
		fprintf(stderr, "%s\n", err.msg);
		return 1;
	}
	return 0;
}
