# SPDX-License-Identifier: GPL-3.0-or-later
ibb_unit_test(test_disk LABEL unit SOURCES unit/test_disk.c LAYERS base disk)
ibb_unit_test(test_vhd LABEL unit SOURCES unit/test_vhd.c LAYERS base disk)
ibb_unit_test(test_vhd_sparse LABEL unit SOURCES unit/test_vhd_sparse.c support/mkvhd.c
	support/imgfile.c LAYERS base disk)
ibb_unit_test(test_vhd_child LABEL unit SOURCES unit/test_vhd_child.c support/mkvhd.c
	support/imgfile.c LAYERS base disk)
ibb_unit_test(test_vhd_write LABEL unit SOURCES unit/test_vhd_write.c support/mkvhd.c
	support/imgfile.c LAYERS base disk)
ibb_unit_test(test_vhd_oracle LABEL oracle SOURCES unit/test_vhd_oracle.c support/mkvhd.c
	support/imgfile.c LAYERS base disk)
ibb_unit_test(test_vhd_bad LABEL bad SOURCES unit/test_vhd_bad.c support/mkvhd.c
	support/imgfile.c LAYERS base disk)
ibb_unit_test(test_partition LABEL unit SOURCES unit/test_partition.c support/mkdisk.c
	LAYERS base disk)
ibb_unit_test(test_copy LABEL unit SOURCES unit/test_copy.c LAYERS base disk)
ibb_unit_test(test_partition_oracle LABEL oracle
	SOURCES unit/test_partition_oracle.c support/mkdisk.c LAYERS base disk)
ibb_unit_test(test_gpt_move LABEL unit SOURCES unit/test_gpt_move.c support/mkdisk.c
	LAYERS base disk)
ibb_unit_test(test_write LABEL unit SOURCES unit/test_write.c LAYERS base disk)
ibb_unit_test(test_vhdx LABEL unit SOURCES unit/test_vhdx.c support/mkvhdx.c LAYERS base disk)
ibb_unit_test(test_chain LABEL unit SOURCES unit/test_chain.c support/mkvhd.c support/mkvhdx.c
	support/imgfile.c LAYERS base disk)
ibb_unit_test(test_second_opinion LABEL unit SOURCES unit/test_second_opinion.c support/mkvhd.c
	support/mkvhdx.c support/imgfile.c LAYERS base disk)
ibb_unit_test(test_vhdx_diff LABEL unit SOURCES unit/test_vhdx_diff.c support/mkvhdx.c
	LAYERS base disk)
ibb_unit_test(test_vhdx_write LABEL unit SOURCES unit/test_vhdx_write.c support/mkvhdx.c
	LAYERS base disk)
ibb_unit_test(test_vhdx_log LABEL unit SOURCES unit/test_vhdx_log.c support/mkvhdx.c
	LAYERS base disk)
ibb_unit_test(test_journal LABEL fault SOURCES unit/test_journal.c LAYERS base disk)
ibb_unit_test(test_undo LABEL fault SOURCES unit/test_undo.c LAYERS base disk)
ibb_unit_test(test_spill LABEL fault SOURCES unit/test_spill.c LAYERS base disk)
ibb_unit_test(test_inuse LABEL unit SOURCES unit/test_inuse.c LAYERS base disk)
ibb_unit_test(test_vhdx_oracle LABEL oracle SOURCES unit/test_vhdx_oracle.c support/mkvhdx.c
	LAYERS base disk)
find_library(IBB_TEST_VHDI vhdi)
find_path(IBB_TEST_VHDI_INCLUDE libvhdi.h)
if(IBB_TEST_VHDI AND IBB_TEST_VHDI_INCLUDE)
	target_link_libraries(test_vhdx_oracle PRIVATE ${IBB_TEST_VHDI})
	target_compile_definitions(test_vhdx_oracle PRIVATE IBB_HAVE_VHDI)
endif()
ibb_unit_test(test_vhdx_bad LABEL bad SOURCES unit/test_vhdx_bad.c support/mkvhdx.c
	LAYERS base disk)
