/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "api/trust.h"

#include <string.h>

#include "api/bundle.h"
#include "base/limits.h"

static int read_file(const struct ibb_request *q, const char *path, struct ibb_buf *ret,
		     struct ibb_trust_file *file, struct ibb_error *err)
{
	int r = ibb_read_file(path, IBB_LIMIT_CAT_BYTES, ret, err);

	if (r)
		return r;
	file->path = ibb_opened_name(q, path);
	return ibb_sha256(ret->data, ret->len, &file->digest) ? ibb_err_nomem(err) : IBB_OK;
}

int ibb_trust_open(const struct ibb_request *q, struct ibb_trust_store **ret,
		   struct ibb_trust_file **ret_files, struct ibb_error *err)
{
	IBB_AUTO(ibb_trust_store_free) struct ibb_trust_store *store = NULL;
	IBB_AUTO_FREE struct ibb_trust_file *files =
		ibb_calloc_array(q->n_trust_anchors + q->n_crls, sizeof(*files));
	struct ibb_trust_file *next = files;
	int r = files ? ibb_trust_store_new(&store, err) : ibb_err_nomem(err);

	for (size_t i = 0; i < q->n_trust_anchors && !r; i++) {
		IBB_AUTO_BUF struct ibb_buf pem = {0};

		r = read_file(q, q->trust_anchors[i], &pem, next++, err);
		if (!r)
			r = ibb_trust_store_add(store, q->trust_anchors[i], ibb_buf_bytes(&pem),
						err);
	}
	for (size_t i = 0; i < q->n_crls && !r; i++) {
		IBB_AUTO_BUF struct ibb_buf crl = {0};

		r = read_file(q, q->crls[i], &crl, next++, err);
		if (!r)
			r = ibb_trust_store_add_crl(store, ibb_opened_name(q, q->crls[i]),
						    ibb_buf_bytes(&crl), err);
	}
	if (r)
		return r;
	*ret = IBB_TAKE(store);
	*ret_files = IBB_TAKE(files);
	return IBB_OK;
}

/* Does the package lie in this directory, or below it? */
static bool lies_in(const struct ibb_package *p, const char *dir)
{
	size_t n = strlen(dir);

	while (n > 1 && dir[n - 1] == '/')
		n--;
	return strncmp(p->dir, dir, n) == 0 && (!p->dir[n] || p->dir[n] == '/');
}

/* The digest that the driver catalog pins for a directory of this machine. */
static int check_pins(const struct ibb_session *s, const struct ibb_package *p,
		      struct ibb_error *err)
{
	for (size_t i = 0; i < s->n_targets; i++)
		for (size_t k = 0; k < s->resolutions[i]->n_local; k++) {
			const struct ibb_local_entry *e = &s->resolutions[i]->local[k];
			char hex[IBB_SHA256_HEX_SIZE];
			struct ibb_sha256 want;

			if (!e->sha256 || !lies_in(p, e->path))
				continue;
			ibb_sha256_hex(&p->digest, hex);
			if (ibb_sha256_parse(e->sha256, &want) &&
			    memcmp(&want, &p->digest, sizeof(want)) == 0)
				continue;
			ibb_err(err, IBB_E_UNTRUSTED,
				"%s/%s has the digest %s, the driver catalog pins %s for %s",
				p->dir, p->inf_name, hex, e->sha256, e->path);
			return ibb_err_hint(err, IBB_E_UNTRUSTED,
					    "put the package there that the catalog means, or "
					    "correct the catalog");
		}
	return IBB_OK;
}

static int warn(struct ibb_session *s, const struct ibb_package *p, struct ibb_error *err)
{
	const struct ibb_package_trust *t = p->trust;
	int r = IBB_OK;

	if (t->judgement.verdict == IBB_VERDICT_ANCHORED)
		r = ibb_session_warn(s, err, "TEST TRUST: %s is %s", p->inf_name,
				     t->judgement.reason);
	if (!r && t->allowed)
		r = ibb_session_warn(s, err, "%s: %s: %s; going on because of --allow=%s",
				     p->inf_name, ibb_verdict_name(t->judgement.verdict),
				     t->judgement.reason, ibb_trust_allow_name(t->judgement.allow));
	for (size_t i = 0; i < t->n_warnings && !r; i++)
		r = ibb_session_warn(s, err, "%s", t->warnings[i]);
	return r;
}

static int open_trust(struct ibb_session *s, struct ibb_error *err)
{
	int r = IBB_OK;

	if (s->trust)
		return IBB_OK;
	if (s->q->lock)
		r = ibb_lockfile_read_as(s->q->lock, ibb_opened_name(s->q, s->q->lock),
					 &s->lockfile, err);
	if (r == IBB_E_NOTFOUND)
		r = IBB_OK; /* written when the job is done */
	return r ? r : ibb_trust_open(s->q, &s->trust, &s->trust_files, err);
}

int ibb_session_judge(struct ibb_session *s, struct ibb_package *p, struct ibb_error *err)
{
	struct ibb_trust_policy policy = {.now = s->q->now ? s->q->now : s->q->unix_time,
					  .allow = s->q->allow};
	int r = open_trust(s, err);

	if (r)
		return r;
	policy.store = s->trust;
	r = ibb_package_judge(p, &policy, err);
	if (!r)
		r = ibb_package_trust_check(p, err);
	if (!r)
		r = check_pins(s, p, err);
	if (!r && ibb_lockfile_locks_packages(s->lockfile))
		r = ibb_lockfile_check(s->lockfile, p, err);
	return r ? r : warn(s, p, err);
}

int ibb_session_judge_chosen(struct ibb_session *s, struct ibb_error *err)
{
	int r = IBB_OK;

	for (size_t i = 0; i < s->n_chosen && !r; i++)
		r = ibb_session_judge(s, s->chosen[i], err);
	return r;
}
