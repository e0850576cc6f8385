/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "fuzz_log.h"

#include "base/le.h"
#include "hive/hive_int.h"

#define LOG_BASE    512u
#define ENTRY_ALIGN 512u
#define ENTRY_HEAD  40u /* the first hash covers what is behind, the second what is before it */
#define HASH_DATA   24u
#define HASH_HEAD   32u

struct fuzz_log_parts fuzz_log_split(const uint8_t *data, size_t size)
{
	struct fuzz_log_parts p = {0};
	struct ibb_bytes *const parts[] = {&p.hive, &p.logs[0], &p.logs[1], &p.logs[2]};
	size_t at = FUZZ_LOG_HEAD;

	if (size < FUZZ_LOG_HEAD)
		return p;
	p.flags = data[0];
	p.n_logs = data[1] % 4;
	for (unsigned i = 0; i < 4; i++) {
		size_t n = i < 3 ? ibb_get_le32(data + 4 + 4 * (size_t)i) : size - at;

		n = n < size - at ? n : size - at;
		*parts[i] = (struct ibb_bytes){data + at, n};
		at += n;
	}
	return p;
}

size_t fuzz_log_join(const struct fuzz_log_parts *p, uint8_t *out, size_t room)
{
	const struct ibb_bytes *const parts[] = {&p->hive, &p->logs[0], &p->logs[1], &p->logs[2]};
	size_t at = FUZZ_LOG_HEAD;

	if (room < FUZZ_LOG_HEAD)
		return 0;
	memset(out, 0, FUZZ_LOG_HEAD);
	out[0] = (uint8_t)p->flags;
	out[1] = (uint8_t)p->n_logs;
	for (unsigned i = 0; i < 4; i++) {
		size_t n = parts[i]->len < room - at ? parts[i]->len : room - at;

		if (i < 3)
			ibb_put_le32(out + 4 + 4 * (size_t)i, (uint32_t)n);
		if (n)
			memcpy(out + at, parts[i]->data, n);
		at += n;
	}
	return at;
}

void fuzz_log_repair(uint8_t *log, size_t n)
{
	if (n < LOG_BASE)
		return;
	fuzz_fix_checksum(log);
	for (size_t at = LOG_BASE; at + ENTRY_HEAD <= n; at += ENTRY_ALIGN) {
		uint8_t *p = log + at;
		uint32_t size = ibb_get_le32(p + 4);

		if (memcmp(p, "HvLE", 4) != 0 || size < ENTRY_HEAD || size > n - at)
			continue;
		ibb_put_le64(p + HASH_DATA, hv_marvin32(p + ENTRY_HEAD, size - ENTRY_HEAD));
		ibb_put_le64(p + HASH_HEAD, hv_marvin32(p, HASH_HEAD));
	}
}
