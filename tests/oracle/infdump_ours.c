/* SPDX-License-Identifier: GPL-3.0-or-later */
/* An INF as src/inf reads it, in the form of infdump_wine.c. */
#include <stdio.h>

#include "base/io.h"
#include "base/limits.h"
#include "inf/inf.h"

static void print_section(const struct ibb_inf_section *s)
{
	printf("[%s] %zu\n", s->name, s->n);
	for (size_t l = 0; l < s->n; l++) {
		for (size_t f = 0; f < s->lines[l].n; f++)
			printf("%s%s", f ? "|" : "  ", s->lines[l].fields[f]);
		printf("\n");
	}
}

int main(int argc, char **argv)
{
	IBB_AUTO(ibb_inf_free) struct ibb_inf *inf = NULL;
	IBB_AUTO_BUF struct ibb_buf b = {0};
	struct ibb_error err = {0};

	if (argc != 2)
		return 2;
	if (ibb_read_file(argv[1], IBB_LIMIT_INF_BYTES, &b, &err) ||
	    ibb_inf_parse(argv[1], ibb_buf_bytes(&b), &inf, &err)) {
		printf("refused: %s\n", err.msg);
		return 1;
	}
	for (size_t i = 0; i < ibb_inf_n_sections(inf); i++)
		print_section(ibb_inf_section_at(inf, i));
	return 0;
}
