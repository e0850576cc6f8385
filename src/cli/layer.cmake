# SPDX-License-Identifier: GPL-3.0-or-later
ibb_layer(cli
	SOURCES cli/azure.c cli/cmd_bake.c cli/cmd_catalog.c cli/cmd_convert.c cli/cmd_drivers.c cli/cmd_inspect.c
		cli/cmd_plan.c cli/cmd_recover.c cli/cmd_resolve.c cli/cmd_sizes.c cli/cmd_unpack.c cli/cmd_verify.c
		cli/main.c cli/opt.c cli/rate.c cli/render.c cli/render_wim.c cli/talk.c
		cli/cmd_bundle.c cli/plain.c
		cli/cmd_cache.c cli/cmd_fetch.c cli/net.c
		cli/verbs.c
	USES base)

# The program is linked to the objects themselves: it runs from any directory, and uses base's JSON.
add_executable(ibbake $<TARGET_OBJECTS:ibb_cli>)
target_link_libraries(ibbake PRIVATE ibb_flags ibb_internal)
set_target_properties(ibbake PROPERTIES LINKER_LANGUAGE C
	RUNTIME_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR})
install(TARGETS ibbake RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})
