/* SPDX-License-Identifier: GPL-3.0-or-later */
/* ibb-mkwim OUT [options] NAME=VOLUME...: a WIM with images of NTFS volumes (files), for scripts.
 */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "mkwim.h"

#define MAX_IMAGES 16

static int usage(void)
{
	fputs("usage: ibb-mkwim [--none|--xpress|--lzx|--solid] [--pipable] [--integrity] "
	      "[--readonly] [--boot N] [--parts BYTES] OUT NAME=VOLUME...\n",
	      stderr);
	return 2;
}

static const struct option options[] = {
	{"none", no_argument, NULL, 'n'},	 {"xpress", no_argument, NULL, 'x'},
	{"lzx", no_argument, NULL, 'l'},	 {"solid", no_argument, NULL, 's'},
	{"pipable", no_argument, NULL, 'p'},	 {"integrity", no_argument, NULL, 'i'},
	{"readonly", no_argument, NULL, 'r'},	 {"boot", required_argument, NULL, 'b'},
	{"parts", required_argument, NULL, 'P'}, {NULL, 0, NULL, 0}};

static int parse(int argc, char **argv, struct mkwim *m)
{
	int c;

	while ((c = getopt_long(argc, argv, "", options, NULL)) != -1)
		switch (c) {
		case 'n':
			m->compression = WIMLIB_COMPRESSION_TYPE_NONE;
			break;
		case 'x':
			m->compression = WIMLIB_COMPRESSION_TYPE_XPRESS;
			break;
		case 'l':
			m->compression = WIMLIB_COMPRESSION_TYPE_LZX;
			break;
		case 's':
			m->compression = WIMLIB_COMPRESSION_TYPE_LZMS;
			m->solid = true;
			break;
		case 'p':
			m->pipable = true;
			break;
		case 'i':
			m->integrity = true;
			break;
		case 'r':
			m->readonly = true;
			break;
		case 'b':
			m->boot_index = (unsigned)atoi(optarg);
			break;
		case 'P':
			m->part_bytes = strtoull(optarg, NULL, 10);
			break;
		default:
			return -1;
		}
	return 0;
}

int main(int argc, char **argv)
{
	static const struct mkwim_property server[] = {{"WINDOWS/ARCH", "9"}};
	struct mkwim_image images[MAX_IMAGES] = {{0}};
	struct mkwim m = {.compression = WIMLIB_COMPRESSION_TYPE_LZX, .images = images};
	struct ibb_error err = {0};

	if (parse(argc, argv, &m) || argc - optind < 2 || argc - optind - 1 > MAX_IMAGES)
		return usage();
	for (int i = optind + 1; i < argc; i++) {
		char *volume = strchr(argv[i], '=');

		if (!volume)
			return usage();
		*volume++ = '\0';
		images[m.n_images++] = (struct mkwim_image){
			.ntfs = volume, .name = argv[i], .properties = server, .n_properties = 1};
	}
	if (mkwim(argv[optind], &m, &err)) {
		fprintf(stderr, "ibb-mkwim: %s\n", err.msg);
		return 1;
	}
	return 0;
}
