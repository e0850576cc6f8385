# SPDX-License-Identifier: GPL-3.0-or-later
ibb_unit_test(test_inf LABEL unit SOURCES unit/test_inf.c LAYERS base inf)
ibb_unit_test(test_inf_select LABEL unit SOURCES unit/test_inf_select.c LAYERS base inf)
ibb_unit_test(test_inf_install LABEL unit SOURCES unit/test_inf_install.c LAYERS base inf)
ibb_unit_test(test_inf_bad LABEL bad SOURCES unit/test_inf_bad.c LAYERS base inf)
ibb_unit_test(test_inf_golden LABEL golden SOURCES unit/test_inf_golden.c LAYERS base inf)
ibb_unit_test(test_inf_table LABEL golden SOURCES unit/test_inf_table.c LAYERS base inf)
