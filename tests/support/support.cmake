# SPDX-License-Identifier: GPL-3.0-or-later
# Programs the tests and the demonstration use.
include(${CMAKE_CURRENT_LIST_DIR}/mkpkg.cmake OPTIONAL)

if(TARGET ibb_volume AND TARGET ibb_hive)
	add_executable(ibb-mkimage support/ibb-mkimage.c support/mkimage.c support/mkdisk.c support/mkfat.c
		support/imgfile.c support/mklog.c support/mkwindows.c support/ntfsprep.c support/winhives.c
		support/winreleases.c support/hivebuild.c support/mksd.c)
	ibb_objects(ibb-mkimage base disk hive volume)

	add_executable(ibb-mkwim support/ibb-mkwim.c support/mkwim.c)
	ibb_objects(ibb-mkwim base)
	target_link_libraries(ibb-mkwim PRIVATE ibb_wimlib)

	add_executable(ibb-extract support/ibb-extract.c)
	ibb_objects(ibb-extract base disk hive volume)
endif()

# Records what a program does to a directory's files.
add_library(ibb-powercut MODULE support/powercut.c)
set_target_properties(ibb-powercut PROPERTIES PREFIX "")
target_link_libraries(ibb-powercut PRIVATE ibb_flags ${CMAKE_DL_LIBS})
add_library(ibb-iofault MODULE support/iofault.c)
set_target_properties(ibb-iofault PROPERTIES PREFIX "")
target_link_libraries(ibb-iofault PRIVATE ibb_flags ${CMAKE_DL_LIBS})

# Makes system calls succeed or fail as other systems would.
add_library(ibb-sysfault MODULE support/sysfault.c)
set_target_properties(ibb-sysfault PROPERTIES PREFIX "")
target_link_libraries(ibb-sysfault PRIVATE ibb_flags ${CMAKE_DL_LIBS})

if(TARGET ibb_hive)
	add_executable(ibb-hive support/ibb-hive.c support/hiveedit.c support/hivenames.c
		support/hivemodel.c support/hivedump.c)
	ibb_objects(ibb-hive base hive)
	# Log recovery is there as soon as the interface declares it.
	file(STRINGS ${PROJECT_SOURCE_DIR}/src/hive/hive.h recover REGEX "^int ibb_hive_recover\\(")
	if(recover)
		target_compile_definitions(ibb-hive PRIVATE IBB_HAVE_RECOVER)
	endif()
endif()

if(TARGET ibb_disk)
	add_executable(ibb-ntfscheck support/ibb-ntfscheck.c ${ntfscheck})
	ibb_objects(ibb-ntfscheck base disk)
endif()
