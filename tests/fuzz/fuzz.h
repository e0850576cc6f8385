/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What every fuzz target is made of: one function that takes bytes, one that makes other bytes of
 * them. libFuzzer drives both (IBB_FUZZ=ON); replay_main.c does with any compiler.
 */
#ifndef IBB_FUZZ_H
#define IBB_FUZZ_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max_size, unsigned seed);
/* The driver's own mutation of plain bytes. */
size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t max_size);

/* A broken promise of the code under test is a finding like a bad access. */
#define FUZZ_CHECK(cond, ...)                                                      \
	do {                                                                       \
		if (!(cond)) {                                                     \
			fprintf(stderr, "%s:%d: %s: ", __FILE__, __LINE__, #cond); \
			fprintf(stderr, __VA_ARGS__);                              \
			fputc('\n', stderr);                                       \
			abort();                                                   \
		}                                                                  \
	} while (0)

/* Small and the same everywhere. */
static inline uint32_t fuzz_rnd(uint64_t *state, uint32_t below)
{
	*state = *state * 6364136223846793005ull + 1442695040888963407ull;
	return below ? (uint32_t)(*state >> 33) % below : 0;
}

/* A copy of exactly these bytes on the heap, so that reading beyond them is noticed. */
static inline struct ibb_buf fuzz_copy(const void *p, size_t n)
{
	struct ibb_buf b = {.data = malloc(n ? n : 1), .len = n, .cap = n};

	FUZZ_CHECK(b.data, "out of memory");
	if (n)
		memcpy(b.data, p, n);
	return b;
}

#endif
