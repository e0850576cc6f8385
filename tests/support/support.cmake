# SPDX-License-Identifier: GPL-3.0-or-later
# Programs the tests and the demonstration use.
include(${CMAKE_CURRENT_LIST_DIR}/mkpkg.cmake OPTIONAL)

if(TARGET ibb_volume AND TARGET ibb_hive)
	add_executable(ibb-mkimage support/ibb-mkimage.c support/mkimage.c support/mkdisk.c
		support/imgfile.c support/mklog.c support/mkwindows.c support/ntfsprep.c support/winhives.c
		support/winreleases.c support/hivebuild.c support/mksd.c)
	ibb_objects(ibb-mkimage base disk hive volume)

	add_executable(ibb-extract support/ibb-extract.c)
	ibb_objects(ibb-extract base disk hive volume)
endif()
