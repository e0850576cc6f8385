# SPDX-License-Identifier: GPL-3.0-or-later
set(unpacktest support/unpacktest.c support/mkarchive.c support/mkcab.c)
ibb_unit_test(test_unpack LABEL unit SOURCES unit/test_unpack.c ${unpacktest} LAYERS base unpack)
