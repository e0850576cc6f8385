# SPDX-License-Identifier: GPL-3.0-or-later
ibb_unit_test(test_bundle LABEL bad SOURCES unit/test_bundle.c LAYERS base bundle)
