# SPDX-License-Identifier: GPL-3.0-or-later
ibb_unit_test(test_disk LABEL unit SOURCES unit/test_disk.c LAYERS base disk)
ibb_unit_test(test_vhd LABEL unit SOURCES unit/test_vhd.c LAYERS base disk)
ibb_unit_test(test_partition LABEL unit SOURCES unit/test_partition.c support/mkdisk.c
	LAYERS base disk)
ibb_unit_test(test_copy LABEL unit SOURCES unit/test_copy.c LAYERS base disk)
ibb_unit_test(test_partition_oracle LABEL oracle
	SOURCES unit/test_partition_oracle.c support/mkdisk.c LAYERS base disk)
ibb_unit_test(test_journal LABEL fault SOURCES unit/test_journal.c LAYERS base disk)
ibb_unit_test(test_spill LABEL fault SOURCES unit/test_spill.c LAYERS base disk)
ibb_unit_test(test_inuse LABEL unit SOURCES unit/test_inuse.c LAYERS base disk)
