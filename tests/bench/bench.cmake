# SPDX-License-Identifier: GPL-3.0-or-later
# Speed, memory and I/O against the targets: a target to build (`make bench`), never a test.
if(TARGET ibbake AND TARGET ibb-mkimage AND TARGET ibb-mkpkg)
	add_executable(ibb-bench-inf bench/ibb-bench-inf.c)
	ibb_objects(ibb-bench-inf base inf)
	add_executable(ibb-bench-hive bench/ibb-bench-hive.c)
	ibb_objects(ibb-bench-hive base disk hive volume)
	add_executable(ibb-bench-cat bench/ibb-bench-cat.c)
	ibb_objects(ibb-bench-cat base authenticode)
	add_executable(ibb-bench-trust bench/ibb-bench-trust.c support/dirsource.c)
	ibb_objects(ibb-bench-trust base inf authenticode driver)
	add_custom_target(bench
		COMMAND ${PROJECT_SOURCE_DIR}/ci/bench --build ${PROJECT_BINARY_DIR}
		DEPENDS ibbake ibb-mkimage ibb-mkpkg ibb-bench-inf ibb-bench-hive ibb-bench-cat
			ibb-bench-trust
		USES_TERMINAL VERBATIM)
endif()
