# SPDX-License-Identifier: GPL-3.0-or-later
ibb_unit_test(test_security LABEL unit SOURCES unit/test_security.c LAYERS base disk volume)
ibb_unit_test(test_volume_ntfs LABEL unit SOURCES unit/test_volume_ntfs.c ${ntfscheck}
	LAYERS base disk volume)
ibb_unit_test(test_volume_meta LABEL unit SOURCES unit/test_volume_meta.c ${ntfscheck}
	LAYERS base disk volume)
ibb_unit_test(test_volume_state LABEL bad SOURCES unit/test_volume_state.c ${ntfscheck}
	LAYERS base disk volume)
ibb_unit_test(test_volume_conformance LABEL conformance SOURCES unit/test_volume_conformance.c
	support/mkwim.c support/mksd.c ${ntfscheck} LAYERS base disk volume)
ibb_unit_test(test_volume_fault LABEL fault SOURCES unit/test_volume_fault.c ${ntfscheck}
	LAYERS base disk volume)
ibb_unit_test(test_volume_images LABEL bad SOURCES unit/test_volume_images.c ${ntfscheck}
	LAYERS base disk volume)
ibb_unit_test(test_volume_dir LABEL unit SOURCES unit/test_volume_dir.c ${ntfscheck} LAYERS base disk volume)
ibb_unit_test(test_wof LABEL unit SOURCES unit/test_wof.c ${ntfscheck} LAYERS base disk volume)
ibb_unit_test(test_hive_sweep LABEL fault SOURCES unit/test_hive_sweep.c ${ntfscheck} support/mklog.c
	LAYERS base disk hive volume)
ibb_unit_test(test_ntfscheck LABEL bad SOURCES unit/test_ntfscheck.c ${ntfscheck}
	LAYERS base disk volume)
ibb_unit_test(test_ntfscheck_plant LABEL bad SOURCES unit/test_ntfscheck_plant.c ${ntfscheck}
	LAYERS base disk volume)
ibb_unit_test(test_fat LABEL bad SOURCES unit/test_fat.c support/mkfat.c LAYERS base disk volume)
ibb_unit_test(test_wim_template LABEL unit SOURCES unit/test_wim_template.c ${ntfscheck}
	LAYERS base disk volume)
add_test(NAME test_wim_template_again COMMAND ${CMAKE_COMMAND} -DEMBED=$<TARGET_FILE:ibb-template>
	-DMKNTFS=${IBB_MKNTFS} -DNTFSRESIZE=${IBB_NTFSRESIZE} -DNTFSFIX=${IBB_NTFSFIX}
	-DMAKE=${PROJECT_SOURCE_DIR}/src/volume/template/make.cmake
	-DBUILT=${PROJECT_BINARY_DIR}/src/ibb_wim_template.c
	-DOUT=${CMAKE_CURRENT_BINARY_DIR}/template_again.c
	-P ${CMAKE_CURRENT_SOURCE_DIR}/unit/template_again.cmake)
set_tests_properties(test_wim_template_again PROPERTIES LABELS unit TIMEOUT 60)
ibb_unit_test(test_wim_read LABEL unit SOURCES unit/test_wim_read.c support/mkwim.c support/mksd.c
	${ntfscheck} LAYERS base disk volume)
ibb_unit_test(test_wim_bad LABEL bad SOURCES unit/test_wim_bad.c support/mkwim.c support/mksd.c
	${ntfscheck} LAYERS base disk volume)
ibb_unit_test(test_wim_stage LABEL unit SOURCES unit/test_wim_stage.c support/mkwim.c support/mksd.c
	${ntfscheck} LAYERS base disk volume)
ibb_unit_test(test_wim_write LABEL fault SOURCES unit/test_wim_write.c support/mkwim.c support/mksd.c
	${ntfscheck} LAYERS base disk volume)
ibb_unit_test(test_wim_stage_fault LABEL fault SOURCES unit/test_wim_stage_fault.c support/mkwim.c
	support/mksd.c ${ntfscheck} LAYERS base disk volume)
ibb_unit_test(test_wim_compare LABEL unit SOURCES unit/test_wim_compare.c support/mkwim.c
	support/mksd.c ${ntfscheck} LAYERS base disk volume)
ibb_unit_test(test_wim_content LABEL fault SOURCES unit/test_wim_content.c support/mkwim.c
	support/mksd.c ${ntfscheck} LAYERS base disk volume)
ibb_unit_test(test_wim_kill LABEL fault SOURCES unit/test_wim_kill.c support/mkwim.c support/mksd.c
	${ntfscheck} LAYERS base disk volume)
