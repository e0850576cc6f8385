# SPDX-License-Identifier: GPL-3.0-or-later
#
# The shipped catalog becomes part of the library.
set(IBB_CATALOG_JSON ${PROJECT_SOURCE_DIR}/catalogs/azure-rdma.json)
set(IBB_CATALOG_C ${CMAKE_CURRENT_BINARY_DIR}/ibb_catalog_builtin.c)
add_custom_command(OUTPUT ${IBB_CATALOG_C}
	COMMAND ${CMAKE_COMMAND} -DIN=${IBB_CATALOG_JSON} -DOUT=${IBB_CATALOG_C}
		-P ${PROJECT_SOURCE_DIR}/catalogs/embed.cmake
	DEPENDS ${IBB_CATALOG_JSON} ${PROJECT_SOURCE_DIR}/catalogs/embed.cmake
	COMMENT "Embedding the driver catalog" VERBATIM)

ibb_layer(catalog
	SOURCES catalog/load.c catalog/merge.c catalog/releases.c catalog/read.c catalog/tables.c catalog/find.c catalog/nearest.c
		catalog/resolve.c ${IBB_CATALOG_C}
	USES base)
