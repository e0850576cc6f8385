/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "base/mem.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

/* The allocator hook is the one piece of global mutable state; only fault tests set it. */
static long fail_at = -1;
static bool fail_persistent;
static _Atomic long n_allocs; /* threads may allocate at once */

void ibb_mem_fail_at(long n, bool persistent)
{
	fail_at = n;
	fail_persistent = persistent;
	n_allocs = 0;
}

long ibb_mem_count(void)
{
	long n = n_allocs;

	n_allocs = 0;
	return n;
}

static bool must_fail(void)
{
	long n = n_allocs++;

	return fail_at >= 0 && (n == fail_at || (fail_persistent && n > fail_at));
}

void *ibb_alloc(size_t n)
{
	return must_fail() ? NULL : malloc(n ? n : 1);
}

void *ibb_zalloc(size_t n)
{
	return must_fail() ? NULL : calloc(1, n ? n : 1);
}

void *ibb_calloc_array(size_t n, size_t size)
{
	size_t total;

	if (must_fail() || __builtin_mul_overflow(n, size, &total))
		return NULL;
	return calloc(1, total ? total : 1);
}

void *ibb_realloc_array(void *p, size_t n, size_t size)
{
	size_t total;

	if (must_fail() || __builtin_mul_overflow(n, size, &total))
		return NULL;
	return realloc(p, total ? total : 1);
}

void *ibb_map_zeroed(size_t n)
{
	void *p;

	if (must_fail() || !n)
		return NULL;
	p = mmap(NULL, n, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1,
		 0);
	return p == MAP_FAILED ? NULL : p;
}

void ibb_unmap_zeroed(void *p, size_t n)
{
	if (p)
		munmap(p, n);
}

void *ibb_memdup(const void *p, size_t n)
{
	void *q = ibb_alloc(n);

	if (q && n)
		memcpy(q, p, n);
	return q;
}

char *ibb_strndup(const char *s, size_t n)
{
	char *q = n < SIZE_MAX ? ibb_alloc(n + 1) : NULL;

	if (!q)
		return NULL;
	if (n)
		memcpy(q, s, n);
	q[n] = '\0';
	return q;
}

char *ibb_strdup(const char *s)
{
	return ibb_strndup(s, strlen(s));
}

char *ibb_asprintf(const char *fmt, ...)
{
	va_list ap;
	char *p;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(NULL, 0, fmt, ap);
	va_end(ap);
	if (n < 0)
		return NULL;
	p = ibb_alloc((size_t)n + 1);
	if (!p)
		return NULL;
	va_start(ap, fmt);
	vsnprintf(p, (size_t)n + 1, fmt, ap);
	va_end(ap);
	return p;
}

int ibb_grow(void *items, size_t *cap, size_t n, size_t size)
{
	size_t want = *cap ? *cap * 2 : 8;
	void *old, *p;

	if (n < *cap)
		return IBB_OK;
	if (want < *cap)
		return IBB_E_NOMEM;
	memcpy(&old, items, sizeof(old));
	p = ibb_realloc_array(old, want, size);
	if (!p)
		return IBB_E_NOMEM;
	memcpy(items, &p, sizeof(p));
	*cap = want;
	return IBB_OK;
}

void ibb_freep(void *p)
{
	void *q;

	memcpy(&q, p, sizeof(q));
	free(q);
}

struct ibb_arena_block {
	struct ibb_arena_block *next;
	size_t used, size;
	_Alignas(max_align_t) unsigned char data[];
};

void *ibb_arena_alloc(struct ibb_arena *a, size_t n)
{
	const size_t align = _Alignof(max_align_t), chunk = 64 * 1024;
	struct ibb_arena_block *b = a->head;
	size_t size;
	void *p;

	if (n > SIZE_MAX - chunk)
		return NULL;
	n = (n + align - 1) / align * align;
	if (!b || b->size - b->used < n) {
		size = n > chunk / 4 ? n : chunk;
		b = ibb_alloc(sizeof(*b) + size);
		if (!b)
			return NULL;
		b->used = 0;
		b->size = size;
		/* a big block of its own goes behind the current one, which still has room */
		if (size != chunk && a->head) {
			b->next = a->head->next;
			a->head->next = b;
		} else {
			b->next = a->head;
			a->head = b;
		}
	}
	p = b->data + b->used;
	b->used += n;
	return p;
}

void *ibb_arena_array(struct ibb_arena *a, size_t n, size_t size)
{
	size_t total;
	void *p;

	if (__builtin_mul_overflow(n, size, &total))
		return NULL;
	p = ibb_arena_alloc(a, total);
	if (p)
		memset(p, 0, total);
	return p;
}

char *ibb_arena_strndup(struct ibb_arena *a, const char *s, size_t n)
{
	char *p = n < SIZE_MAX ? ibb_arena_alloc(a, n + 1) : NULL;

	if (!p)
		return NULL;
	if (n)
		memcpy(p, s, n);
	p[n] = '\0';
	return p;
}

char *ibb_arena_strdup(struct ibb_arena *a, const char *s)
{
	return ibb_arena_strndup(a, s, strlen(s));
}

char *ibb_arena_printf(struct ibb_arena *a, const char *fmt, ...)
{
	va_list ap;
	char *p;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(NULL, 0, fmt, ap);
	va_end(ap);
	if (n < 0)
		return NULL;
	p = ibb_arena_alloc(a, (size_t)n + 1);
	if (!p)
		return NULL;
	va_start(ap, fmt);
	vsnprintf(p, (size_t)n + 1, fmt, ap);
	va_end(ap);
	return p;
}

void ibb_arena_clear(struct ibb_arena *a)
{
	struct ibb_arena_block *b = a->head, *next;

	for (; b; b = next) {
		next = b->next;
		free(b);
	}
	a->head = NULL;
}
