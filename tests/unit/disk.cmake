# SPDX-License-Identifier: GPL-3.0-or-later
ibb_unit_test(test_disk LABEL unit SOURCES unit/test_disk.c LAYERS base disk)
ibb_unit_test(test_vhd LABEL unit SOURCES unit/test_vhd.c LAYERS base disk)
ibb_unit_test(test_vhd_sparse LABEL unit SOURCES unit/test_vhd_sparse.c LAYERS base disk)
ibb_unit_test(test_vhd_write LABEL unit SOURCES unit/test_vhd_write.c LAYERS base disk)
ibb_unit_test(test_vhd_oracle LABEL oracle SOURCES unit/test_vhd_oracle.c LAYERS base disk)
ibb_unit_test(test_partition LABEL unit SOURCES unit/test_partition.c support/mkdisk.c
	LAYERS base disk)
ibb_unit_test(test_copy LABEL unit SOURCES unit/test_copy.c LAYERS base disk)
ibb_unit_test(test_partition_oracle LABEL oracle
	SOURCES unit/test_partition_oracle.c support/mkdisk.c LAYERS base disk)
ibb_unit_test(test_gpt_move LABEL unit SOURCES unit/test_gpt_move.c support/mkdisk.c
	LAYERS base disk)
ibb_unit_test(test_write LABEL unit SOURCES unit/test_write.c LAYERS base disk)
