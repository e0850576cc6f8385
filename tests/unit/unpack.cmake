# SPDX-License-Identifier: GPL-3.0-or-later
set(unpacktest support/unpacktest.c support/mkarchive.c support/mkcab.c)
ibb_unit_test(test_unpack LABEL unit SOURCES unit/test_unpack.c ${unpacktest} LAYERS base unpack)
ibb_unit_test(test_unpack_bad LABEL bad SOURCES unit/test_unpack_bad.c ${unpacktest} LAYERS base unpack)
set(mkmsi support/mkmsi.c support/mkcfb.c)
ibb_unit_test(test_msi LABEL unit SOURCES unit/test_msi.c ${mkmsi} ${unpacktest} LAYERS base unpack)
ibb_unit_test(test_msi_bad LABEL bad SOURCES unit/test_msi_bad.c ${mkmsi} ${unpacktest}
	LAYERS base unpack)
ibb_unit_test(test_installshield LABEL bad SOURCES unit/test_installshield.c support/mkis.c
	support/mkpe.c ${mkmsi} ${unpacktest} LAYERS base unpack)

# MSIs of the real tools, and InstallShield programs around them.
add_executable(ibb-msi support/ibb-msi.c support/mkis.c support/mkpe.c support/mkmsi.c
	support/mkcfb.c)
ibb_objects(ibb-msi base unpack)
find_program(IBB_PYTHON3 python3 PATHS /usr/bin NO_DEFAULT_PATH)
find_program(IBB_PYTHON3 python3)
if(IBB_PYTHON3)
	foreach(case wixl names large msibuild installshield installshield_mlx5)
		add_test(NAME msi_tools_${case} COMMAND ${IBB_PYTHON3} -B
			${CMAKE_CURRENT_LIST_DIR}/msi_tools.py ${case}
			--ibb-msi $<TARGET_FILE:ibb-msi> --mkpkg $<TARGET_FILE:ibb-mkpkg>
			--data ${IBB_TEST_DATA_DEFAULT})
		set_tests_properties(msi_tools_${case} PROPERTIES LABELS e2e SKIP_RETURN_CODE 77
			TIMEOUT 120)
	endforeach()
endif()
