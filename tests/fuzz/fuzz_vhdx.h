/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A VHDX file as an input of a few KiB: its pieces, each at a multiple of 4 KiB, that are no zeros.
 * The rest is a hole.
 *
 *     u16 flags    FUZZ_VHDX_SEAL: refresh the checksums first
 *     u16 size     of the file in MiB, below 256
 *     then pieces: u32 offset (in units of 4 KiB), u16 length, bytes
 */
#ifndef IBB_FUZZ_VHDX_H
#define IBB_FUZZ_VHDX_H

#include "disk/disk.h"
#include "fuzz.h"

#define FUZZ_VHDX_SEAL	1u /* headers and region tables, and the log's entries */
#define FUZZ_VHDX_HEAD	4u
#define FUZZ_VHDX_PIECE 6u /* its head */
#define FUZZ_VHDX_UNIT	4096u

/* The file in memory; its checksums are right when the input asks for it. */
struct ibb_disk *fuzz_vhdx_file(const uint8_t *data, size_t size);
/* The other way round: what is no zeros of the file. */
void fuzz_vhdx_pack(struct ibb_disk *file, unsigned flags, struct ibb_buf *ret);
/* Where pieces begin in an input: the place of the n-th one's head; 0 when there are fewer. */
size_t fuzz_vhdx_piece(const uint8_t *data, size_t size, unsigned n);

#endif
