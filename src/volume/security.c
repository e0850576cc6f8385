/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "volume/security.h"

#include <string.h>

#include "base/le.h"

/* [MS-DTYP] 2.4.6 SECURITY_DESCRIPTOR */
#define SD_HEADER_BYTES		 20u
#define SE_DACL_PRESENT		 0x0004u
#define SE_DACL_AUTO_INHERITED	 0x0400u
#define SE_DACL_PROTECTED	 0x1000u
#define SE_DACL_AUTO_INHERIT_REQ 0x0100u
#define SE_SELF_RELATIVE	 0x8000u
/* 2.4.5 ACL, 2.4.4.1 ACE_HEADER */
#define ACL_HEADER_BYTES 8u
#define ACE_HEADER_BYTES 8u /* with the mask */
#define ACL_MAX_BYTES	 0xfffcu
#define ACE_OI		 0x01u
#define ACE_CI		 0x02u
#define ACE_NP		 0x04u
#define ACE_IO		 0x08u
#define ACE_INHERITED	 0x10u

#define GENERIC_ALL	0x10000000u
#define GENERIC_EXECUTE 0x20000000u
#define GENERIC_WRITE	0x40000000u
#define GENERIC_READ	0x80000000u
#define GENERIC_ANY	0xf0000000u

#define FILE_ALL     0x1f01ffu
#define FILE_READ    0x120089u
#define FILE_WRITE   0x120116u
#define FILE_EXECUTE 0x1200a0u

static const uint8_t sid_system[12] = {1, 1, 0, 0, 0, 0, 0, 5, 18, 0, 0, 0};
static const uint8_t sid_administrators[16] = {1, 2, 0, 0, 0, 0, 0, 5, 32, 0, 0, 0, 0x20, 2, 0, 0};
static const uint8_t sid_creator_owner[12] = {1, 1, 0, 0, 0, 0, 0, 3, 0, 0, 0, 0};
static const uint8_t sid_creator_group[12] = {1, 1, 0, 0, 0, 0, 0, 3, 1, 0, 0, 0};

struct ace {
	uint8_t type, flags;
	uint32_t mask;
	struct ibb_bytes body; /* behind the mask: SID, or object fields and SID */
	size_t sid_len;	       /* 0: no SID at the start of body */
};

/* Types whose body begins with the trustee's SID: allowed, denied, and their callback forms. */
static bool has_plain_sid(uint8_t type)
{
	return type == 0 || type == 1 || type == 9 || type == 10;
}

/* Length of the SID at p, 0 when there is no room for one. 2.4.2.2: at most 15 sub-authorities. */
static size_t sid_length(const uint8_t *p, size_t n)
{
	size_t len;

	if (n < 8 || p[0] != 1 || p[1] > 15)
		return 0;
	len = 8 + 4u * p[1];
	return len <= n ? len : 0;
}

/* The ACE at acl + off; *ret_next is where the next begins. */
static int parse_ace(struct ibb_bytes acl, size_t off, struct ace *ret, size_t *ret_next,
		     struct ibb_error *err)
{
	const uint8_t *p = acl.data + off;
	size_t size;

	if (!ibb_in_range(off, ACE_HEADER_BYTES, acl.len))
		return ibb_err(err, IBB_E_CORRUPT, "security descriptor: ACL ends inside an ACE");
	size = ibb_get_le16(p + 2);
	if (size < ACE_HEADER_BYTES || !ibb_in_range(off, size, acl.len))
		return ibb_err(err, IBB_E_CORRUPT, "security descriptor: ACE of %zu bytes at %zu",
			       size, off);
	*ret = (struct ace){
		.type = p[0],
		.flags = p[1],
		.mask = ibb_get_le32(p + 4),
		.body = {p + ACE_HEADER_BYTES, size - ACE_HEADER_BYTES},
	};
	if (has_plain_sid(ret->type)) {
		ret->sid_len = sid_length(ret->body.data, ret->body.len);
		if (!ret->sid_len)
			return ibb_err(err, IBB_E_CORRUPT,
				       "security descriptor: bad SID in the ACE at %zu", off);
	}
	*ret_next = off + size;
	return IBB_OK;
}

/* The DACL of a descriptor; empty when it has none. */
static int find_dacl(struct ibb_bytes sd, struct ibb_bytes *ret, struct ibb_error *err)
{
	size_t off, size;

	*ret = (struct ibb_bytes){0};
	if (sd.len < SD_HEADER_BYTES || sd.data[0] != 1)
		return ibb_err(err, IBB_E_CORRUPT, "security descriptor: bad header");
	off = ibb_get_le32(sd.data + 16);
	if (!(ibb_get_le16(sd.data + 2) & SE_DACL_PRESENT) || !off)
		return IBB_OK;
	if (off < SD_HEADER_BYTES || !ibb_in_range(off, ACL_HEADER_BYTES, sd.len))
		return ibb_err(err, IBB_E_CORRUPT, "security descriptor: DACL at %zu of %zu", off,
			       sd.len);
	size = ibb_get_le16(sd.data + off + 2);
	if (size < ACL_HEADER_BYTES || !ibb_in_range(off, size, sd.len))
		return ibb_err(err, IBB_E_CORRUPT, "security descriptor: DACL of %zu bytes", size);
	*ret = (struct ibb_bytes){sd.data + off, size};
	return IBB_OK;
}

static uint32_t map_generic(uint32_t mask)
{
	uint32_t out = mask & ~GENERIC_ANY;

	out |= mask & GENERIC_ALL ? FILE_ALL : 0;
	out |= mask & GENERIC_READ ? FILE_READ : 0;
	out |= mask & GENERIC_WRITE ? FILE_WRITE : 0;
	out |= mask & GENERIC_EXECUTE ? FILE_EXECUTE : 0;
	return out;
}

static bool sid_is(const struct ace *a, const uint8_t *sid, size_t n)
{
	return a->sid_len == n && !memcmp(a->body.data, sid, n);
}

static bool is_creator(const struct ace *a)
{
	return sid_is(a, sid_creator_owner, sizeof(sid_creator_owner)) ||
	       sid_is(a, sid_creator_group, sizeof(sid_creator_group));
}

/* Append an ACE as it stands but for its flags. */
static int put_ace(struct ibb_buf *acl, const struct ace *a, uint8_t flags)
{
	uint8_t head[ACE_HEADER_BYTES] = {a->type, flags};

	ibb_put_le16(head + 2, (uint16_t)(ACE_HEADER_BYTES + a->body.len));
	ibb_put_le32(head + 4, a->mask);
	return ibb_buf_append(acl, head, sizeof(head)) ||
	       ibb_buf_append(acl, a->body.data, a->body.len);
}

/* Append an ACE that takes effect: generic rights mapped, the creator (SYSTEM) filled in. */
static int put_effective(struct ibb_buf *acl, const struct ace *a, uint8_t flags)
{
	struct ace e = *a;

	e.mask = map_generic(a->mask);
	if (is_creator(a) && a->sid_len == a->body.len)
		e.body = (struct ibb_bytes){sid_system, sizeof(sid_system)};
	return put_ace(acl, &e, flags);
}

/*
 * [MS-DTYP] 2.5.3.4.4 and following: what one ACE of the parent becomes. On a container, one that
 * names the creator or has generic rights is split into an effective part and an inherit-only
 * part that keeps its generality for the container's own children.
 */
static int inherit_ace(struct ibb_buf *acl, const struct ace *a, bool is_directory)
{
	const uint8_t onward = a->flags & (ACE_OI | ACE_CI);
	bool split = is_creator(a) || (a->mask & GENERIC_ANY);

	if (!is_directory)
		return a->flags & ACE_OI ? put_effective(acl, a, ACE_INHERITED) : IBB_OK;
	if (a->flags & ACE_NP)
		return a->flags & ACE_CI ? put_effective(acl, a, ACE_INHERITED) : IBB_OK;
	if (!(a->flags & ACE_CI))
		return a->flags & ACE_OI ? put_ace(acl, a, ACE_OI | ACE_IO | ACE_INHERITED)
					 : IBB_OK;
	if (!split)
		return put_ace(acl, a, onward | ACE_INHERITED);
	if (put_effective(acl, a, ACE_INHERITED))
		return IBB_E_NOMEM;
	return put_ace(acl, a, onward | ACE_IO | ACE_INHERITED);
}

static int inherit_dacl(struct ibb_bytes dacl, bool is_directory, struct ibb_buf *acl,
			unsigned *ret_count, struct ibb_error *err)
{
	unsigned n = dacl.len ? ibb_get_le16(dacl.data + 4) : 0;
	size_t off = ACL_HEADER_BYTES;

	for (unsigned i = 0; i < n; i++) {
		size_t before = acl->len;
		struct ace a;
		int rc = parse_ace(dacl, off, &a, &off, err);

		if (rc)
			return rc;
		if (inherit_ace(acl, &a, is_directory))
			return ibb_err_nomem(err);
		/* one ACE becomes none, one or two; sizes tell which */
		for (size_t at = before; at < acl->len; at += ibb_get_le16(acl->data + at + 2))
			++*ret_count;
	}
	return IBB_OK;
}

/* Nothing to inherit: as the default DACL of SYSTEM's token, SYSTEM and Administrators. */
static int default_dacl(struct ibb_buf *acl, unsigned *ret_count)
{
	const struct ace system = {.mask = FILE_ALL, .body = {sid_system, sizeof(sid_system)}};
	const struct ace admins = {.mask = FILE_ALL,
				   .body = {sid_administrators, sizeof(sid_administrators)}};

	*ret_count = 2;
	return put_ace(acl, &system, 0) || put_ace(acl, &admins, 0) ? IBB_E_NOMEM : IBB_OK;
}

/* Header, DACL, owner, group: the order in which Windows lays them out. */
static int assemble(struct ibb_buf *acl, unsigned n_aces, uint8_t revision, uint16_t control,
		    struct ibb_buf *ret, struct ibb_error *err)
{
	uint8_t head[SD_HEADER_BYTES] = {1};
	uint32_t owner = (uint32_t)(SD_HEADER_BYTES + acl->len);

	if (acl->len > ACL_MAX_BYTES)
		return ibb_err(err, IBB_E_CORRUPT,
			       "security descriptor: inherited ACL of %zu bytes", acl->len);
	acl->data[0] = revision;
	ibb_put_le16(acl->data + 2, (uint16_t)acl->len);
	ibb_put_le16(acl->data + 4, (uint16_t)n_aces);
	ibb_put_le16(head + 2, control);
	ibb_put_le32(head + 4, owner);
	ibb_put_le32(head + 8, owner + (uint32_t)sizeof(sid_system));
	ibb_put_le32(head + 16, SD_HEADER_BYTES);
	ibb_buf_clear(ret);
	if (ibb_buf_append(ret, head, sizeof(head)) || ibb_buf_append(ret, acl->data, acl->len) ||
	    ibb_buf_append(ret, sid_system, sizeof(sid_system)) ||
	    ibb_buf_append(ret, sid_system, sizeof(sid_system)))
		return ibb_err_nomem(err);
	return IBB_OK;
}

int ibb_security_inherit(struct ibb_bytes parent, bool is_directory, struct ibb_buf *ret,
			 struct ibb_error *err)
{
	IBB_AUTO_BUF struct ibb_buf acl = {0}, out = {0};
	struct ibb_bytes dacl = {0};
	uint16_t control = SE_SELF_RELATIVE | SE_DACL_PRESENT;
	uint8_t revision = 2;
	unsigned n = 0;
	int rc = parent.len ? find_dacl(parent, &dacl, err) : IBB_OK;

	if (!rc && ibb_buf_append_zero(&acl, ACL_HEADER_BYTES))
		rc = ibb_err_nomem(err);
	if (!rc)
		rc = inherit_dacl(dacl, is_directory, &acl, &n, err);
	if (rc)
		return rc;
	if (n) {
		control |= SE_DACL_AUTO_INHERITED;
		revision = dacl.data[0] == 4 ? 4 : 2;
	} else if (default_dacl(&acl, &n)) {
		return ibb_err_nomem(err);
	}
	rc = assemble(&acl, n, revision, control, &out, err);
	if (rc)
		return rc;
	ibb_buf_clear(ret);
	*ret = out;
	out = (struct ibb_buf){0};
	return IBB_OK;
}

/* [MS-DTYP] 2.5.1 SDDL: two-letter names of the SIDs that occur in Windows' directories. */
static const struct {
	const char *sddl, *sid;
} known_sids[] = {
	{"SY", "S-1-5-18"},	{"BA", "S-1-5-32-544"}, {"BU", "S-1-5-32-545"}, {"CO", "S-1-3-0"},
	{"CG", "S-1-3-1"},	{"WD", "S-1-1-0"},	{"AU", "S-1-5-11"},	{"LS", "S-1-5-19"},
	{"NS", "S-1-5-20"},	{"AC", "S-1-15-2-1"},	{"OW", "S-1-3-4"},	{"IU", "S-1-5-4"},
	{"SO", "S-1-5-32-549"}, {"PU", "S-1-5-32-547"},
};

static int sid_text(struct ibb_bytes sid, struct ibb_buf *out)
{
	IBB_AUTO_BUF struct ibb_buf s = {0};
	uint64_t authority = 0;
	const char *text;

	for (size_t i = 2; i < 8; i++)
		authority = authority << 8 | sid.data[i];
	if (ibb_buf_printf(&s, "S-1-%llu", (unsigned long long)authority))
		return IBB_E_NOMEM;
	for (size_t i = 0; i < sid.data[1]; i++)
		if (ibb_buf_printf(&s, "-%u", ibb_get_le32(sid.data + 8 + 4 * i)))
			return IBB_E_NOMEM;
	text = ibb_buf_cstr(&s);
	if (!text)
		return IBB_E_NOMEM;
	for (size_t i = 0; i < IBB_ARRAY_SIZE(known_sids); i++)
		if (!strcmp(known_sids[i].sid, text))
			text = known_sids[i].sddl;
	return ibb_buf_append_str(out, text);
}

static int mask_text(uint32_t mask, struct ibb_buf *out)
{
	static const struct {
		uint32_t mask;
		const char *text;
	} names[] = {
		{FILE_ALL, "FA"},      {FILE_READ, "FR"},	{FILE_WRITE, "FW"},
		{FILE_EXECUTE, "FX"},  {GENERIC_ALL, "GA"},	{GENERIC_READ, "GR"},
		{GENERIC_WRITE, "GW"}, {GENERIC_EXECUTE, "GX"},
	};

	for (size_t i = 0; i < IBB_ARRAY_SIZE(names); i++)
		if (names[i].mask == mask)
			return ibb_buf_append_str(out, names[i].text);
	return ibb_buf_printf(out, "0x%x", mask);
}

static int ace_text(const struct ace *a, struct ibb_buf *out)
{
	static const char *const types[] = {"A", "D", "AU"};
	static const char flag_names[][3] = {"OI", "CI", "NP", "IO", "ID", "", "SA", "FA"};
	int rc = a->type < IBB_ARRAY_SIZE(types) ? ibb_buf_printf(out, "(%s;", types[a->type])
						 : ibb_buf_printf(out, "(0x%x;", a->type);

	for (unsigned i = 0; !rc && i < IBB_ARRAY_SIZE(flag_names); i++)
		if (a->flags & 1u << i)
			rc = ibb_buf_append_str(out, flag_names[i]);
	if (!rc)
		rc = ibb_buf_append_str(out, ";");
	if (!rc)
		rc = mask_text(a->mask, out);
	if (!rc)
		rc = ibb_buf_append_str(out, ";;;");
	if (!rc && a->sid_len)
		rc = sid_text((struct ibb_bytes){a->body.data, a->sid_len}, out);
	return rc ? rc : ibb_buf_append_str(out, ")");
}

static int dacl_text(struct ibb_bytes sd, struct ibb_buf *out, struct ibb_error *err)
{
	uint16_t control = ibb_get_le16(sd.data + 2);
	struct ibb_bytes dacl;
	size_t off = ACL_HEADER_BYTES;
	int rc = find_dacl(sd, &dacl, err);

	if (rc)
		return rc;
	if (!(control & SE_DACL_PRESENT))
		return IBB_OK;
	if (ibb_buf_printf(out, "D:%s%s%s%s", control & SE_DACL_PROTECTED ? "P" : "",
			   control & SE_DACL_AUTO_INHERIT_REQ ? "AR" : "",
			   control & SE_DACL_AUTO_INHERITED ? "AI" : "",
			   dacl.len ? "" : "NO_ACCESS_CONTROL"))
		return ibb_err_nomem(err);
	for (unsigned i = 0, n = dacl.len ? ibb_get_le16(dacl.data + 4) : 0; i < n; i++) {
		struct ace a;

		rc = parse_ace(dacl, off, &a, &off, err);
		if (rc)
			return rc;
		if (ace_text(&a, out))
			return ibb_err_nomem(err);
	}
	return IBB_OK;
}

int ibb_security_text(struct ibb_bytes sd, struct ibb_buf *ret, struct ibb_error *err)
{
	static const char labels[2][3] = {"O:", "G:"};
	IBB_AUTO_BUF struct ibb_buf out = {0};
	struct ibb_bytes dacl;
	int rc = find_dacl(sd, &dacl, err);

	for (size_t i = 0; !rc && i < 2; i++) {
		size_t off = ibb_get_le32(sd.data + 4 + 4 * i);
		size_t len = off <= sd.len ? sid_length(sd.data + off, sd.len - off) : 0;

		if (!off)
			continue;
		if (off < SD_HEADER_BYTES || !len)
			return ibb_err(err, IBB_E_CORRUPT, "security descriptor: bad %s SID at %zu",
				       i ? "group" : "owner", off);
		if (ibb_buf_append_str(&out, labels[i]) ||
		    sid_text((struct ibb_bytes){sd.data + off, len}, &out))
			rc = ibb_err_nomem(err);
	}
	if (!rc)
		rc = dacl_text(sd, &out, err);
	if (rc)
		return rc;
	ibb_buf_clear(ret);
	*ret = out;
	out = (struct ibb_buf){0};
	return IBB_OK;
}
