# SPDX-License-Identifier: GPL-3.0-or-later
add_executable(ibb-mkpkg support/ibb-mkpkg.c support/mkpkg.c support/mkpe.c support/mkcat.c)
ibb_objects(ibb-mkpkg base)
target_link_libraries(ibb-mkpkg PRIVATE OpenSSL::Crypto)
