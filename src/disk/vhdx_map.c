/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "base/limits.h"
#include "disk/vhdx_internal.h"

int ibb_vhdx_map_init(struct ibb_vhdx_map *m, const struct ibb_disk *file, struct ibb_error *err)
{
	uint64_t n = file->size_bytes / IBB_VHDX_MIB + (file->size_bytes % IBB_VHDX_MIB != 0);

	if (n > IBB_LIMIT_VHDX_FILE_MIB)
		return ibb_err(err, IBB_E_LIMIT, "%s: a VHDX file of %llu MiB is larger than %u",
			       file->name, (unsigned long long)n, IBB_LIMIT_VHDX_FILE_MIB);
	m->bits = ibb_map_zeroed((size_t)(n / 8 + 1));
	if (!m->bits)
		return ibb_err_nomem(err);
	m->n_mib = n;
	return IBB_OK;
}

void ibb_vhdx_map_clear(struct ibb_vhdx_map *m)
{
	if (m->bits)
		ibb_unmap_zeroed(m->bits, (size_t)(m->n_mib / 8 + 1));
	*m = (struct ibb_vhdx_map){0};
}

bool ibb_vhdx_map_take(struct ibb_vhdx_map *m, uint64_t first, uint64_t n)
{
	for (uint64_t i = first; i < m->n_mib && i - first < n; i++) {
		uint8_t bit = (uint8_t)(1u << (i & 7));

		if (m->bits[i >> 3] & bit)
			return false;
		m->bits[i >> 3] |= bit;
	}
	return true;
}
