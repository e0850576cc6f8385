# SPDX-License-Identifier: GPL-3.0-or-later
ibb_unit_test(test_hive LABEL unit SOURCES unit/test_hive.c LAYERS base hive)
ibb_unit_test(test_hive_lists LABEL unit SOURCES unit/test_hive_lists.c LAYERS base hive)
ibb_unit_test(test_hive_real LABEL unit SOURCES unit/test_hive_real.c LAYERS base hive)
ibb_unit_test(test_hive_bad LABEL bad SOURCES unit/test_hive_bad.c LAYERS base hive)
ibb_unit_test(test_hive_fault LABEL fault SOURCES unit/test_hive_fault.c LAYERS base hive)
ibb_unit_test(test_hive_oracle LABEL oracle SOURCES unit/test_hive_oracle.c LAYERS base hive)
ibb_unit_test(test_hive_log LABEL unit SOURCES unit/test_hive_log.c support/mklog.c
	LAYERS base hive)
ibb_unit_test(test_hive_log_bad LABEL bad SOURCES unit/test_hive_log_bad.c support/mklog.c
	LAYERS base hive)
