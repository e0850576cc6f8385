/* SPDX-License-Identifier: GPL-3.0-or-later */
/* ibb_bundle_check(), ibb_bundle_unpack(). */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "api/bundle.h"
#include "api/doc.h"

int ibb_bundle_document(const char *path, const struct ibb_bundle *b, bool key_asked,
			const char *to, char **ret_json, struct ibb_error *err)
{
	static const char *const parts[] = {"tool",	  "time",    "trust",	    "sizes",
					    "windows",	  "catalog", "resolutions", "packages",
					    "companions", "crls",    "sources",	    "warnings"};
	struct ibb_jb jb = {0};
	struct ibb_json *root = ibb_doc_begin(&jb, "ibbake-bundle-check/1"), *o;

	ibb_jb_str(&jb, root, "path", path);
	ibb_jb_u64(&jb, root, "bytes", b->size_bytes);
	ibb_jb_hex(&jb, root, "sha256", b->digest.b, sizeof(b->digest.b));
	ibb_jb_int(&jb, root, "files", (int64_t)b->n_files);
	o = ibb_jb_object(&jb, root, "signature");
	ibb_jb_str(&jb, o, "state", !b->is_signed ? "none" : key_asked ? "asked for" : "unknown");
	if (b->is_signed)
		ibb_jb_hex(&jb, o, "key", b->key.b, sizeof(b->key.b));
	else
		ibb_jb_null(&jb, o, "key");
	ibb_jb_str(&jb, root, "unpacked_to", to);
	for (size_t i = 0; i < IBB_ARRAY_SIZE(parts); i++) {
		const struct ibb_json *part = ibb_json_get(b->doc, parts[i]);

		if (part)
			ibb_jb_copy(&jb, root, parts[i], part);
		else
			ibb_jb_null(&jb, root, parts[i]);
	}
	return ibb_doc_print(&jb, ret_json, err);
}

static int check_request(const struct ibb_request *q, struct ibb_error *err)
{
	int r = ibb_doc_check_request(q, false, false, err);

	if (!r && q->n_inputs != 1)
		r = ibb_err(err, IBB_E_INVALID, "not one bundle was named");
	return r;
}

static int check(const struct ibb_request *q, const char *dir, const char *to, char **ret_json,
		 struct ibb_error *err)
{
	IBB_AUTO_FREE struct ibb_public_key *keys = NULL;
	struct ibb_bundle b = {0};
	int r = ibb_bundle_keys(q, &keys, err);

	if (!r)
		r = ibb_bundle_read(q->inputs[0], keys, q->n_bundle_keys, dir, &b, err);
	if (!r)
		r = ibb_bundle_about_check(q->inputs[0], b.doc, err);
	if (!r)
		r = ibb_bundle_document(q->inputs[0], &b, b.key_known, to, ret_json, err);
	ibb_bundle_clear(&b);
	return r;
}

int ibb_do_bundle_check(const struct ibb_request *q, char **ret_json, struct ibb_error *err)
{
	int r = check_request(q, err);

	return r ? r : check(q, NULL, NULL, ret_json, err);
}

/* A directory beside the one that is to be, which gets its name when all is in it. */
static int make_beside(const char *path, char **ret, struct ibb_error *err)
{
	IBB_AUTO_FREE char *parent = ibb_dir_of(path), *dir = NULL;
	struct stat st;

	if (lstat(path, &st) == 0)
		return ibb_err(err, IBB_E_EXISTS, "%s: exists already", path);
	if (!parent || !(dir = ibb_asprintf("%s/.ibbake-XXXXXX", parent)))
		return ibb_err_nomem(err);
	if (!mkdtemp(dir))
		return ibb_err_os(err, errno, "%s: make a directory there", parent);
	*ret = IBB_TAKE(dir);
	return IBB_OK;
}

/* The name without slashes at its end. */
static int plain_name(const char *name, char **ret, struct ibb_error *err)
{
	size_t n = strlen(name);

	while (n > 1 && name[n - 1] == '/')
		n--;
	*ret = ibb_strndup(name, n);
	return *ret ? IBB_OK : ibb_err_nomem(err);
}

/* Durable before it has its name, and the name then: a directory of that name is whole. An empty
 * one that came meanwhile is replaced, anything else is in the way. */
static int publish(char **dir, const char *output, struct ibb_error *err)
{
	IBB_AUTO_FREE char *parent = ibb_dir_of(output), *now = ibb_strdup(output);
	IBB_AUTO_FD int fd = -1;
	int r = parent && now ? ibb_sync_tree(*dir, err) : ibb_err_nomem(err);

	if (r)
		return r;
	if (rename(*dir, output))
		return ibb_err_os(err, errno, "%s: give the directory its name", output);
	free(*dir);
	*dir = IBB_TAKE(now); /* what goes when the rest fails */
	fd = open(parent, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0 || fsync(fd))
		return ibb_err_os(err, errno, "%s: flush to the disk", parent);
	return IBB_OK;
}

int ibb_do_bundle_unpack(const struct ibb_request *q, char **ret_json, struct ibb_error *err)
{
	IBB_AUTO_FREE char *dir = NULL, *json = NULL, *output = NULL;
	struct ibb_error unwanted = {0};
	int r = check_request(q, err);

	if (!r && !q->output)
		r = ibb_err(err, IBB_E_INVALID, "no directory to unpack into was named");
	if (!r)
		r = plain_name(q->output, &output, err);
	if (!r)
		r = make_beside(output, &dir, err);
	if (!r)
		r = check(q, dir, output, &json, err);
	if (!r)
		r = publish(&dir, output, err);
	if (r && dir)
		(void)!ibb_remove_tree(dir, &unwanted);
	if (!r)
		*ret_json = IBB_TAKE(json);
	return r;
}
