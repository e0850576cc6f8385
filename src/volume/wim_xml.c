/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * XML data in one form, to compare it. wimlib writes quotes, references and empty elements its own
 * way, and puts TOTALBYTES last. An element to which it gives a value loses comments and CDATA
 * sections in it, and one that was empty cannot be made so again but by removing it: so comments
 * are left out here, CDATA is text, and an element without anything is none. What is read here was
 * parsed by wimlib before, so that being well-formed is not checked any further than it takes to
 * stay within bounds.
 */
#include "volume/wim_internal.h"

#include <string.h>

#define MAX_DEPTH 64u

struct text {
	const char *p;
	size_t n;
};

struct canonical {
	struct text rest;
	struct ibb_buf *out;
	unsigned image; /* 0: what is outside of images */
	bool counts;
	unsigned depth;
	unsigned wanted_at; /* elements from this depth on are written; 0: none */
	unsigned muted_at;  /* but not from this one on; 0: all */
	bool quoted;	    /* an attribute's value is being written */
	/* of each open element: where it begins in `out`, and where its content does */
	size_t starts[MAX_DEPTH + 2], bodies[MAX_DEPTH + 2];
	bool bare[MAX_DEPTH + 2]; /* it has no attributes */
	int oom;
};

static const char *const of_a_change[] = {"DIRCOUNT", "FILECOUNT", "TOTALBYTES", "HARDLINKBYTES",
					  "LASTMODIFICATIONTIME"};

static bool is(struct text t, const char *s)
{
	return t.n == strlen(s) && memcmp(t.p, s, t.n) == 0;
}

static bool begins(struct text t, const char *s)
{
	return t.n >= strlen(s) && memcmp(t.p, s, strlen(s)) == 0;
}

/* Up to and with `end`; without it, all that is left. */
static struct text take(struct text *from, const char *end)
{
	const char *at = memmem(from->p, from->n, end, strlen(end));
	struct text t = {from->p, at ? (size_t)(at - from->p) + strlen(end) : from->n};

	from->p += t.n;
	from->n -= t.n;
	return t;
}

static bool writes(const struct canonical *c)
{
	return c->wanted_at && c->depth >= c->wanted_at && (!c->muted_at || c->depth < c->muted_at);
}

static void emit(struct canonical *c, const char *p, size_t n)
{
	if (writes(c) && !c->oom)
		c->oom = ibb_buf_append(c->out, p, n);
}

static void emit_str(struct canonical *c, const char *s)
{
	emit(c, s, strlen(s));
}

/* One character that a reference stands for, as UTF-8. */
static void emit_code(struct canonical *c, uint32_t u)
{
	const unsigned more = u < 0x80 ? 0 : u < 0x800 ? 1 : u < 0x10000 ? 2 : 3;
	static const uint8_t lead[] = {0, 0xc0, 0xe0, 0xf0};
	char s[4];

	if (u == '<' || u == '>' || u == '&' || (u == '"' && c->quoted)) {
		emit_str(c, u == '<' ? "&lt;" : u == '>' ? "&gt;" : u == '&' ? "&amp;" : "&quot;");
		return;
	}
	s[0] = (char)(lead[more] | u >> 6 * more);
	for (unsigned i = 1; i <= more; i++)
		s[i] = (char)(0x80 | (u >> 6 * (more - i) & 63));
	emit(c, s, more + 1);
}

/* "#233", "#xe9", "amp"; false: none of those. */
static bool reference(struct text name, uint32_t *ret)
{
	static const struct {
		const char *name;
		char c;
	} known[] = {{"lt", '<'}, {"gt", '>'}, {"amp", '&'}, {"quot", '"'}, {"apos", '\''}};
	const bool hex = name.n > 2 && name.p[1] == 'x';
	uint32_t u = 0;

	for (size_t i = 0; i < IBB_ARRAY_SIZE(known); i++) {
		if (is(name, known[i].name)) {
			*ret = (uint32_t)known[i].c;
			return true;
		}
	}
	if (name.n < 2 || name.n > 9 || name.p[0] != '#')
		return false;
	for (size_t i = hex ? 2 : 1; i < name.n; i++) {
		const char d = name.p[i];
		const int v = d >= '0' && d <= '9'			  ? d - '0'
			      : hex && (d | 32) >= 'a' && (d | 32) <= 'f' ? (d | 32) - 'a' + 10
									  : -1;

		if (v < 0)
			return false;
		u = u * (hex ? 16 : 10) + (uint32_t)v;
	}
	*ret = u;
	return u <= 0x10ffff;
}

static void emit_text(struct canonical *c, struct text t)
{
	while (t.n) {
		const char *semicolon = *t.p == '&' ? memchr(t.p, ';', t.n < 12 ? t.n : 12) : NULL;
		size_t n = 1;
		uint32_t u;

		if (semicolon &&
		    reference((struct text){t.p + 1, (size_t)(semicolon - t.p) - 1}, &u)) {
			n = (size_t)(semicolon - t.p) + 1;
			emit_code(c, u);
		} else if (*t.p == '>' || *t.p == '"') {
			emit_code(c, (uint32_t)*t.p);
		} else if (*t.p != '\r') {
			emit(c, t.p, 1);
		}
		t.p += n;
		t.n -= n;
	}
}

/* A CDATA section without what encloses it. */
static void emit_cdata(struct canonical *c, struct text t)
{
	static const char begin[] = "<![CDATA[", end[] = "]]>";
	const size_t b = sizeof(begin) - 1, e = sizeof(end) - 1;

	t = (struct text){t.p + b, t.n - b};
	if (t.n >= e && memcmp(t.p + t.n - e, end, e) == 0)
		t.n -= e;
	for (size_t i = 0; i < t.n; i++) {
		if (memchr("<>&", t.p[i], 3))
			emit_code(c, (uint8_t)t.p[i]);
		else if (t.p[i] != '\r')
			emit(c, t.p + i, 1);
	}
}

/* As it stands, but for carriage returns, which every parser takes out. */
static void emit_raw(struct canonical *c, struct text t)
{
	for (size_t i = 0; i < t.n; i++)
		if (t.p[i] != '\r')
			emit(c, t.p + i, 1);
}

static bool is_space(char c)
{
	return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

static struct text take_name(struct text *t)
{
	struct text name = {t->p, 0};

	while (name.n < t->n && !is_space(t->p[name.n]) && t->p[name.n] != '=' &&
	       t->p[name.n] != '/')
		name.n++;
	t->p += name.n;
	t->n -= name.n;
	return name;
}

static void skip_space(struct text *t)
{
	while (t->n && (is_space(*t->p) || *t->p == '=')) {
		t->p++;
		t->n--;
	}
}

/* The next one; false: there is none. */
static bool attribute(struct text *t, struct text *name, struct text *value)
{
	const char *end;

	skip_space(t);
	*name = take_name(t);
	skip_space(t);
	if (!name->n || !t->n || (*t->p != '"' && *t->p != '\''))
		return false;
	end = memchr(t->p + 1, *t->p, t->n - 1);
	if (!end)
		return false;
	*value = (struct text){t->p + 1, (size_t)(end - t->p) - 1};
	t->n -= (size_t)(end - t->p) + 1;
	t->p = end + 1;
	return true;
}

static unsigned index_of(struct text attributes)
{
	struct text name, value;
	unsigned v = 0;

	while (attribute(&attributes, &name, &value)) {
		if (!is(name, "INDEX"))
			continue;
		for (size_t i = 0; i < value.n && i < 9; i++)
			if (value.p[i] >= '0' && value.p[i] <= '9')
				v = v * 10 + (unsigned)(value.p[i] - '0');
		return v;
	}
	return 0;
}

/* An element begins, at c->depth: is it what is looked for, or left out? */
static void choose(struct canonical *c, struct text name, struct text attributes)
{
	const bool image = c->depth == 2 && is(name, "IMAGE");

	if (c->depth == 1 && !c->image)
		c->wanted_at = 1;
	if (image && c->image && index_of(attributes) == c->image)
		c->wanted_at = 2;
	if (c->muted_at)
		return;
	if (!c->image && c->depth == 2 && (image || is(name, "TOTALBYTES")))
		c->muted_at = 2;
	for (size_t i = 0;
	     c->image && !c->counts && c->depth == 3 && i < IBB_ARRAY_SIZE(of_a_change); i++)
		if (is(name, of_a_change[i]))
			c->muted_at = 3;
}

/* The innermost element is left out if there is nothing in it. */
static bool drop_empty(struct canonical *c)
{
	if (!writes(c) || !c->bare[c->depth] || c->out->len != c->bodies[c->depth])
		return false;
	c->out->len = c->starts[c->depth];
	return true;
}

static void close_element(struct canonical *c, struct text name)
{
	if (!drop_empty(c)) {
		emit_str(c, "</");
		emit(c, name.p, name.n);
		emit_str(c, ">");
	}
	if (c->muted_at == c->depth)
		c->muted_at = 0;
	if (c->wanted_at == c->depth)
		c->wanted_at = 0;
	c->depth -= c->depth ? 1 : 0;
}

static void open_element(struct canonical *c, struct text t)
{
	const bool empty = t.n && t.p[t.n - 1] == '/';
	struct text name, key, value;

	t.n -= empty;
	name = take_name(&t);
	c->depth++;
	choose(c, name, t);
	c->starts[c->depth] = c->out->len;
	c->bare[c->depth] = true;
	emit_str(c, "<");
	emit(c, name.p, name.n);
	while (attribute(&t, &key, &value)) {
		c->bare[c->depth] = false;
		emit_str(c, " ");
		emit(c, key.p, key.n);
		emit_str(c, "=\"");
		c->quoted = true;
		emit_text(c, value);
		c->quoted = false;
		emit_str(c, "\"");
	}
	emit_str(c, ">");
	c->bodies[c->depth] = c->out->len;
	if (empty)
		close_element(c, name);
}

/* From '<' on. A '>' may stand in a quoted value. */
static void tag(struct canonical *c)
{
	struct text t = c->rest;
	size_t n = 1;
	char quote = 0;

	for (; n < t.n && (quote || t.p[n] != '>'); n++) {
		if (quote ? t.p[n] == quote : t.p[n] == '"' || t.p[n] == '\'')
			quote = quote ? 0 : t.p[n];
	}
	c->rest.p += n < t.n ? n + 1 : n;
	c->rest.n -= n < t.n ? n + 1 : n;
	t = (struct text){t.p + 1, n - 1};
	if (t.n && *t.p == '/') {
		t = (struct text){t.p + 1, t.n - 1};
		close_element(c, take_name(&t));
	} else {
		open_element(c, t);
	}
}

static void node(struct canonical *c)
{
	const char *next;

	if (begins(c->rest, "<!--")) {
		(void)take(&c->rest, "-->");
	} else if (begins(c->rest, "<![CDATA[")) {
		emit_cdata(c, take(&c->rest, "]]>"));
	} else if (begins(c->rest, "<?xml")) {
		(void)take(&c->rest, "?>");
	} else if (begins(c->rest, "<?")) {
		emit_raw(c, take(&c->rest, "?>"));
	} else if (begins(c->rest, "<!")) {
		emit_raw(c, take(&c->rest, ">"));
	} else if (*c->rest.p == '<') {
		tag(c);
	} else {
		next = memchr(c->rest.p, '<', c->rest.n);
		emit_text(c,
			  (struct text){c->rest.p, next ? (size_t)(next - c->rest.p) : c->rest.n});
		c->rest.n -= next ? (size_t)(next - c->rest.p) : c->rest.n;
		c->rest.p = next;
	}
}

int ibb_wim_xml_canonical(const char *xml, size_t n, unsigned index, bool counts,
			  struct ibb_buf *out, struct ibb_error *err)
{
	struct canonical c = {
		.rest = {xml, n}, .out = out, .image = index, .counts = counts, .muted_at = 0};

	while (c.rest.n && !c.oom) {
		node(&c);
		if (c.depth > MAX_DEPTH)
			return ibb_err(err, IBB_E_CORRUPT, "XML data nested too deep");
	}
	return c.oom ? ibb_err_nomem(err) : IBB_OK;
}
