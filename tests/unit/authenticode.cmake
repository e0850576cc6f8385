# SPDX-License-Identifier: GPL-3.0-or-later
ibb_unit_test(test_signer LABEL unit SOURCES unit/test_signer.c ${mkcat}
	LAYERS base authenticode)
