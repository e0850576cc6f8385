# SPDX-License-Identifier: GPL-3.0-or-later
ibb_layer(api
	SOURCES api/api.c api/azure.c api/bake.c api/doc.c api/drivers.c api/drivers_list.c api/image.c api/included.c api/inspect.c api/inplace.c api/output.c api/packages.c
		api/plan.c api/public.c api/session.c api/sources.c api/unpack.c api/session_open.c api/session_staged.c api/trust.c api/lockfile.c api/check.c api/verify.c
		api/target.c api/convert.c api/replace.c api/access.c api/old_manifest.c
		api/catalogs.c api/catalog_check.c api/catalog_import.c api/catalog_show.c
		api/wims.c api/wim_run.c api/wim_bake.c api/wim_inplace.c api/wim_show.c api/wim_verify.c api/winre.c
		api/bundle.c api/bundle_about.c api/bundle_check.c api/bundle_create.c
		api/accept.c api/fetch.c api/fetch_doc.c api/cache.c api/cached.c
	USES base disk hive inf authenticode catalog unpack net bundle volume driver inspect plan apply manifest)

# The library: every layer's objects; only what include/ibbake/ marks IBB_API is visible.
add_library(libibbake SHARED)
add_library(ibb_internal STATIC)
foreach(layer base disk hive inf authenticode catalog unpack net bundle volume driver inspect plan apply manifest api)
	foreach(lib libibbake ibb_internal)
		target_sources(${lib} PRIVATE $<TARGET_OBJECTS:ibb_${layer}>)
		target_link_libraries(${lib} PRIVATE ${IBB_LIBS_${layer}})
	endforeach()
endforeach()
target_link_libraries(libibbake PRIVATE ibb_flags)
target_link_libraries(ibb_internal PUBLIC ibb_flags PkgConfig::CJSON OpenSSL::Crypto
	PkgConfig::NTFS3G PkgConfig::LIBARCHIVE PkgConfig::LIBCURL ibb_wimlib m)
set_target_properties(libibbake PROPERTIES OUTPUT_NAME ibbake LINKER_LANGUAGE C
	VERSION ${PROJECT_VERSION} SOVERSION ${PROJECT_VERSION_MAJOR})
set_target_properties(ibb_internal PROPERTIES LINKER_LANGUAGE C)
target_include_directories(libibbake INTERFACE
	$<BUILD_INTERFACE:${PROJECT_SOURCE_DIR}/include> $<INSTALL_INTERFACE:include>)

configure_file(${CMAKE_CURRENT_SOURCE_DIR}/api/libibbake.pc.in
	${CMAKE_CURRENT_BINARY_DIR}/libibbake.pc @ONLY)
install(TARGETS libibbake LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR})
install(DIRECTORY ${PROJECT_SOURCE_DIR}/include/ibbake DESTINATION ${CMAKE_INSTALL_INCLUDEDIR})
install(FILES ${CMAKE_CURRENT_BINARY_DIR}/libibbake.pc
	DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig)
