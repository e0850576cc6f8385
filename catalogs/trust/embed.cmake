# SPDX-License-Identifier: GPL-3.0-or-later
#
# cmake -DIN=<pem;pem...> -DOUT=<c> -P embed.cmake: the pinned roots as C arrays, so that the
# library works without its data files.

set(arrays "")
set(table "")
set(n 0)
foreach(pem ${IN})
	get_filename_component(name ${pem} NAME)
	file(READ ${pem} hex HEX)
	string(LENGTH "${hex}" digits)
	math(EXPR len "${digits} / 2")
	string(REGEX REPLACE "([0-9a-f][0-9a-f])" "0x\\1," bytes "${hex}")
	string(REPEAT "0x[0-9a-f][0-9a-f]," 16 row)
	string(REGEX REPLACE "(${row})" "\t\\1\n" bytes "${bytes}")
	string(APPEND arrays "static const uint8_t pem${n}[] = {\n${bytes}\n};\n")
	string(APPEND table "\t{\"${name}\", {pem${n}, ${len}}},\n")
	math(EXPR n "${n} + 1")
endforeach()
file(WRITE ${OUT} "/* Made from catalogs/trust by embed.cmake. */
#include \"authenticode/roots.h\"

${arrays}
const struct ibb_root_pem ibb_root_pems[] = {
${table}};
const size_t ibb_root_pems_n = ${n};
")
