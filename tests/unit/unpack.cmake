# SPDX-License-Identifier: GPL-3.0-or-later
set(unpacktest support/unpacktest.c support/mkarchive.c support/mkcab.c)
ibb_unit_test(test_unpack LABEL unit SOURCES unit/test_unpack.c ${unpacktest} LAYERS base unpack)
set(mkmsi support/mkmsi.c support/mkcfb.c)
ibb_unit_test(test_msi LABEL unit SOURCES unit/test_msi.c ${mkmsi} ${unpacktest} LAYERS base unpack)
ibb_unit_test(test_msi_bad LABEL bad SOURCES unit/test_msi_bad.c ${mkmsi} ${unpacktest}
	LAYERS base unpack)
ibb_unit_test(test_installshield LABEL bad SOURCES unit/test_installshield.c support/mkis.c
	support/mkpe.c ${mkmsi} ${unpacktest} LAYERS base unpack)
