# SPDX-License-Identifier: GPL-3.0-or-later
ibb_unit_test(test_base LABEL unit SOURCES unit/test_base.c LAYERS base)
ibb_unit_test(test_base_text LABEL unit SOURCES unit/test_base_text.c LAYERS base)
ibb_unit_test(test_base_json LABEL unit SOURCES unit/test_base_json.c LAYERS base)
ibb_unit_test(test_base_io LABEL unit SOURCES unit/test_base_io.c LAYERS base)
ibb_unit_test(test_base_fault LABEL fault SOURCES unit/test_base_fault.c LAYERS base)
ibb_unit_test(test_archive LABEL unit SOURCES unit/test_archive.c support/mkcab.c LAYERS base)
ibb_unit_test(test_sign LABEL unit SOURCES unit/test_sign.c LAYERS base)
