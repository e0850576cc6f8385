# SPDX-License-Identifier: GPL-3.0-or-later
ibb_unit_test(test_http LABEL unit SOURCES unit/test_http.c LAYERS base net)
ibb_unit_test(test_cache LABEL fault SOURCES unit/test_cache.c LAYERS base net)
