# SPDX-License-Identifier: GPL-3.0-or-later
ibb_unit_test(test_hive LABEL unit SOURCES unit/test_hive.c LAYERS base hive)
ibb_unit_test(test_hive_lists LABEL unit SOURCES unit/test_hive_lists.c LAYERS base hive)
