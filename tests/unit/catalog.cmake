# SPDX-License-Identifier: GPL-3.0-or-later
ibb_unit_test(test_catalog LABEL unit SOURCES unit/test_catalog.c LAYERS base catalog)
ibb_unit_test(test_catalog_shipped LABEL unit SOURCES unit/test_catalog_shipped.c
	LAYERS base catalog)
ibb_unit_test(test_catalog_layers LABEL unit SOURCES unit/test_catalog_layers.c LAYERS base catalog)
ibb_unit_test(test_catalog_check LABEL unit SOURCES unit/test_catalog_check.c LAYERS base catalog)
ibb_unit_test(test_catalog_import LABEL unit SOURCES unit/test_catalog_import.c LAYERS base catalog)

# Debian's own python3 first: its jsonschema is not in another one's path.
find_program(IBB_PYTHON3 python3 PATHS /usr/bin NO_DEFAULT_PATH)
find_program(IBB_PYTHON3 python3)
add_test(NAME test_catalog_schema COMMAND ${IBB_PYTHON3}
	${CMAKE_CURRENT_SOURCE_DIR}/unit/catalog_schema.py ${PROJECT_SOURCE_DIR}/catalogs)
set_tests_properties(test_catalog_schema PROPERTIES LABELS unit SKIP_RETURN_CODE 77 TIMEOUT 60)
add_test(NAME test_catalog_facts COMMAND ${IBB_PYTHON3}
	${CMAKE_CURRENT_SOURCE_DIR}/unit/catalog_facts.py ${PROJECT_SOURCE_DIR}/catalogs
	${IBB_TEST_DATA_DEFAULT})
set_tests_properties(test_catalog_facts PROPERTIES LABELS unit SKIP_RETURN_CODE 77 TIMEOUT 60)
