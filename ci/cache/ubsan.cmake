# SPDX-License-Identifier: GPL-3.0-or-later
# cmake -C ci/cache/ubsan.cmake -S . -B build-ubsan
set(IBB_SANITIZE "undefined" CACHE STRING "Sanitizers for -fsanitize=, comma separated")
set(IBB_TESTS ON CACHE BOOL "Build the tests")
set(CMAKE_BUILD_TYPE RelWithDebInfo CACHE STRING "Build type")
