# SPDX-License-Identifier: GPL-3.0-or-later
# cmake -C ci/cache/werror.cmake -S . -B build: warnings are errors, as in CI.
set(IBB_WERROR ON CACHE BOOL "Treat warnings as errors (CI)")
set(IBB_TESTS ON CACHE BOOL "Build the tests")
