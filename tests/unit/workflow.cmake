# SPDX-License-Identifier: GPL-3.0-or-later
# The layers from inspect to api, and the documents that the tool prints.

# A Windows in a directory, and packages, for all of them.
add_library(ibb_workflow_support OBJECT support/wintree.c support/winhives.c
	support/winreleases.c support/hivebuild.c support/mksd.c support/pkgtest.c support/mkpkg.c
	support/mkpe.c ${mkcat} support/dirsource.c support/mkimage.c support/mkdisk.c support/mkfat.c
	support/imgfile.c support/mklog.c support/mkwindows.c support/ntfsprep.c ${ntfscheck})
target_include_directories(ibb_workflow_support PRIVATE ${PROJECT_SOURCE_DIR}/src
	${PROJECT_SOURCE_DIR}/include ${CMAKE_CURRENT_SOURCE_DIR}/support)
target_link_libraries(ibb_workflow_support PRIVATE ibb_flags PkgConfig::CMOCKA OpenSSL::Crypto
	PkgConfig::NTFS3G)
target_compile_definitions(ibb_workflow_support PRIVATE
	IBB_TEST_DATA_DEFAULT="${IBB_TEST_DATA_DEFAULT}" IBB_SOURCE_DIR="${PROJECT_SOURCE_DIR}")

# ibb_workflow_test(<name> <label>): with every layer below the command line.
function(ibb_workflow_test name label)
	ibb_unit_test(${name} LABEL ${label}
		SOURCES unit/${name}.c $<TARGET_OBJECTS:ibb_workflow_support> ${ARGN}
		LAYERS base disk hive inf authenticode catalog unpack net bundle volume driver inspect plan apply
			manifest api)
endfunction()
ibb_workflow_test(test_facts unit)
ibb_workflow_test(test_azure unit)
ibb_workflow_test(test_boot unit)
ibb_workflow_test(test_select unit)
ibb_workflow_test(test_rank unit)
ibb_workflow_test(test_consistency bad)
ibb_workflow_test(test_plan golden)
ibb_workflow_test(test_reflect golden)
ibb_workflow_test(test_apply fault)
ibb_workflow_test(test_remove fault)
ibb_workflow_test(test_as_windows golden)
ibb_workflow_test(test_manifest bad)
ibb_workflow_test(test_api fault)
ibb_workflow_test(test_wim_api fault support/mkwim.c)
ibb_workflow_test(test_recover_undo unit)

# Debian's own python3 first: its jsonschema is not in another one's path.
find_program(IBB_PYTHON3 python3 PATHS /usr/bin NO_DEFAULT_PATH)
find_program(IBB_PYTHON3 python3)
if(TARGET ibbake)
	add_test(NAME cli_documents COMMAND ${IBB_PYTHON3} -B
		${CMAKE_CURRENT_SOURCE_DIR}/cli/documents.py --ibbake $<TARGET_FILE:ibbake>
		--mkimage $<TARGET_FILE:ibb-mkimage> --mkpkg $<TARGET_FILE:ibb-mkpkg>
		--mkwim $<TARGET_FILE:ibb-mkwim>
		--schemas ${PROJECT_SOURCE_DIR}/catalogs)
	set_tests_properties(cli_documents PROPERTIES LABELS cli SKIP_RETURN_CODE 77 TIMEOUT 300)
endif()
ibb_unit_test(test_rate LABEL unit SOURCES unit/test_rate.c ${PROJECT_SOURCE_DIR}/src/cli/rate.c
	LAYERS base)
