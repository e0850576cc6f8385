# SPDX-License-Identifier: GPL-3.0-or-later
# End-to-end tests: the program on whole images. The cases name themselves.
find_program(IBB_PYTHON3 python3 PATHS /usr/bin NO_DEFAULT_PATH)
find_program(IBB_PYTHON3 python3)

set(IBB_E2E ${CMAKE_CURRENT_LIST_DIR})
if(IBB_PYTHON3 AND TARGET ibbake AND TARGET ibb-mkimage AND TARGET ibb-mkpkg)
	file(GLOB cases ${IBB_E2E}/*.py)
	set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${cases})
	execute_process(COMMAND ${IBB_PYTHON3} -B ${IBB_E2E}/e2e.py --list
		OUTPUT_VARIABLE names OUTPUT_STRIP_TRAILING_WHITESPACE COMMAND_ERROR_IS_FATAL ANY)
	string(REPLACE "\n" ";" names "${names}")
	foreach(name ${names})
		add_test(NAME ${name} COMMAND ${IBB_PYTHON3} -B ${IBB_E2E}/e2e.py ${name}
			--ibbake $<TARGET_FILE:ibbake> --mkimage $<TARGET_FILE:ibb-mkimage>
			--extract $<TARGET_FILE:ibb-extract> --mkpkg $<TARGET_FILE:ibb-mkpkg>
			--ntfscheck $<TARGET_FILE:ibb-ntfscheck> --msi $<TARGET_FILE:ibb-msi>
			--source ${PROJECT_SOURCE_DIR})
		set_tests_properties(${name} PROPERTIES LABELS e2e SKIP_RETURN_CODE 77 TIMEOUT 300)
	endforeach()
endif()
