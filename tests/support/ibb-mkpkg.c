/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Command line of mkpkg.h; see usage(). */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/io.h"
#include "mkcat.h"
#include "mkpkg.h"

#define MAX_IDS 64

static int usage(FILE *f, int status)
{
	fputs("usage: ibb-mkpkg [OPTION]... DIR\n"
	      "Write a small signed demonstration driver package into DIR.\n"
	      "  --inf NAME              name of the INF (ibbdemo.inf)\n"
	      "  --date MM/DD/YYYY       DriverVer date (04/16/2026)\n"
	      "  --version W.X.Y.Z       DriverVer version (1.0.0.0)\n"
	      "  --provider TEXT         Provider of the INF (ibbake demonstration)\n"
	      "  --service NAME          service and .sys name (ibbdemo)\n"
	      "  --ids ID,ID...          hardware IDs to serve instead of the default ones\n"
	      "  --bare-only             serve only PCI\\VEN_15B3&DEV_xxxx\n"
	      "  --encoding ansi|utf16   of the INF (ansi)\n"
	      "  --class net|system|scsi device class (net)\n"
	      "  --boot-start            the service starts at boot\n"
	      "  --feature-score 0xNN    FeatureScore of the install sections\n"
	      "  --copy-inf NAME         CopyINF of the install sections\n"
	      "  --eku OID               a further extended key usage of the signer\n"
	      "  --no-catalog            leave the package unsigned\n"
	      "  --omit FILE             do not write FILE, though the INF asks for it\n"
	      "  --pad BYTES             so many zeros behind the driver image\n"
	      "  --noise BYTES           the same, of bytes that nothing can compress\n"
	      "  --root FILE             also write the signer's root certificate (PEM)\n"
	      "  --key-dir DIR           where demo-key.pem and demo-root-key.pem are\n",
	      f);
	return status;
}

/* Split "A,B,C" in place. */
static size_t split_ids(char *list, const char **ids)
{
	size_t n = 0;

	for (char *save = NULL, *id = strtok_r(list, ",", &save); id && n < MAX_IDS;
	     id = strtok_r(NULL, ",", &save))
		ids[n++] = id;
	return n;
}

static int write_root(const char *key_dir, const char *path, struct ibb_error *err)
{
	IBB_AUTO_BUF struct ibb_buf pem = {0};
	struct ibb_atomic a;
	int rc = mkcat_root_pem(key_dir, &pem, err);

	if (!rc)
		rc = ibb_atomic_begin(&a, path, true, err);
	if (rc)
		return rc;
	rc = ibb_pwrite_full(a.fd, pem.data, pem.len, 0, path, err);
	if (!rc)
		rc = ibb_atomic_commit(&a, err);
	ibb_atomic_abort(&a);
	return rc;
}

static const struct option options[] = {{"inf", required_argument, NULL, 'i'},
					{"date", required_argument, NULL, 'd'},
					{"version", required_argument, NULL, 'v'},
					{"service", required_argument, NULL, 's'},
					{"ids", required_argument, NULL, 'I'},
					{"bare-only", no_argument, NULL, 'b'},
					{"encoding", required_argument, NULL, 'e'},
					{"class", required_argument, NULL, 'c'},
					{"boot-start", no_argument, NULL, 'B'},
					{"feature-score", required_argument, NULL, 'f'},
					{"copy-inf", required_argument, NULL, 'C'},
					{"eku", required_argument, NULL, 'E'},
					{"no-catalog", no_argument, NULL, 'n'},
					{"omit", required_argument, NULL, 'o'},
					{"provider", required_argument, NULL, 'p'},
					{"pad", required_argument, NULL, 'P'},
					{"noise", required_argument, NULL, 'N'},
					{"root", required_argument, NULL, 'r'},
					{"key-dir", required_argument, NULL, 'k'},
					{"help", no_argument, NULL, 'h'},
					{NULL, 0, NULL, 0}};

struct args {
	struct mkpkg_opts o;
	const char *ids[MAX_IDS];
	const char *root;
};

/* 0, or -1 when the value is none of the option's. */
static int take(struct args *a, int c, char *value)
{
	struct mkpkg_opts *o = &a->o;

	switch (c) {
	case 'i':
		o->inf_name = value;
		return 0;
	case 'd':
		o->date = value;
		return 0;
	case 'v':
		o->version = value;
		return 0;
	case 's':
		o->service = value;
		return 0;
	case 'I':
		o->n_ids = split_ids(value, a->ids);
		o->ids = a->ids;
		return o->n_ids ? 0 : -1;
	case 'b':
		o->bare_only = true;
		return 0;
	case 'e':
		o->utf16 = strcmp(value, "utf16") == 0;
		return o->utf16 || strcmp(value, "ansi") == 0 ? 0 : -1;
	case 'c':
		o->class = strcmp(value, "system") == 0 ? MKPKG_SYSTEM
			   : strcmp(value, "scsi") == 0 ? MKPKG_SCSI
							: MKPKG_NET;
		return o->class != MKPKG_NET || strcmp(value, "net") == 0 ? 0 : -1;
	case 'B':
		o->boot_start = true;
		return 0;
	case 'f':
		o->feature_score = value;
		return 0;
	case 'C':
		o->copy_inf = value;
		return 0;
	case 'E':
		o->eku = value;
		return 0;
	case 'n':
		o->no_catalog = true;
		return 0;
	case 'o':
		o->omit = value;
		return 0;
	case 'p':
		o->provider = value;
		return 0;
	case 'N':
	case 'P':
		o->pad_bytes = strtoul(value, NULL, 10);
		o->noise = c == 'N';
		return 0;
	case 'r':
		a->root = value;
		return 0;
	case 'k':
		o->key_dir = value;
		return 0;
	default:
		return -1;
	}
}

int main(int argc, char **argv)
{
	struct args a = {.o = {.key_dir = IBB_SOURCE_DIR "/tests/support"}};
	struct ibb_error err = {0};
	int c, rc;

	while ((c = getopt_long(argc, argv, "h", options, NULL)) != -1) {
		if (c == 'h')
			return usage(stdout, 0);
		if (take(&a, c, optarg) < 0)
			return usage(stderr, 2);
	}
	if (optind != argc - 1)
		return usage(stderr, 2);
	rc = mkpkg_write(argv[optind], &a.o, &err);
	if (!rc && a.root)
		rc = write_root(a.o.key_dir, a.root, &err);
	if (rc)
		fprintf(stderr, "ibb-mkpkg: %s\n", err.msg);
	return ibb_exit_status(rc);
}
