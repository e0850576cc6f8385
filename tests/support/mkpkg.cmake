# SPDX-License-Identifier: GPL-3.0-or-later
add_executable(ibb-mkpkg support/ibb-mkpkg.c support/mkpkg.c support/mkpe.c ${mkcat})
ibb_objects(ibb-mkpkg base)
target_link_libraries(ibb-mkpkg PRIVATE OpenSSL::Crypto)
add_test(NAME oracle_catalog
	COMMAND ${CMAKE_CURRENT_LIST_DIR}/check_catalog.sh $<TARGET_FILE:ibb-mkpkg>)
set_tests_properties(oracle_catalog PROPERTIES LABELS oracle SKIP_RETURN_CODE 77)
