/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The hives of the config directory with their transaction logs. */
#include <stdlib.h>
#include <string.h>

#include "base/limits.h"
#include "base/utf16.h"
#include "inspect/internal.h"

#define CONFIG "Windows/System32/config"

static int find_log(struct ibb_fact_hive *fh, struct ibb_volume *v, const char *suffix,
		    struct ibb_error *err)
{
	IBB_AUTO_FREE char *path = ibb_asprintf("%s%s", fh->path, suffix);
	struct ibb_stat st;
	char *spelt;
	int r;

	if (!path)
		return ibb_err_nomem(err);
	r = ibb_volume_stat(v, path, &st, err);
	if (r == IBB_E_NOTFOUND || (!r && st.type != IBB_FILE_REGULAR))
		return IBB_OK;
	if (!r)
		r = ibb_volume_spelling(v, path, &spelt, err);
	if (r)
		return r;
	fh->logs[fh->n_logs].path = spelt;
	fh->logs[fh->n_logs++].size_bytes = st.size_bytes;
	return IBB_OK;
}

/* A file whose state forbids reading it, or that is too large, is a fact about it. */
static bool is_a_fact(int r)
{
	return r == IBB_E_UNSUPPORTED || r == IBB_E_LIMIT || r == IBB_E_CORRUPT;
}

struct log_bytes {
	struct ibb_buf b[IBB_HIVE_MAX_LOGS];
	struct ibb_hive_log logs[IBB_HIVE_MAX_LOGS];
};

static void clear_logs(struct log_bytes *l)
{
	for (size_t i = 0; i < IBB_HIVE_MAX_LOGS; i++)
		ibb_buf_clear(&l->b[i]);
}

static int read_logs(struct ibb_fact_hive *fh, struct ibb_volume *v, struct log_bytes *l,
		     struct ibb_error *err)
{
	int r = IBB_OK;

	for (size_t i = 0; i < fh->n_logs && !r; i++) {
		r = ibb_volume_read(v, fh->logs[i].path, IBB_LIMIT_HIVE_BYTES, &l->b[i],
				    &fh->problem);
		if (!r && ibb_sha256(l->b[i].data, l->b[i].len, &fh->logs[i].sha256))
			return ibb_err_nomem(err);
		l->logs[i] = (struct ibb_hive_log){fh->logs[i].path, ibb_buf_bytes(&l->b[i])};
	}
	if (r && !is_a_fact(r) && err)
		*err = fh->problem;
	return r;
}

static int open_hive(struct ibb_fact_hive *fh, struct ibb_volume *v, struct ibb_buf *bytes,
		     bool accept_dirty, struct ibb_error *err)
{
	struct log_bytes l = {0};
	int r = read_logs(fh, v, &l, err);

	if (!r)
		r = ibb_hive_open_logged(fh->path, bytes, l.logs, fh->n_logs, accept_dirty,
					 &fh->recovery, &fh->hive, &fh->problem);
	else if (!is_a_fact(r)) {
		clear_logs(&l);
		return r;
	}
	clear_logs(&l);
	return r == IBB_E_NOMEM ? ibb_err_nomem(err) : IBB_OK;
}

/* Reads and opens one hive; what is wrong with its content becomes a fact. */
static int read_hive(struct ibb_fact_hive *fh, struct ibb_volume *v, const char *name,
		     bool accept_dirty, struct ibb_error *err)
{
	static const char *const suffixes[IBB_HIVE_MAX_LOGS] = {".LOG", ".LOG1", ".LOG2"};
	IBB_AUTO_FREE char *path = ibb_asprintf(CONFIG "/%s", name);
	IBB_AUTO_BUF struct ibb_buf bytes = {0};
	int r;

	if (!path)
		return ibb_err_nomem(err);
	r = ibb_volume_spelling(v, path, &fh->path, err);
	if (r == IBB_E_NOTFOUND)
		return IBB_OK;
	if (r)
		return r;
	fh->present = true;
	for (size_t i = 0; i < IBB_HIVE_MAX_LOGS && !r; i++)
		r = find_log(fh, v, suffixes[i], err);
	if (r)
		return r;
	r = ibb_volume_read(v, fh->path, IBB_LIMIT_HIVE_BYTES, &bytes, &fh->problem);
	if (r == IBB_E_UNSUPPORTED || r == IBB_E_LIMIT)
		return IBB_OK;
	if (r) {
		if (err)
			*err = fh->problem;
		return r;
	}
	fh->size_bytes = bytes.len;
	if (ibb_sha256(bytes.data, bytes.len, &fh->sha256))
		return ibb_err_nomem(err);
	r = ibb_hive_header_read(fh->path, ibb_buf_bytes(&bytes), &fh->header, &fh->problem);
	fh->header_ok = !r;
	/* without a signature a log may still have the whole base block */
	return open_hive(fh, v, &bytes, accept_dirty, err);
}

static int warn_recovery(struct ibb_facts *f, const struct ibb_fact_hive *fh, struct ibb_error *err)
{
	const struct ibb_hive_recovery *c = &fh->recovery;
	unsigned n = 0;

	if (!fh->hive || !c->dirty)
		return IBB_OK;
	if (c->accepted && c->replayed)
		return ibb_facts_warn(
			f, err,
			"%s was not cleanly closed and its transaction logs have a gap; it is read "
			"with what lies before the gap because of --accept-dirty-hives: sound "
			"entries behind it, up to %u, are lost",
			fh->path, c->lost_to);
	if (c->accepted)
		return ibb_facts_warn(f, err,
				      "%s was not cleanly closed and no transaction log of it can "
				      "be used; it is taken as it is because of "
				      "--accept-dirty-hives: what was only in the logs is lost, "
				      "and what was half written stays so",
				      fh->path);
	for (size_t i = 0; i < c->n_logs; i++)
		n += c->logs[i].n_applied;
	return ibb_facts_warn(f, err,
			      "%s was not cleanly closed; it is read with what its transaction "
			      "logs hold (%u %s, %llu bytes)",
			      fh->path, n, n == 1 ? "entry" : "entries",
			      (unsigned long long)c->bytes_applied);
}

/* ---- transactional registry ---- */

struct txr {
	struct ibb_volume *v;
	const char *dir;
	bool any_prefix; /* config/TxR holds nothing else */
	char **paths;
	size_t n, cap;
};

static bool ends_in(const char *name, const char *suffix)
{
	size_t n = strlen(name), m = strlen(suffix);

	return n >= m && ibb_casecmp(name + n - m, suffix) == 0;
}

/* SYSTEM{guid}.TM.blf, SYSTEM{guid}.TMContainer0...1.regtrans-ms and their like. */
static bool of_our_hives(const char *name)
{
	const char *brace = strchr(name, '{');

	for (int i = 0; brace && i < IBB_N_HIVES; i++) {
		const char *hive = ibb_hive_id_name(i);
		size_t n = strlen(hive);
		char head[16] = "";

		if ((size_t)(brace - name) != n)
			continue;
		memcpy(head, name, n);
		if (ibb_casecmp(head, hive) == 0)
			return true;
	}
	return false;
}

static int txr_name(void *ctx, const char *name, enum ibb_file_type type, struct ibb_error *err)
{
	struct txr *t = ctx;

	if (type != IBB_FILE_REGULAR || (!ends_in(name, ".blf") && !ends_in(name, ".regtrans-ms")))
		return IBB_OK;
	if (!t->any_prefix && !of_our_hives(name))
		return IBB_OK;
	if (ibb_grow(&t->paths, &t->cap, t->n, sizeof(*t->paths)))
		return ibb_err_nomem(err);
	t->paths[t->n] = ibb_asprintf("%s/%s", t->dir, name);
	if (!t->paths[t->n])
		return ibb_err_nomem(err);
	t->n++;
	return IBB_OK;
}

/*
 * Windows makes the files at their full size; one that was never used holds zeros. Their headers
 * stand at the beginning, so little has to be looked at.
 */
#define TXR_LOOK_BYTES (256u << 10)
#define TXR_LOOK_FILES 64u
static int find_byte(void *ctx, uint64_t off, struct ibb_bytes piece, struct ibb_error *err)
{
	bool *found = ctx;

	(void)err;
	for (size_t i = 0; i < piece.len && !*found; i++)
		*found = piece.data[i] != 0;
	return *found || off + piece.len >= TXR_LOOK_BYTES ? IBB_E_EXISTS : IBB_OK;
}

static int count_used(struct txr *t, size_t *ret, struct ibb_error *err)
{
	int r = IBB_OK;

	for (size_t i = 0; i < t->n && !r; i++) {
		bool used = i >= TXR_LOOK_FILES;

		if (!used)
			r = ibb_volume_stream(t->v, t->paths[i], UINT64_MAX, find_byte, &used, err);
		if (r == IBB_E_EXISTS) /* seen enough */
			r = IBB_OK;
		if (is_a_fact(r)) { /* nothing that the edit depends on */
			used = true;
			r = IBB_OK;
		}
		*ret += used;
	}
	return r;
}

/*
 * Transactions of the transactional registry live in files of the Common Log File System (regf:
 * "TxR", out of that specification's scope). They are left as they are; one that was pending is
 * finished or rolled back by Windows, over the edited hive.
 */
static int warn_txr(struct ibb_facts *f, struct ibb_volume *v, struct ibb_error *err)
{
	static const char *const dirs[] = {CONFIG, CONFIG "/TxR"};
	struct txr t = {.v = v};
	size_t used = 0;
	int r = IBB_OK;

	for (size_t i = 0; i < IBB_ARRAY_SIZE(dirs) && !r; i++) {
		t.dir = dirs[i];
		t.any_prefix = i == 1;
		r = ibb_volume_list(v, t.dir, txr_name, &t, err);
		if (r == IBB_E_NOTFOUND)
			r = IBB_OK;
	}
	if (!r)
		r = count_used(&t, &used, err);
	for (size_t i = 0; i < t.n; i++)
		free(t.paths[i]);
	free(t.paths);
	if (r || !used)
		return r;
	return ibb_facts_warn(
		f, err,
		"%zu %s of the transactional registry (TxR) %s beside the hives and %s "
		"left as %s: a transaction pending there is finished by Windows over "
		"the edit",
		used, used == 1 ? "file" : "files", used == 1 ? "lies" : "lie",
		used == 1 ? "is" : "are", used == 1 ? "it is" : "they are");
}

int ibb_facts_read_hives(struct ibb_facts *f, struct ibb_volume *v, bool accept_dirty,
			 struct ibb_error *err)
{
	int r = ibb_volume_spelling(v, "Windows", &f->windows_dir, err);

	for (int i = 0; i < IBB_N_HIVES && !r; i++) {
		r = read_hive(&f->hives[i], v, ibb_hive_id_name(i), accept_dirty, err);
		if (!r)
			r = warn_recovery(f, &f->hives[i], err);
	}
	return r ? r : warn_txr(f, v, err);
}

int ibb_facts_check_hives(struct ibb_facts *f, struct ibb_error *err)
{
	for (int i = 0; i < IBB_N_HIVES; i++) {
		struct ibb_fact_hive *fh = &f->hives[i];
		int r;

		if (!fh->hive)
			continue;
		r = ibb_hive_check(fh->hive, &fh->check, &fh->unsound);
		if (r == IBB_E_NOMEM)
			return ibb_err_nomem(err);
		fh->checked = true;
	}
	return IBB_OK;
}
