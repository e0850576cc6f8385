# SPDX-License-Identifier: GPL-3.0-or-later
#
# The empty NTFS volume that changes of a WIM are staged in is made by the tools of ntfs-3g and
# becomes part of the library.
foreach(tool mkntfs ntfsresize ntfsfix)
	string(TOUPPER IBB_${tool} var)
	find_program(${var} ${tool} PATHS /usr/local/sbin /usr/sbin /sbin /usr/bin)
	if(NOT ${var})
		message(FATAL_ERROR "${tool} is not installed: the build makes an empty NTFS "
			"volume with it (Debian package: ntfs-3g)")
	endif()
endforeach()
set(IBB_TEMPLATE_C ${CMAKE_CURRENT_BINARY_DIR}/ibb_wim_template.c)
set(IBB_TEMPLATE_MAKE ${CMAKE_CURRENT_SOURCE_DIR}/volume/template/make.cmake)
add_executable(ibb-template ${CMAKE_CURRENT_SOURCE_DIR}/volume/template/embed.c)
target_link_libraries(ibb-template PRIVATE ibb_flags)
add_custom_command(OUTPUT ${IBB_TEMPLATE_C}
	COMMAND ${CMAKE_COMMAND} -DEMBED=$<TARGET_FILE:ibb-template> -DMKNTFS=${IBB_MKNTFS}
		-DNTFSRESIZE=${IBB_NTFSRESIZE} -DNTFSFIX=${IBB_NTFSFIX} -DOUT=${IBB_TEMPLATE_C}
		-P ${IBB_TEMPLATE_MAKE}
	DEPENDS ibb-template ${IBB_TEMPLATE_MAKE}
	COMMENT "Making the empty NTFS volume" VERBATIM)

ibb_layer(volume
	SOURCES volume/volume.c volume/security.c volume/ntfs.c volume/ntfs_dev.c
		volume/ntfs_state.c volume/ntfs_read.c volume/ntfs_meta.c volume/ntfs_write.c
		volume/ntfs_import.c volume/wim_scratch.c volume/wim_stage.c
		volume/wim_commit.c ${IBB_TEMPLATE_C}
		volume/wof.c volume/dir.c volume/dir_commit.c volume/fat.c volume/fat_dir.c
		volume/wim.c volume/wim_error.c volume/wim_images.c volume/wim_header.c
		volume/wim_parts.c volume/wim_tree.c
		volume/wim_blob.c volume/wim_names.c volume/wim_volume.c
		volume/wim_write.c volume/wim_compare.c volume/wim_compare_tree.c volume/wim_xml.c
		volume/wim_content.c volume/wim_integrity.c
		volume/wim_props.c volume/wim_usage.c
	USES base disk
	LIBS PkgConfig::NTFS3G ibb_wimlib)
