# SPDX-License-Identifier: GPL-3.0-or-later
# Independent programs judge; a test whose program is absent is skipped.
if(TARGET ibb_inf AND TARGET ibb-mkpkg)
	add_executable(infdump_ours oracle/infdump_ours.c)
	ibb_objects(infdump_ours base inf)
	add_test(NAME oracle_inf_wine COMMAND bash ${CMAKE_CURRENT_LIST_DIR}/inf_wine.sh
		${PROJECT_SOURCE_DIR} $<TARGET_FILE:infdump_ours> $<TARGET_FILE:ibb-mkpkg>)
	set_tests_properties(oracle_inf_wine PROPERTIES LABELS oracle SKIP_RETURN_CODE 77 TIMEOUT 300)
endif()

# Hives: what independent readers see, logs, random edits. hives.py shares its work out over the
# processors.
find_program(IBB_PYTHON3 python3 PATHS /usr/bin NO_DEFAULT_PATH)
find_program(IBB_PYTHON3 python3)
if(TARGET ibb-hive AND IBB_PYTHON3)
	foreach(case read replay edit)
		add_test(NAME oracle_hive_${case} COMMAND ${IBB_PYTHON3} -B
			${CMAKE_CURRENT_LIST_DIR}/hives.py ${case}
			--ibb-hive $<TARGET_FILE:ibb-hive> --source ${PROJECT_SOURCE_DIR})
		set_tests_properties(oracle_hive_${case} PROPERTIES LABELS oracle
			SKIP_RETURN_CODE 77 TIMEOUT 600 PROCESSORS 2)
	endforeach()
endif()

# Security catalogs.
if(TARGET ibb_authenticode AND IBB_PYTHON3)
	add_executable(catdump_ours oracle/catdump_ours.c)
	ibb_objects(catdump_ours base authenticode)
	add_test(NAME oracle_cat COMMAND ${IBB_PYTHON3} -B ${CMAKE_CURRENT_LIST_DIR}/cat.py
		$<TARGET_FILE:catdump_ours> ${IBB_TEST_DATA_DEFAULT})
	set_tests_properties(oracle_cat PROPERTIES LABELS oracle SKIP_RETURN_CODE 77 TIMEOUT 300)
endif()

if(TARGET ibb_authenticode)
	add_executable(signatures_ours oracle/signatures_ours.c)
	ibb_objects(signatures_ours base authenticode)
	add_test(NAME oracle_signatures_osslsigncode COMMAND bash
		${CMAKE_CURRENT_LIST_DIR}/signatures_osslsigncode.sh ${PROJECT_SOURCE_DIR}
		$<TARGET_FILE:signatures_ours>)
	set_tests_properties(oracle_signatures_osslsigncode PROPERTIES LABELS oracle
		SKIP_RETURN_CODE 77 TIMEOUT 300)
endif()
