/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What InstallShield puts behind the last section of its setup programs. Nobody documents it. What
 * is written here follows what others found out and published (lifenjoiner's ISx above all); no
 * program made by InstallShield was at hand to try it on, only files made to this description:
 *
 *   header, 46 bytes: "InstallShield" or "ISSetupStream", NUL; number of files, 16 bits; a type, 32
 *   bits; the rest unknown. Then the files, each a record and its bytes:
 *   InstallShield: 312 bytes: name (260, NUL at its end), flags at 260, length at 268, at 280 (16
 *   bits) whether it is compressed.
 *   ISSetupStream: 24 bytes: length of the name in bytes, flags at 4, length at 10, at 22 (16 bits)
 *   whether it is compressed; with type 4 three file times more (24 bytes); the name, UTF-16.
 *
 * With one of the flags 2 and 4 a file is obfuscated: the halves of each byte change places, it is
 * combined with a byte of the key by exclusive or, and turned over. The key is the name (of
 * ISSetupStream: as UTF-8), each byte combined with one of four. With 4 the key begins anew every
 * 1024 bytes. Compressed files are zlib streams, taken after that. In an ISSetupStream the sources
 * do not agree on files with 2 alone: here they are revealed like those of the older form, and
 * look_at_start() refuses what then is not what its name says.
 *
 * Not read: the plain forms, without a header. Each file has name, name with directory, version and
 * length in front, as strings (UTF-16, with the number of files first, 32 bits; or one byte a
 * letter, without), and lies there as it is. detect.c finds the MSI in such a program when that is
 * the only archive, and refuses it otherwise.
 */
#include <stdlib.h>

#include <zlib.h>

#include "base/le.h"
#include "base/limits.h"
#include "base/utf16.h"
#include "unpack/internal.h"
#include "unpack/msi_internal.h"

#define HEADER_BYTES 46u
#define RECORD_BYTES 312u
#define NAME_BYTES   260u
#define STREAM_BYTES 24u
#define TIMES_BYTES  24u
#define KEY_PERIOD   1024u
#define PIECE	     65536u /* a multiple of KEY_PERIOD */
#define DEBUG_BYTES  4096u  /* how far behind a debug record ("NB10") the header may lie */
#define FLAG_WHOLE   2u
#define FLAG_BLOCKS  4u

static const char *const magics[] = {"InstallShield", "ISSetupStream"};
static const uint8_t key_bytes[4] = {0x13, 0x35, 0x86, 0x07};

const char unpack_installshield_unverified[] =
	"InstallShield's form is not documented, and no real file of it was at hand when its "
	"reader was written";

struct payload {
	const struct unpack_source *s;
	bool stream;
	unsigned n_files;
	uint32_t type;
	uint64_t at;
	bool has_msi, has_isc;
};
struct member {
	char *name;
	uint8_t *key;
	size_t n_key;
	uint32_t flags, size;
	bool packed;
	uint64_t at;
};

static void member_clear(struct member *m)
{
	free(m->name);
	free(m->key);
	*m = (struct member){0};
}

static int damaged(const struct payload *p, struct ibb_error *err, const char *what)
{
	return ibb_err(err, IBB_E_CORRUPT, "%s: InstallShield payload: %s", p->s->name, what);
}

/* ---- where it is ---- */

static bool is_header(const uint8_t *h, bool *stream)
{
	for (size_t i = 0; i < IBB_ARRAY_SIZE(magics); i++)
		if (memcmp(h, magics[i], strlen(magics[i]) + 1) == 0) {
			*stream = i;
			return true;
		}
	return false;
}

/* Programs that were linked with old debug information have that in front. */
static bool find_header(const struct unpack_source *s, uint64_t *at, bool *stream)
{
	uint8_t b[DEBUG_BYTES];
	size_t n = (size_t)ibb_min_u64(sizeof(b), s->size_bytes);

	if (n < HEADER_BYTES || unpack_read(s, 0, b, n, NULL))
		return false;
	*at = 0;
	if (is_header(b, stream))
		return true;
	if (memcmp(b, "NB10", 4) != 0)
		return false;
	for (size_t i = 4; i + HEADER_BYTES <= n; i++)
		if (is_header(b + i, stream)) {
			*at = i;
			return true;
		}
	return false;
}

bool unpack_is_installshield(const struct unpack_source *s)
{
	uint64_t at;
	bool stream;

	return find_header(s, &at, &stream);
}

static int read_header(struct payload *p, struct ibb_error *err)
{
	uint8_t h[HEADER_BYTES];
	bool again;
	int rc;

	if (!find_header(p->s, &p->at, &p->stream))
		return damaged(p, err, "no header");
	/* newer versions have two headers, of which the second one counts */
	do {
		rc = unpack_read(p->s, p->at, h, sizeof(h), err);
		if (rc)
			return rc;
		p->at += HEADER_BYTES;
		p->n_files = ibb_get_le16(h + 14);
		p->type = ibb_get_le32(h + 16);
		again = ibb_in_range(p->at, HEADER_BYTES, p->s->size_bytes) &&
			!unpack_read(p->s, p->at, h, sizeof(h), NULL) && is_header(h, &p->stream);
	} while (again);
	if (p->type > 4)
		return ibb_err(err, IBB_E_UNSUPPORTED, "%s: InstallShield payload of type %u",
			       p->s->name, p->type);
	if (!p->n_files)
		return damaged(p, err, "it has no files");
	return IBB_OK;
}

/* ---- records ---- */

static int make_key(struct member *m, const void *name, size_t n)
{
	m->key = ibb_memdup(name, n);
	if (!m->key)
		return IBB_E_NOMEM;
	m->n_key = n;
	for (size_t i = 0; i < n; i++)
		m->key[i] ^= key_bytes[i % 4];
	return IBB_OK;
}

static int read_record(struct payload *p, struct member *m, struct ibb_error *err)
{
	uint8_t r[RECORD_BYTES];
	const uint8_t *end;
	size_t n;
	int rc = unpack_read(p->s, p->at, r, sizeof(r), err);

	if (rc)
		return rc;
	p->at += sizeof(r);
	end = memchr(r, 0, NAME_BYTES);
	if (!end || end == r)
		return damaged(p, err, "a file without a name");
	n = (size_t)(end - r);
	m->flags = ibb_get_le32(r + 260);
	m->size = ibb_get_le32(r + 268);
	m->packed = ibb_get_le16(r + 280);
	if (make_key(m, r, n))
		return ibb_err_nomem(err);
	/* in the code page of who built it: UTF-8 if it can be, else Western */
	return msi_text(p->s->name, ibb_utf8_valid((const char *)r, n) ? 65001 : 1252,
			(const char *)r, n, &m->name, err);
}

static int read_stream_record(struct payload *p, struct member *m, struct ibb_error *err)
{
	uint8_t r[STREAM_BYTES], name[2 * NAME_BYTES];
	int rc = unpack_read(p->s, p->at, r, sizeof(r), err);
	uint32_t n;

	if (rc)
		return rc;
	p->at += sizeof(r) + (p->type == 4 ? TIMES_BYTES : 0);
	n = ibb_get_le32(r);
	if (!n || n % 2 || n > sizeof(name))
		return damaged(p, err, "the length of a name is none");
	rc = unpack_read(p->s, p->at, name, n, err);
	if (rc)
		return rc;
	p->at += n;
	m->flags = ibb_get_le32(r + 4);
	m->size = ibb_get_le32(r + 10);
	m->packed = ibb_get_le16(r + 22);
	m->name = ibb_utf8_from_utf16le(name, n);
	if (!m->name)
		return ibb_err_nomem(err);
	if (!*m->name)
		return damaged(p, err, "a file without a name");
	return make_key(m, m->name, strlen(m->name)) ? ibb_err_nomem(err) : IBB_OK;
}

static int read_member(struct payload *p, struct member *m, struct ibb_error *err)
{
	int rc = p->stream ? read_stream_record(p, m, err) : read_record(p, m, err);

	if (rc)
		return rc;
	if (!ibb_in_range(p->at, m->size, p->s->size_bytes))
		return damaged(p, err, "a file goes on behind the end");
	m->at = p->at;
	p->at += m->size;
	return IBB_OK;
}

/* ---- content ---- */

static void reveal(const struct member *m, uint64_t pos, uint8_t *b, size_t n)
{
	if (!(m->flags & (FLAG_WHOLE | FLAG_BLOCKS)))
		return;
	for (size_t i = 0; i < n; i++) {
		uint64_t at = pos + i;

		if (m->flags & FLAG_BLOCKS)
			at %= KEY_PERIOD;
		b[i] = (uint8_t) ~(m->key[at % m->n_key] ^ (uint8_t)(b[i] << 4 | b[i] >> 4));
	}
}

/*
 * What begins like nothing that its name promises was not revealed in the right way: better to say
 * so than to give it on.
 */
static int look_at_start(struct payload *p, const struct member *m, const uint8_t *b, size_t n,
			 struct ibb_error *err)
{
	static const uint8_t cfb[4] = {0xd0, 0xcf, 0x11, 0xe0};
	bool msi = n >= 4 && memcmp(b, cfb, 4) == 0, isc = n >= 4 && memcmp(b, "ISc(", 4) == 0;

	if ((ibb_case_suffix(m->name, ".msi") && !msi) ||
	    (ibb_case_suffix(m->name, ".cab") && !isc && (n < 4 || memcmp(b, "MSCF", 4) != 0)) ||
	    (ibb_case_suffix(m->name, ".exe") && (n < 2 || memcmp(b, "MZ", 2) != 0)))
		return ibb_err(err, IBB_E_UNSUPPORTED,
			       "%s: InstallShield payload: %.100s is packed in a way that is not "
			       "known (flags 0x%x)",
			       p->s->name,
			       ibb_utf8_is_plain(m->name, strlen(m->name)) ? m->name : "?",
			       m->flags);
	p->has_msi |= msi;
	p->has_isc |= isc;
	return IBB_OK;
}

/* Where the bytes of a member go, once they are what they were. */
struct output {
	struct payload *p;
	const struct member *m;
	struct unpack_tree *t;
	struct ibb_error *err;
	uint64_t n;
};

static int put(struct output *o, const uint8_t *b, size_t n)
{
	int rc = IBB_OK;

	if (!n)
		return IBB_OK;
	if (!o->n)
		rc = look_at_start(o->p, o->m, b, n, o->err);
	o->n += n;
	return rc ? rc : unpack_tree_write(o->t, b, n, o->err);
}

static void *z_alloc(void *ctx, unsigned n, unsigned size)
{
	(void)ctx;
	return ibb_calloc_array(n, size);
}

static void z_free(void *ctx, void *p)
{
	(void)ctx;
	free(p);
}

static int inflate_piece(struct output *o, z_stream *z, uint8_t *in, size_t n, uint8_t *room,
			 bool *done)
{
	z->next_in = in;
	z->avail_in = (unsigned)n;
	do {
		int rc, status;

		z->next_out = room;
		z->avail_out = PIECE;
		status = inflate(z, Z_NO_FLUSH);
		if (status == Z_MEM_ERROR)
			return ibb_err_nomem(o->err);
		if (status != Z_OK && status != Z_STREAM_END && status != Z_BUF_ERROR)
			return damaged(o->p, o->err, "a compressed file is damaged");
		rc = put(o, room, PIECE - z->avail_out);
		if (rc)
			return rc;
		*done = status == Z_STREAM_END;
	} while (!*done && (z->avail_in || !z->avail_out));
	return IBB_OK;
}

/* The pieces of a member, revealed, and inflated when z is given. */
static int copy_content(struct output *o, z_stream *z)
{
	IBB_AUTO_FREE uint8_t *in = ibb_alloc(PIECE), *room = ibb_alloc(PIECE);
	bool done = false;
	int rc = in && room ? IBB_OK : ibb_err_nomem(o->err);

	for (uint64_t at = 0; !rc && !done && at < o->m->size; at += PIECE) {
		size_t n = (size_t)ibb_min_u64(PIECE, o->m->size - at);

		rc = unpack_read(o->p->s, o->m->at + at, in, n, o->err);
		if (rc)
			break;
		reveal(o->m, at, in, n);
		rc = z ? inflate_piece(o, z, in, n, room, &done) : put(o, in, n);
	}
	if (!rc && z && !done)
		rc = damaged(o->p, o->err, "a compressed file is cut short");
	return rc;
}

static int take_member(struct payload *p, const struct member *m, struct unpack_tree *t,
		       struct ibb_error *err)
{
	struct output o = {p, m, t, err, 0};
	z_stream z = {.zalloc = z_alloc, .zfree = z_free};
	uint64_t size = m->size;
	bool packed = m->packed && size;
	int rc = unpack_tree_begin(t, m->name, packed ? NULL : &size, err);

	if (rc)
		return rc;
	if (packed && inflateInit(&z) != Z_OK)
		return ibb_err_nomem(err);
	rc = copy_content(&o, packed ? &z : NULL);
	if (packed)
		inflateEnd(&z);
	return rc ? rc : unpack_tree_end(t, err);
}

static int take_all(struct payload *p, struct unpack_tree *t, struct ibb_error *err)
{
	int rc = read_header(p, err);

	for (unsigned i = 0; !rc && i < p->n_files; i++) {
		struct member m = {0};

		rc = read_member(p, &m, err);
		if (!rc)
			rc = take_member(p, &m, t, err);
		member_clear(&m);
	}
	if (!rc && p->has_isc && !p->has_msi)
		rc = ibb_err(err, IBB_E_UNSUPPORTED,
			     "%s: its files lie in InstallShield's own cabinets, which cannot be "
			     "read",
			     p->s->name);
	return rc;
}

int unpack_installshield(const struct unpack_source *s, struct unpack_tree *t,
			 struct ibb_error *err)
{
	struct payload p = {.s = s};
	int rc = take_all(&p, t, err);

	if (rc && rc != IBB_E_NOMEM && rc != IBB_E_IO && rc != IBB_E_NOSPACE)
		return unpack_installshield_hint(err, rc);
	return rc;
}

int unpack_installshield_hint(struct ibb_error *err, int code)
{
	return ibb_err_hint(err, code,
			    "extract it on any Windows: SETUP.exe /a /vMT_DRIVERS_ONLY=1 "
			    "/v\"/qb TARGETDIR=C:\\x\", and give that directory to --drivers");
}
