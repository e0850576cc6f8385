# SPDX-License-Identifier: GPL-3.0-or-later
# The layers from inspect to api, and the documents that the tool prints.

# Debian's own python3 first: its jsonschema is not in another one's path.
find_program(IBB_PYTHON3 python3 PATHS /usr/bin NO_DEFAULT_PATH)
find_program(IBB_PYTHON3 python3)
if(TARGET ibbake)
	add_test(NAME cli_documents COMMAND ${IBB_PYTHON3} -B
		${CMAKE_CURRENT_SOURCE_DIR}/cli/documents.py --ibbake $<TARGET_FILE:ibbake>
		--mkimage $<TARGET_FILE:ibb-mkimage> --mkpkg $<TARGET_FILE:ibb-mkpkg>
		--schemas ${PROJECT_SOURCE_DIR}/catalogs)
	set_tests_properties(cli_documents PROPERTIES LABELS cli SKIP_RETURN_CODE 77 TIMEOUT 300)
endif()
