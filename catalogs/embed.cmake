# SPDX-License-Identifier: GPL-3.0-or-later
#
# cmake -DIN=<json> -DOUT=<c> -P embed.cmake: the driver catalog as a C array, so that the library
# works without its data files.

file(READ ${IN} hex HEX)
string(LENGTH "${hex}" digits)
math(EXPR len "${digits} / 2")
string(REGEX REPLACE "([0-9a-f][0-9a-f])" "0x\\1," bytes "${hex}")
string(REPEAT "0x[0-9a-f][0-9a-f]," 16 row)
string(REGEX REPLACE "(${row})" "\t\\1\n" bytes "${bytes}")
file(WRITE ${OUT} "/* Made from azure-rdma.json by embed.cmake. */
#include \"catalog/builtin.h\"

const unsigned char ibb_catalog_builtin[] = {
${bytes}
};
const size_t ibb_catalog_builtin_len = ${len};
")
