# SPDX-License-Identifier: GPL-3.0-or-later
# cmake -C ci/cache/clang.cmake -S . -B build-clang; goes together with the others:
# cmake -C ci/cache/clang.cmake -C ci/cache/asan.cmake -S . -B build-asan
set(CMAKE_C_COMPILER clang CACHE STRING "C compiler")
