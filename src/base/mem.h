/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Overflow-checked allocation with a hook for fault tests, and scope-bound cleanup. */
#ifndef IBB_BASE_MEM_H
#define IBB_BASE_MEM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "base/error.h"

/*
 * All return NULL when memory is short or the product overflows. What they return is released
 * with free(). Zero sizes are rounded up to one byte, so NULL always means failure.
 */
void *ibb_alloc(size_t n) __attribute__((malloc)) IBB_MUST_CHECK;
void *ibb_zalloc(size_t n) __attribute__((malloc)) IBB_MUST_CHECK;
void *ibb_calloc_array(size_t n, size_t size) __attribute__((malloc)) IBB_MUST_CHECK;
void *ibb_realloc_array(void *p, size_t n, size_t size) IBB_MUST_CHECK;
char *ibb_strdup(const char *s) __attribute__((malloc)) IBB_MUST_CHECK;
/* s[0..n) whole, with a NUL behind it; s may be NULL when n is 0. */
char *ibb_strndup(const char *s, size_t n) __attribute__((malloc)) IBB_MUST_CHECK;
void *ibb_memdup(const void *p, size_t n) __attribute__((malloc)) IBB_MUST_CHECK;
char *ibb_asprintf(const char *fmt, ...) IBB_PRINTF(1, 2) IBB_MUST_CHECK;

/*
 * Zeroed address space: memory is taken as it is written to, page by page, so that a large and
 * mostly untouched table costs little. Released with ibb_unmap_zeroed() and the same size.
 */
void *ibb_map_zeroed(size_t n) IBB_MUST_CHECK;
void ibb_unmap_zeroed(void *p, size_t n);

/*
 * Make room for one more element: *items has *cap slots of `size` bytes, n are used.
 * Returns IBB_OK or IBB_E_NOMEM (items unchanged).
 */
int ibb_grow(void *items, size_t *cap, size_t n, size_t size) IBB_MUST_CHECK;

/*
 * Fault tests only: from now on the nth allocation (counting from 0) fails, once or, when
 * `persistent`, with all later ones. n < 0 switches the hook off. ibb_mem_count() tells how many
 * allocations were asked for since the last call.
 */
void ibb_mem_fail_at(long n, bool persistent);
long ibb_mem_count(void);

/* Declare `IBB_AUTO(free_fn) T *p = NULL;`: p is freed when it leaves scope. */
void ibb_freep(void *p);
#define IBB_AUTO_FREE __attribute__((cleanup(ibb_freep)))
#define IBB_DEFINE_CLEANUP(type, fn)                 \
	static inline IBB_UNUSED void fn##p(type *p) \
	{                                            \
		if (*p)                              \
			fn(*p);                      \
	}
#define IBB_AUTO(fn) __attribute__((cleanup(fn##p)))
/* Hand a pointer over: the variable becomes NULL, the value is returned. */
#define IBB_TAKE(p)                             \
	__extension__({                         \
		__typeof__(p) ibb_taken_ = (p); \
		(p) = NULL;                     \
		ibb_taken_;                     \
	})

/* Checked arithmetic on untrusted sizes: true when the result fits. */
static inline bool ibb_add_u64(uint64_t a, uint64_t b, uint64_t *ret)
{
	return !__builtin_add_overflow(a, b, ret);
}
static inline bool ibb_mul_u64(uint64_t a, uint64_t b, uint64_t *ret)
{
	return !__builtin_mul_overflow(a, b, ret);
}
/* Does [off, off+n) lie inside [0, size)? */
static inline bool ibb_in_range(uint64_t off, uint64_t n, uint64_t size)
{
	return off <= size && n <= size - off;
}
static inline uint64_t ibb_min_u64(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}
static inline bool ibb_power_of_two(uint64_t v)
{
	return v && !(v & (v - 1));
}
/* Each byte is compared with the one behind it, as fast as memcmp() is. */
static inline bool ibb_all_zero(const uint8_t *p, size_t n)
{
	return !n || (!p[0] && memcmp(p, p + 1, n - 1) == 0);
}

#define IBB_ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))

/* An arena: many small allocations released together. Zero-initialise, ibb_arena_clear() at end. */
struct ibb_arena {
	struct ibb_arena_block *head;
};
void *ibb_arena_alloc(struct ibb_arena *a, size_t n) IBB_MUST_CHECK;
void *ibb_arena_array(struct ibb_arena *a, size_t n, size_t size) IBB_MUST_CHECK;
char *ibb_arena_strndup(struct ibb_arena *a, const char *s, size_t n) IBB_MUST_CHECK;
char *ibb_arena_strdup(struct ibb_arena *a, const char *s) IBB_MUST_CHECK;
char *ibb_arena_printf(struct ibb_arena *a, const char *fmt, ...) IBB_PRINTF(2, 3) IBB_MUST_CHECK;
void ibb_arena_clear(struct ibb_arena *a);

#endif
