/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The digest of a gzip stream (RFC 1952), which libarchive passes over unread: without this a
 * damaged tar.gz could be taken for a whole one. All other compressions are checked where they are
 * read.
 */
#include <string.h>
#include <zlib.h>

#include "unpack/tree.h"

#define PIECE	 65536u
#define OVERHEAD (256u << 20) /* headers and padding of a tar beside its content */

struct gunzip {
	const struct unpack_source *s;
	struct unpack_tree *t;
	z_stream z;
	uint64_t at, out;
	uint8_t *in, *to;
	bool ended; /* between two members of the stream */
	struct ibb_error *err;
};

static int damaged(struct gunzip *g, const char *what)
{
	return ibb_err(g->err, IBB_E_CORRUPT, "%s: damaged gzip data: %s", g->s->name, what);
}

static int refill(struct gunzip *g)
{
	uint64_t left = g->s->size_bytes - g->at;
	size_t n = left < PIECE ? (size_t)left : PIECE;
	int rc = unpack_read(g->s, g->at, g->in, n, g->err);

	g->at += n;
	g->z.next_in = g->in;
	g->z.avail_in = (uInt)n;
	return rc ? rc : unpack_tree_tick(g->t, g->err);
}

/* Behind a member: another one, or zeros that fill a tape's block. */
static int begin_member(struct gunzip *g)
{
	while (g->z.avail_in && !*g->z.next_in) {
		g->z.next_in++;
		g->z.avail_in--;
	}
	if (!g->z.avail_in)
		return IBB_OK;
	if (inflateReset(&g->z) != Z_OK)
		return damaged(g, "it cannot be begun again");
	g->ended = false;
	return IBB_OK;
}

static int inflate_piece(struct gunzip *g)
{
	int status;

	g->z.next_out = g->to;
	g->z.avail_out = PIECE;
	status = inflate(&g->z, Z_NO_FLUSH);
	g->out += PIECE - g->z.avail_out;
	g->ended = status == Z_STREAM_END;
	if (status == Z_MEM_ERROR)
		return ibb_err_nomem(g->err);
	if (status != Z_OK && status != Z_STREAM_END && status != Z_BUF_ERROR)
		return damaged(g, g->z.msg ? g->z.msg : "unknown error");
	if (g->out > OVERHEAD && g->out - OVERHEAD > unpack_tree_room(g->t))
		return ibb_err(g->err, IBB_E_LIMIT, "%s: more content than may be unpacked",
			       g->s->name);
	return IBB_OK;
}

static int check(struct gunzip *g)
{
	int rc = IBB_OK;

	while (!rc) {
		/* full: there may be more of it without more input */
		if (!g->z.avail_in && (g->ended || g->z.avail_out)) {
			if (g->at == g->s->size_bytes)
				break;
			rc = refill(g);
		}
		if (!rc && g->ended)
			rc = begin_member(g);
		if (!rc && !g->ended)
			rc = inflate_piece(g);
	}
	return rc || g->ended ? rc : damaged(g, "truncated");
}

int unpack_check_gzip(const struct unpack_source *s, struct unpack_tree *t, struct ibb_error *err)
{
	IBB_AUTO_FREE uint8_t *in = ibb_alloc(PIECE), *to = ibb_alloc(PIECE);
	struct gunzip g = {.s = s, .t = t, .in = in, .to = to, .err = err};
	int rc;

	g.z.avail_out = PIECE;
	if (!in || !to || inflateInit2(&g.z, 15 + 16) != Z_OK)
		return ibb_err_nomem(err);
	rc = check(&g);
	inflateEnd(&g.z);
	return rc;
}
