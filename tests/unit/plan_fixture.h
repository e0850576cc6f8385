/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A Windows in a directory, a package, and the plan to stage it. Include after test.h. */
#ifndef IBB_TEST_PLAN_FIXTURE_H
#define IBB_TEST_PLAN_FIXTURE_H

#include "apply/apply.h"
#include "base/utf16.h"
#include "disktest.h"
#include "pkgtest.h"
#include "wintree.h"

#define NOW	1790000000
#define IB_FULL "PCI\\VEN_15B3&DEV_101C&SUBSYS_000715B3&REV_00"
#define DB	"DriverDatabase"

/* A Windows, its facts and one package. */
struct fx {
	struct wintree t;
	struct ibb_volume *v;
	struct ibb_facts *f;
	struct ibb_package *p;
	struct ibb_plan *plan;
};

static inline void fx_facts(struct fx *x)
{
	const char *name = x->p->inf_name;
	struct ibb_error err = {0};

	ibb_facts_free(x->f);
	x->f = NULL;
	ibb_volume_close(x->v);
	x->v = wintree_open(&x->t);
	assert_ok(ibb_facts_read(x->v, false, &x->f, &err), err);
	assert_ok(ibb_facts_read_store(x->f, x->v, &name, 1, &err), err);
}

static inline void fx_open(struct fx *x, const struct winhives_spec *s, const struct mkpkg_opts *o)
{
	struct ibb_inf_target t = {IBB_ARCH_AMD64,
				   s->win->major,
				   s->win->minor,
				   s->win->build,
				   strcmp(s->win->product_type, "WinNT") == 0 ? 1 : 3,
				   0};

	*x = (struct fx){0};
	wintree_make(&x->t, test_dir(), s);
	x->p = pkgtest_make(o, &t);
	fx_facts(x);
}

static inline void fx_plain(struct fx *x, const char *release)
{
	struct winhives_spec s = wintree_spec(release);
	struct mkpkg_opts o = {0};

	fx_open(x, &s, &o);
}

static inline void fx_plan(struct fx *x)
{
	struct ibb_error err = {0};

	ibb_plan_free(x->plan);
	x->plan = NULL;
	assert_ok(ibb_plan_build(x->f, &x->p, 1, NOW, &x->plan, &err), err);
}

static inline void fx_close(struct fx *x)
{
	ibb_plan_free(x->plan);
	ibb_package_free(x->p);
	ibb_facts_free(x->f);
	ibb_volume_close(x->v);
}

/* Stage it for good. */
static inline void fx_apply(struct fx *x)
{
	struct ibb_applied a = {0};
	struct ibb_error err = {0};

	assert_ok(ibb_apply(x->plan, x->f, x->v, &a, &err), err);
	assert_ok(ibb_volume_commit(x->v, &err), err);
	ibb_applied_clear(&a);
}

/* The operation on that value, or NULL. */
static inline const struct ibb_op *find_value(const struct ibb_plan *p, enum ibb_hive_id hive,
					      const char *key, const char *value)
{
	for (size_t i = 0; i < p->n_ops; i++)
		if (p->ops[i].kind == IBB_OP_VALUE && p->ops[i].hive == hive &&
		    ibb_caseeq(p->ops[i].key, key) && ibb_caseeq(p->ops[i].value, value))
			return &p->ops[i];
	return NULL;
}

static inline const struct ibb_op *find_key(const struct ibb_plan *p, enum ibb_hive_id hive,
					    const char *key)
{
	for (size_t i = 0; i < p->n_ops; i++)
		if (p->ops[i].kind == IBB_OP_KEY && p->ops[i].hive == hive &&
		    ibb_caseeq(p->ops[i].key, key))
			return &p->ops[i];
	return NULL;
}

#endif
