# SPDX-License-Identifier: GPL-3.0-or-later
#
# Fuzz targets. With any compiler replay_TARGET runs the target over its seeds and over what was
# found before (label fuzz). With clang and -DIBB_FUZZ=ON there is fuzz_TARGET besides, driven by
# libFuzzer: `ci/campaign fuzz` runs these.
#
#   regressions/TARGET/   inputs that once failed: minimised, and made by us to the last byte
#   build/fuzz/seeds/     what ibb-mkcorpus makes for every run, from real hives, too

set(IBB_FUZZ_SEEDS ${PROJECT_BINARY_DIR}/fuzz/seeds)
set(hive_targets hive_base hive_walk hive_edit)
set(mkcorpus_sources fuzz/mkcorpus.c fuzz/mkcorpus_cut.c fuzz/fuzz_hive.c support/hivebuild.c
	support/mksd.c fuzz/mkcorpus_journal.c fuzz/fuzz_journal_world.c)
if(EXISTS ${PROJECT_SOURCE_DIR}/src/hive/log.c) # else its sources wait
	list(APPEND hive_targets hive_log)
	list(APPEND mkcorpus_sources fuzz/mkcorpus_log.c fuzz/fuzz_log.c)
endif()
if(EXISTS ${PROJECT_SOURCE_DIR}/src/authenticode/cat.c)
	set(cat_targets cat pe signature)
	list(APPEND mkcorpus_sources fuzz/mkcorpus_cat.c support/mkpe.c ${mkcat})
endif()
set(vhd_targets vhd_footer vhd_header vhd_bat)
list(APPEND mkcorpus_sources fuzz/mkcorpus_vhd.c support/mkvhd.c support/imgfile.c)
list(APPEND mkcorpus_sources fuzz/mkcorpus_fat.c support/mkfat.c fuzz/mkcorpus_wim.c)

list(APPEND mkcorpus_sources fuzz/mkcorpus_vhdx.c fuzz/fuzz_vhdx_file.c support/mkvhdx.c)
list(APPEND mkcorpus_sources fuzz/mkcorpus_msi.c support/mkmsi.c support/mkcfb.c support/mkis.c
	support/mkcab.c support/mkpe.c)
list(APPEND mkcorpus_sources fuzz/mkcorpus_unpack.c support/mkarchive.c)
list(REMOVE_DUPLICATES mkcorpus_sources)

add_executable(ibb-mkcorpus ${mkcorpus_sources})
ibb_objects(ibb-mkcorpus base disk hive)
target_link_libraries(ibb-mkcorpus PRIVATE ibb_wimlib PkgConfig::ZLIB)
if(cat_targets)
	target_compile_definitions(ibb-mkcorpus PRIVATE IBB_FUZZ_CAT)
	target_link_libraries(ibb-mkcorpus PRIVATE OpenSSL::Crypto)
endif()
if("hive_log" IN_LIST hive_targets)
	target_compile_definitions(ibb-mkcorpus PRIVATE IBB_FUZZ_LOG)
endif()
file(MAKE_DIRECTORY ${PROJECT_BINARY_DIR}/fuzz)
add_custom_target(fuzzers DEPENDS ibb-mkcorpus)
add_test(NAME fuzz_seeds COMMAND ibb-mkcorpus ${IBB_FUZZ_SEEDS})
set_tests_properties(fuzz_seeds PROPERTIES LABELS fuzz TIMEOUT 60 FIXTURES_SETUP fuzz_seeds)

# ibb_fuzz_target(<name> SOURCES ... LAYERS ...)
function(ibb_fuzz_target name)
	cmake_parse_arguments(T "" "" "SOURCES;LAYERS" ${ARGN})
	add_executable(replay_${name} fuzz/replay_main.c ${T_SOURCES})
	ibb_objects(replay_${name} ${T_LAYERS})
	add_dependencies(fuzzers replay_${name})
	set(found ${CMAKE_CURRENT_FUNCTION_LIST_DIR}/regressions/${name})
	if(NOT EXISTS ${found})
		set(found "")
	endif()
	add_test(NAME replay_${name}
		COMMAND replay_${name} --mutate 2 ${IBB_FUZZ_SEEDS}/${name} ${found})
	set_tests_properties(replay_${name} PROPERTIES LABELS fuzz TIMEOUT 120
		FIXTURES_REQUIRED fuzz_seeds)
	if(IBB_FUZZ)
		add_executable(fuzz_${name} ${T_SOURCES})
		ibb_objects(fuzz_${name} ${T_LAYERS})
		target_link_options(fuzz_${name} PRIVATE -fsanitize=fuzzer)
		add_dependencies(fuzzers fuzz_${name})
	endif()
endfunction()

foreach(target ${hive_targets})
	set(sources fuzz/fuzz_${target}.c fuzz/fuzz_hive.c fuzz/fuzz_hive_mutate.c)
	if(target STREQUAL hive_edit)
		list(APPEND sources fuzz/fuzz_edit_pick.c fuzz/fuzz_model.c)
	elseif(target STREQUAL hive_log)
		list(APPEND sources fuzz/fuzz_log.c)
	endif()
	ibb_fuzz_target(${target} SOURCES ${sources} LAYERS base hive)
endforeach()
ibb_fuzz_target(journal SOURCES fuzz/fuzz_journal.c fuzz/fuzz_journal_world.c
	LAYERS base disk)
foreach(target ${cat_targets})
	ibb_fuzz_target(${target} SOURCES fuzz/fuzz_${target}.c LAYERS base authenticode)
endforeach()
# One target three times, each fond of another part of the file.
set(fond_of 0)
foreach(target ${vhd_targets})
	math(EXPR fond_of "${fond_of} + 1")
	ibb_fuzz_target(${target} SOURCES fuzz/fuzz_vhd.c support/mkvhd.c support/imgfile.c
		LAYERS base disk)
	target_compile_definitions(replay_${target} PRIVATE FUZZ_VHD=${fond_of})
	if(IBB_FUZZ)
		target_compile_definitions(fuzz_${target} PRIVATE FUZZ_VHD=${fond_of})
	endif()
endforeach()
ibb_fuzz_target(fat SOURCES fuzz/fuzz_fat.c LAYERS base disk volume)
ibb_fuzz_target(msi SOURCES fuzz/fuzz_msi.c LAYERS base unpack)
ibb_fuzz_target(unpack SOURCES fuzz/fuzz_unpack.c LAYERS base unpack)
ibb_fuzz_target(wim_blob SOURCES fuzz/fuzz_wim_blob.c LAYERS base disk volume)

# One program, which damages another structure in each target.
set(vhdx_part 0)
foreach(target vhdx_header vhdx_region vhdx_meta vhdx_bat vhdx_log)
	ibb_fuzz_target(${target} SOURCES fuzz/fuzz_vhdx.c fuzz/fuzz_vhdx_file.c support/mkvhdx.c
		LAYERS base disk)
	foreach(program replay_${target} fuzz_${target})
		if(TARGET ${program})
			target_compile_definitions(${program} PRIVATE FUZZ_VHDX_PART=${vhdx_part})
		endif()
	endforeach()
	math(EXPR vhdx_part "${vhdx_part} + 1")
endforeach()
