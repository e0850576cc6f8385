# SPDX-License-Identifier: GPL-3.0-or-later
# Independent programs judge; a test whose program is absent is skipped.
if(TARGET ibb_inf AND TARGET ibb-mkpkg)
	add_executable(infdump_ours oracle/infdump_ours.c)
	ibb_objects(infdump_ours base inf)
	add_test(NAME oracle_inf_wine COMMAND bash ${CMAKE_CURRENT_LIST_DIR}/inf_wine.sh
		${PROJECT_SOURCE_DIR} $<TARGET_FILE:infdump_ours> $<TARGET_FILE:ibb-mkpkg>)
	set_tests_properties(oracle_inf_wine PROPERTIES LABELS oracle SKIP_RETURN_CODE 77 TIMEOUT 300)
endif()
