/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Seeds of hive_log: hives with the logs that lead to a later state of them. */
#include "mkcorpus.h"

#include "base/le.h"
#include "fuzz_log.h"

#define T0 132000000000000000ull

/* Two states of a hive. */
static void states(struct ibb_buf *before, struct ibb_buf *after)
{
	struct ibb_error err = {0};
	struct ibb_hive *h = NULL;
	ibb_key k = 0;
	uint8_t data[6000] = {1, 2, 3};

	FUZZ_CHECK(!ibb_hive_new("R", T0, &h, &err), "%s", err.msg);
	FUZZ_CHECK(!ibb_hive_create(h, ibb_hive_root(h), "a\\b", IBB_KEY_SECURITY_PARENT, 0, T0, &k,
				    NULL, &err),
		   "%s", err.msg);
	*before = fuzz_serialize(h);
	FUZZ_CHECK(!ibb_hive_set(h, k, "value", IBB_REG_BINARY, data, sizeof(data), T0, &err), "%s",
		   err.msg);
	*after = fuzz_serialize(h);
	ibb_hive_close(h);
}

static void put(struct ibb_buf *b, const void *p, size_t n)
{
	FUZZ_CHECK(!ibb_buf_append(b, p, n), "out of memory");
}

static void pad(struct ibb_buf *b, size_t to)
{
	FUZZ_CHECK(!ibb_buf_append_zero(b, (to - b->len % to) % to), "out of memory");
}

static void put_u32(struct ibb_buf *b, uint32_t v)
{
	uint8_t p[4];

	ibb_put_le32(p, v);
	put(b, p, 4);
}

/* The base block of a log: the hive's, with its own type and sequence. */
static struct ibb_buf log_base(const struct ibb_buf *hive, uint32_t type, uint32_t seq)
{
	struct ibb_buf b = {0};

	put(&b, hive->data, 512);
	ibb_put_le32(b.data + 4, seq);
	ibb_put_le32(b.data + 8, seq);
	ibb_put_le32(b.data + 28, type);
	fuzz_fix_checksum(b.data);
	return b;
}

/* One entry that brings pages [from, to) of 512 bytes each. */
static void put_entry(struct ibb_buf *log, const struct ibb_buf *after, uint32_t seq, uint32_t from,
		      uint32_t to)
{
	size_t start = log->len;

	put(log, "HvLE", 4);
	put_u32(log, 0); /* its size, below */
	put_u32(log, 0);
	put_u32(log, seq);
	put_u32(log, ibb_get_le32(after->data + 40));
	put_u32(log, 2);
	FUZZ_CHECK(!ibb_buf_append_zero(log, 16), "out of memory");
	put_u32(log, 512 * from);
	put_u32(log, 512);
	put_u32(log, 512 * (from + 1));
	put_u32(log, 512 * (to - from - 1));
	put(log, after->data + 4096 + 512 * (size_t)from, 512 * (size_t)(to - from));
	pad(log, 512);
	ibb_put_le32(log->data + start + 4, (uint32_t)(log->len - start));
}

static void write_parts(const char *name, const struct fuzz_log_parts *p)
{
	size_t room =
		FUZZ_LOG_HEAD + p->hive.len + p->logs[0].len + p->logs[1].len + p->logs[2].len;
	uint8_t *out = ibb_alloc(room);

	FUZZ_CHECK(out, "out of memory");
	mkcorpus_write("hive_log", name, out, fuzz_log_join(p, out, room));
	free(out);
}

/* Two logs in the format since Windows 8.1: the older one first, then the newer one. */
static void new_format(struct ibb_buf *before, const struct ibb_buf *after)
{
	uint32_t seq = ibb_get_le32(before->data + 8), pages;
	struct ibb_buf one = log_base(after, 6, seq), two = log_base(after, 6, seq + 1), late;
	struct fuzz_log_parts p = {.flags = FUZZ_LOG_REPAIR | FUZZ_LOG_PAGES, .n_logs = 3};

	pages = (uint32_t)(after->len - 4096) / 512;
	put_entry(&one, after, seq, 0, 8);
	put_entry(&two, after, seq + 1, 8, pages);
	put_entry(&two, after, seq + 2, 0, pages);
	fuzz_log_repair(one.data, one.len);
	fuzz_log_repair(two.data, two.len);
	ibb_put_le32(before->data + 4, seq + 1);
	fuzz_fix_checksum(before->data);
	p.hive = ibb_buf_bytes(before);
	p.logs[1] = ibb_buf_bytes(&one);
	p.logs[2] = ibb_buf_bytes(&two);
	write_parts("new", &p);
	p.flags = 0;
	write_parts("new-unaided", &p);
	p.flags = FUZZ_LOG_REPAIR;
	p.logs[0] = p.logs[2];
	p.logs[2] = (struct ibb_bytes){0};
	p.n_logs = 2;
	write_parts("new-in-other-order", &p);
	p.logs[0] = ibb_buf_bytes(&one); /* its entry, and then one that lacks those before it */
	late = log_base(after, 6, seq + 2);
	put_entry(&late, after, seq + 2, 0, pages);
	fuzz_log_repair(late.data, late.len);
	p.logs[1] = ibb_buf_bytes(&late);
	p.n_logs = 2;
	p.flags = FUZZ_LOG_ACCEPT | FUZZ_LOG_PAGES;
	write_parts("new-gap", &p);
	p.n_logs = 0;
	p.flags = FUZZ_LOG_ACCEPT;
	write_parts("no-log", &p);
	ibb_put_le32(before->data + 508, 0); /* the base block was being written */
	p = (struct fuzz_log_parts){.n_logs = 2, .hive = ibb_buf_bytes(before)};
	p.logs[0] = ibb_buf_bytes(&one);
	p.logs[1] = ibb_buf_bytes(&two);
	write_parts("new-torn-base", &p);
	ibb_buf_clear(&late);
	ibb_buf_clear(&one);
	ibb_buf_clear(&two);
}

/* The format before: a bitmap of dirty pages, then these. */
static void old_format(struct ibb_buf *before, const struct ibb_buf *after)
{
	uint32_t seq = ibb_get_le32(before->data + 8);
	struct ibb_buf log = log_base(after, 1, seq + 1);
	struct fuzz_log_parts p = {.flags = FUZZ_LOG_REPAIR | FUZZ_LOG_PAGES, .n_logs = 1};
	size_t pages = (after->len - 4096) / 512;

	put(&log, "DIRT", 4);
	for (size_t i = 0; i < pages; i += 8)
		put(&log, "\xff", 1);
	pad(&log, 512);
	put(&log, after->data + 4096, after->len - 4096);
	ibb_put_le32(before->data + 4, seq + 1);
	fuzz_fix_checksum(before->data);
	p.hive = ibb_buf_bytes(before);
	p.logs[0] = ibb_buf_bytes(&log);
	write_parts("old", &p);
	ibb_put_le32(log.data + 28, 2);
	write_parts("old-type-2", &p);
	ibb_buf_clear(&log);
}

/* ---- from real ones ---- */

/* Without the zeros at the end, and not more than that of one. */
static struct ibb_buf real_log(const char *hive, const char *suffix, size_t max)
{
	char *path = ibb_asprintf("%s%s", hive, suffix);
	struct ibb_buf b = {0};

	if (mkcorpus_read(path, &b)) {
		while (b.len && !b.data[b.len - 1])
			b.len--;
		b.len = (b.len + 511) / 512 * 512;
		b.len = b.len < max ? b.len : max;
	}
	free(path);
	return b;
}

static void from_real(void)
{
	static const struct {
		const char *hive;
		size_t hive_max, log_max;
	} list[] = {
		{"replay/NewDirtyHive1/NewDirtyHive", SIZE_MAX, SIZE_MAX},
		{"replay/BadLogHive1/BadLogHive", 32768, 16384},
		{"replay/BadLogHive2/BadLogHive", 32768, 16384},
		{"replay/BadLogHive3/BadLogHive", SIZE_MAX, SIZE_MAX},
		{"win10-1709-dirty-with-logs/SYSTEM", 24576, 24576},
	};

	for (unsigned i = 0; i < IBB_ARRAY_SIZE(list); i++) {
		struct fuzz_log_parts p = {.flags = FUZZ_LOG_PAGES, .n_logs = 2};
		char *name = ibb_asprintf("real-%02u", i);
		struct ibb_buf hive = {0}, one, two;

		if (mkcorpus_read(list[i].hive, &hive)) {
			mkcorpus_trim(&hive);
			one = real_log(list[i].hive, ".LOG1", list[i].log_max);
			two = real_log(list[i].hive, ".LOG2", list[i].log_max);
			if (hive.len > list[i].hive_max) {
				hive.len = list[i].hive_max;
				ibb_put_le32(hive.data + 40, (uint32_t)hive.len - 4096);
				p.flags |= FUZZ_LOG_REPAIR;
			}
			p.hive = ibb_buf_bytes(&hive);
			p.logs[0] = ibb_buf_bytes(&one);
			p.logs[1] = ibb_buf_bytes(&two);
			write_parts(name, &p);
			ibb_buf_clear(&one);
			ibb_buf_clear(&two);
		}
		free(name);
		ibb_buf_clear(&hive);
	}
}

void mkcorpus_logs(void)
{
	struct ibb_buf before, after;

	states(&before, &after);
	new_format(&before, &after);
	ibb_buf_clear(&before);
	ibb_buf_clear(&after);
	states(&before, &after);
	old_format(&before, &after);
	ibb_buf_clear(&before);
	ibb_buf_clear(&after);
	from_real();
}
