# SPDX-License-Identifier: GPL-3.0-or-later
#
# The pinned roots become part of the library.
set(IBB_ROOTS_C ${CMAKE_CURRENT_BINARY_DIR}/ibb_roots.c)
set(IBB_ROOTS_EMBED ${PROJECT_SOURCE_DIR}/catalogs/trust/embed.cmake)
set(IBB_ROOTS "")
foreach(fingerprint
	3b1efd3a66ea28b16697394703a72ca340a05bd5
	8f43288ad272f3103b6fb1428485ea3014c0bcfe
	a43489159a520f0d93d032ccaf37e7fe20a8b419
	cdd4eeae6000ac7f40c3802c171e30148030c072)
	list(APPEND IBB_ROOTS ${PROJECT_SOURCE_DIR}/catalogs/trust/${fingerprint}.pem)
endforeach()
add_custom_command(OUTPUT ${IBB_ROOTS_C}
	COMMAND ${CMAKE_COMMAND} "-DIN=${IBB_ROOTS}" -DOUT=${IBB_ROOTS_C} -P ${IBB_ROOTS_EMBED}
	DEPENDS ${IBB_ROOTS} ${IBB_ROOTS_EMBED}
	COMMENT "Embedding the pinned roots" VERBATIM)

ibb_layer(authenticode
	SOURCES
		authenticode/cat.c
		authenticode/cat_member.c
		authenticode/chain.c
		authenticode/der.c
		authenticode/pe.c
		authenticode/pe_layout.c
		authenticode/pins.c
		authenticode/pkcs7.c
		authenticode/signature.c
		authenticode/signer.c
		authenticode/signer_info.c
		authenticode/spc.c
		authenticode/store.c
		authenticode/timestamp.c
		authenticode/trust.c
		authenticode/usage.c
		${IBB_ROOTS_C}
	USES base
	LIBS OpenSSL::Crypto)
