/* SPDX-License-Identifier: GPL-3.0-or-later */
/* ibb-hive: what src/hive makes of a hive, as text, and random edits of hives for others to judge.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/io.h"
#include "base/limits.h"
#include "hiveedit.h"

#define T0 132000000000000000ull /* some FILETIME of 2019 */

static const char usage[] =
	"usage: ibb-hive dump FILE             every key and value, a line each (see hivedump.h)\n"
	"       ibb-hive check FILE            the counts of ibb_hive_check()\n"
	"       ibb-hive make FILE [KEYS]      a new hive with so many keys (3000) and more "
	"values\n"
	"       ibb-hive edit FILE [--seed N] [--commits C] [--edits E] [--big] -o DIR\n"
	"                                      C times (1) about E (150) random edits; after each\n"
	"                                      time the hive is DIR/<time>.hive, what it ought to\n"
	"                                      hold DIR/<time>.dump, and DIR/<time>.new lists the\n"
	"                                      keys that were not in FILE\n"
#ifdef IBB_HAVE_RECOVER
	"       ibb-hive recover FILE [LOG...] -o OUT [--accept]\n"
#endif
	;

static struct ibb_error err;

static void load(const char *path, struct ibb_buf *b)
{
	int r = ibb_read_file(path, IBB_LIMIT_HIVE_BYTES, b, &err);

	if (r) {
		fprintf(stderr, "ibb-hive: %s\n", err.msg);
		exit(ibb_exit_status(r));
	}
}

static void save(const char *path, const struct ibb_buf *b)
{
	FILE *f = fopen(path, "wb");

	if (!f || fwrite(b->data, 1, b->len, f) != b->len || fclose(f))
		die("cannot write %s", path);
}

/* Refusals are what some callers want to see: reason, and the exit status that ibbake would give.
 */
static int give_up(int r)
{
	fprintf(stderr, "ibb-hive: %s: %s\n", ibb_code_name(r), err.msg);
	return ibb_exit_status(r);
}

static int open_file(const char *path, struct ibb_hive **ret)
{
	struct ibb_buf b = {0};
	int r;

	load(path, &b);
	r = ibb_hive_open(path, &b, ret, &err);
	ibb_buf_clear(&b);
	return r;
}

static int cmd_dump(char **arg)
{
	IBB_AUTO(ibb_hive_close) struct ibb_hive *h = NULL;
	struct dump d = {0};
	int r = open_file(arg[0], &h);

	if (!r)
		r = dump_hive(h, &d, &err);
	if (!r) {
		dump_sort(&d);
		r = dump_write(&d, "-", &err);
	}
	dump_clear(&d);
	return r ? give_up(r) : 0;
}

static int cmd_check(char **arg)
{
	IBB_AUTO(ibb_hive_close) struct ibb_hive *h = NULL;
	struct ibb_hive_check c;
	int r = open_file(arg[0], &h);

	if (!r)
		r = ibb_hive_check(h, &c, &err);
	if (r)
		return give_up(r);
	printf("keys %llu\nvalues %llu\nsecurity %llu\nbig %llu\nfree %llu\nleaked %llu\n",
	       (unsigned long long)c.keys, (unsigned long long)c.values,
	       (unsigned long long)c.security_cells, (unsigned long long)c.big_values,
	       (unsigned long long)c.free_bytes, (unsigned long long)c.leaked_cells);
	return 0;
}

/* ---- edit ---- */

static int cmd_make(char **arg)
{
	static uint8_t data[4000];
	unsigned long n = arg[1] ? strtoul(arg[1], NULL, 10) : 3000;
	struct edit e = {.rng = 1};
	struct ibb_buf b = {0};
	char path[1200];
	int r = ibb_hive_new("ROOT", T0, &e.h, &err);

	for (unsigned long i = 0; i < n && !r; i++) {
		uint32_t size = edit_rnd(&e, edit_rnd(&e, 20) ? 100 : sizeof(data));
		ibb_key k = 0;

		snprintf(path, sizeof(path), "Control\\%lu\\%s", i % 7, edit_name(&e, false, 40));
		r = ibb_hive_create(e.h, ibb_hive_root(e.h), path, IBB_KEY_SECURITY_PARENT, 0,
				    T0 + i, &k, NULL, &err);
		for (unsigned v = 0; v < i % 4 && !r; v++)
			r = ibb_hive_set(e.h, k, v ? edit_name(&e, true, 40) : "", edit_rnd(&e, 12),
					 data, size, T0 + i, &err);
	}
	if (!r)
		r = ibb_hive_serialize(e.h, T0, &b, &err);
	if (!r)
		save(arg[0], &b);
	ibb_buf_clear(&b);
	ibb_hive_close(e.h);
	return r ? give_up(r) : 0;
}

static void compare(const struct dump *want, const struct dump *got, unsigned long commit)
{
	size_t i = 0;

	while (i < want->n && i < got->n && strcmp(want->line[i], got->line[i]) == 0)
		i++;
	if (i < want->n || i < got->n)
		die("commit %lu: line %zu of %zu/%zu\nwanted %.300s\ngot    %.300s", commit, i,
		    want->n, got->n, i < want->n ? want->line[i] : "(end)",
		    i < got->n ? got->line[i] : "(end)");
}

static void write_new(const struct model *m, const char *path)
{
	FILE *f = fopen(path, "wb");

	for (size_t i = 0; f && i < m->n_all; i++) {
		struct ibb_buf b = {0};
		const struct m_key *up[512];
		size_t n = 0;

		if (!m->all[i]->added)
			continue;
		for (const struct m_key *k = m->all[i]; k->parent && n < 512; k = k->parent)
			up[n++] = k;
		while (n--)
			if (ibb_buf_append_str(&b, "\\") || dump_name(&b, up[n]->name))
				die("no memory");
		fprintf(f, "%s\n", (const char *)must(ibb_buf_cstr(&b)));
		ibb_buf_clear(&b);
	}
	if (!f || fclose(f))
		die("cannot write %s", path);
}

static int differs(void *ctx, const struct ibb_hive_diff *d, struct ibb_error *error)
{
	(void)ctx;
	return ibb_err(error, IBB_E_DIFFERS, "'%s' %s: difference %d", d->path,
		       d->value ? d->value : "", (int)d->kind);
}

/*
 * The hive before the edits is still there to be read, and a page that is said to be unchanged is.
 */
static void check_before(struct edit *e, const struct ibb_buf *now, unsigned long no)
{
	IBB_AUTO(ibb_hive_close) struct ibb_hive *was = NULL;
	size_t n = now->len < e->opened.len ? now->len : e->opened.len;
	int r = ibb_hive_open_view("opened", ibb_buf_bytes(&e->opened), &was, &err);

	if (!r)
		r = ibb_hive_compare(was, ibb_hive_before(e->h), differs, NULL, &err);
	if (r)
		die("commit %lu: the hive before the edits: %s", no, err.msg);
	for (size_t at = 0; at + 4096 <= n; at += 4096)
		if (!ibb_hive_page_changed(e->h, at) &&
		    memcmp(now->data + at, e->opened.data + at, 4096) != 0)
			die("commit %lu: the page at 0x%zx changed, which is denied", no, at);
}

static void open_bytes(const struct ibb_buf *bytes, struct ibb_hive **ret)
{
	struct ibb_buf copy = {0};

	if (ibb_buf_append(&copy, bytes->data, bytes->len))
		die("no memory");
	if (ibb_hive_open("commit", &copy, ret, &err))
		die("%s", err.msg);
}

/* Serialise, open the bytes again, check, compare with the model, write. Maybe go on with it. */
static void commit(struct edit *e, const char *dir, unsigned long no)
{
	struct dump want = {0}, got = {0};
	struct ibb_buf bytes = {0};
	struct ibb_hive_check c;
	struct ibb_hive *h = NULL;
	char path[4096];
	int r = ibb_hive_serialize(e->h, e->time, &bytes, &err);

	if (!r) {
		check_before(e, &bytes, no);
		open_bytes(&bytes, &h);
		r = ibb_hive_check(h, &c, &err);
	}
	if (!r)
		r = dump_hive(h, &got, &err);
	if (r)
		die("commit %lu: %s", no, err.msg);
	model_dump(&e->m, &want);
	dump_sort(&want);
	dump_sort(&got);
	snprintf(path, sizeof(path), "%s/%lu.hive", dir, no);
	save(path, &bytes);
	snprintf(path, sizeof(path), "%s/%lu.new", dir, no);
	write_new(&e->m, path);
	snprintf(path, sizeof(path), "%s/%lu.dump", dir, no);
	if (dump_write(&want, path, &err))
		die("%s", err.msg);
	compare(&want, &got, no);
	printf("%lu: %lu edits, %lu refused, %llu keys, %llu values, %llu big, %llu leaked, "
	       "%zu bytes\n",
	       no, e->n_edits, e->n_refused, (unsigned long long)c.keys,
	       (unsigned long long)c.values, (unsigned long long)c.big_values,
	       (unsigned long long)c.leaked_cells, bytes.len);
	fflush(stdout);
	if (edit_rnd(e, 2)) {
		ibb_hive_close(e->h);
		e->h = h;
		h = NULL;
		ibb_buf_clear(&e->opened);
		e->opened = bytes;
		bytes = (struct ibb_buf){0};
	}
	ibb_hive_close(h);
	ibb_buf_clear(&bytes);
	dump_clear(&want);
	dump_clear(&got);
}

struct options {
	const char *file, *out;
	unsigned long seed, commits, edits;
	bool big, accept;
	char *log[4];
	size_t n_logs;
};

static bool options(char **arg, struct options *o)
{
	for (; *arg; arg++) {
		bool more = arg[1];

		if (strcmp(*arg, "--big") == 0)
			o->big = true;
		else if (strcmp(*arg, "--accept") == 0)
			o->accept = true;
		else if (strcmp(*arg, "--seed") == 0 && more)
			o->seed = strtoul(*++arg, NULL, 10);
		else if (strcmp(*arg, "--commits") == 0 && more)
			o->commits = strtoul(*++arg, NULL, 10);
		else if (strcmp(*arg, "--edits") == 0 && more)
			o->edits = strtoul(*++arg, NULL, 10);
		else if (strcmp(*arg, "-o") == 0 && more)
			o->out = *++arg;
		else if (**arg == '-')
			return false;
		else if (!o->file)
			o->file = *arg;
		else if (o->n_logs < IBB_ARRAY_SIZE(o->log))
			o->log[o->n_logs++] = *arg;
	}
	return o->file && o->out;
}

static int cmd_edit(char **arg)
{
	struct options o = {.seed = 1, .commits = 1, .edits = 150};
	struct edit e = {.time = T0};
	int r;

	if (!options(arg, &o))
		return 2;
	r = open_file(o.file, &e.h);
	if (r)
		return give_up(r);
	load(o.file, &e.opened);
	e.rng = o.seed * 0x5851f42d4c957f2dull + 1;
	e.big = o.big;
	model_load(&e.m, e.h);
	for (unsigned long no = 1; no <= o.commits; no++) {
		for (unsigned long until = e.n_edits + o.edits; e.n_edits < until;)
			edit_once(&e);
		commit(&e, o.out, no);
	}
	model_clear(&e.m);
	ibb_buf_clear(&e.opened);
	ibb_hive_close(e.h);
	return 0;
}

/* ---- recover ---- */

#ifdef IBB_HAVE_RECOVER
static int cmd_recover(char **arg)
{
	static struct ibb_hive_log logs[IBB_HIVE_MAX_LOGS];
	struct ibb_buf hive = {0}, bytes[IBB_HIVE_MAX_LOGS] = {0};
	struct ibb_hive_recovery rec = {0};
	struct options o = {0};
	int r;

	if (!options(arg, &o) || o.n_logs > IBB_HIVE_MAX_LOGS)
		return 2;
	load(o.file, &hive);
	for (size_t i = 0; i < o.n_logs; i++) {
		load(o.log[i], &bytes[i]);
		logs[i] = (struct ibb_hive_log){o.log[i], ibb_buf_bytes(&bytes[i])};
	}
	r = ibb_hive_recover(o.file, &hive, logs, o.n_logs, o.accept, NULL, &rec, &err);
	for (size_t i = 0; i < rec.n_logs; i++)
		printf("%s: applied %u%s%s\n", o.log[i], rec.logs[i].n_applied,
		       rec.logs[i].why[0] ? "; " : "", rec.logs[i].why);
	if (!r)
		save(o.out, &hive);
	for (size_t i = 0; i < o.n_logs; i++)
		ibb_buf_clear(&bytes[i]);
	ibb_buf_clear(&hive);
	return r ? give_up(r) : 0;
}
#endif

int main(int argc, char **argv)
{
	int r = 2;

	if (argc >= 3 && strcmp(argv[1], "dump") == 0)
		r = cmd_dump(argv + 2);
	else if (argc >= 3 && strcmp(argv[1], "check") == 0)
		r = cmd_check(argv + 2);
	else if (argc >= 3 && strcmp(argv[1], "make") == 0)
		r = cmd_make(argv + 2);
	else if (argc >= 3 && strcmp(argv[1], "edit") == 0)
		r = cmd_edit(argv + 2);
#ifdef IBB_HAVE_RECOVER
	else if (argc >= 3 && strcmp(argv[1], "recover") == 0)
		r = cmd_recover(argv + 2);
#endif
	if (r == 2)
		fputs(usage, stderr);
	return r;
}
