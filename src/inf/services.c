/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * AddService lines and the sections they name. Microsoft, "INF AddService Directive". A directive
 * that is not known is refused: a service made without it would not be the one the vendor meant.
 */
#include "inf/internal.h"

#include <stdlib.h>
#include <string.h>

#include "base/limits.h"
#include "base/utf16.h"

#define SERVICE_DISABLED 4u

struct reader {
	struct ibb_inf *inf;
	struct ibb_error *err;
	struct ibb_inf_service *svc;
	bool have_type, have_start, have_error_control;
};

int ibb_inf_add_service(const struct ibb_inf *inf, const struct ibb_inf_line *l,
			struct ibb_inf_add_service *ret, struct ibb_error *err)
{
	const char *flags = ibb_inf_field(l, 1), *log = ibb_inf_field(l, 4);
	struct ibb_inf_add_service a = {.line = l->line,
					.name = ibb_inf_field(l, 0),
					.section = ibb_inf_field(l, 2),
					.event_section = ibb_inf_field(l, 3),
					.event_log = *log ? log : "System",
					.event_name = ibb_inf_field(l, 5)};
	uint64_t v = 0;

	if (*flags && !ibb_inf_number(flags, UINT32_MAX, &v))
		return ibb_inf_err(inf, l->line, IBB_E_CORRUPT, err,
				   "AddService flags are not a number: '%.80s'", flags);
	a.flags = (uint32_t)v;
	if (!*a.event_name)
		a.event_name = a.name;
	for (const char *const *n = (const char *const[]){a.name, a.event_log, a.event_name, NULL};
	     *n; n++)
		if (strpbrk(*n, "\\/") || strlen(*n) > IBB_LIMIT_KEY_NAME_CHARS)
			return ibb_inf_err(inf, l->line, IBB_E_CORRUPT, err,
					   "'%.80s' cannot be the name of a service or log", *n);
	*ret = a;
	return IBB_OK;
}

static int number(struct reader *x, const struct ibb_inf_line *l, uint64_t max, uint32_t *ret)
{
	uint64_t v;

	if (!ibb_inf_number(ibb_inf_field(l, 0), max, &v))
		return ibb_inf_err(x->inf, l->line, IBB_E_CORRUPT, x->err,
				   "%s '%.80s' is not a number up to %u", l->key,
				   ibb_inf_field(l, 0), (unsigned)max);
	*ret = (uint32_t)v;
	return IBB_OK;
}

static int do_type(struct reader *x, const struct ibb_inf_line *l)
{
	x->have_type = true;
	return number(x, l, UINT32_MAX, &x->svc->type);
}

static int do_start(struct reader *x, const struct ibb_inf_line *l)
{
	x->have_start = true;
	return number(x, l, SERVICE_DISABLED, &x->svc->start);
}

static int do_error_control(struct reader *x, const struct ibb_inf_line *l)
{
	x->have_error_control = true;
	return number(x, l, 3, &x->svc->error_control);
}

static int do_boot_flags(struct reader *x, const struct ibb_inf_line *l)
{
	x->svc->has_boot_flags = true;
	return number(x, l, UINT32_MAX, &x->svc->boot_flags);
}

/* %12%\name.sys: "12" is no string of the file, so the token is still there. */
static int do_binary(struct reader *x, const struct ibb_inf_line *l)
{
	const char *s = ibb_inf_field(l, 0), *close = *s == '%' ? strchr(s + 1, '%') : NULL;
	char digits[8];
	uint64_t v;
	size_t n;

	n = close ? (size_t)(close - s - 1) : 0;
	if (n && n < sizeof(digits) && close[1] == '\\' && close[2]) {
		memcpy(digits, s + 1, n);
		digits[n] = '\0';
		if (ibb_inf_number(digits, 0xffff, &v)) {
			x->svc->binary_dirid = (int)v;
			x->svc->binary = close + 2;
			return IBB_OK;
		}
	}
	return ibb_inf_err(x->inf, l->line, IBB_E_UNSUPPORTED, x->err,
			   "ServiceBinary '%.120s' is not of the form %%directory number%%\\file",
			   s);
}

static int do_group(struct reader *x, const struct ibb_inf_line *l)
{
	(void)x;
	x->svc->group = ibb_inf_field(l, 0);
	return IBB_OK;
}

static int do_dependencies(struct reader *x, const struct ibb_inf_line *l)
{
	for (size_t i = 0; i < l->n; i++)
		if (!*l->fields[i] || *l->fields[i] == '+')
			return ibb_inf_err(x->inf, l->line, IBB_E_UNSUPPORTED, x->err,
					   "Dependencies on a group or on nothing");
	x->svc->n_depends = l->n;
	x->svc->depends = l->fields;
	return IBB_OK;
}

static int do_display_name(struct reader *x, const struct ibb_inf_line *l)
{
	x->svc->display_name = l;
	return IBB_OK;
}

static int do_description(struct reader *x, const struct ibb_inf_line *l)
{
	x->svc->description = l;
	return IBB_OK;
}

/* The caller goes through these itself. */
static int do_nothing(struct reader *x, const struct ibb_inf_line *l)
{
	(void)x;
	(void)l;
	return IBB_OK;
}

static const struct {
	const char *key;
	int (*run)(struct reader *x, const struct ibb_inf_line *l);
} directives[] = {
	{"DisplayName", do_display_name},
	{"Description", do_description},
	{"ServiceType", do_type},
	{"StartType", do_start},
	{"ErrorControl", do_error_control},
	{"ServiceBinary", do_binary},
	{"LoadOrderGroup", do_group},
	{"Dependencies", do_dependencies},
	{"BootFlags", do_boot_flags},
	{"AddReg", do_nothing},
	{"DelReg", do_nothing},
};

static int read_line(struct reader *x, const struct ibb_inf_section *s,
		     const struct ibb_inf_line *l, uint32_t *seen)
{
	for (size_t i = 0; l->key && i < IBB_ARRAY_SIZE(directives); i++) {
		if (!ibb_caseeq(l->key, directives[i].key))
			continue;
		if ((*seen & 1u << i) && directives[i].run != do_nothing)
			return ibb_inf_err(x->inf, l->line, IBB_E_CORRUPT, x->err,
					   "[%.120s] has %s twice", s->name, directives[i].key);
		*seen |= 1u << i;
		return directives[i].run(x, l);
	}
	return ibb_inf_err(
		x->inf, l->line, IBB_E_UNSUPPORTED, x->err,
		"the directive '%.80s' of the service section [%.120s] is not understood",
		l->key ? l->key : ibb_inf_field(l, 0), s->name);
}

int ibb_inf_service(struct ibb_inf *inf, const struct ibb_inf_section *s,
		    struct ibb_inf_service *ret, struct ibb_error *err)
{
	struct ibb_inf_service svc = {.line = s->line, .section = s};
	struct reader x = {.inf = inf, .err = err, .svc = &svc};
	uint32_t seen = 0;
	int r = IBB_OK;

	for (size_t i = 0; !r && i < s->n; i++)
		r = read_line(&x, s, &s->lines[i], &seen);
	if (r)
		return r;
	if (!x.have_type || !x.have_start || !x.have_error_control || !svc.binary)
		return ibb_inf_err(inf, s->line, IBB_E_CORRUPT, err,
				   "the service section [%.120s] lacks %s", s->name,
				   !x.have_type		   ? "ServiceType"
				   : !x.have_start	   ? "StartType"
				   : !x.have_error_control ? "ErrorControl"
							   : "ServiceBinary");
	*ret = svc;
	return IBB_OK;
}
