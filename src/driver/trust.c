/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "driver/trust.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "authenticode/pe.h"

#define OID_CTL		      "1.3.6.1.4.1.311.10.1"
#define OID_SPC_INDIRECT_DATA "1.3.6.1.4.1.311.2.1.4"

void ibb_package_trust_free(struct ibb_package_trust *t)
{
	if (!t)
		return;
	for (size_t i = 0; i < t->n_warnings; i++)
		free(t->warnings[i]);
	free(t->warnings);
	free(t->signatures);
	free(t->files);
	free(t->submission);
	free(t->os_list);
	free(t);
}

struct judge {
	const struct ibb_package *p;
	const struct ibb_trust_policy *policy;
	struct ibb_trust_target target;
	struct ibb_package_trust *t;
	char *catalog; /* for messages */
	struct ibb_error *err;
};

static int warn(struct judge *j, const char *fmt, ...) IBB_PRINTF(2, 3);
static int warn(struct judge *j, const char *fmt, ...)
{
	struct ibb_package_trust *t = j->t;
	char text[768];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	if (ibb_grow(&t->warnings, &t->cap_warnings, t->n_warnings, sizeof(*t->warnings)))
		return ibb_err_nomem(j->err);
	t->warnings[t->n_warnings] = ibb_strdup(text);
	return t->warnings[t->n_warnings] ? (t->n_warnings++, IBB_OK) : ibb_err_nomem(j->err);
}

/* The signature may be what it wants: these are not the bytes it is about. */
static void tampered(struct judge *j, const char *fmt, ...) IBB_PRINTF(2, 3);
static void tampered(struct judge *j, const char *fmt, ...)
{
	struct ibb_judgement *g = &j->t->judgement;
	va_list ap;

	g->verdict = IBB_VERDICT_TAMPERED;
	g->loads = false;
	g->allow = 0;
	va_start(ap, fmt);
	vsnprintf(g->reason, sizeof(g->reason), fmt, ap);
	va_end(ap);
}

/* ---- members ---- */

/* Text files lose their carriage returns in git; the catalog is about those that Windows writes. */
static int matches_with_crlf(struct judge *j, const struct ibb_cat *cat, struct ibb_bytes file,
			     bool *ret)
{
	IBB_AUTO_BUF struct ibb_buf crlf = {0};
	uint8_t digest[32];
	int r;

	*ret = false;
	if (memchr(file.data, 0, file.len) || memchr(file.data, '\r', file.len))
		return IBB_OK;
	for (size_t i = 0; i < file.len; i++)
		if ((file.data[i] == '\n' && ibb_buf_append(&crlf, "\r", 1)) ||
		    ibb_buf_append(&crlf, file.data + i, 1))
			return ibb_err_nomem(j->err);
	r = ibb_file_digest(j->catalog, ibb_buf_bytes(&crlf), cat->alg, digest, j->err);
	if (!r)
		*ret = ibb_cat_find(cat, digest, ibb_alg_bytes(cat->alg)) != NULL;
	return r;
}

static int no_member(struct judge *j, const struct ibb_cat *cat, const struct ibb_package_file *f)
{
	bool crlf = false;
	int r = f->bytes.len ? matches_with_crlf(j, cat, ibb_buf_bytes(&f->bytes), &crlf) : IBB_OK;

	if (r)
		return r;
	if (crlf)
		tampered(j,
			 "%s is a member of %s only with its line ends restored to CRLF: it passed "
			 "through something that changes them (git); get the original file",
			 f->path, j->p->catalog_name);
	else
		tampered(j,
			 "%s is not a member of %s: it was changed after it was signed, or "
			 "comes from another package",
			 f->path, j->p->catalog_name);
	return IBB_OK;
}

/* One file; a PE image that cannot be digested is none that Windows would load. */
static int check_file(struct judge *j, const struct ibb_cat *cat, const struct ibb_package_file *f)
{
	struct ibb_file_trust *ft = &j->t->files[j->t->n_files++];
	const struct ibb_cat_member *m;
	struct ibb_error why = {0};
	uint8_t digest[32];
	int r;

	*ft = (struct ibb_file_trust){.path = f->path, .pe = ibb_pe_is(ibb_buf_bytes(&f->bytes))};
	r = ibb_file_digest(f->path, ibb_buf_bytes(&f->bytes), cat->alg, digest, &why);
	if (r == IBB_E_NOMEM)
		return ibb_err_nomem(j->err);
	if (r) {
		tampered(j, "%s", why.msg);
		return IBB_OK;
	}
	m = ibb_cat_find(cat, digest, ibb_alg_bytes(cat->alg));
	if (!m)
		return no_member(j, cat, f);
	ft->member = true;
	if (!ibb_trust_os_attr(m->os_attr, &j->target) &&
	    (j->t->judgement.loads || j->t->judgement.allow)) {
		j->t->judgement.loads = false;
		j->t->judgement.allow = 0; /* who signed it may be allowed, not another Windows */
		snprintf(j->t->judgement.reason, sizeof(j->t->judgement.reason),
			 "%s vouches for %s on Windows %s (OSAttr) only, the target is %u.%u",
			 j->p->catalog_name, f->path, m->os_attr, j->target.major, j->target.minor);
	}
	return IBB_OK;
}

static int check_members(struct judge *j, const struct ibb_cat *cat)
{
	const struct ibb_package *p = j->p;
	int r = IBB_OK;

	j->t->files = ibb_calloc_array(p->n_files, sizeof(*j->t->files));
	if (!j->t->files)
		return ibb_err_nomem(j->err);
	for (size_t i = 0; i < p->n_files && !r; i++) {
		if (i == 1) /* the catalog itself */
			continue;
		r = check_file(j, cat, &p->files[i]);
		if (j->t->judgement.verdict == IBB_VERDICT_TAMPERED)
			break;
	}
	return r;
}

/* ---- the catalog ---- */

static int warn_about(struct judge *j, const struct ibb_cat *cat)
{
	const char *code = ibb_trust_os_code(&j->target);
	int r = IBB_OK;

	if (cat->alg == IBB_ALG_SHA1 && j->target.major >= 10)
		r = warn(j, "%s lists its files by SHA-1", j->p->catalog_name);
	if (r || !j->t->os_list)
		return r;
	if (!code)
		return warn(j,
			    "%s is certified for %s; what the target (build %u) is called there "
			    "is not known",
			    j->p->catalog_name, j->t->os_list, j->target.build);
	if (!ibb_trust_os_listed(j->t->os_list, code))
		r = warn(j,
			 "%s is not certified for %s, only for %s: Windows loads it all the same",
			 j->p->catalog_name, code, j->t->os_list);
	return r;
}

static int keep(struct judge *j, const char *value, char **ret)
{
	if (!value)
		return IBB_OK;
	*ret = ibb_strdup(value);
	return *ret ? IBB_OK : ibb_err_nomem(j->err);
}

static int read_catalog(struct judge *j, struct ibb_bytes content)
{
	IBB_AUTO(ibb_cat_free) struct ibb_cat *cat = NULL;
	int r = ibb_cat_parse(j->catalog, content, &cat, j->err);

	if (r)
		return r;
	j->t->alg = cat->alg;
	r = keep(j, ibb_cat_attr(cat, "Submission ID"), &j->t->submission);
	if (!r)
		r = keep(j, ibb_cat_attr(cat, "OS"), &j->t->os_list);
	if (!r)
		r = check_members(j, cat);
	if (!r && j->t->judgement.loads)
		r = warn_about(j, cat);
	return r;
}

/*
 * Windows signs a second time by nesting; of signers side by side it looks at the first only, and
 * their order is anybody's. So each of them has to hold: nobody stands beside a sound one under a
 * name of his own.
 */
static void judge_other_signers(struct judge *j)
{
	struct ibb_package_trust *t = j->t;
	size_t n_outer = 0;

	for (size_t i = 0; i < t->n_signatures; i++)
		n_outer += !t->signatures[i].nested;
	for (size_t i = 0; i < t->n_signatures; i++) {
		const struct ibb_signature *s = &t->signatures[i];

		if (s->nested || !s->fault || (n_outer < 2 && s->fault != IBB_SIG_BROKEN))
			continue;
		ibb_trust_judge(s, 1, &j->target, &t->judgement);
		return;
	}
}

static int judge_signed(struct judge *j)
{
	struct ibb_bytes bytes = ibb_buf_bytes(&j->p->files[1].bytes);
	struct ibb_package_trust *t = j->t;
	IBB_AUTO_BUF struct ibb_buf content = {0};
	char type[64] = "";
	int r;

	r = ibb_signature_verify(j->catalog, bytes, j->policy->store, j->policy->now,
				 &t->signatures, &t->n_signatures, &content, type, j->err);
	if (r)
		return r;
	if (strcmp(type, OID_CTL) != 0)
		return ibb_err(j->err, IBB_E_CORRUPT, "%s: signs %s, which is no list of files",
			       j->catalog, type);
	ibb_trust_judge(t->signatures, t->n_signatures, &j->target, &t->judgement);
	judge_other_signers(j);
	/* nothing is read out of what nobody vouches for */
	if (t->judgement.verdict == IBB_VERDICT_TAMPERED)
		return IBB_OK;
	return read_catalog(j, ibb_buf_bytes(&content));
}

/*
 * The records name the signer whom the verdict rests on. Until here it was whoever stands first in
 * the message, unverified.
 */
static void take_signer(struct ibb_package *p, const struct ibb_judgement *g)
{
	if (!g->signature || !*g->signature->signer.name)
		return;
	p->signer = g->signature->signer;
	if (g->verdict != IBB_VERDICT_WHQL && g->verdict != IBB_VERDICT_ATTESTED)
		p->signer.whql = p->signer.attested = false;
}

static int judge_as_it_is(struct ibb_package *p, const struct ibb_trust_policy *policy,
			  struct ibb_error *err)
{
	IBB_AUTO(ibb_package_trust_free) struct ibb_package_trust *t = ibb_zalloc(sizeof(*t));
	IBB_AUTO_FREE char *catalog =
		ibb_asprintf("%s/%s", p->dir, p->catalog_file ? p->catalog_file : "");
	struct judge j = {.p = p,
			  .policy = policy,
			  .target = {p->target.major, p->target.minor, p->target.build,
				     p->target.product_type != 1},
			  .t = t,
			  .catalog = catalog,
			  .err = err};
	int r = IBB_OK;

	if (!t || !catalog)
		return ibb_err_nomem(err);
	if (p->signed_)
		r = judge_signed(&j);
	else
		ibb_trust_judge(NULL, 0, &j.target, &t->judgement);
	if (r)
		return r;
	take_signer(p, &t->judgement);
	t->allowed = !t->judgement.loads && (t->judgement.allow & policy->allow);
	t->accepted = t->judgement.loads || t->allowed;
	ibb_package_trust_free(p->trust);
	p->trust = IBB_TAKE(t);
	return IBB_OK;
}

static int say_which(struct ibb_package *p, size_t k, struct ibb_error *err)
{
	struct judge j = {.p = p, .t = p->trust, .err = err};

	return warn(&j,
		    "%s was taken as the catalog of %s, not %s, which stands beside it and "
		    "which this Windows does not load",
		    p->catalog_file, p->inf_name, p->other_catalogs[k].path);
}

/* Another catalog of that name, which the target loads; one that is no catalog is none. */
static int try_others(struct ibb_package *p, const struct ibb_trust_policy *policy,
		      struct ibb_error *err)
{
	for (size_t k = 0; k < p->n_other_catalogs; k++) {
		struct ibb_error why = {0};
		int r = ibb_package_take_catalog(p, k, &why);

		if (r == IBB_E_NOMEM)
			return ibb_err_nomem(err);
		if (r)
			continue;
		r = judge_as_it_is(p, policy, &why);
		if (!r && p->trust->judgement.loads)
			return say_which(p, k, err);
		if (r != IBB_E_NOMEM)
			r = ibb_package_take_catalog(p, k, err);
		else
			ibb_err_nomem(err);
		if (r)
			return r;
	}
	return judge_as_it_is(p, policy, err);
}

/* The name as the INF spells it comes first, whatever was taken for another target. */
static int take_the_exact_one(struct ibb_package *p, struct ibb_error *err)
{
	for (size_t k = 0; k < p->n_other_catalogs; k++)
		if (strcmp(p->other_catalogs[k].path, p->catalog_name) == 0)
			return ibb_package_take_catalog(p, k, err);
	return IBB_OK;
}

int ibb_package_judge(struct ibb_package *p, const struct ibb_trust_policy *policy,
		      struct ibb_error *err)
{
	int r = take_the_exact_one(p, err);

	if (!r)
		r = judge_as_it_is(p, policy, err);
	if (r || p->trust->judgement.loads || !p->n_other_catalogs)
		return r;
	return try_others(p, policy, err);
}

int ibb_package_trust_check(const struct ibb_package *p, struct ibb_error *err)
{
	const struct ibb_package_trust *t = p->trust;
	const struct ibb_judgement *g = &t->judgement;

	if (t->accepted)
		return IBB_OK;
	ibb_err(err, IBB_E_UNTRUSTED, "%s/%s %s: %s: %s", p->dir, p->inf_name,
		p->version.version_text, ibb_verdict_name(g->verdict), g->reason);
	if (g->allow)
		return ibb_err_hint(err, IBB_E_UNTRUSTED,
				    "get a package that Microsoft signed for this Windows; "
				    "--allow=%s takes this one all the same",
				    ibb_trust_allow_name(g->allow));
	return ibb_err_hint(err, IBB_E_UNTRUSTED,
			    "get the package again from its vendor, signed for this Windows (%s)",
			    g->policy);
}

/* ---- companions ---- */

static int embedded(const char *name, struct ibb_bytes file, const struct ibb_trust_policy *policy,
		    struct ibb_companion *c, struct ibb_error *err)
{
	IBB_AUTO_FREE struct ibb_signature *list = NULL;
	IBB_AUTO_BUF struct ibb_buf content = {0};
	uint8_t want[32], have[32];
	enum ibb_digest_alg alg;
	struct ibb_bytes pkcs7;
	char type[64] = "";
	size_t n = 0;
	int r = ibb_pe_signature(name, file, &pkcs7, err);

	if (!r)
		r = ibb_signature_verify(name, pkcs7, policy->store, policy->now, &list, &n,
					 &content, type, err);
	if (!r)
		r = ibb_spc_digest(name, ibb_buf_bytes(&content), &alg, want, err);
	if (!r)
		r = ibb_pe_digest(name, file, alg, have, err);
	if (!r && strcmp(type, OID_SPC_INDIRECT_DATA) != 0)
		r = ibb_err(err, IBB_E_CORRUPT, "%s: signs %s, which is no digest of a file", name,
			    type);
	if (r || !n)
		return r ? r : IBB_E_NOTFOUND;
	c->has_signature = true;
	c->signature = list[0];
	for (size_t i = 1; i < n && c->signature.fault; i++)
		c->signature = list[i];
	if (memcmp(want, have, ibb_alg_bytes(alg)) != 0) {
		c->signature.fault = IBB_SIG_BROKEN;
		snprintf(c->signature.why, sizeof(c->signature.why),
			 "the file was changed after it was signed");
	}
	return IBB_OK;
}

int ibb_companion_judge(const char *name, struct ibb_bytes file, const struct ibb_sha256 *pinned,
			const struct ibb_trust_policy *policy, struct ibb_companion *ret,
			struct ibb_error *err)
{
	struct ibb_companion c = {0};
	struct ibb_error why = {0};
	struct ibb_sha256 digest;
	int r;

	if (ibb_sha256(file.data, file.len, &digest))
		return ibb_err_nomem(err);
	c.pinned = pinned && memcmp(pinned, &digest, sizeof(digest)) == 0;
	r = embedded(name, file, policy, &c, &why);
	if (r == IBB_E_NOMEM)
		return ibb_err_nomem(err);
	c.accepted = c.pinned || (!pinned && c.has_signature && c.signature.fault == IBB_SIG_OK &&
				  c.signature.anchor != IBB_ANCHOR_NONE &&
				  c.signature.anchor != IBB_ANCHOR_TEST);
	if (c.pinned)
		snprintf(c.reason, sizeof(c.reason), "its SHA-256 is the pinned one");
	else if (pinned)
		snprintf(c.reason, sizeof(c.reason), "its SHA-256 is not the pinned one");
	else if (c.has_signature && c.signature.fault == IBB_SIG_OK)
		snprintf(c.reason, sizeof(c.reason), "signed by %s up to %s",
			 c.signature.signer.name, c.signature.anchor_name);
	else
		snprintf(c.reason, sizeof(c.reason), "%s",
			 c.has_signature ? c.signature.why
			 : *why.msg	 ? why.msg
					 : "no signature is embedded in it, and none is pinned");
	*ret = c;
	return IBB_OK;
}
