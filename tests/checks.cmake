# SPDX-License-Identifier: GPL-3.0-or-later
#
# Checks of the repository as a whole. Included last: it sees every target and every test.

include(${CMAKE_CURRENT_SOURCE_DIR}/oracle/oracle.cmake)

# Debian's own python3 first: its modules (hivex, jsonschema) are not in another one's path.
find_program(IBB_PYTHON3 python3 PATHS /usr/bin NO_DEFAULT_PATH)
find_program(IBB_PYTHON3 python3)
set(IBB_CHECKS ${CMAKE_CURRENT_SOURCE_DIR}/checks)

# ibb_check(<name> COMMAND...)
function(ibb_check name)
	add_test(NAME ${name} COMMAND ${ARGN})
	set_tests_properties(${name} PROPERTIES LABELS check SKIP_RETURN_CODE 77 TIMEOUT 300)
endfunction()

ibb_check(check_includes ${IBB_PYTHON3} ${IBB_CHECKS}/includes.py ${PROJECT_SOURCE_DIR})
ibb_check(check_headers bash ${IBB_CHECKS}/headers.sh ${PROJECT_SOURCE_DIR})
ibb_check(check_format bash ${IBB_CHECKS}/format.sh ${PROJECT_SOURCE_DIR})
ibb_check(check_hygiene ${IBB_PYTHON3} ${IBB_CHECKS}/hygiene.py ${PROJECT_SOURCE_DIR})
ibb_check(check_shell bash ${IBB_CHECKS}/shell.sh ${PROJECT_SOURCE_DIR})
if(TARGET libibbake)
	# A sanitizer adds symbols and run-time libraries of its own.
	if(NOT IBB_SANITIZE)
		ibb_check(check_exports ${IBB_PYTHON3} ${IBB_CHECKS}/exports.py
			$<TARGET_FILE:libibbake> ${PROJECT_SOURCE_DIR}/include
			${CMAKE_CURRENT_SOURCE_DIR}/golden/exports.txt)
		ibb_check(check_install bash ${IBB_CHECKS}/install.sh ${CMAKE_COMMAND}
			${PROJECT_BINARY_DIR} ${CMAKE_INSTALL_PREFIX} ${CMAKE_C_COMPILER})
	endif()
endif()

# Reports of the sanitizers must fail the test and say where; what leaks inside libraries is listed.
# libntfs-3g is built without frame pointers, so its callers are found by the slow unwinder only,
# which costs a test that makes OpenSSL allocate a hundred times its time.
if(IBB_SANITIZE)
	get_property(tests DIRECTORY PROPERTY TESTS)
	set(supp ${PROJECT_SOURCE_DIR}/ci/suppressions/lsan.supp)
	set(asan detect_leaks=1:allocator_may_return_null=1:strict_string_checks=1)
	foreach(test ${tests})
		set(unwind "")
		if(TARGET ${test})
			get_target_property(sources ${test} SOURCES)
			if("${sources}" MATCHES "ibb_volume")
				set(unwind ":fast_unwind_on_malloc=0:malloc_context_size=12")
			endif()
		endif()
		set_property(TEST ${test} APPEND PROPERTY ENVIRONMENT
			"ASAN_OPTIONS=${asan}:detect_stack_use_after_return=1${unwind}"
			"LSAN_OPTIONS=suppressions=${supp}:print_suppressions=0"
			"UBSAN_OPTIONS=print_stacktrace=1:halt_on_error=1")
	endforeach()
endif()
